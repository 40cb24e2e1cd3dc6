"""Orders with several refunds wait until one request for them is full: all are read, whatever happens on the way."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wix_rig import DAY, NOW, Rig
from wix_source_rig import STREAMS, Reader, reader, small_pages

from connector.base import Cursor, Page, Record
from connector.errors import Unavailable
from connector.sandbox.world import World
from connector.wix.limits import limits
from sync.clock import ManualClock
from sync.pull.pull import PullReport, pull
from sync.store.engine import Store, open_store

ORDERS = STREAMS["orders"]
REFUNDS = "SELECT order_id, amount, refunded_at FROM refunds ORDER BY order_id, refunded_at"


def refunded(parts: list[int]) -> Rig:
    """A site with one order for each number, refunded in so many parts of one euro, a day after the other."""
    rig = Rig()
    ana = rig.person()
    for at, many in enumerate(parts):
        order = rig.order(ana, at=NOW - (len(parts) - at) * DAY)
        for part in range(many):
            rig.world.refund(order, amount=100, at=order.created_at + 60 * (part + 1))
    return rig.open()


def walked(found: Reader, token: str | None = None) -> list[Page]:
    return list(found.source.pages(ORDERS, Cursor(page_token=token)))


def told(records: list[Record]) -> dict[str, int]:
    """Refunds that were asked for, by order; no order comes twice."""
    found = {str(each["id"]): len(each.get("ourTransactions") or ()) for each in records}
    assert len(found) == len(records)
    return found


def expected(rig: Rig) -> dict[str, int]:
    return {each.guid: len(each.refunds) if len(each.refunds) > 1 else 0 for each in rig.world.orders.values()}


def of(pages: list[Page]) -> list[Record]:
    return [record for page in pages for record in page.records]


def waiting(page: Page) -> list[str]:
    return [each for each in (page.next_token or "").partition(";")[2].split(",") if each]


def test_orders_of_many_pages_share_a_call() -> None:
    """A request holds as many as Wix takes; the rest comes with the last page."""
    rig = refunded([2, 0, 0, 2, 1] * 61)
    found = reader(rig)
    pages = walked(found)
    assert told(of(pages)) == expected(rig)
    assert found.sent() == {"SearchOrders": 4, "ListTransactions": 2}
    assert [page.calls for page in pages] == [1, 1, 2, 2]
    assert [len(page.records) for page in pages] == [60, 60, 160, 25]
    assert max(len(waiting(page)) for page in pages) == 80 < limits().pages.payments


@pytest.mark.parametrize("payments", [1, 2, 3, 5, 100])
def test_a_walk_goes_on_from_every_token(payments: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was passed by before the stop is read again by id; nobody is lost and nobody comes twice."""
    small_pages(monkeypatch, orders=3, payments=payments)
    rig = refunded([2, 0, 3, 1, 2, 2, 0, 0, 2, 1, 2, 0, 4, 2])
    pages = walked(reader(rig))
    assert told(of(pages)) == expected(rig)
    for at, page in enumerate(pages[:-1]):
        assert len(waiting(page)) < payments
        before, rest = of(pages[: at + 1]), walked(reader(rig), page.next_token)
        again = {each["id"] for each in of(rest)} & {each["id"] for each in before}
        assert {**told(before), **told(of(rest))} == expected(rig)
        assert len(again) <= 1


@given(st.lists(st.integers(0, 3), max_size=24), st.integers(1, 5), st.integers(1, 5), st.data())
@settings(max_examples=25, deadline=None)
def test_any_stop_loses_nothing(parts: list[int], size: int, payments: int, data: st.DataObject) -> None:
    """Whatever the sizes, and stopped at every page: calls for refunds are the fewest, and all orders come."""
    with pytest.MonkeyPatch.context() as patch:
        small_pages(patch, orders=size, payments=payments)
        rig = refunded(parts)
        found = reader(rig)
        assert told(of(walked(found))) == expected(rig)
        assert found.sent()["ListTransactions"] == -(-sum(many > 1 for many in parts) // payments)
        token, read = None, dict[str, int]()
        for _ in range(3 * len(parts) + 2):
            stopped = walked(reader(rig), token)[: data.draw(st.integers(1, 3))]
            read |= told(of(stopped))
            token = stopped[-1].next_token
            if token is None:
                break
        assert token is None
        assert read == expected(rig)


@pytest.mark.parametrize("stopped", [False, True])
def test_an_order_that_changes_while_it_waits_comes_as_it_is_now(
    stopped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one refund more; it comes once in what is read then."""
    small_pages(monkeypatch, orders=2)
    rig = refunded([2, 0, 0, 0, 0])
    first = min(rig.world.orders.values(), key=lambda order: order.number)
    pages = reader(rig).source.pages(ORDERS, Cursor())
    page = next(pages)
    assert waiting(page) == [first.guid]
    rig.world.refund(first, amount=100, at=NOW)
    rig.settle()
    rest = told(of(walked(reader(rig), page.next_token) if stopped else list(pages)))
    assert rest[first.guid] == 3
    assert {**told([*page.records]), **rest} == expected(rig)


def test_a_cursor_that_dies_keeps_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk begins again where it had come to; who waits goes on waiting."""
    small_pages(monkeypatch, orders=2)
    rig = refunded([2, 0, 2, 0, 2, 0])
    rig.api.faults.add("SearchOrders", nth=3, kind="status", status=400, body='{"message":"invalid cursor"}')
    found = reader(rig)
    read = of(walked(found))
    assert {str(each["id"]): len(each.get("ourTransactions") or ()) for each in read} == expected(rig)
    assert found.sent()["ListTransactions"] == 1


def test_an_order_without_an_id_waits_for_nobody() -> None:
    """It is told of where it is mapped."""
    rig = refunded([2, 2])

    def handle(request: Any) -> Any:
        reply = rig.handle(request)
        body = reply.body.replace(b'"id":"%s"' % rig.world.orders[min(rig.world.orders)].guid.encode(), b'"x":1', 1)
        return type(reply)(reply.status, reply.headers, body) if "orders/search" in request.path else reply

    (page,) = walked(Reader(rig, handle))
    assert [("id" in each, bool(each.get("ourTransactions"))) for each in page.records] == [
        (False, False),
        (True, True),
    ]


def test_where_refunds_may_not_be_listed_all_who_wait_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is learnt once; their sums are known all the same."""
    small_pages(monkeypatch, orders=2, payments=2)
    rig = refunded([2, 0, 2, 2, 2, 2, 0, 2])
    rig.api.faults.add("ListTransactions", "status", status=403, body="{}")
    found = reader(rig)
    assert told(of(walked(found))) == dict.fromkeys(expected(rig), 0)
    assert sum(request.path.endswith("list-by-ids") for request, _ in rig.seen) == 1


def test_orders_read_by_their_ids_share_calls_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many chunks of ids."""
    small_pages(monkeypatch, ids=2)
    rig = refunded([2, 0, 2, 1, 2])
    found = reader(rig)
    pages = list(found.source.by_ids(ORDERS, [each.guid for each in rig.world.orders.values()]))
    assert told(of(pages)) == expected(rig)
    assert found.sent() == {"SearchOrders": 3, "ListTransactions": 1}
    assert sum(page.calls for page in pages) == 4


def test_a_run_that_is_stopped_anywhere_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every refund of the shop is in the store then, on its own day."""
    small_pages(monkeypatch, orders=10, payments=4)
    clock = ManualClock(NOW)
    world = World.generate(seed=11, customers=25, clock=clock)
    random = Random(11)
    for order in sorted(world.orders.values(), key=lambda order: order.number):
        if order.total - order.refunded > 200 and random.random() < 0.3:
            for _ in range(2):
                world.refund(order, amount=100, at=NOW - random.randrange(DAY))
    rig = Rig(world=world, check=False, per_minute=100_000).open()
    whole = _stored(rig, tmp_path / "whole.db", [])
    pages = rig.api.operations["SearchOrders"]
    assert len(whole) > 10
    assert pages > 3
    for stop in (2, pages // 2, pages):
        assert _stored(rig, tmp_path / f"{stop}.db", [stop]) == whole


def _stored(rig: Rig, path: Path, stops: list[int]) -> list[tuple[Any, ...]]:
    """Refunds in a new store after runs that were stopped at these requests for orders, and one that was not."""
    with closing(open_store(path, clock=rig.clock)) as store:
        for run, stop in enumerate(stops, start=1):
            away = rig.api.faults.add("SearchOrders", "unavailable", nth=stop, times=0)
            with pytest.raises(Unavailable):
                _run(rig, store, run)
            away.times = 1
        _run(rig, store, len(stops) + 1)
        return [tuple(row) for row in store.query(REFUNDS)]


def _run(rig: Rig, store: Store, run: int) -> PullReport:
    source = Reader(rig, requests_per_minute=100_000).source
    return pull(source, store, run_id=run, now=int(rig.clock.now()), zone=ZoneInfo("UTC"), prefix="seg-")
