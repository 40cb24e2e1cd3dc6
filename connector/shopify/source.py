"""Reading a Shopify shop: customers, orders, abandoned checkouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from connector.base import Call, Cursor, Finding, Page, Record, Shop, Stream
from connector.errors import BadReply
from connector.shopify import wire
from connector.shopify.connection import Asked, Connection
from connector.shopify.doctor import examine
from connector.shopify.judge import PLATFORM, TooCostly, TooSlow
from connector.shopify.limits import limits
from connector.shopify.records import PREPARE
from mappings.load import MappingError, load

ToRows = Callable[[Record], dict[str, list[tuple[Any, ...]]]]


class ShopifySource:
    """A shop that can be read. Records are GraphQL nodes whose nested pages have been read to their end."""

    platform = PLATFORM
    streams: tuple[Stream, ...] = wire.STREAMS

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._first = dict.fromkeys(wire.SHAPES, limits().pages.records)
        self._chunk = limits().pages.ids
        self.calls = 0

    def shop(self) -> Shop:
        """Name, currency, zone and granted scopes, asked anew."""
        before = self._connection.client.calls
        shop = self._connection.read_shop()
        self.calls += self._connection.client.calls - before
        return shop

    def doctor(self) -> list[Finding]:
        """Key, scopes, history, protected fields, version. Raises AuthError on a refused key."""
        return examine(self._connection)

    def pages(self, stream: Stream, since: Cursor) -> Iterator[Page]:
        """Records changed in [since.high_water - lag, end of now); a page token resumes its own range.

        A row that changes while pages are read moves behind the cursor and comes again.
        """
        zone = self._connection.shop().zone if since.high_water is not None else "UTC"
        search = wire.search_since(stream, since.high_water, zone)
        shape = wire.SHAPES[stream.name]
        for asked, token in self._walk(
            lambda first, after: wire.page(self._connection.costs, stream.name, first, after, search),
            stream.name,
            shape.root,
            since.page_token,
        ):
            yield self._page(stream, asked, asked.answer.data[shape.root]["nodes"], token)

    def counts(self) -> Mapping[str, int]:
        """Live customers and orders. Checkouts are purged by Shopify after three months: their number says nothing."""
        data = self._ask(wire.query(self._connection.costs, "ShopCounts")).answer.data
        found = {"customers": data.get("customersCount"), "orders": data.get("ordersCount")}
        return {name: count["count"] for name, count in found.items() if count and count["precision"] == "EXACT"}

    def ids(self, stream: Stream) -> Iterator[Page]:
        """Every live record as {"id": number}."""
        shape = wire.SHAPES[stream.name]
        operation = shape.ids
        if operation is None:
            raise ValueError(f"{stream.name} cannot be swept")
        for asked, token in self._walk(
            lambda first, after: wire.query(self._connection.costs, operation, first=first, after=after, query=None),
            stream.name,
            shape.root,
            None,
        ):
            nodes = asked.answer.data[shape.root]["nodes"]
            yield Page([{"id": wire.number(node["id"])} for node in nodes], token, asked.calls, _cost(asked))

    def by_ids(self, stream: Stream, ids: Sequence[int]) -> Iterator[Page]:
        """These records as they are now, past the search index; ids that are gone are absent."""
        start = 0
        while start < len(ids):
            chunk = ids[start : start + self._chunk]
            try:
                asked = self._ask(wire.by_ids(self._connection.costs, stream.name, chunk))
            except TooCostly:
                if self._chunk == 1:
                    raise
                self._chunk //= 2
                continue
            start += len(chunk)
            yield self._page(stream, asked, [node for node in asked.answer.data["nodes"] if node], None)

    def to_rows(self, stream: Stream) -> ToRows:
        """The mapping of one record; raises MappingError."""
        prepare = PREPARE[stream.name]
        mapping = load(PLATFORM).stream(stream.name)

        def rows(record: Record) -> dict[str, list[tuple[Any, ...]]]:
            try:
                prepared = prepare(record)
            except (AttributeError, TypeError, KeyError, ValueError) as error:
                raise MappingError(".", mapping.record_id(record), f"has an unexpected shape: {error}") from error
            return mapping(prepared)

        return rows

    def columns(self, stream: Stream) -> Mapping[str, tuple[str, ...]]:
        """Per table the columns that `to_rows` fills."""
        return load(PLATFORM).columns(stream.name)

    def _ask(self, call: Call) -> Asked:
        asked = self._connection.ask(call)
        self.calls += asked.calls
        return asked

    def _walk(
        self, build: Callable[[int, str | None], Call], stream: str, root: str, after: str | None
    ) -> Iterator[tuple[Asked, str | None]]:
        """Every page of a connection with the token of the next."""
        seen = {after}
        while True:
            asked = self._fitting(build, stream, after)
            info = asked.answer.data[root]["pageInfo"]
            token = info["endCursor"] if info["hasNextPage"] else None
            if info["hasNextPage"] and (token is None or token in seen):
                raise BadReply(PLATFORM, build(1, after).operation, f"loop detected in paging: {token!r} comes again")
            yield asked, token
            if token is None:
                return
            seen.add(token)
            after = token

    def _fitting(self, build: Callable[[int, str | None], Call], stream: str, after: str | None) -> Asked:
        """The page, in half the size as often as it takes; too many points stay too many, a slow answer may not."""
        first = self._first[stream]
        while True:
            try:
                return self._ask(build(first, after))
            except (TooCostly, TooSlow) as error:
                if first <= limits().pages.smallest:
                    raise
                first = max(first // 2, limits().pages.smallest)
                if isinstance(error, TooCostly):
                    self._first[stream] = first

    def _page(self, stream: Stream, asked: Asked, nodes: Sequence[dict[str, Any]], token: str | None) -> Page:
        calls, cost, records = asked.calls, _cost(asked), []
        for node in nodes:
            whole, more_calls, more_cost = self._with_all_lines(stream.name, node)
            calls += more_calls
            cost += more_cost
            if whole is not None:
                records.append(whole)
        return Page(records, token, calls, cost)

    def _with_all_lines(self, stream: str, node: dict[str, Any]) -> tuple[dict[str, Any] | None, int, float]:
        """The record with its lines read to the end; None where it was deleted meanwhile."""
        shape = wire.SHAPES[stream]
        lines = node.get("lineItems")
        if shape.lines is None or not lines or not lines["pageInfo"]["hasNextPage"]:
            return node, 0, 0.0
        calls, cost = 0, 0.0
        nodes, info, seen = list(lines["nodes"]), lines["pageInfo"], set()
        while info["hasNextPage"]:
            after = info["endCursor"]
            if after is None or after in seen:
                raise BadReply(PLATFORM, shape.lines, f"loop detected in paging: {after!r} comes again")
            seen.add(after)
            first = limits().pages.lines
            asked = self._ask(wire.query(self._connection.costs, shape.lines, id=node["id"], first=first, after=after))
            calls += asked.calls
            cost += _cost(asked)
            parent = asked.answer.data[shape.lines_root]
            if parent is None:
                return None, calls, cost
            nodes += parent["lineItems"]["nodes"]
            info = parent["lineItems"]["pageInfo"]
        return {**node, "lineItems": {"nodes": nodes}}, calls, cost


def _cost(asked: Asked) -> float:
    return float(asked.answer.actual or asked.answer.requested or 0.0)
