"""Reads a mapping file and turns it into functions: a record of the platform to rows of our tables."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import ValidationError

from mappings.money import exponent, to_minor
from mappings.spec import Column, StreamSpec, Table

Rows = dict[str, list[tuple[Any, ...]]]
_Cell = Callable[[Any, int], Any]
_Convert = Callable[[Any, int], Any]
_Read = Callable[[Any], Any]
_LARGEST = 2**63 - 1
_MISFITS = (ValueError, AttributeError, TypeError)


class SpecError(Exception):
    """A mapping file that makes no sense: file, key, what is wrong."""


class MappingError(Exception):
    """A record that does not fit. `path` is the place in the record, `record_id` the platform's own id."""

    def __init__(self, path: str, record_id: str, reason: str) -> None:
        super().__init__(path, record_id, reason)
        self.path = path
        self.record_id = record_id
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.record_id}: {self.path}: {self.reason}"


class StreamMapping:
    """A compiled stream: call it with a record. Fields that the mapping does not name are ignored."""

    def __init__(self, spec: StreamSpec) -> None:
        self._id = _reader(spec.record)
        self._id_path = spec.record
        self._currency = None if spec.currency is None else _reader(spec.currency)
        self._currency_path = spec.currency or ""
        self._tables = [_CompiledTable(name, table) for name, table in spec.table.items()]
        self.columns: Mapping[str, tuple[str, ...]] = {table.name: table.columns for table in self._tables}

    def __call__(self, record: Mapping[str, Any]) -> Rows:
        """The rows per table. Raises MappingError naming the first value that does not fit."""
        decimals = -1
        try:
            if self._currency is not None:
                code = self._currency(record)
                if not isinstance(code, str):
                    raise ValueError("is missing" if code is None else "is no text")
                decimals = exponent(code)
        except (ValueError, AttributeError) as error:
            raise MappingError(self._currency_path, self.record_id(record), _reason(error)) from None
        rows: Rows = {}
        for table in self._tables:
            try:
                rows[table.name] = table.rows(record, decimals)
            except _MISFITS as error:
                raise self._located(table, record, decimals, error) from None
        return rows

    def record_id(self, record: Mapping[str, Any]) -> str:
        """The id that errors name; `?` where the record has none."""
        try:
            return str(self._id(record) or "?")
        except AttributeError:
            return "?"

    def _located(self, table: _CompiledTable, record: Any, decimals: int, error: Exception) -> MappingError:
        path, reason = table.locate(record, decimals) or (table.each or table.name, _reason(error))
        return MappingError(path, self.record_id(record), reason)


class _CompiledTable:
    """Columns read from the record itself come first: they are the same in all rows of a list, and read once."""

    def __init__(self, name: str, spec: Table) -> None:
        self.name = name
        self.each = spec.each
        self._items = None if spec.each is None else _reader(spec.each)
        own = {key: column for key, column in spec.columns.items() if self._items is None or column.rooted}
        rest = {key: column for key, column in spec.columns.items() if key not in own}
        self._of_record = [_cell(column) for column in own.values()]
        self._of_item = [_cell(column) for column in rest.values()]
        self._paths = [(column.path or "").removeprefix("^") for column in (*own.values(), *rest.values())]
        self.columns = (*own, *rest)

    def rows(self, record: Any, decimals: int) -> list[tuple[Any, ...]]:
        if self._items is None:
            return [tuple([cell(record, decimals) for cell in self._of_record])]
        items = self._list(record)
        if not items:
            return []
        shared = [cell(record, decimals) for cell in self._of_record]
        cells = self._of_item
        return [(*shared, *[cell(item, decimals) for cell in cells]) for item in items]

    def locate(self, record: Any, decimals: int) -> tuple[str, str] | None:
        """Path and reason of the first cell that fails."""
        try:
            items = [] if self._items is None else self._list(record)
        except _MISFITS as error:
            return self.each or "", _reason(error)
        shared = len(self._of_record)
        for cell, path in zip(self._of_record, self._paths[:shared], strict=True):
            if (reason := _failure(cell, record, decimals)) is not None:
                return path, reason
        for number, item in enumerate(items):
            for cell, path in zip(self._of_item, self._paths[shared:], strict=True):
                if (reason := _failure(cell, item, decimals)) is not None:
                    return f"{self.each}[{number}]{'' if path == '.' else '.' + path}", reason
        return None

    def _list(self, record: Any) -> list[Any]:
        items = self._items(record) if self._items is not None else None
        if items is None:
            return []
        if not isinstance(items, list):
            raise ValueError("is no list")
        return items


def _failure(cell: _Cell, item: Any, decimals: int) -> str | None:
    try:
        cell(item, decimals)
    except _MISFITS as error:
        return _reason(error)
    return None


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else "stands in something that is no object"


def _reader(path: str) -> _Read:
    """Follows a path; None as soon as a step is missing."""
    if path == ".":
        return lambda item: item
    steps = path.split(".")
    first = steps[0]
    if len(steps) == 1:
        return lambda item: item.get(first)
    if len(steps) == 2:
        second = steps[1]
        return lambda item: None if (inner := item.get(first)) is None else inner.get(second)

    def follow(item: Any) -> Any:
        for step in steps:
            if item is None:
                return None
            item = item.get(step)
        return item

    return follow


def _cell(spec: Column) -> _Cell:
    """The function that fills a column. Paths of one step, which are most, are followed without a further call."""
    if spec.path is None:
        const = spec.const
        return lambda item, decimals: const
    path = spec.path.removeprefix("^")
    default, optional = spec.default, spec.optional
    convert = _mapped(spec.map) if spec.map else _CONVERTERS[spec.kind]

    def missing() -> Any:
        if optional:
            return default
        raise ValueError("is missing")

    if path != "." and "." not in path:
        plain = spec.kind == "text" and not spec.map

        def shallow(item: Any, decimals: int) -> Any:
            value = item.get(path)
            if value is None:
                return missing()
            if plain and value and type(value) is str:
                return value
            value = convert(value, decimals)
            return missing() if value is None else value

        return shallow
    read = _reader(path)

    def deep(item: Any, decimals: int) -> Any:
        value = read(item)
        if value is not None:
            value = convert(value, decimals)
        return missing() if value is None else value

    return deep


def _mapped(table: Mapping[str, Any]) -> _Convert:
    rest = table.get("*")

    def convert(value: Any, decimals: int) -> Any:
        if not isinstance(value, str):
            raise ValueError(f"is no text: {value!r}")
        found = table.get(value, rest)
        if found is None:
            raise ValueError(f"unknown value {value!r}")
        return found

    return convert


def _gid(value: Any, decimals: int) -> int:
    """The number at the end of `gid://shopify/Customer/123`."""
    if isinstance(value, str):
        tail = value[value.rfind("/") + 1 :]
        if tail.isdecimal():
            return _fits(int(tail))
    raise ValueError(f"is no numbered id: {value!r}")


def _int(value: Any, decimals: int) -> int:
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


def _instant(value: Any, decimals: int) -> int:
    """RFC 3339 to UTC epoch seconds; parts of a second are cut off."""
    if not isinstance(value, str):
        raise ValueError(f"is no instant: {value!r}")
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"has no offset: {value!r}")
    return int(moment.timestamp() // 1)


def _text(value: Any, decimals: int) -> str | None:
    """Text as it is; empty is missing."""
    if not isinstance(value, str):
        raise ValueError(f"is no text: {value!r}")
    return value or None


def _key(value: Any, decimals: int) -> str | None:
    """Text for comparing: trimmed, lower case; empty is missing."""
    if not isinstance(value, str):
        raise ValueError(f"is no text: {value!r}")
    return value.strip().lower() or None


def _bool(value: Any, decimals: int) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"is neither true nor false: {value!r}")
    return value


_CONVERTERS: dict[str, _Convert] = {
    "gid": _gid,
    "int": _int,
    "money": _money,
    "instant": _instant,
    "text": _text,
    "key": _key,
    "bool": _bool,
}


class PlatformMapping:
    """One mapping file: its streams compiled, its other tables as data."""

    def __init__(self, name: str, raw: Mapping[str, Any]) -> None:
        self._streams: dict[str, StreamMapping] = {}
        for stream, body in raw.get("stream", {}).items():
            try:
                self._streams[stream] = StreamMapping(StreamSpec.model_validate(body))
            except ValidationError as error:
                problem = error.errors()[0]
                where = ".".join(["stream", stream, *(str(part) for part in problem["loc"])])
                raise SpecError(f"{name}.toml: {where}: {problem['msg'].removeprefix('Value error, ')}") from None
        self.data: Mapping[str, Any] = {key: value for key, value in raw.items() if key != "stream"}

    def stream(self, name: str) -> StreamMapping:
        """The compiled mapping of one stream."""
        return self._streams[name]

    def columns(self, stream: str) -> Mapping[str, tuple[str, ...]]:
        """Per table the columns of the rows, in their order."""
        return self._streams[stream].columns


@cache
def load(name: str) -> PlatformMapping:
    """The mapping of a platform, from the file of that name in this package. Raises SpecError naming file and key."""
    return parse(name, files("mappings").joinpath(f"{name}.toml").read_text("utf-8"))


def parse(name: str, text: str) -> PlatformMapping:
    """A mapping from its text."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{name}.toml: not valid TOML: {error}") from None
    return PlatformMapping(name, raw)
