"""Wix's filters: which field takes which operator, and what a filter lets through.

dev.wix.com/docs/rest/articles/getting-started/api-query-language; the fields and their operators are each endpoint's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

Values = Mapping[str, Any]
Test = Callable[[Values], bool]
Kind = Literal["text", "date", "amount", "bool", "list"]


class Field(NamedTuple):
    """What a field holds and which operators it takes."""

    kind: Kind
    operators: frozenset[str]


Fields = Mapping[str, Field]


class BadFilter(Exception):
    """A filter that is refused. `reason` is one of shape, field, operator, value."""

    def __init__(self, reason: str, name: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.name = name


@dataclass(slots=True)
class Filter:
    """A compiled filter. `lower` holds bounds that every match reaches, `ids` the only ids that can match."""

    test: Test | None = None
    lower: dict[str, float] = field(default_factory=dict)
    ids: Sequence[str] | None = None

    def matches(self, values: Values) -> bool:
        return self.test is None or self.test(values)


def compile_filter(given: Any, fields: Fields) -> Filter:
    """Read a filter strictly; absent is everything."""
    if given is None:
        return Filter()
    compiled = Filter()
    tests = _object(given, fields, compiled)
    compiled.test = _all(tests) if tests else None
    return compiled


def instant(text: Any) -> float:
    """Epoch seconds of a date as Wix takes it: RFC 3339."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise BadFilter("value", str(text)[:40], f"{str(text)[:40]!r} is no date") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _object(given: Any, fields: Fields, top: Filter | None) -> list[Test]:
    if not isinstance(given, dict):
        raise BadFilter("shape", "filter", "Expected an object")
    tests: list[Test] = []
    for name, wanted in given.items():
        if name == "$and":
            tests += [test for part in _parts(name, wanted) for test in _object(part, fields, top)]
        elif name == "$or":
            tests.append(_any([_all(_object(part, fields, None)) for part in _parts(name, wanted)]))
        elif name == "$not":
            parts = wanted if isinstance(wanted, list) else [wanted]
            tests.append(_none([_all(_object(part, fields, None)) for part in parts]))
        elif name.startswith("$"):
            raise BadFilter("operator", name, f"Unknown operator '{name}'")
        else:
            tests += _conditions(name, wanted, fields, top)
    return tests


def _parts(name: str, wanted: Any) -> list[Any]:
    if not isinstance(wanted, list) or not wanted:
        raise BadFilter("shape", name, f"'{name}' takes a list of filters")
    return wanted


def _conditions(name: str, wanted: Any, fields: Fields, top: Filter | None) -> list[Test]:
    known = _field(name, fields)
    if not isinstance(wanted, dict):
        wanted = {"$eq": wanted}
        if known.kind == "list":
            raise BadFilter("operator", name, f"Field '{name}' takes $hasSome and $hasAll only")
    if not wanted:
        raise BadFilter("shape", name, f"Field '{name}' has no condition")
    tests = []
    for operator, value in wanted.items():
        if operator not in known.operators:
            raise BadFilter("operator", name, f"Operator '{operator}' is not supported for field '{name}'")
        operand = _operand(name, known.kind, operator, value)
        tests.append(_condition(name, operator, operand))
        if top is not None:
            _hint(top, name, operator, operand)
    return tests


def _field(name: str, fields: Fields) -> Field:
    known = fields.get(name)
    if known is None:
        prefix = next((each for each in fields if each.endswith(".*") and name.startswith(each[:-1])), None)
        if prefix is None:
            raise BadFilter("field", name, f"Field '{name}' is not declared as filterable")
        return fields[prefix]
    return known


def _operand(name: str, kind: Kind, operator: str, value: Any) -> Any:
    if operator == "$exists":
        if not isinstance(value, bool):
            raise BadFilter("value", name, "'$exists' takes true or false")
        return value
    if operator in ("$in", "$nin", "$any", "$hasSome", "$hasAll"):
        if not isinstance(value, list) or not value:
            raise BadFilter("value", name, f"'{operator}' takes a list with at least one value")
        return frozenset(_value(name, kind, each) for each in value)
    return _value(name, kind, value)


def _value(name: str, kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind == "date":
        return instant(value)
    if kind == "amount":
        try:
            return Decimal(str(value))
        except InvalidOperation:
            raise BadFilter("value", name, f"{value!r} is no amount") from None
    if kind == "bool":
        if not isinstance(value, bool):
            raise BadFilter("value", name, f"Field '{name}' takes true or false")
        return value
    if isinstance(value, (dict, list)):
        raise BadFilter("value", name, f"Field '{name}' takes plain values")
    return value if isinstance(value, str) else str(value)


def _hint(top: Filter, name: str, operator: str, operand: Any) -> None:
    if operator in ("$gt", "$gte") and isinstance(operand, float):
        top.lower[name] = max(operand, top.lower.get(name, operand))
    if name == "id" and operator in ("$eq", "$in") and operand is not None:
        top.ids = sorted(operand) if operator == "$in" else [operand]


def read(values: Values, name: str) -> Any:
    """A field's value; those that are dear to work out are stored as functions."""
    value = values.get(name)
    return value() if callable(value) else value


def _condition(name: str, operator: str, wanted: Any) -> Test:
    match operator:
        case "$eq":
            return lambda values: bool(read(values, name) == wanted)
        case "$ne":
            return lambda values: bool(read(values, name) != wanted)
        case "$in" | "$any":
            return lambda values: read(values, name) in wanted
        case "$nin":
            return lambda values: read(values, name) not in wanted
        case "$exists":
            return lambda values: (read(values, name) is not None) == wanted
        case "$hasSome":
            return lambda values: not wanted.isdisjoint(_several(read(values, name)))
        case "$hasAll":
            return lambda values: wanted.issubset(_several(read(values, name)))
        case "$startsWith" | "$begins":
            return lambda values: str(read(values, name) or "").startswith(str(wanted))
    compare = _COMPARE[operator]
    return lambda values: (have := read(values, name)) is not None and compare(have, wanted)


def _several(value: Any) -> Iterable[Any]:
    return value if isinstance(value, tuple) else () if value is None else (value,)


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda have, wanted: wanted is not None and have > wanted,
    "$gte": lambda have, wanted: wanted is not None and have >= wanted,
    "$lt": lambda have, wanted: wanted is not None and have < wanted,
    "$lte": lambda have, wanted: wanted is not None and have <= wanted,
}


def _all(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda values: all(test(values) for test in tests)


def _any(tests: Sequence[Test]) -> Test:
    return lambda values: any(test(values) for test in tests)


def _none(tests: Sequence[Test]) -> Test:
    return lambda values: not any(test(values) for test in tests)
