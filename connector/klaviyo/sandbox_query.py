"""What the simulator understands of Klaviyo's query strings: filters, sorting, pages. Anything else is an error 400.

https://developers.klaviyo.com/en/docs/filtering_
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": lambda left, right: left == right,
    "any": lambda left, right: left in right,
    "greater-than": lambda left, right: left > right,
    "greater-or-equal": lambda left, right: left >= right,
    "less-than": lambda left, right: left < right,
    "less-or-equal": lambda left, right: left <= right,
}

_HEAD = re.compile(r"([a-z-]+)\(([\w.]+),")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


class Invalid(Exception):
    """A request that Klaviyo answers with 400, about a query parameter or a place in the body."""

    def __init__(self, detail: str, *, parameter: str | None = None, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.parameter = parameter
        self.pointer = pointer


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a filter."""

    operator: str
    field: str
    value: Any


def parse_filter(text: str, allowed: Mapping[str, Sequence[str]]) -> list[Condition]:
    """Comparisons joined by commas. `allowed` gives the operators of each field, as the endpoint documents them."""
    conditions = []
    rest = text
    while rest:
        head = _HEAD.match(rest)
        if head is None:
            raise Invalid(f"Invalid filter: cannot be read at {rest[:30]!r}", parameter="filter")
        operator, field = head.groups()
        if operator not in allowed.get(field, ()):
            raise Invalid(f"Invalid filter: '{operator}' is not allowed on '{field}'", parameter="filter")
        value, rest = _value(rest[head.end() :], many=operator == "any")
        conditions.append(Condition(operator, field, value))
        if not rest.startswith(")"):
            raise Invalid("Invalid filter: a closing bracket is missing", parameter="filter")
        rest = rest[1:]
        if rest and not rest.startswith(","):
            raise Invalid("Invalid filter: a comma is missing", parameter="filter")
        rest = rest[1:]
    return conditions


def _value(text: str, *, many: bool) -> tuple[Any, str]:
    if not many:
        return _literal(text)
    if not text.startswith("["):
        raise Invalid("Invalid filter: 'any' takes a list", parameter="filter")
    values = []
    rest = text[1:]
    while True:
        value, rest = _literal(rest)
        values.append(value)
        if rest.startswith("]"):
            return values, rest[1:]
        if not rest.startswith(","):
            raise Invalid("Invalid filter: the list does not end", parameter="filter")
        rest = rest[1:]


def _literal(text: str) -> tuple[Any, str]:
    if string := _STRING.match(text):
        return re.sub(r"\\(.)", r"\1", string.group(1)), text[string.end() :]
    if instant := _INSTANT.match(text):
        return datetime.fromisoformat(instant.group()).timestamp(), text[instant.end() :]
    raise Invalid(f"Invalid filter: no value at {text[:30]!r}", parameter="filter")


def one_of(query: Mapping[str, str], name: str, allowed: Sequence[str]) -> list[str]:
    """The comma-separated values of a parameter, each one of `allowed`."""
    values = [value for value in query.get(name, "").split(",") if value]
    for value in values:
        if value not in allowed:
            raise Invalid(f"'{value}' is not a valid value of '{name}'", parameter=name)
    return values


class Pager:
    """Cursor pages over lists of ids as they were when the first page was asked for."""

    def __init__(self, keep: int = 50) -> None:
        self._keep = keep
        self._numbers = count(1)
        self._snapshots: OrderedDict[int, Sequence[str]] = OrderedDict()

    def page(
        self, query: Mapping[str, str], ids: Callable[[], Sequence[str]], *, default: int, largest: int
    ) -> tuple[Sequence[str], str | None]:
        """Ids of the page and the cursor of the next. `ids` is asked on the first page only."""
        size = self._size(query.get("page[size]", str(default)), largest)
        cursor = query.get("page[cursor]")
        if cursor is None:
            number, start = next(self._numbers), 0
            snapshot = ids()
        else:
            number, start = self._place(cursor)
            snapshot = self._snapshots[number]
        end = start + size
        if end >= len(snapshot):
            return snapshot[start:], None
        self._snapshots[number] = snapshot
        self._snapshots.move_to_end(number)
        while len(self._snapshots) > self._keep:
            self._snapshots.popitem(last=False)
        return snapshot[start:end], f"n{number}.{end}"

    def _size(self, text: str, largest: int) -> int:
        if not text.isdigit() or not 1 <= int(text) <= largest:
            raise Invalid(f"Page size must be an integer between 1 and {largest}", parameter="page[size]")
        return int(text)

    def _place(self, cursor: str) -> tuple[int, int]:
        match = re.fullmatch(r"n(\d+)\.(\d+)", cursor)
        if match is None or int(match.group(1)) not in self._snapshots:
            raise Invalid("Invalid page cursor", parameter="page[cursor]")
        return int(match.group(1)), int(match.group(2))
