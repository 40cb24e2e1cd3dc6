"""Attributes as a destination writes them on people: short texts that change only when something happens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from mappings.money import to_text
from mappings.vocabulary import Attribute, load_vocabulary
from sync.errors import ConfigError
from sync.metrics.attributes import is_available, people
from sync.metrics.counting import customers
from sync.store.engine import Connection

_BATCH = 1000


def check_fields(names: Sequence[str], destination: str) -> None:
    """Raises ConfigError for a name that cannot be a field: unknown, without data, a list, or other every day."""
    attributes = load_vocabulary().attributes
    for name in names:
        if name not in attributes or not is_available(name):
            near = get_close_matches(name, [one for one in attributes if is_available(one)], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{destination}: fields: no attribute {name!r}{hint}")
        one = attributes[name]
        if one.kind == "list":
            raise ConfigError(f"{destination}: fields: {name!r} is a list, and a field holds one value")
        if one.layer in ("age", "rank"):
            date = f"; take {one.of!r}" if one.of else ""
            raise ConfigError(f"{destination}: fields: {name!r} would change for everybody every day{date}")


def field_texts(
    connection: Connection,
    names: Sequence[str],
    *,
    now: int,
    zone: tzinfo,
    places: int,
    ids: Collection[int] | None = None,
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(customer id, a text per name) of all who are there, or of these `ids`, in the order of their ids.

    Dates are ISO 8601 days in `zone`, money has `places` decimals, "" stands for a value that is missing.
    """
    attributes = load_vocabulary().attributes
    converters = [_converter(attributes[name], zone, places) for name in names]
    statement = people(names, now=now)
    if ids is not None:
        statement = statement.where(customers.c.id.in_(ids))
    for number, *values in connection.execute(statement, execution_options={"yield_per": _BATCH}):
        yield (
            int(number),
            tuple("" if it is None else text(it) for text, it in zip(converters, values, strict=True)),
        )


def _converter(one: Attribute, zone: tzinfo, places: int) -> Callable[[Any], str]:
    if one.kind == "date":
        return lambda value: datetime.fromtimestamp(value, zone).date().isoformat()
    if one.kind == "money":
        return lambda value: to_text(int(value), places)
    if one.money:
        cent = Decimal(1).scaleb(-places)
        return lambda value: format((Decimal(repr(float(value))) * cent).quantize(cent), "f")
    if one.kind == "float":
        return lambda value: format(value, ".2f")
    if one.kind == "bool":
        return lambda value: "yes" if value else "no"
    return str
