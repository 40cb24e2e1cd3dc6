"""Records with more lines than fit in their page: read whole, many by one call, whatever happens on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from test_shopify_source import CARTS, NOW, ORDERS, START, Shop, ids, records

from connector.base import Cursor, Record, Reply, Source, Stream
from connector.errors import BadReply, TimedOut, Unavailable
from connector.sandbox.faults import Fault
from connector.sandbox.wire import Drop, Request

BATCH = "OrderLinesBatch"


def stocked(sizes: list[int], *faults: Fault, **options: Any) -> Shop:
    """A shop with one order of so many lines each."""
    shop = Shop(*faults, people=1, **options)
    for size in sizes:
        shop.world.place_order(shop.people[0], [(shop.tea, 1)] * size)
    shop.go_to(NOW)
    return shop


def sizes(found: list[Record]) -> dict[int, int]:
    """Lines per order; every line of an order is there once."""
    for record in found:
        lines = [line["id"] for line in record["lineItems"]["nodes"]]
        assert len(set(lines)) == len(lines)
    return {ids([record])[0]: len(record["lineItems"]["nodes"]) for record in found}


def expected(shop: Shop) -> dict[int, int]:
    return {order.number: len(order.lines) for order in shop.world.orders.values()}


def seen(shop: Shop, change: Callable[[dict[str, Any]], Reply | None]) -> tuple[Source, list[tuple[str, int]]]:
    """A source whose requests are noted by operation and number of parts; `change` may answer instead of the shop."""
    asked: list[tuple[str, int]] = []

    def handle(request: Request) -> Reply:
        body = orjson.loads(request.body)
        asked.append((body["operationName"], len(body["variables"]) // 2))
        return change(body) or shop.sandbox.handle(replace(request, body=orjson.dumps(body)))

    return shop.behind(handle), asked


@pytest.mark.parametrize(
    ("lines", "requests"),
    [([251], [1]), ([620], [1, 1]), ([251] * 27, [27]), ([251] * 28, [27, 1]), ([251, 800, 501, 3], [3, 2, 1])],
)
def test_long_orders_share_their_calls(lines: list[int], requests: list[int]) -> None:
    """As many as fit under the points of one query go together, those with more lines again."""
    shop = stocked(lines)
    source, asked = seen(shop, lambda body: None)
    (page,) = source.pages(ORDERS, START)
    assert sizes(list(page.records)) == expected(shop)
    assert asked == [("OrdersPage", 2), *((BATCH, parts) for parts in requests)]
    assert page.calls == len(asked)


def test_long_orders_of_many_pages_share_a_call() -> None:
    """A long order waits for others, and comes with the last page at the latest."""
    shop = stocked([1, 300] + [1] * 249 + [300] + [1] * 249 + [300])
    pages = list(shop.source.pages(ORDERS, START))
    assert [len(page.records) for page in pages] == [249, 249, 4]
    assert sizes([record for page in pages for record in page.records]) == expected(shop)
    assert shop.sandbox.operations == Counter({"OrdersPage": 3, BATCH: 1})


def test_token_remembers_who_waits() -> None:
    """A run that was killed while a long order waited reads it by number."""
    shop = stocked([300] + [1] * 600)
    first = next(iter(shop.source.pages(ORDERS, START)))
    rest = shop.read(ORDERS, Cursor(page_token=first.next_token))
    assert sizes([*first.records, *rest]) == expected(shop)
    assert len(first.records) + len(rest) == 601
    assert shop.sandbox.operations == Counter({"OrdersPage": 3, "OrdersByIds": 1, BATCH: 1})


def test_order_that_comes_again_comes_as_it_is_now() -> None:
    """One that changed while it waited is read once, with its present lines."""
    shop = stocked([300] + [1] * 300)
    long = min(shop.world.orders)
    pages = iter(shop.source.pages(ORDERS, START))
    first = next(pages)
    shop.world.touch(shop.world.orders[long])
    shop.clock.advance(60)
    rest = list(records(pages))
    assert ids(rest).count(long) == 1
    assert sizes([*first.records, *rest]) == expected(shop)


@pytest.mark.parametrize("stream", [ORDERS, CARTS], ids=lambda stream: stream.name)
def test_by_number_long_ones_share_their_calls(stream: Stream) -> None:
    """Records read by number are completed together too."""
    shop = Shop(people=1)
    lines = [(shop.tea, 1)] * 300
    make = shop.world.place_order if stream is ORDERS else shop.world.abandon_cart
    numbers = [make(shop.people[0], lines).number for _ in range(5)]
    (page,) = shop.source.by_ids(stream, [str(number) for number in numbers])
    assert sizes(list(page.records)) == dict.fromkeys(numbers, 300)
    assert page.calls == 2


def test_deleted_order_leaves_the_others() -> None:
    """One that went between its page and its further lines is gone; the page is not."""
    shop = stocked([300, 300, 1])
    gone = min(shop.world.orders)

    def delete(body: dict[str, Any]) -> None:
        if body["operationName"] == BATCH:
            shop.world.orders.pop(gone, None)

    source, _ = seen(shop, delete)
    assert sizes(list(records(source.pages(ORDERS, START)))) == expected(shop)
    assert gone not in expected(shop)


def test_too_costly_batch_is_halved_for_good() -> None:
    """The shop prices lines higher than guessed: fewer orders go together from then on, before it is asked again."""
    shop = stocked([300] * 40)

    def dear(body: dict[str, Any]) -> Reply | None:
        if len(body["variables"]) // 2 <= 10 or body["operationName"] != BATCH:
            return None
        return Reply(200, {}, orjson.dumps({"errors": [{"message": "x", "extensions": {"code": "MAX_COST_EXCEEDED"}}]}))

    source, asked = seen(shop, dear)
    (page,) = source.pages(ORDERS, START)
    assert sizes(list(page.records)) == expected(shop)
    assert [parts for operation, parts in asked if operation == BATCH] == [27, 13, 6, 6, 6, 6, 6, 6, 4]
    assert page.calls == len(asked)


def test_slow_batch_shrinks_to_fewer_lines_of_one_order() -> None:
    """Where even one order's lines take too long, fewer lines are asked for."""
    shop = stocked([300, 300])
    asked_for: list[tuple[int, int]] = []

    def slow(body: dict[str, Any]) -> Reply | None:
        if body["operationName"] != BATCH:
            return None
        asked_for.append((len(body["variables"]) // 2, body["variables"]["first"]))
        return Reply(504, {}, b"") if body["variables"]["first"] > 70 else None

    source, _ = seen(shop, slow)
    assert sizes(list(records(source.pages(ORDERS, START)))) == expected(shop)
    assert asked_for == [(2, 250), (1, 250), (1, 125), (1, 62), (1, 250), (1, 125), (1, 62)]


def test_small_bucket_holds_fewer() -> None:
    """A request is never dearer than the shop's bucket is deep."""
    shop = stocked([300] * 20, bucket=500, restore_rate=50)
    shop.source.shop()
    assert sizes(shop.read(ORDERS)) == expected(shop)
    assert shop.sandbox.operations[BATCH] == 2


def test_loop_in_lines_is_noticed() -> None:
    """A cursor of lines that comes again would never end."""
    shop = stocked([900])

    def stuck(body: dict[str, Any]) -> None:
        if body["operationName"] == BATCH:
            body["variables"]["after0"] = None

    with pytest.raises(BadReply, match=f"{BATCH}: loop detected in paging"):
        list(seen(shop, stuck)[0].pages(ORDERS, START))


def test_passing_fault_in_a_batch_loses_no_line() -> None:
    """A server fault over one part sends the whole batch again."""
    fault = Fault(BATCH, "partial")
    shop = stocked([300, 300], fault)
    assert sizes(shop.read(ORDERS)) == expected(shop)
    assert fault.fired


def test_page_that_never_comes_is_halved_once() -> None:
    """No answer in time, tries used up: half a page may come in time; if not, the platform is given up."""
    shop = stocked([1] * 300)

    def patient(limit: int) -> Source:
        def silent(body: dict[str, Any]) -> None:
            if body["variables"].get("first", 0) > limit:
                shop.clock.advance(60)
                raise Drop(timeout=True)

        return seen(shop, silent)[0]

    source = patient(125)
    assert [len(page.records) for page in source.pages(ORDERS, START)] == [125, 125, 50]
    with pytest.raises(TimedOut):
        list(patient(100).pages(ORDERS, START))


def test_shop_that_is_away_is_not_asked_for_less() -> None:
    """Only missing answers make a page smaller, not refused ones."""
    shop = stocked([1], Fault("OrdersPage", "status", times=0, status=503))
    with pytest.raises(Unavailable) as caught:
        shop.read(ORDERS)
    assert not isinstance(caught.value, TimedOut)
