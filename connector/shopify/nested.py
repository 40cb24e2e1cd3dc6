"""Records with more lines than their page holds, kept until they are whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from connector.base import Record
from connector.errors import BadReply
from connector.shopify.judge import PLATFORM
from connector.shopify.wire import number


@dataclass(slots=True)
class _Long:
    node: Mapping[str, Any]
    lines: list[Any]
    after: str
    seen: set[str]


class LongRecords:
    """Records of one stream whose lines go on. Many are continued by one request, `operation`."""

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self._open: dict[str, _Long] = {}

    def __len__(self) -> int:
        return len(self._open)

    def numbers(self) -> list[int]:
        """Who is not whole yet."""
        return [number(record) for record in self._open]

    def sift(self, nodes: Iterable[Mapping[str, Any]]) -> list[Record]:
        """Keep the long ones and return the others. A record that comes again replaces itself."""
        whole: list[Record] = []
        for node in nodes:
            self._open.pop(node["id"], None)
            lines = node.get("lineItems")
            after = self._next(lines["pageInfo"], ()) if lines else None
            if not lines or after is None:
                whole.append(node)
            else:
                self._open[node["id"]] = _Long(node, list(lines["nodes"]), after, {after})
        return whole

    def behind(self, most: int) -> list[tuple[str, str]]:
        """Up to `most` records with the cursors that their lines go on behind; the longest waiting first."""
        return [(record, long.after) for record, long in islice(self._open.items(), most)]

    def extend(self, asked: Sequence[tuple[str, str]], data: Mapping[str, Any]) -> list[Record]:
        """Take the answer to what was asked `behind`; returns those that are whole now. Null: deleted meanwhile."""
        whole: list[Record] = []
        for at, (record, _) in enumerate(asked):
            long = self._open.pop(record)
            parent = data[f"o{at}"]
            if parent is None:
                continue
            long.lines += parent["lineItems"]["nodes"]
            after = self._next(parent["lineItems"]["pageInfo"], long.seen)
            if after is None:
                whole.append({**long.node, "lineItems": {"nodes": long.lines}})
                continue
            long.seen.add(after)
            long.after = after
            self._open[record] = long
        return whole

    def _next(self, info: Mapping[str, Any], seen: Iterable[str]) -> str | None:
        return next_cursor(self._operation, info, seen)


def next_cursor(operation: str, info: Mapping[str, Any], seen: Iterable[str | None]) -> str | None:
    """Where a connection goes on; None at its end. Raises BadReply on a cursor that was there before."""
    if not info["hasNextPage"]:
        return None
    after: str | None = info["endCursor"]
    if after is None or after in seen:
        raise BadReply(PLATFORM, operation, f"loop detected in paging: {after!r} comes again")
    return after
