"""A stream's mapping as one Python function, written out from its spec, for a record has some hundred values.

The body is one assignment a line, so that the line an error comes from tells the path. Steps and conversions that
several columns share stand there once:

    v1 = record.get('id')
    v2 = v1 if v1 is None else to_gid(v1)
    v3 = missing() if v2 is None else v2
    v4 = record.get('tags')
    v5 = listed(v4)
    t1 = []
    for item1 in v5:
        v6 = item1 if item1 is None or type(item1) is str and item1 else to_text(item1)
        v7 = missing() if v6 is None else v6
        t1.append((v3, v7,))
    return {'customer_tags': t1}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from mappings.keys import key
from mappings.money import exponent, to_minor
from mappings.spec import Column, StreamSpec, Table

Rows = dict[str, list[tuple[Any, ...]]]
MISFITS = (ValueError, AttributeError, TypeError)
"""What the function raises for a value that does not fit."""

_LARGEST = 2**63 - 1
_AS_IT_IS = {
    "text": "type({0}) is str and {0}",
    "int": f"type({{0}}) is int and {-_LARGEST} <= {{0}} <= {_LARGEST}",
    "bool": "type({0}) is bool",
}
"""When a value of that type needs no conversion, which spares most of the calls."""


class Program:
    """The function `rows`, and what its errors mean."""

    def __init__(self, spec: StreamSpec) -> None:
        self.columns: dict[str, tuple[str, ...]] = {}
        self._lines = ["def rows(record):"]
        self._paths = [("", "", "")]
        self._names: dict[str, str] = {}
        self._globals: dict[str, Any] = dict(_HELPERS)
        if spec.currency is not None:
            at = ("", "", spec.currency)
            self._line(f"decimals = decimals_of({self._read('record', at)})", at)
        lists = [f"{name!r}: {self._table(name, table)}" for name, table in spec.table.items()]
        self._line(f"return {{{', '.join(lists)}}}", ("", "", ""))
        exec(compile("\n".join(self._lines), "<mapping>", "exec"), self._globals)  # noqa: S102
        self.rows: Callable[[Mapping[str, Any]], Rows] = self._globals["rows"]

    def path(self, error: Exception) -> str:
        """The place in the record where `rows` failed."""
        caller = error.__traceback__
        assert caller is not None
        assert caller.tb_next is not None
        rows, each, path = self._paths[caller.tb_next.tb_lineno - 1]
        if not rows:
            return path
        item = f"{each}[{len(caller.tb_next.tb_frame.f_locals[rows])}]"
        return item if path == "." else f"{item}.{path}"

    def _table(self, name: str, table: Table) -> str:
        """Write what fills the table and return the variable. Values of the record itself are its first columns."""
        own = {key: column for key, column in table.columns.items() if table.each is None or column.rooted}
        rest = {key: column for key, column in table.columns.items() if key not in own}
        self.columns[name] = (*own, *rest)
        cells = [self._cell("record", "", "", column) for column in own.values()]
        rows, item = f"t{len(self.columns)}", f"item{len(self.columns)}"
        if table.each is None:
            self._line(f"{rows} = [({', '.join(cells)},)]", ("", "", name))
            return rows
        at = ("", "", table.each)
        items = self._let(f"listed({self._read('record', at)})", at)
        self._line(f"{rows} = []", at)
        self._line(f"for {item} in {items}:", at)
        cells += [self._cell(item, rows, table.each, column) for column in rest.values()]
        self._line(f"{rows}.append(({', '.join(cells)},))", (rows, table.each, "."))
        return rows

    def _cell(self, item: str, rows: str, each: str, column: Column) -> str:
        if column.path is None:
            return self._constant(column.const)
        at = (rows, each, column.path.removeprefix("^"))
        value = self._read(item, at)
        ready = _AS_IT_IS.get(column.kind)
        convert = f"to_{column.kind}({value}{', decimals' if column.kind == 'money' else ''})"
        if column.map:
            ready, convert = None, f"{self._constant(_mapped(column.map))}({value})"
        shortcut = f"{value} is None" + (f" or {ready.format(value)}" if ready else "")
        cell = self._let(f"{value} if {shortcut} else {convert}", at)
        if column.default is not None:
            return self._let(f"{self._constant(column.default)} if {cell} is None else {cell}", at)
        return cell if column.optional else self._let(f"missing() if {cell} is None else {cell}", at)

    def _read(self, item: str, at: tuple[str, str, str]) -> str:
        """Follow a path; None as soon as a step is missing."""
        found = item
        for step in () if at[2] == "." else at[2].split("."):
            get = f"{found}.get({step!r})"
            found = self._let(get if found == item else f"None if {found} is None else {get}", at)
        return found

    def _let(self, value: str, at: tuple[str, str, str]) -> str:
        if value not in self._names:
            self._names[value] = f"v{len(self._names)}"
            self._line(f"{self._names[value]} = {value}", at)
        return self._names[value]

    def _line(self, text: str, at: tuple[str, str, str]) -> None:
        self._lines.append(f"{'        ' if at[0] else '    '}{text}")
        self._paths.append(at)

    def _constant(self, value: Any) -> str:
        name = f"c{len(self._globals)}"
        self._globals[name] = value
        return name


def reason(error: Exception) -> str:
    """What is wrong with a value, from the error that `rows` raised."""
    return str(error) if isinstance(error, ValueError) else "stands in something that is no object"


def _missing() -> None:
    raise ValueError("is missing")


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError("is no list")
    return value


def _decimals_of(currency: Any) -> int:
    if not isinstance(currency, str):
        raise ValueError("is missing" if currency is None else "is no text")
    return exponent(currency)


def _mapped(table: Mapping[str, Any]) -> Callable[[Any], Any]:
    rest = table.get("*")

    def convert(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(f"is no text: {value!r}")
        found = table.get(value, rest)
        if found is None:
            raise ValueError(f"unknown value {value!r}")
        return found

    return convert


def _gid(value: Any) -> int:
    """The number at the end of `gid://shopify/Customer/123`."""
    if isinstance(value, str):
        tail = value[value.rfind("/") + 1 :]
        if tail.isdecimal():
            number = int(tail)
            return number if number <= _LARGEST else _fits(number)
    raise ValueError(f"is no numbered id: {value!r}")


def _id(value: Any) -> int | None:
    """The key of an id; empty text is missing."""
    if type(value) is int and value >= 0:
        return _fits(value)
    if not isinstance(value, str):
        raise ValueError(f"is no id: {value!r}")
    return key(value) if value else None


def _int(value: Any) -> int:
    """A whole number; 64-bit ones travel as text in JSON."""
    if type(value) is int:
        return _fits(value)
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit():
        return _fits(int(value))
    raise ValueError(f"is no whole number: {value!r}")


def _fits(value: int) -> int:
    if -_LARGEST <= value <= _LARGEST:
        return value
    raise ValueError("does not fit into 64 bits")


def _money(value: Any, decimals: int) -> int:
    if not isinstance(value, str):
        raise ValueError(f"is no decimal text: {value!r}")
    return _fits(to_minor(value, decimals))


def _instant(value: Any) -> int:
    """RFC 3339 to UTC epoch seconds; parts of a second are cut off."""
    if not isinstance(value, str):
        raise ValueError(f"is no instant: {value!r}")
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"has no offset: {value!r}")
    return int(moment.timestamp() // 1)


def _text(value: Any) -> str | None:
    """Text as it is; empty is missing."""
    if not isinstance(value, str):
        raise ValueError(f"is no text: {value!r}")
    return value or None


def _key(value: Any) -> str | None:
    """Text for comparing: trimmed, lower case; empty is missing."""
    if not isinstance(value, str):
        raise ValueError(f"is no text: {value!r}")
    return value.strip().lower() or None


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"is neither true nor false: {value!r}")
    return value


_HELPERS: Mapping[str, Callable[..., Any]] = {
    "missing": _missing,
    "listed": _listed,
    "decimals_of": _decimals_of,
    "to_gid": _gid,
    "to_id": _id,
    "to_int": _int,
    "to_money": _money,
    "to_instant": _instant,
    "to_text": _text,
    "to_key": _key,
    "to_bool": _bool,
}
