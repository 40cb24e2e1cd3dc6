"""A page of records into the tables, so that only what is new or differs is written and marked.

Each page costs a fixed handful of statements, whatever its size. A record whose digest is stored is passed over; a
newer `updated_at` wins over an older one; `updated_at` by itself is no difference, and neither are tags of our prefix:
what we wrote does not come back as news. Children (lines, refunds, codes, tags) are replaced as a set, for changed
parents only. The rows of a record may name the columns, or tables of children, that were refused (`WITHHELD`): those
keep what is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import blake2b
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from connector.base import WITHHELD
from sync.store import identity
from sync.store.checkouts import mark_carts
from sync.store.engine import Connection
from sync.store.external import key_of
from sync.store.identity import listed, mark_dirty
from sync.store.products import PRODUCTS, Fills, ProductTags, fill, spread
from sync.store.tables import SQLModel

Row = tuple[Any, ...]
Rows = Mapping[str, list[Row]]
Doubted = tuple[str, Mapping[str, Any]]
"""The platform's id of a record that does not map, and the columns that can be read of it all the same."""

_OWNED = ("orders", "carts", "events")
_MEASURED = frozenset({"email.opened", "email.clicked", "email.received"})
"""Names of the events that metrics count."""
_EPOCH = date(1970, 1, 1).toordinal()
_CONSENTING = "SUBSCRIBED"


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What a page came to. `newest` is the latest `updated_at` in it."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    newest: int | None = None


@dataclass(slots=True)
class _Entry:
    """A record on its way in: its rows, and what is stored of it (None: nothing)."""

    id: int
    rows: Rows
    parent: Row
    digest: int
    stored: Row | None = None


class Upsert:
    """The way into the tables of one stream; `table` is that of the records themselves."""

    def __init__(
        self, table: str, columns: Mapping[str, Sequence[str]], *, zone: ZoneInfo, prefix: str, fills: Fills
    ) -> None:
        self._table = table
        self._fills = fills
        self._columns = tuple(columns[table])
        self._id = self._columns.index("id")
        self._updated = self._columns.index("updated_at")
        self._place = _Place(self._columns, zone)
        self._children = [
            _Child(name, tuple(own), prefix) for name, own in columns.items() if name not in (table, "product_tags")
        ]
        self._products = ProductTags(columns) if "product_tags" in columns else None
        self._insert = self._upsert_sql()
        self._compared = [at for at, name in enumerate(self._columns) if name != "updated_at"]

    def apply(self, connection: Connection, records: Iterable[Rows]) -> Absorbed:
        """Store the records of a page and mark whom they concern; in one transaction with the page's token."""
        total, entries, newest = self._latest(records)
        entries = self._unknown(connection, entries)
        if not entries:
            return Absorbed(unchanged=total, newest=newest)
        held = self._owners(connection, entries)
        known = {entry.id for entry in entries if entry.stored is not None}
        differing = {entry.id for entry in entries if entry.stored is not None and self._differs(entry)}
        for child in self._children:
            differing |= child.replace(connection, entries, known, held)
        connection.exec_driver_sql(self._insert, [self._row(entry, held) for entry in entries])
        if self._products is not None:
            self._products.replace(connection, [entry.rows for entry in entries])
        if self._table == PRODUCTS:
            spread(connection, self._fills, {each.id for each in entries if each.id not in known} | differing)
        else:
            fill(connection, self._fills, [entry.id for entry in entries])
        self._mark(connection, entries, held, differing)
        new = len(entries) - len(known)
        return Absorbed(new, len(differing), total - new - len(differing), newest)

    def doubt(self, connection: Connection, doubted: Sequence[Doubted]) -> None:
        """Take back consent that these records do not bear out. Without a digest the next version is compared anew."""
        known = {key_of(record_id): each for record_id, each in doubted}
        if not known or "email_status" not in self._columns:
            return
        stored = connection.exec_driver_sql(
            f"SELECT id, email_key FROM {self._table} WHERE email_status = '{_CONSENTING}' "
            "AND id IN (SELECT value FROM json_each(?))",
            (listed(known),),
        ).all()
        found = [
            (known[row[0]].get("email_status") if known[row[0]].get("email_key") == row[1] else None, row[0])
            for row in stored
        ]
        lost = [(status or "INVALID", number) for status, number in found if status != _CONSENTING]
        if lost:
            connection.exec_driver_sql(f"UPDATE {self._table} SET email_status = ?, digest = NULL WHERE id = ?", lost)
            mark_dirty(connection, [number for _, number in lost])

    def _latest(self, records: Iterable[Rows]) -> tuple[int, list[_Entry], int | None]:
        """A page may hold a record twice when it changed while pages were read: the later wins."""
        latest: dict[int, tuple[int, Rows, Row]] = {}
        total = 0
        newest: int | None = None
        for rows in records:
            total += 1
            parent = rows[self._table][0]
            updated = parent[self._updated]
            if updated is not None and (newest is None or updated > newest):
                newest = updated
            there = latest.get(parent[self._id])
            if there is None or _not_older(updated, there[0]):
                latest[parent[self._id]] = (updated, rows, parent)
        return total, [_Entry(at, rows, parent, _digest(rows)) for at, (_, rows, parent) in latest.items()], newest

    def _unknown(self, connection: Connection, entries: list[_Entry]) -> list[_Entry]:
        """Those that are new, or may differ from what is stored and are not older."""
        stored = connection.exec_driver_sql(
            f"SELECT id, digest, gone_at FROM {self._table} WHERE id IN (SELECT value FROM json_each(?))",
            (listed(entry.id for entry in entries),),
        )
        known = {row[0]: row[1] if row[2] is None else None for row in stored}
        entries = [entry for entry in entries if entry.id not in known or known[entry.id] != entry.digest]
        again = [entry.id for entry in entries if entry.id in known]
        if not again:
            return entries
        owner = "customer_id" if self._table in _OWNED else "NULL" if self._table == PRODUCTS else "id"
        key = "email_key" if "email_key" in self._columns else "NULL"
        rows = {
            row[0]: tuple(row)
            for row in connection.exec_driver_sql(
                f"SELECT id, gone_at, {owner}, {key}, {', '.join(self._columns)} FROM {self._table} "
                "WHERE id IN (SELECT value FROM json_each(?))",
                (listed(again),),
            )
        }
        found = [self._beside(each, rows.get(each.id)) for each in entries]
        return [each for each in found if each.stored is None or self._wins(each, each.stored)]

    def _beside(self, entry: _Entry, stored: Row | None) -> _Entry:
        """The record beside what is stored of it, which stays where the platform refused to show a column.

        Consent belongs to an address: while only the address is refused it may be lost but not won, and it does not
        pass to another address.
        """
        if stored is None or WITHHELD not in entry.rows:
            return replace(entry, stored=stored)
        before = stored[4:]
        refused = set(entry.rows[WITHHELD][0])
        kept = {name: at for at, name in enumerate(self._columns) if name in refused}
        own = dict(zip(self._columns, entry.parent, strict=True))
        own |= {name: before[at] for name, at in kept.items()}
        if "email_status" in own:
            at = self._columns.index("email_status")
            if "email_status" in kept and own["email_key"] != stored[3]:
                own["email_status"] = None
            elif "email_key" in kept and own["email_status"] == _CONSENTING != before[at]:
                own["email_status"] = before[at]
        return replace(entry, parent=tuple(own.values()), stored=stored)

    def _wins(self, entry: _Entry, stored: Row) -> bool:
        return _not_older(entry.parent[self._updated], stored[4 + self._updated])

    def _differs(self, entry: _Entry) -> bool:
        stored = entry.stored or ()
        return stored[1] is not None or any(entry.parent[at] != stored[4 + at] for at in self._compared)

    def _owners(self, connection: Connection, entries: list[_Entry]) -> dict[int, Row]:
        """For each record what its children repeat: owner and business date."""
        if self._table not in _OWNED:
            return {entry.id: (None if self._table == PRODUCTS else entry.id, None) for entry in entries}
        claims = [self._place.claim(entry.parent) for entry in entries]
        found = identity.owners(connection, claims)
        return {
            entry.id: (owner, self._place.placed_at(entry.parent)) for entry, owner in zip(entries, found, strict=True)
        }

    def _row(self, entry: _Entry, held: Mapping[int, Row]) -> Row:
        if self._table == "orders":
            return (*entry.parent, entry.digest, held[entry.id][0], *self._place.days(entry.parent))
        if self._table in _OWNED:
            return (*entry.parent, entry.digest, held[entry.id][0])
        return (*entry.parent, entry.digest)

    def _upsert_sql(self) -> str:
        derived = ["customer_id"] if self._table in _OWNED else []
        derived += ["local_day", "local_month"] if self._table == "orders" else []
        names = (*self._columns, "digest", *derived)
        changes = [f"{name} = excluded.{name}" for name in names if name != "id"]
        changes += ["gone_at = NULL", "merged_into = NULL"] if self._table == "customers" else ["gone_at = NULL"]
        return (
            f"INSERT INTO {self._table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "
            f"ON CONFLICT (id) DO UPDATE SET {', '.join(changes)}"
        )

    def _mark(
        self, connection: Connection, entries: list[_Entry], held: Mapping[int, Row], differing: set[int]
    ) -> None:
        people = set()
        for entry in entries:
            owner = held[entry.id][0]
            moved = entry.stored is not None and entry.stored[2] != owner
            if self._measured(entry) and (entry.stored is None or entry.id in differing or moved):
                people |= {owner} if entry.stored is None else {entry.stored[2], owner}
        mark_dirty(connection, people - {None})
        if self._table == "orders" and "checkout_key" in self._columns:
            at = self._columns.index("checkout_key")
            keys = {row[at] for entry in entries for row in (entry.parent, (entry.stored or ())[4:]) if row}
            mark_carts(connection, keys - {None})
        if self._table in _OWNED:
            self._note_moves(connection, entries)
        elif "email_key" in self._columns:
            self._rejoin(connection, entries)

    def _measured(self, entry: _Entry) -> bool:
        """Whether metrics are made of it."""
        if self._table != "events":
            return True
        at = self._columns.index("name")
        return entry.parent[at] in _MEASURED or (entry.stored is not None and entry.stored[4 + at] in _MEASURED)

    def _note_moves(self, connection: Connection, entries: list[_Entry]) -> None:
        moves = []
        for entry in entries:
            if entry.stored is not None:
                before, after = self._place.claim(entry.stored[4:])[0], self._place.claim(entry.parent)[0]
                if before is not None and after is not None and before != after:
                    moves.append((before, after, entry.parent[self._updated] or 0))
        if moves:
            connection.exec_driver_sql(
                "INSERT INTO owner_move (source_customer_id, target_customer_id, at) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
                moves,
            )

    def _rejoin(self, connection: Connection, entries: list[_Entry]) -> None:
        """A customer that is new, came back or has another address may own guests' orders, or no longer."""
        at = self._columns.index("email_key")
        keys: set[str | None] = set()
        back: list[int] = []
        for entry in entries:
            if entry.stored is None or entry.stored[1] is not None:
                keys.add(entry.parent[at])
            elif entry.stored[3] != entry.parent[at]:
                keys |= {entry.stored[3], entry.parent[at]}
            if entry.stored is not None and entry.stored[1] is not None:
                back.append(entry.id)
        identity.rejoin(connection, [key for key in keys if key is not None], back)


class _Place:
    """Reads from an order or a cart whose it is, and when it happened in the store's zone."""

    def __init__(self, columns: Sequence[str], zone: ZoneInfo) -> None:
        self._zone = zone
        self._source = _index(columns, "source_customer_id")
        self._key = _index(columns, "email_key")
        self._placed = _index(columns, "placed_at")

    def claim(self, parent: Row) -> tuple[int | None, str | None]:
        return (
            None if self._source is None else parent[self._source],
            None if self._key is None else parent[self._key],
        )

    def placed_at(self, parent: Row) -> int | None:
        return None if self._placed is None else parent[self._placed]

    def days(self, parent: Row) -> tuple[int | None, int | None]:
        placed = self.placed_at(parent)
        return (None, None) if placed is None else local_days(placed, self._zone)


_NOTHING: list[Row] = [()]


class _Child:
    """A table whose rows belong to a record; its key begins with the record's id."""

    def __init__(self, name: str, columns: tuple[str, ...], prefix: str) -> None:
        table = SQLModel.metadata.tables[name]
        parent = next(iter(table.primary_key.columns)).name
        self._name = name
        self._parent = columns.index(parent)
        self._prefix = prefix.lower()
        self._tag = columns.index("tag") if name == "customer_tags" else None
        own = {column.name for column in table.columns} - set(columns)
        self._repeats = tuple(at for at, column in enumerate(("customer_id", "placed_at")) if column in own)
        added = [("customer_id", "placed_at")[at] for at in self._repeats] + (["ours"] if self._tag is not None else [])
        names = (*columns, *added)
        self._insert = f"INSERT OR REPLACE INTO {name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        self._delete = f"DELETE FROM {name} WHERE {parent} = ?"
        self._select = f"SELECT {', '.join(names)} FROM {name} WHERE {parent} IN (SELECT value FROM json_each(?))"

    def replace(
        self, connection: Connection, entries: Sequence[_Entry], known: set[int], held: Mapping[int, Row]
    ) -> set[int]:
        """Write the children of these records where they differ; returns the records where that is news."""
        stored: dict[int, set[Row]] = {}
        if known:
            for row in connection.exec_driver_sql(self._select, (listed(known),)):
                stored.setdefault(row[self._parent], set()).add(tuple(row))
        rows: list[Row] = []
        outdated: list[tuple[int]] = []
        news: set[int] = set()
        for entry in entries:
            if entry.id in known and self._name in entry.rows.get(WITHHELD, _NOTHING)[0]:
                continue
            wanted = self._rows(entry, held[entry.id])
            if entry.id in known:
                there, here = stored.get(entry.id, set()), set(wanted)
                if there == here:
                    continue
                outdated.append((entry.id,))
                if self._tag is None or {each for each in there ^ here if not each[-1]}:
                    news.add(entry.id)
            rows += wanted
        if outdated:
            connection.exec_driver_sql(self._delete, outdated)
        if rows:
            connection.exec_driver_sql(self._insert, rows)
        return news

    def _rows(self, entry: _Entry, held: Row) -> list[Row]:
        own = entry.rows.get(self._name, [])
        if self._tag is not None:
            at, prefix = self._tag, self._prefix
            return [(*row, is_ours(row[at], prefix)) for row in own]
        repeats = tuple(held[at] for at in self._repeats)
        return [row + repeats for row in own] if repeats else list(own)


def is_ours(tag: str, prefix: str) -> bool:
    """True for a tag that carries our prefix (given in lower case); platforms compare tags without letter case."""
    return bool(prefix) and tag.lower().startswith(prefix)


def local_days(instant: int, zone: ZoneInfo) -> tuple[int, int]:
    """Day (1970-01-01 = 0) and month (year * 12 + month - 1) of an instant in the store's zone."""
    there = datetime.fromtimestamp(instant, zone)
    return there.toordinal() - _EPOCH, there.year * 12 + there.month - 1


def _digest(rows: Rows) -> int:
    return int.from_bytes(blake2b(orjson.dumps(rows), digest_size=8).digest(), "big", signed=True)


def _not_older(updated: int | None, stored: int | None) -> bool:
    return updated is None or stored is None or updated >= stored


def _index(columns: Sequence[str], name: str) -> int | None:
    return columns.index(name) if name in columns else None
