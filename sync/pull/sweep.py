"""Finds what vanished at the platform: deletions and merges never show in `updated_at`.

Counts cost one call; only where they disagree with the live rows, and once a week, are all ids compared. An id missing
from the list may be one that the platform's index does not show yet, so each is asked for by itself before it counts as
gone. A vanished customer's orders are read again: where they all name one other customer now, that one is the survivor
of a merge. Each portion is read first and then stored in one transaction, so that a killed sweep finds the rest again.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connector.base import Record, Source
from sync.progress import Progress
from sync.pull.extract import Intake
from sync.store import identity, state
from sync.store.engine import Connection, Store
from sync.store.identity import listed, mark_dirty

SWEPT = ("customers", "orders")
"""Carts are not swept: platforms purge them by age (Shopify after about three months), and ours are to stay."""

_DAY = 86_400
_WEEK = 7 * _DAY
_PORTION = 250
_FEW = 10
_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What the sweeps came to. `recovered` are records that the platform has and we had missed."""

    streams: tuple[str, ...] = ()
    customers_gone: int = 0
    customers_merged: int = 0
    orders_gone: int = 0
    recovered: int = 0
    calls: int = 0


class Sweep:
    """Compares ids of the streams given with what the platform has.

    Orders placed before `oldest` are out of the key's sight, which is no sign that they are gone.
    """

    def __init__(
        self,
        source: Source,
        store: Store,
        intakes: Mapping[str, Intake],
        *,
        now: int,
        oldest: int | None,
        progress: Progress,
    ) -> None:
        self.report = SweepReport()
        self._source = source
        self._store = store
        self._intakes = intakes
        self._now = now
        self._oldest = oldest
        self._progress = progress

    def run(self, names: Sequence[str], *, force: bool = False) -> SweepReport:
        """Sweep those of the streams that need it (all, if `force`)."""
        counts = self._source.counts()
        self._count(1)
        for name in names:
            gap = self._gap(name, counts)
            if force or self._due(name, gap, counts):
                self._sweep(name)
                self.report = replace(self.report, streams=(*self.report.streams, name))
                self._settle(name, self._gap(name, counts))
        return self.report

    def _count(self, calls: int) -> None:
        self.report = replace(self.report, calls=self.report.calls + calls)

    def _visible(self, name: str, margin: int = 0) -> str:
        """The condition for live rows that the key can see."""
        if name != "orders" or self._oldest is None:
            return "gone_at IS NULL"
        return f"gone_at IS NULL AND coalesce(created_at, placed_at) >= {int(self._oldest) + margin}"

    def _gap(self, name: str, counts: Mapping[str, int]) -> int | None:
        """How many more records the platform counts than we hold, live or in quarantine."""
        if name not in counts:
            return None
        with self._store.read() as connection:
            live = connection.exec_driver_sql(f"SELECT count(*) FROM {name} WHERE {self._visible(name)}").scalar_one()
            waiting = _numbers(state.kept(connection, name))
            known = connection.exec_driver_sql(
                f"SELECT count(*) FROM {name} WHERE {self._visible(name)} AND id IN (SELECT value FROM json_each(?))",
                (listed(waiting),),
            ).scalar_one()
        return counts[name] - int(live) - (len(waiting) - int(known))

    def _due(self, name: str, gap: int | None, counts: Mapping[str, int]) -> bool:
        """A missing record is looked for at once, and so is a surplus of many.

        A few too many may only be new: placed since the stream was read, or not yet in the index that lists them. They
        come with the next read; where a second run counts just as many, they are looked for.
        """
        with self._store.begin() as connection:
            swept_at = state.load(connection, name).swept_at
            settled, last = state.get_meta(connection, f"gap:{name}", (0, 0))
            if swept_at is None and gap in (0, None):
                state.swept(connection, name, self._now)
                return False
            if gap is not None:
                state.set_meta(connection, f"gap:{name}", (settled, gap))
        if swept_at is not None and self._now - swept_at >= _WEEK:
            return True
        surplus = 0 if gap is None else gap - settled
        many = surplus > max(_FEW, _SHARE * counts.get(name, 0))
        return surplus < 0 or many or (surplus > 0 and gap == last)

    def _settle(self, name: str, gap: int | None) -> None:
        with self._store.begin() as connection:
            state.swept(connection, name, self._now)
            state.set_meta(connection, f"gap:{name}", (gap or 0, gap or 0))

    def _sweep(self, name: str) -> None:
        vanished, unseen = self._compare(name)
        for portion in _portions(vanished):
            if name == "customers":
                self._customers(portion)
            else:
                self._orders(portion)
        for portion in _portions(unseen):
            records = self._read(name, portion)
            mapped = self._intakes[name].map(records)
            with self._store.begin() as connection:
                absorbed = self._intakes[name].store(connection, mapped).absorbed
            self.report = replace(self.report, recovered=self.report.recovered + absorbed.new + absorbed.changed)

    def _compare(self, name: str) -> tuple[list[int], list[int]]:
        """Ids of live rows that the platform no longer lists, and ids it lists that we do not hold."""
        ids = array("q")
        for page in self._source.ids(self._intakes[name].stream):
            ids.extend(_number(record["id"]) for record in page.records)
            self._count(page.calls)
            self._progress.update(f"{name}: ids", len(ids), page.total)
        with self._store.read() as connection:
            waiting = _numbers(state.kept(connection, name))
            connection.exec_driver_sql("CREATE TEMP TABLE listed (id INTEGER PRIMARY KEY)")
            for portion in _portions(ids, 10_000):
                connection.exec_driver_sql(
                    "INSERT OR IGNORE INTO listed SELECT value FROM json_each(?)", (listed(portion),)
                )
            vanished = connection.exec_driver_sql(
                f"SELECT id FROM {name} WHERE {self._visible(name, _DAY)} AND id NOT IN (SELECT id FROM listed) "
                "ORDER BY id"
            ).all()
            unseen = connection.exec_driver_sql(
                f"SELECT id FROM listed WHERE id NOT IN (SELECT id FROM {name} WHERE gone_at IS NULL) ORDER BY id"
            ).all()
        return [row[0] for row in vanished], [row[0] for row in unseen if row[0] not in waiting]

    def _read(self, name: str, ids: Sequence[int]) -> list[Record]:
        if not ids:
            return []
        records: list[Record] = []
        for page in self._source.by_ids(self._intakes[name].stream, [str(each) for each in ids]):
            records += page.records
            self._count(page.calls)
        return records

    def _orders(self, candidates: Sequence[int]) -> None:
        records = self._read("orders", candidates)
        mapped = self._intakes["orders"].map(records)
        gone = sorted(set(candidates) - {_number(record["id"]) for record in records})
        with self._store.begin() as connection:
            self._intakes["orders"].store(connection, mapped)
            self._orders_gone(connection, gone)

    def _orders_gone(self, connection: Connection, missing: Sequence[int]) -> None:
        rows = connection.exec_driver_sql(
            f"SELECT id, customer_id FROM orders WHERE {self._visible('orders', _DAY)} "
            "AND id IN (SELECT value FROM json_each(?))",
            (listed(missing),),
        ).all()
        if rows:
            gone = [(self._now, row[0]) for row in rows]
            connection.exec_driver_sql("UPDATE orders SET gone_at = ? WHERE id = ?", gone)
            mark_dirty(connection, {row[1] for row in rows} - {None})
        self.report = replace(self.report, orders_gone=self.report.orders_gone + len(rows))

    def _customers(self, candidates: Sequence[int]) -> None:
        records = self._read("customers", candidates)
        mapped = self._intakes["customers"].map(records)
        gone = sorted(set(candidates) - {_number(record["id"]) for record in records})
        held = {name: self._held(name, gone) for name in ("orders", "carts") if name in self._intakes}
        again = {name: self._read(name, [each for each, _ in rows]) for name, rows in held.items()}
        reread = {name: self._intakes[name].map(rows) for name, rows in again.items()}
        with self._store.begin() as connection:
            self._intakes["customers"].store(connection, mapped)
            for name, rows in reread.items():
                self._intakes[name].store(connection, rows)
            if "orders" in held:
                there = {_number(record["id"]) for record in again["orders"]}
                self._orders_gone(connection, sorted({each for each, _ in held["orders"]} - there))
            survivors = {customer: _survivor(connection, customer, held) for customer in gone}
            identity.depart(connection, survivors, self._now)
        merged = sum(survivor is not None for survivor in survivors.values())
        self.report = replace(
            self.report,
            customers_gone=self.report.customers_gone + len(gone) - merged,
            customers_merged=self.report.customers_merged + merged,
        )

    def _held(self, name: str, customers: Sequence[int]) -> list[tuple[int, int]]:
        """Live orders or carts that the platform gave to these customers, each with its customer."""
        with self._store.read() as connection:
            rows = connection.exec_driver_sql(
                f"SELECT id, source_customer_id FROM {name} WHERE gone_at IS NULL AND source_customer_id IS NOT NULL "
                "AND customer_id IN (SELECT value FROM json_each(?))",
                (listed(customers),),
            ).all()
        return [(row[0], row[1]) for row in rows]


def _survivor(connection: Connection, customer: int, held: Mapping[str, Sequence[tuple[int, int]]]) -> int | None:
    """The one customer that all orders of this one name now; without orders its carts tell, or moves seen before."""
    for name, rows in held.items():
        own = [each for each, owner in rows if owner == customer]
        named = _column(
            connection,
            f"SELECT DISTINCT source_customer_id FROM {name} WHERE gone_at IS NULL AND source_customer_id IS NOT ?2 "
            "AND id IN (SELECT value FROM json_each(?1))",
            (listed(own), customer),
        )
        if named:
            return named[0] if len(named) == 1 else None
    moved = _column(
        connection,
        "SELECT target_customer_id FROM owner_move WHERE source_customer_id = ?1 "
        "AND at = (SELECT max(at) FROM owner_move WHERE source_customer_id = ?1)",
        (customer,),
    )
    return moved[0] if len(moved) == 1 else None


def _column(connection: Connection, sql: str, parameters: tuple[Any, ...]) -> list[int | None]:
    return [row[0] for row in connection.exec_driver_sql(sql, parameters)]


def _portions(ids: Sequence[int], size: int = _PORTION) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _numbers(record_ids: Iterable[str]) -> set[int]:
    """Those of the ids that are numbered: a record without an id is in quarantine under another name."""
    return {_number(each) for each in record_ids if each.rpartition("/")[2].isdecimal()}


def _number(record_id: Any) -> int:
    """The number of a platform id: itself, or the tail of a gid."""
    return int(str(record_id).rpartition("/")[2])
