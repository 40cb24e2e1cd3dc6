"""Reading a Shopify shop: customers, orders, abandoned checkouts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from connector.base import WITHHELD, Call, Cursor, Finding, Page, Record, Shop, Stream
from connector.errors import TimedOut
from connector.shopify import wire
from connector.shopify.connection import Asked, Connection
from connector.shopify.doctor import examine
from connector.shopify.judge import PLATFORM, TooCostly, TooSlow
from connector.shopify.limits import limits
from connector.shopify.nested import LongRecords, next_cursor
from connector.shopify.records import PREPARE, withheld
from mappings.load import MappingError, load

ToRows = Callable[[Record], dict[str, list[tuple[Any, ...]]]]


class ShopifySource:
    """A shop that can be read. Records are GraphQL nodes whose nested pages have been read to their end."""

    platform = PLATFORM
    streams: tuple[Stream, ...] = wire.STREAMS

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._most: dict[str, int] = {}
        self.calls = 0

    def shop(self) -> Shop:
        """Name, currency, zone and granted scopes, asked for once."""
        before = self._connection.client.calls
        shop = self._connection.shop()
        self.calls += self._connection.client.calls - before
        return shop

    def doctor(self) -> list[Finding]:
        """Key, scopes, history, protected fields, version. Raises AuthError on a refused key."""
        return examine(self._connection)

    def pages(self, stream: Stream, since: Cursor) -> Iterator[Page]:
        """Records changed in [since.high_water - lag, end of now); a page token resumes its own range.

        A row that changes while pages are read moves behind the cursor and comes again. Records with more lines than
        fit in their page come in a later one, so that one request continues many; the token remembers them.
        """
        zone = self._connection.shop().zone if since.high_water is not None else "UTC"
        search = wire.search_since(stream, since.high_water, zone)
        shape = wire.SHAPES[stream.name]
        long = LongRecords(shape.lines)
        start, owed = wire.untoken(since.page_token)
        for asked, after in self._walk(
            shape.page,
            shape.root,
            lambda after, first: wire.page(self._connection.costs, stream.name, first, after, search),
            start,
        ):
            calls, cost = asked.calls, _cost(asked)
            nodes = {node["id"]: node for node in _records(stream, f"{shape.root}.nodes.", asked)}
            for again, _ in self._by_ids(stream, owed):
                calls += again.calls
                cost += _cost(again)
                nodes |= {node["id"]: node for node in _records(stream, "nodes.", again)}
            owed = []
            yield self._page(stream, long, nodes.values(), Page([], after, calls, cost), last=after is None)
            del asked, nodes

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
            operation,
            shape.root,
            lambda after, first: wire.query(self._connection.costs, operation, first=first, after=after, query=None),
            None,
        ):
            nodes = asked.answer.data[shape.root]["nodes"]
            yield Page([{"id": wire.number(node["id"])} for node in nodes], token, asked.calls, _cost(asked))

    def gone(self, stream: Stream) -> Iterator[Page]:
        """Nothing: the Admin API lists no deletions of customers or orders."""
        return iter(())

    def by_ids(self, stream: Stream, ids: Sequence[str]) -> Iterator[Page]:
        """These records as they are now, past the search index; ids that are gone are absent."""
        long = LongRecords(wire.SHAPES[stream.name].lines)
        for asked, left in self._by_ids(stream, [int(each) for each in ids]):
            yield self._page(
                stream,
                long,
                _records(stream, "nodes.", asked),
                Page([], None, asked.calls, _cost(asked)),
                last=not left,
            )

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

        if stream.name != "customers":
            return rows

        def customer(record: Record) -> dict[str, list[tuple[Any, ...]]]:
            try:
                return rows(record)
            except MappingError as error:
                error.known = _consent(record)
                raise

        return customer

    def columns(self, stream: Stream) -> Mapping[str, tuple[str, ...]]:
        """Per table the columns that `to_rows` fills."""
        return load(PLATFORM).columns(stream.name)

    def _ask(self, call: Call) -> Asked:
        before = self._connection.client.calls
        try:
            return self._connection.ask(call)
        finally:
            self.calls += self._connection.client.calls - before

    def _fitting(self, operation: str, most: int, build: Callable[[int], Call]) -> tuple[Asked, int]:
        """The answer to a request for `most`, halved as often as it takes, and for how many it was.

        Too many points stay too many. A slow answer may not stay slow; one that never came took all tries, so that
        after another such the platform is given up.
        """
        before, patience = self.calls, 1
        size = min(most, self._most.get(operation, most))
        while True:
            try:
                return Asked(self._ask(build(size)).answer, self.calls - before), size
            except (TooCostly, TooSlow, TimedOut) as error:
                patience -= isinstance(error, TimedOut)
                if size <= limits().pages.smallest or patience < 0:
                    raise
                size = max(size // 2, limits().pages.smallest)
                if not isinstance(error, TooSlow):
                    self._most[operation] = size

    def _walk(
        self, operation: str, root: str, build: Callable[[str | None, int], Call], after: str | None
    ) -> Iterator[tuple[Asked, str | None]]:
        """Every page of a connection with the cursor of the next. One that was used is let go before the next comes."""
        seen = {after}
        while True:
            asked, _ = self._fitting(operation, limits().pages.records, partial(build, after))
            after = next_cursor(operation, asked.answer.data[root]["pageInfo"], seen)
            yield asked, after
            del asked
            if after is None:
                return
            seen.add(after)

    def _by_ids(self, stream: Stream, ids: Sequence[int]) -> Iterator[tuple[Asked, int]]:
        """These records in as few answers as will do, each with the number of records still to be asked for."""
        while ids:
            build = partial(_first_by_ids, self._connection.costs, stream.name, ids)
            asked, count = self._fitting(wire.SHAPES[stream.name].by_ids, min(len(ids), limits().pages.ids), build)
            ids = ids[count:]
            yield asked, len(ids)

    def _page(
        self, stream: Stream, long: LongRecords, nodes: Iterable[dict[str, Any]], page: Page, *, last: bool
    ) -> Page:
        """The page with the records that are whole: those read so, and those completed as they fill a request."""
        records, calls, cost = long.sift(nodes), page.calls, page.cost
        while len(long) and (last or len(long) >= self._together(stream)):
            asked, finished = self._more_lines(stream, long)
            records += finished
            calls += asked.calls
            cost += _cost(asked)
        return Page(records, wire.token(page.next_token, long.numbers()), calls, cost)

    def _together(self, stream: Stream) -> int:
        """How many records one request can continue."""
        operation, lines = wire.SHAPES[stream.name].lines, limits().pages.lines
        points = min(limits().points.query, self._connection.bucket.maximum)
        fits = int(points / self._connection.costs.of(operation, lines))
        return max(1, min(fits, self._most.get(operation, fits * lines) // lines))

    def _more_lines(self, stream: Stream, long: LongRecords) -> tuple[Asked, list[Record]]:
        """Continue as many records as go together: if need be fewer, and of the last one by fewer lines."""
        lines = limits().pages.lines
        behind = long.behind(self._together(stream))
        asked, size = self._fitting(
            wire.SHAPES[stream.name].lines,
            len(behind) * lines,
            lambda size: wire.more_lines(
                self._connection.costs, stream.name, behind[: max(1, size // lines)], min(lines, size)
            ),
        )
        return asked, long.extend(behind[: max(1, size // lines)], asked.answer.data)


def _first_by_ids(costs: wire.Costs, stream: str, ids: Sequence[int], count: int) -> Call:
    return wire.by_ids(costs, stream, ids[:count])


def _consent(record: Record) -> dict[str, Any]:
    """Address and consent of a customer whose record does not fit as a whole; empty where they do not fit either."""
    mapping = load(PLATFORM).stream("customers")
    never = "1970-01-01T00:00:00Z"
    part = {"id": "0", "createdAt": never, "updatedAt": never, "defaultEmailAddress": record.get("defaultEmailAddress")}
    try:
        (row,) = mapping(part)["customers"]
    except MappingError:
        return {}
    return dict(zip(mapping.columns["customers"], row, strict=True))


def _records(stream: Stream, place: str, asked: Asked) -> list[dict[str, Any]]:
    """The records of an answer that stand at `place`, each with the columns that were refused."""
    found: Any = asked.answer.data
    for step in place.split(".")[:-1]:
        found = found[step]
    nodes: list[dict[str, Any]] = [node for node in found if node]
    denied = [path.removeprefix(place) for path in asked.answer.denied if path.startswith(place)]
    for node in nodes if denied else ():
        columns = withheld(stream.name, node, denied)
        if columns:
            node[WITHHELD] = columns
    return nodes


def _cost(asked: Asked) -> float:
    return float(asked.answer.actual or asked.answer.requested or 0.0)
