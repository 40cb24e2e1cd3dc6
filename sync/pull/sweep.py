"""Finds what vanished at the platform: deletions and merges never show in `updated_at`.

Counts cost one call. Where they say that records are missing, the platform's own list of deletions is read, if it
keeps one; only where they still disagree, and once a week, are all ids compared. An id missing from a list may be one
that the platform's index does not show yet, so each is asked for by itself before it counts as gone. A vanished
customer's survivor is the one that the platform names; where it names none, the customer's orders are read again, and
the one other customer that they all name now is it. Each portion is read first and then stored in one transaction, so
that a killed sweep finds the rest again.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import orjson

from connector.base import Page, Record, Source
from mappings.keys import is_number, own_id
from sync.progress import Progress
from sync.pull.extract import Intake
from sync.store import external, identity, state
from sync.store.checkouts import mark_carts
from sync.store.engine import Connection, Store
from sync.store.external import key_of, keys_of
from sync.store.identity import listed, mark_dirty

SWEPT = ("customers", "orders")
"""Carts are not swept: platforms purge them by age (Shopify after about three months), and ours are to stay."""

_DAY = 86_400
_WEEK = 7 * _DAY
_PORTION = 250
_FEW = 10
_SHARE = 0.01
_STRANGERS = 100
_ASKED = "strangers"
_ID_LENGTH = 100
_Id = TypeVar("_Id", int, str)


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
            if not force and not self._due(name, gap, counts):
                continue
            every = force or not self._deletions_suffice(name, counts)
            if every:
                self._sweep(name)
            self.report = replace(self.report, streams=(*self.report.streams, name))
            self._settle(name, self._gap(name, counts), every=every)
        return self.report

    def strangers(self) -> SweepReport:
        """Ask once for customers whom orders name and no list has shown: they were merged before we first read, say.

        Some of them, the rest in later runs. What the platform calls them is found in the records of their orders. One
        that the platform does not show either owns its orders all the same.
        """
        if not {"customers", "orders"} <= self._intakes.keys():
            return self.report
        with self._store.read() as connection:
            complete = state.load(connection, "customers").completed_at is not None
            asked = state.get_meta(connection, _ASKED, [])
            orders = _named_by(connection, [*asked, *keys_of(state.kept(connection, "customers"))]) if complete else {}
        if orders:
            shown, _ = self._again("orders", sorted(orders.values()))
            names = _texts(shown, orders)
            records, merged = self._read("customers", sorted(names.values()))
            mapped = self._intakes["customers"].map(records)
            survivors = {key_of(loser): key_of(survivor) for loser, survivor in merged.items()}
            answered = survivors.keys() | {key_of(record["id"]) for record in records}
            with self._store.begin() as connection:
                absorbed = self._intakes["customers"].store(connection, mapped).absorbed
                external.note(connection, (*merged, *merged.values()))
                identity.depart(connection, dict(survivors), self._now)
                state.set_meta(connection, _ASKED, [*asked, *sorted(orders.keys() - answered)])
            self.report = replace(
                self.report,
                customers_merged=self.report.customers_merged + len(survivors),
                recovered=self.report.recovered + absorbed.new,
            )
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
            waiting = keys_of(state.kept(connection, name))
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
        if _weekly(swept_at, self._now):
            return True
        surplus = 0 if gap is None else gap - settled
        many = surplus > max(_FEW, _SHARE * counts.get(name, 0))
        return surplus < 0 or many or (surplus > 0 and gap == last)

    def _settle(self, name: str, gap: int | None, *, every: bool) -> None:
        with self._store.begin() as connection:
            if every:
                state.swept(connection, name, self._now)
            state.set_meta(connection, f"gap:{name}", (gap or 0, gap or 0))

    def _deletions_suffice(self, name: str, counts: Mapping[str, int]) -> bool:
        """Take out those of ours that the platform lists as deleted; True where the counts agree then."""
        with self._store.read() as connection:
            swept_at = state.load(connection, name).swept_at
            settled, _ = state.get_meta(connection, f"gap:{name}", (0, 0))
        gap = self._gap(name, counts)
        if gap is None or gap >= settled or _weekly(swept_at, self._now):
            return False
        deleted: list[int] = []
        for page in self._source.gone(self._intakes[name].stream):
            self._count(page.calls)
            with self._store.read() as connection:
                deleted += _column(
                    connection,
                    f"SELECT id FROM {name} WHERE {self._visible(name)} AND id IN (SELECT value FROM json_each(?))",
                    (listed(key_of(record["id"]) for record in page.records),),
                )
        self._vanished(name, sorted(set(deleted)))
        return self._gap(name, counts) == int(settled)

    def _sweep(self, name: str) -> None:
        vanished, unseen = self._compare(name)
        self._vanished(name, vanished)
        for portion in _portions(unseen):
            records, _ = self._read(name, portion)
            mapped = self._intakes[name].map(records)
            with self._store.begin() as connection:
                absorbed = self._intakes[name].store(connection, mapped).absorbed
            self.report = replace(self.report, recovered=self.report.recovered + absorbed.new + absorbed.changed)

    def _vanished(self, name: str, keys: Sequence[int]) -> None:
        for portion in _portions(keys):
            if name == "customers":
                self._customers(portion)
            else:
                self._orders(portion)

    def _compare(self, name: str) -> tuple[list[int], list[str]]:
        """Keys of live rows that the platform no longer lists, and its ids of those it lists that we do not hold."""
        pages: list[bytes] = []
        count = 0
        for page in self._source.ids(self._intakes[name].stream):
            pages.append(_pairs(page))
            count += len(page.records)
            self._count(page.calls)
            self._progress.update(f"{name}: ids", count, page.total)
        with self._store.read() as connection:
            waiting = keys_of(state.kept(connection, name))
            connection.exec_driver_sql("CREATE TEMP TABLE listed (id INTEGER PRIMARY KEY, external TEXT)")
            for pairs in pages:
                connection.exec_driver_sql(
                    "INSERT OR IGNORE INTO listed SELECT value ->> 0, value ->> 1 FROM json_each(?)", (pairs.decode(),)
                )
            vanished = connection.exec_driver_sql(
                f"SELECT id FROM {name} WHERE {self._visible(name, _DAY)} AND id NOT IN (SELECT id FROM listed) "
                "ORDER BY id"
            ).all()
            unseen = connection.exec_driver_sql(
                "SELECT id, coalesce(external, CAST(id AS TEXT)) FROM listed "
                f"WHERE id NOT IN (SELECT id FROM {name} WHERE gone_at IS NULL) ORDER BY id"
            ).all()
        return [row[0] for row in vanished], [row[1] for row in unseen if row[0] not in waiting]

    def _read(self, name: str, ids: Sequence[str]) -> tuple[list[Record], dict[str, str]]:
        """These records as they are now, and which of the ids live on in which others."""
        records: list[Record] = []
        merged: dict[str, str] = {}
        for page in self._source.by_ids(self._intakes[name].stream, ids) if ids else ():
            records += page.records
            merged |= page.merged
            self._count(page.calls)
        return records, merged

    def _again(self, name: str, keys: Sequence[int]) -> tuple[list[Record], dict[str, str]]:
        """The same for records that we hold."""
        with self._store.read() as connection:
            ids = list(external.outward(connection, keys).values())
        return self._read(name, ids)

    def _orders(self, candidates: Sequence[int]) -> None:
        records, _ = self._again("orders", candidates)
        mapped = self._intakes["orders"].map(records)
        gone = sorted(set(candidates) - {key_of(record["id"]) for record in records})
        with self._store.begin() as connection:
            self._intakes["orders"].store(connection, mapped)
            self._orders_gone(connection, gone)

    def _orders_gone(self, connection: Connection, missing: Sequence[int]) -> None:
        rows = connection.exec_driver_sql(
            f"SELECT id, customer_id, checkout_key FROM orders WHERE {self._visible('orders', _DAY)} "
            "AND id IN (SELECT value FROM json_each(?))",
            (listed(missing),),
        ).all()
        if rows:
            gone = [(self._now, row[0]) for row in rows]
            connection.exec_driver_sql("UPDATE orders SET gone_at = ? WHERE id = ?", gone)
            mark_dirty(connection, {row[1] for row in rows} - {None})
            mark_carts(connection, {row[2] for row in rows} - {None})
        self.report = replace(self.report, orders_gone=self.report.orders_gone + len(rows))

    def _customers(self, candidates: Sequence[int]) -> None:
        records, merged = self._again("customers", candidates)
        mapped = self._intakes["customers"].map(records)
        gone = sorted(set(candidates) - {key_of(record["id"]) for record in records})
        held = {name: self._held(name, gone) for name in ("orders", "carts") if name in self._intakes}
        again = {name: self._again(name, [each for each, _ in rows])[0] for name, rows in held.items()}
        reread = {name: self._intakes[name].map(rows) for name, rows in again.items()}
        with self._store.begin() as connection:
            self._intakes["customers"].store(connection, mapped)
            for name, rows in reread.items():
                self._intakes[name].store(connection, rows)
            if "orders" in held:
                there = {key_of(record["id"]) for record in again["orders"]}
                self._orders_gone(connection, sorted({each for each, _ in held["orders"]} - there))
            told = {key_of(loser): key_of(survivor) for loser, survivor in merged.items()}
            external.note(connection, merged.values())
            survivors = {each: told.get(each) or _survivor(connection, each, held) for each in gone}
            identity.depart(connection, survivors, self._now)
        followed = sum(survivor is not None for survivor in survivors.values())
        self.report = replace(
            self.report,
            customers_gone=self.report.customers_gone + len(gone) - followed,
            customers_merged=self.report.customers_merged + followed,
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


def _named_by(connection: Connection, known: Sequence[int]) -> dict[int, int]:
    """One live order of each of some customers whom we do not hold and who are none of the `known`."""
    rows = connection.exec_driver_sql(
        "SELECT o.customer_id, min(o.id) FROM orders o WHERE o.customer_id IS NOT NULL AND o.gone_at IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer_id) "
        "AND o.customer_id NOT IN (SELECT value FROM json_each(?)) GROUP BY o.customer_id LIMIT ?",
        (listed(known), _STRANGERS),
    )
    return {row[0]: row[1] for row in rows}


def _texts(records: Iterable[Record], keys: Container[int]) -> dict[int, str]:
    """The texts in these records that are ids with one of the keys."""
    found: dict[int, str] = {}
    waiting: list[Any] = list(records)
    while waiting:
        its = waiting.pop()
        if isinstance(its, Mapping):
            waiting += its.values()
        elif isinstance(its, list | tuple):
            waiting += its
        elif isinstance(its, str | int) and len(text := str(its)) <= _ID_LENGTH and (number := key_of(text)) in keys:
            found[number] = own_id(text)
    return found


def _column(connection: Connection, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
    return [row[0] for row in connection.exec_driver_sql(sql, parameters)]


def _portions(ids: Sequence[_Id]) -> Iterator[Sequence[_Id]]:
    for start in range(0, len(ids), _PORTION):
        yield ids[start : start + _PORTION]


def _weekly(swept_at: int | None, now: int) -> bool:
    return swept_at is not None and now - swept_at >= _WEEK


def _pairs(page: Page) -> bytes:
    """The ids of a page as JSON, each with its key: as bytes they take little memory until all have come."""
    ids = [own_id(str(record["id"])) for record in page.records]
    return orjson.dumps([(key_of(each), None if is_number(each) else each) for each in ids])
