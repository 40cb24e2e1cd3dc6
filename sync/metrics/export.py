"""Every attribute of every customer, as a table that another program can read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from itertools import groupby
from typing import IO, Any, Literal

import orjson

from mappings.money import exponent, to_text
from mappings.vocabulary import Attribute, load_vocabulary
from sync.clock import iso
from sync.metrics.attributes import is_available, list_entries, people
from sync.metrics.counting import customers
from sync.store.engine import Connection
from sync.store.external import outward_of

Format = Literal["csv", "jsonl"]
_BATCH = 1000


def export_customers(
    connection: Connection,
    out: IO[str],
    *,
    format: Format,  # noqa: A002
    now: int,
    currency: str,
    sources_read: frozenset[str] | None = None,
    ids: Collection[int] | None = None,
) -> int:
    """Write live customers in the order of their keys, all or these `ids` (keys). Returns how many there were.

    What is made of a source that is not among `sources_read` (None: all are) is not known: missing, and not 0.

    customer_id comes first, the platform's own id as text, then the attributes that have data, in the vocabulary's
    order. Money is a decimal with the currency's own number of places (averages with more), dates are ISO 8601 in UTC,
    a missing value is an empty field or null. Lists are joined by | in CSV and are arrays in JSON lines. Rows stream: a
    large shop takes no more memory.
    """
    attributes = _attributes()
    places = exponent(currency)
    text = format == "csv"
    names = ["customer_id", *(one.name for one in attributes)]
    converters = [
        _converter(one, places, text) if _known(one, sources_read) else _unknown(one, text) for one in attributes
    ]
    lists = [_Entries(connection, one.name) if one.kind == "list" else None for one in attributes]
    scalars = [one.name for one in attributes if one.kind != "list"]
    writer = csv.writer(out, lineterminator="\n")
    if text:
        writer.writerow(names)
    number = 0
    rows = connection.execution_options(yield_per=_BATCH).execute(
        people(scalars, now=now).add_columns(outward_of(customers.c.id))
    )
    for key, *values, own in rows:
        left = iter(values)
        cells = [each.of(key) if each else next(left) for each in lists]
        if ids is not None and key not in ids:
            continue
        number += 1
        written = [convert(cell) for convert, cell in zip(converters, cells, strict=True)]
        if text:
            writer.writerow([own, *written])
        else:
            out.write(orjson.dumps(dict(zip(names, [own, *written], strict=True))).decode() + "\n")
    return number


class _Entries:
    """The entries of one list attribute, read along with the customers in the order of their ids."""

    def __init__(self, connection: Connection, name: str) -> None:
        rows = connection.execution_options(yield_per=_BATCH).execute(list_entries(name))
        self._groups: Iterator[tuple[int, Iterator[Any]]] = groupby(rows, key=lambda row: int(row[0]))
        self._key, self._values = -1, list[str]()

    def of(self, key: int) -> list[str]:
        """The entries of a customer; keys are to be asked for in ascending order."""
        while self._key < key:
            following = next(self._groups, None)
            if following is None:
                self._key, self._values = 2**63, []
            else:
                self._key, self._values = following[0], [str(row[1]) for row in following[1]]
        return self._values if self._key == key else []


def _attributes() -> list[Attribute]:
    return [one for one in load_vocabulary().attributes.values() if is_available(one.name)]


def _known(one: Attribute, sources_read: frozenset[str] | None) -> bool:
    return sources_read is None or sources_read.issuperset((one.source, *one.needs))


def _unknown(one: Attribute, text: bool) -> Callable[[Any], Any]:
    empty = "" if text and one.kind == "list" else None
    return lambda _value: empty


def _converter(one: Attribute, places: int, text: bool) -> Callable[[Any], Any]:
    """What a stored value is written as. JSON takes decimals as they are spelled: 12.50 stays 12.50."""
    decimal: Callable[[str], Any] = str if text else orjson.Fragment
    if one.kind == "list":
        return (lambda value: "|".join(value)) if text else (lambda value: value)
    if one.kind == "money":
        return _unless_missing(lambda value: decimal(to_text(int(value), places)))
    if one.money:
        scale = Decimal(1).scaleb(places)
        return _unless_missing(lambda value: decimal(format(Decimal(repr(float(value))) / scale, "f")))
    if one.kind == "date":
        return _unless_missing(iso)
    return lambda value: value


def _unless_missing(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)
