"""The ways through many pages: by cursor, and by key where the API has offsets only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from connector.base import Call
from connector.errors import BadReply
from connector.wix.connection import Connection
from connector.wix.judge import PLATFORM
from connector.wix.wire import epoch, following, mapping, records, text


class Reads(Protocol):
    """What a walk needs of a connection."""

    def read(self, call: Call) -> dict[str, Any]:
        """The answer to a call."""


class Meter:
    """Counts the requests that each page took, tries included."""

    def __init__(self, connection: Connection) -> None:
        self._client = connection.client
        self._at = self._client.calls

    def lap(self) -> int:
        """Requests since the last time this was asked."""
        before, self._at = self._at, self._client.calls
        return self._at - before


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page on a way. `more` is set while others follow."""

    items: list[dict[str, Any]]
    more: bool


def by_cursor(
    connection: Reads, build: Callable[[str | None], Call], key: str, metadata: str = "metadata"
) -> Iterator[Leaf]:
    """Every page; `key` is where the records stand in the answer. Raises BadReply when a cursor comes a second time."""
    cursor: str | None = None
    seen: set[int] = set()
    while True:
        call = build(cursor)
        body = page_of(connection, call, key, metadata)
        cursor = following(body, metadata)
        yield Leaf(records(body, key), cursor is not None)
        del body
        if cursor is None:
            return
        if hash(cursor) in seen:
            text_ = f"paging runs in a circle after {len(seen) + 1} pages; stopped, run again to begin anew"
            raise BadReply(PLATFORM, call.operation, text_)
        seen.add(hash(cursor))


@dataclass(frozen=True, slots=True)
class Place:
    """How far a walk by key has come: the last key, and how many records of exactly that key are behind."""

    key: str | None = None
    offset: int = 0

    @staticmethod
    def parse(token: str | None) -> Place:
        """A place from its text."""
        key, _, offset = (token or "").partition(" ")
        return Place(key or None, int(offset)) if offset.isdecimal() else Place()

    def __str__(self) -> str:
        return f"{self.key or ''} {self.offset}"


@dataclass(frozen=True, slots=True)
class Stretch:
    """One page of a walk by key, without what the page before held too. `place` is None at the end."""

    items: list[dict[str, Any]]
    place: Place | None
    total: int | None


def by_key(
    connection: Reads,
    build: Callable[[Mapping[str, Any], int], Call],
    *,
    field: str,
    matching: Mapping[str, Any],
    start: Place,
) -> Iterator[Stretch]:
    """Every contact that matches, ascending by the date `field`: each page begins at the last date of the one before.

    An offset over a set that changes skips records; a date does not. Where one instant fills a whole page (an import),
    offsets go on inside of it. `build` takes filter and offset. Raises BadReply where the answer is not in order.
    """
    place, seen = start, set[str]()
    while True:
        bound = {} if place.key is None else {field: {"$gte": place.key}}
        call = build({**matching, **bound}, place.offset)
        body = page_of(connection, call, "contacts", "pagingMetadata")
        page = records(body, "contacts")
        dates = [_at(each, field) for each in page]
        last = next((at for at in reversed(dates) if at is not None), place.key)
        if place.key is not None and last is not None and (epoch(last) or 0) < (epoch(place.key) or 0):
            raise BadReply(PLATFORM, call.operation, f"the answer is not in the order of {field}; stopped")
        fresh = [each for each in page if each.get("id") not in seen]
        total = _total(body)
        if not page or not _more(body, place.offset, len(page), call):
            yield Stretch(fresh, None, total)
            return
        if last == place.key:
            place = Place(last, place.offset + len(page))
            seen.update(str(each.get("id")) for each in page)
        else:
            place = Place(last)
            seen = {str(each.get("id")) for each, at in zip(page, dates, strict=True) if at == last}
        yield Stretch(fresh, place, total)


def page_of(connection: Reads, call: Call, key: str, metadata: str) -> dict[str, Any]:
    """The answer, if it is one: what holds neither records nor a word on pages (a proxy's empty body) is no end."""
    body = connection.read(call)
    if key not in body and metadata not in body:
        raise BadReply(PLATFORM, call.operation, f"the answer holds neither {key} nor {metadata}; run again later")
    return body


def _more(body: Mapping[str, Any], offset: int, count: int, call: Call) -> bool:
    """By the total where the server counted it, for it may hold fewer in a page than were asked for."""
    total = _total(body)
    if total is not None:
        return offset + count < total
    return bool(count >= call.json["query"]["paging"]["limit"])


def _total(body: Mapping[str, Any]) -> int | None:
    metadata = mapping(body.get("pagingMetadata"))
    total = metadata.get("total")
    return total if isinstance(total, int) and not metadata.get("tooManyToCount") else None


def _at(record: Mapping[str, Any], field: str) -> str | None:
    found: Any = record
    for step in field.split("."):
        found = mapping(found).get(step)
    return text(found)
