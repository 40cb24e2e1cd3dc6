"""Reads a mapping file and turns it into functions: a record of the platform to rows of our tables."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import ValidationError

from mappings.compiled import MISFITS, Program, Rows, reason
from mappings.spec import StreamSpec


class SpecError(Exception):
    """A mapping file that makes no sense: file, key, what is wrong."""


class MappingError(Exception):
    """A record that does not fit. `path` is the place in the record, `record_id` the platform's own id.

    `known`: columns that can be read all the same, where the caller asks for them.
    """

    def __init__(self, path: str, record_id: str, reason: str) -> None:
        super().__init__(path, record_id, reason)
        self.known: Mapping[str, Any] = {}
        self.path = path
        self.record_id = record_id
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.record_id}: {self.path}: {self.reason}"


class StreamMapping:
    """A compiled stream: call it with a record. Fields that the mapping does not name are ignored."""

    def __init__(self, spec: StreamSpec) -> None:
        self._id = spec.record.split(".")
        self._program = Program(spec)
        self.columns: Mapping[str, tuple[str, ...]] = self._program.columns

    def __call__(self, record: Mapping[str, Any]) -> Rows:
        """The rows per table. Raises MappingError naming the first value that does not fit."""
        try:
            return self._program.rows(record)
        except MISFITS as error:
            raise MappingError(self._program.path(error), self.record_id(record), reason(error)) from None

    def record_id(self, record: Mapping[str, Any]) -> str:
        """The id that errors name; `?` where the record has none."""
        found: Any = record
        for step in self._id:
            found = found.get(step) if isinstance(found, Mapping) else None
        return str(found or "?")


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
