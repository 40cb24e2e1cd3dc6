"""Shopify's requests and their limits: 250 records a page, and 1,000 points a request for what goes together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson

from bench.sent import Line, Sent, Tally, up
from connector.base import Reply
from connector.sandbox.wire import Request
from connector.sandbox.world import World
from connector.shopify.limits import limits
from connector.shopify.wire import Costs

PAGES = {"customers": "CustomersPage", "orders": "OrdersPage", "carts": "AbandonedCheckoutsPage"}
TAGS = "TagsBatch"


def read(request: Request, reply: Reply) -> Sent:
    body = orjson.loads(request.body)
    name, given = str(body["operationName"]), body["variables"]
    if name != TAGS:
        return Sent(name)
    aliases = [each for each in given if f"{each}id" in given]
    return Sent(name, "", [f"{each[0]} {given[f'{each}id']} {sorted(given[each])}" for each in aliases])


def reading(tally: Tally, read: Mapping[str, int], world: World | None) -> Iterator[Line]:
    """`read`: records by stream. `world` for a first reading, when all lines of all orders are read."""
    yield tally.line("ShopInfo", 1)
    yield tally.line("ShopCounts", 1)
    for stream, records in read.items():
        yield tally.line(PAGES[stream], max(1, up(records, limits().pages.records)))
    if world is not None:
        for name, records_ in (("OrderLinesBatch", world.orders), ("CheckoutLinesBatch", world.carts)):
            further = [up(len(each.lines), limits().pages.lines) - 1 for each in records_.values()]
            points = sum(further) * Costs().of(name, limits().pages.lines)
            yield tally.line(name, max(0, *further, up(int(points), limits().points.query)))


def writing(tally: Tally) -> Iterator[Line]:
    points, most = limits().points, limits().tags.mutations
    yield tally.filled(TAGS, min(most, points.query // points.mutation))
