"""The platform's own ids of records, behind the integers by which the store knows them.

A number is its own key and is not noted. Any other id is noted when its record is stored, in the same transaction, so
that it finds its way back: to the platform, and into whatever people are shown.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Table, Text, cast, func, select

from mappings.keys import is_number, key, own_id
from sync.errors import StoreError
from sync.store.engine import Connection
from sync.store.identity import listed
from sync.store.tables import SQLModel

_table: Table = SQLModel.metadata.tables["external_id"]

OUTWARD = "coalesce((SELECT external FROM external_id WHERE external_id.id = {0}), CAST({0} AS TEXT))"
"""The platform's own id behind the key in a column, as SQL; the column is named with its table."""


def outward_of(column: ColumnElement[int]) -> ColumnElement[str]:
    """The same for a statement that is built."""
    noted = select(_table.c.external).where(_table.c.id == column).scalar_subquery()
    return func.coalesce(noted, cast(column, Text))


def key_of(record_id: object) -> int:
    """The key of a record, from its id as a source gives it."""
    return key(own_id(str(record_id)))


def keys_of(record_ids: Iterable[str]) -> set[int]:
    """The keys of these; what was a record without an id has none."""
    return {key_of(each) for each in record_ids if _is_id(each)}


def note(connection: Connection, record_ids: Iterable[str]) -> None:
    """Keep the ids that are no numbers. Raises StoreError where one has the key of another, which no store can hold."""
    wanted: dict[int, str] = {}
    for each in record_ids:
        own = own_id(each)
        if not is_number(own) and _is_id(each):
            _same(wanted.setdefault(key(own), own), own)
    if not wanted:
        return
    known = _noted(connection, wanted)
    for number, own in known.items():
        _same(own, wanted[number])
    fresh = [(number, own) for number, own in wanted.items() if number not in known]
    if fresh:
        connection.exec_driver_sql("INSERT INTO external_id (id, external) VALUES (?, ?)", fresh)


def outward(connection: Connection, keys: Iterable[int]) -> dict[int, str]:
    """The platform's own id of each key, in the order of the keys."""
    keys = list(keys)
    known = _noted(connection, keys)
    return {number: known.get(number) or str(number) for number in keys}


def _noted(connection: Connection, keys: Iterable[int]) -> dict[int, str]:
    rows = connection.exec_driver_sql(
        "SELECT id, external FROM external_id WHERE id IN (SELECT value FROM json_each(?))",
        (listed(keys),),
    )
    return {row[0]: row[1] for row in rows}


def _is_id(record_id: str) -> bool:
    """False for what stands in for the id of a record that has none: its content, or a question mark."""
    return record_id[:1] not in ("{", "?")


def _same(one: str, other: str) -> None:
    if one.lower() != other.lower():
        raise StoreError(
            f"ids {one} and {other} have the same key {key(one)}, so only one of them can be stored; "
            "take one of these records out of the platform, and run again"
        )
