"""Lists by the page: limits, sorting, cursors that lock what they page through."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from connector.wix.sandbox_filter import BadFilter, Filter, compile_filter
from connector.wix.sandbox_index import Key, Listing, Sort
from connector.wix.sandbox_route import Problem, envelope, invalid
from connector.wix.sandbox_tables import Endpoint

Complaint = Callable[[BadFilter], Problem]
Prepare = Callable[[Any, Filter], Filter]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended, and in which list."""

    operation: str
    wanted: Filter
    sorts: tuple[Sort, ...]
    after: Key


class Cursors:
    """Opaque cursors. Only the newest are kept: one from an earlier day is worth nothing."""

    def __init__(self, keep: int = 2000) -> None:
        self._keep = keep
        self._made = 0
        self._places: OrderedDict[str, Place] = OrderedDict()

    def write(self, place: Place) -> str:
        self._made += 1
        text = blake2b(f"{place.operation}/{self._made}".encode(), digest_size=24).hexdigest()
        self._places[text] = place
        while len(self._places) > self._keep:
            self._places.popitem(last=False)
        return text

    def read(self, text: str, operation: str) -> Place:
        place = self._places.get(text)
        if place is None or place.operation != operation:
            raise invalid("cursorPaging.cursor", "is no valid cursor for this request")
        return place


@dataclass(frozen=True, slots=True)
class Page:
    """Numbers of the records of a page, and the cursor of the next one, if there is one."""

    numbers: list[int]
    next: str | None

    @property
    def cursors(self) -> dict[str, str]:
        return {"next": self.next} if self.next else {}


def validation(bad: BadFilter) -> Problem:
    """How e-commerce refuses a filter."""
    return invalid("value" if bad.reason == "field" else bad.name, str(bad), "FORMAT")


def cursor_page(
    endpoint: Endpoint,
    given: Any,
    listing: Listing,
    cursors: Cursors,
    *,
    complaint: Complaint = validation,
    prepare: Prepare = lambda _, wanted: wanted,
    extra: tuple[str, ...] = (),
) -> Page:
    """One page of what stands under `query` or `search`. `prepare` may narrow the filter of a first page."""
    asked = envelope(given, "filter", "sort", "cursorPaging", *extra)
    paging = envelope(asked.get("cursorPaging") or {}, "limit", "cursor")
    size = read_limit(paging.get("limit", endpoint.limit), endpoint.largest, "cursorPaging.limit")
    cursor = paging.get("cursor")
    if cursor is not None:
        if locked := [name for name in ("filter", "sort") if name in asked]:
            raise invalid(locked[0], "cannot be changed in a request with a cursor")
        place = cursors.read(cursor, endpoint.operation)
        wanted, sorts, after = place.wanted, place.sorts, place.after
    else:
        after = None
        sorts = read_sorts(endpoint, asked.get("sort"))
        try:
            wanted = prepare(asked.get("filter"), compile_filter(asked.get("filter"), endpoint.fields))
        except BadFilter as bad:
            raise complaint(bad) from bad
    keys: list[Key] = []
    for key in listing.walk(sorts, wanted, after):
        keys.append(key)
        if len(keys) > size:
            break
    more = len(keys) > size
    following = cursors.write(Place(endpoint.operation, wanted, sorts, keys[size - 1])) if more else None
    return Page([key[-1] for key in keys[:size]], following)


def read_limit(limit: Any, largest: int, name: str) -> int:
    """A page size, or a 400."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= largest:
        raise invalid(name, f"must be between 1 and {largest}", "RANGE")
    return limit


def read_sorts(endpoint: Endpoint, given: Any) -> tuple[Sort, ...]:
    """Sort objects, or the endpoint's default."""
    if given is None or given == []:
        return endpoint.default
    if not isinstance(given, list) or len(given) > endpoint.most_sorts:
        raise invalid("sort", f"takes at most {endpoint.most_sorts} sort objects", "MAX_SIZE")
    sorts = []
    for each in given:
        name, order = read_sort(each)
        if order not in endpoint.sorts.get(name, ()):
            raise invalid("sort", f"Field '{name}' is not declared as sortable {order}", "FORMAT")
        sorts.append(Sort(name, order == "DESC"))
    return tuple(sorts)


def read_sort(given: Any) -> tuple[str, str]:
    """Field and direction of one sort object."""
    asked: Mapping[str, Any] = envelope(given, "fieldName", "order")
    name, order = asked.get("fieldName"), asked.get("order", "ASC")
    if not isinstance(name, str) or order not in ("ASC", "DESC"):
        raise invalid("sort", "needs a fieldName, and an order that is ASC or DESC")
    return name, order
