"""Reading a collection by offsets while others change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from connector.base import Call, Reply
from connector.errors import BadReply
from connector.mailchimp.limits import limits
from connector.mailchimp.wire import PLATFORM, document

Item = Mapping[str, Any]

_STEPS_BACK = 20


@dataclass(frozen=True, slots=True)
class Part:
    """Entries of one page that were not in the last, and how many further pages there seem to be."""

    entries: list[Item]
    more: int


def pages(send: Callable[[Call], Reply], request: Call, entries: str) -> Iterator[Part]:
    """The parts of a collection, page by page; somebody may come twice, nobody who stays is skipped.

    Whoever is deleted meanwhile moves all behind them forward, out of the next page. So each page begins a little
    before the end of the last, and when nothing of it was seen before, the step goes back. Entries are told apart by
    their id and must come in an order that newcomers only lengthen. A page that is short is the last, unless the total
    says that there are more.
    """
    size, overlap = limits().pages.size, limits().pages.overlap
    offset = steps_back = 0
    seen: set[Any] = set()
    while True:
        body = document(request.operation, send(page_of(request, offset)), entries)
        page = body[entries]
        here = {entry["id"] for entry in page}
        if offset and seen.isdisjoint(here):
            offset = max(0, offset - size + overlap)
            steps_back += 1
            if steps_back > _STEPS_BACK:
                text = f"no order in the pages: nobody met again after {steps_back} steps back; try again later"
                raise BadReply(PLATFORM, request.operation, text)
            continue
        behind = max(0, int(body.get("total_items") or 0) - offset - len(page))
        fresh = [entry for entry in page if entry["id"] not in seen]
        yield Part(fresh, -(-behind // (size - overlap)))
        if len(page) < size and not (behind and fresh):
            return
        seen = here
        offset += len(page) - min(overlap, len(page) // 2)


def page_of(request: Call, offset: int = 0) -> Call:
    """One page, as large as Mailchimp gives."""
    size = limits().pages.size
    return replace(request, params=(*request.params, ("count", str(size)), ("offset", str(offset))))
