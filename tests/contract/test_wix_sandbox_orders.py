"""Orders and abandoned checkouts of the simulated Wix site: what is found, how it looks, when it is late."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import orjson
import pytest
from wix_rig import DAY, NOW, Rig, validator

from connector.sandbox.changes import happen
from connector.sandbox.records import guid
from connector.sandbox.world import World
from connector.wix import sandbox_checkouts as checkouts
from connector.wix.sandbox_orders import amount
from sync.clock import ManualClock

ORDERS = "/ecom/v1/orders/search"
CHECKOUTS = "/ecom/v1/abandoned-checkout"
UPDATED = [{"fieldName": "updatedDate", "order": "ASC"}]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def _ids(orders: list[Any]) -> list[str]:
    return [order["id"] for order in orders]


@pytest.mark.parametrize("body", [{"filter": {}, "cursorPaging": {}}, {"query": {}}, {}, {"search": []}])
def test_the_envelope_is_search_and_nothing_else(rig: Rig, body: Any) -> None:
    """A filter beside it would be dropped in silence: here it is refused."""
    rig.open().refused(ORDERS, body)


@pytest.mark.parametrize(
    "filter_",
    [
        {"dateUpdated": {"$gte": "2026-01-01T00:00:00Z"}},
        {"status": {"$gt": "APPROVED"}},
        {"updatedDate": {"$gte": "yesterday"}},
        {"updatedDate": {}},
        {"id": {"$in": []}},
        {"buyerInfo.visitorId": "x"},
        {"archived": {"$eq": "yes"}},
        {"$and": {}},
        {"$nor": [{}]},
        {"lineItems.catalogReference.catalogItemId": {"$in": ["x"]}},
    ],
)
def test_filters_that_are_not_in_the_table_are_refused(rig: Rig, filter_: Any) -> None:
    """A field, an operator or a value that the field does not take: 400 with the field's violation."""
    error = rig.open().refused(ORDERS, {"search": {"filter": filter_}})
    assert error["details"]["validationError"]["fieldViolations"]


@pytest.mark.parametrize(
    "search",
    [
        {"cursorPaging": {"limit": 101}},
        {"cursorPaging": {"limit": 0}},
        {"cursorPaging": {"offset": 5}},
        {"sort": [{"fieldName": "id"}]},
        {"sort": [{"fieldName": "number"}] * 5},
        {"sort": [{"fieldName": "number", "order": "asc"}]},
        {"cursorPaging": {"cursor": "never given"}},
    ],
)
def test_paging_and_sorting_have_limits(rig: Rig, search: Any) -> None:
    """100 a page, four sort objects, no offsets, no cursor of one's own."""
    rig.open().refused(ORDERS, {"search": search})


def test_orders_come_page_by_page_with_a_cursor_that_locks_the_rest(rig: Rig) -> None:
    """`hasNext` and the cursor end together; there is no total; a filter beside the cursor is refused."""
    person = rig.person()
    made = [rig.order(person, at=NOW - day * DAY).guid for day in range(7, 0, -1)]
    rig.open()
    asked = {"filter": {"updatedDate": {"$gte": "2026-01-01T00:00:00Z"}}, "sort": UPDATED, "cursorPaging": {"limit": 3}}
    first = rig.post(ORDERS, {"search": asked})
    assert first["metadata"].keys() == {"count", "cursors", "hasNext"}
    assert (_ids(first["orders"]), first["metadata"]["hasNext"]) == (made[:3], True)
    paging = {"limit": 3, "cursor": first["metadata"]["cursors"]["next"]}
    rig.refused(ORDERS, {"search": {"filter": {}, "cursorPaging": paging}})
    rig.refused(ORDERS, {"search": {"sort": UPDATED, "cursorPaging": paging}})
    assert _ids(rig.orders(**asked)) == made
    last = rig.orders(**asked)[-1]
    assert last["id"] == made[-1]


def test_the_newest_come_first_unless_asked_otherwise(rig: Rig) -> None:
    """The default sort is createdDate, downwards; two keys may run in different directions."""
    person = rig.person()
    old, new = (rig.order(person, at=NOW - day * DAY) for day in (2, 1))
    twin = rig.order(person, at=NOW - DAY)
    rig.open()
    assert _ids(rig.orders())[-1] == old.guid
    sort = [{"fieldName": "createdDate", "order": "DESC"}, {"fieldName": "number", "order": "ASC"}]
    assert _ids(rig.orders(sort=sort)) == [new.guid, twin.guid, old.guid]


def test_pending_and_rejected_come_only_when_a_status_is_named(rig: Rig) -> None:
    """INITIALIZED never comes, but can be read by its id; archived orders are ordinary ones."""
    person = rig.person()
    plain, pending, rejected, begun, archived = (rig.order(person) for _ in range(5))
    rig.open()
    for order, status in ((pending, "PENDING"), (rejected, "REJECTED"), (begun, "INITIALIZED")):
        rig.site.mark(order, status=status)
    rig.site.mark(archived, archived=True)
    rig.settle()
    every = ["APPROVED", "CANCELED", "PENDING", "REJECTED", "INITIALIZED"]
    assert set(_ids(rig.orders())) == {plain.guid, archived.guid}
    named = {plain.guid, archived.guid, pending.guid, rejected.guid}
    assert set(_ids(rig.orders(filter={"status": {"$in": every}}))) == named
    assert _ids(rig.orders(filter={"$and": [{"status": "PENDING"}]})) == [pending.guid]
    assert _ids(rig.orders(filter={"archived": True})) == [archived.guid]
    assert rig.get(f"/ecom/v1/orders/{begun.guid}")["order"]["status"] == "INITIALIZED"


def test_filters_find_what_they_say(rig: Rig) -> None:
    """Every operator, on a field that takes it."""
    ana, ben = rig.person(), rig.person("ben@example.com")
    one = rig.order(ana, codes=("WELCOME",), order_off=100)
    two = rig.world.place_order(ben, [(rig.tea, 1)])
    rig.open()
    found = {
        "id": {"$in": [one.guid]},
        "buyerInfo.contactId": ana.guid,
        "buyerInfo.email": {"$startsWith": "ana"},
        "number": {"$lt": "1002"},
        "priceSummary.total.amount": {"$gt": "10.00"},
        "lineItems.productName.original": {"$hasAll": ["Stoneware mug", "Earl Grey"]},
        "lineItems.catalogReference.catalogItemId": {"$hasSome": [rig.mug.guid]},
        "purchasedDate": {"$exists": True, "$eq": "2026-11-18T11:06:40Z"},
    }
    both = {one.guid, two.guid}
    for name, condition in found.items():
        wanted = both if name == "purchasedDate" else {one.guid}
        assert set(_ids(rig.orders(filter={name: condition}))) == wanted, name
    assert _ids(rig.orders(filter={"$not": {"id": one.guid}})) == [two.guid]
    assert set(_ids(rig.orders(filter={"$or": [{"id": one.guid}, {"id": {"$eq": two.guid}}]}))) == both
    assert _ids(rig.orders(filter={"id": {"$nin": [one.guid]}, "status": {"$ne": "CANCELED"}})) == [two.guid]


def test_money_adds_up_as_decimal_strings(rig: Rig) -> None:
    """Subtotal less discount plus shipping and tax is the total; the price of a piece may be rounded."""
    order = rig.order(rig.person(), codes=("XMAS",), order_off=101, shipping=490, tax=100)
    shown = rig.open().orders()[0]
    prices = {name: Decimal(price["amount"]) for name, price in shown["priceSummary"].items()}
    assert prices["subtotal"] - prices["discount"] + prices["shipping"] + prices["tax"] == prices["total"]
    assert shown["priceSummary"]["total"] == {"amount": amount(order.total, "EUR")}
    lines = shown["lineItems"]
    assert sum(Decimal(line["totalDiscount"]["amount"]) for line in lines) == prices["discount"]
    assert (
        sum(Decimal(line["priceBeforeDiscounts"]["amount"]) * line["quantity"] for line in lines) == prices["subtotal"]
    )
    assert [line["id"][-2:] for line in lines] == ["01", "02"]
    coupon = shown["appliedDiscounts"][0]["coupon"]
    assert (coupon["code"], coupon["amount"]) == ("XMAS", {"amount": "1.01"})


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(8500, "EUR", "85.00"), (5, "EUR", "0.05"), (-5, "EUR", "-0.05"), (12, "JPY", "12"), (1234, "KWD", "1.234")],
)
def test_amounts_have_all_digits_of_the_currency(minor: int, currency: str, text: str) -> None:
    """Two for most, none for the yen."""
    assert amount(minor, currency) == text


def test_a_guest_is_a_visitor_and_a_buyer_has_a_contact(rig: Rig) -> None:
    """Guests have no contact id; a member is known by the member's id instead of the visitor's."""
    guest = rig.order(None, email="guest@example.com")
    nobody = rig.order(None)
    buyer = rig.order(rig.person())
    member = rig.order(rig.person("mia@example.com", account="ENABLED"))
    rig.open()
    shown = {order["id"]: order["buyerInfo"] for order in rig.orders()}
    assert shown[guest.guid].keys() == {"visitorId", "email"}
    assert shown[nobody.guid].keys() == {"visitorId"}
    assert shown[buyer.guid].keys() == {"visitorId", "contactId", "email"}
    assert shown[member.guid].keys() == {"memberId", "contactId", "email"}
    assert buyer.customer is not None
    assert shown[buyer.guid]["contactId"] == buyer.customer.guid


def test_orders_that_wix_cannot_have_are_left_out(rig: Rig) -> None:
    """Test orders, and orders of more than 300 lines."""
    person = rig.person()
    rig.order(person, test=True)
    rig.world.place_order(person, [(rig.tea, 1)] * 301)
    longest = rig.world.place_order(person, [(rig.tea, 1)] * 300)
    rig.open()
    assert _ids(rig.orders()) == [longest.guid]


def test_refunds_show_in_the_balance_the_status_and_the_activities(rig: Rig) -> None:
    """`paid` includes what was given back; the records with dates and amounts are the order's transactions."""
    person = rig.person()
    order = rig.order(person, at=NOW - 9 * DAY)
    refund = rig.world.refund(order, {order.lines[0].number: 1}, at=NOW - DAY)
    whole = rig.order(person)
    rig.world.refund(whole)
    gone = rig.order(person, paid=False)
    rig.world.cancel(gone)
    rig.open()
    shown = {each["id"]: each for each in rig.orders()}
    first = shown[order.guid]
    assert first["paymentStatus"] == "PARTIALLY_REFUNDED"
    assert first["balanceSummary"]["paid"]["amount"] == amount(order.total, "EUR")
    assert first["balanceSummary"]["refunded"]["amount"] == amount(refund.amount, "EUR")
    assert first["lineItems"][0]["refundQuantity"] == 1
    kinds = [each["activityType"] for each in first["activities"]]
    assert kinds == ["ORDER_PLACED", "ORDER_PAID", "PAYMENT_REFUNDED"]
    assert shown[whole.guid]["paymentStatus"] == "FULLY_REFUNDED"
    assert (shown[gone.guid]["status"], shown[gone.guid]["paymentStatus"]) == ("CANCELED", "NOT_PAID")
    asked = {"orderIds": [order.guid, guid("order", 1), gone.guid]}
    first, second = rig.post("/ecom/v1/payments/list-by-ids", asked)["orderTransactions"]
    assert (first["orderId"], second["payments"], second["refunds"]) == (order.guid, [], [])
    record = first["refunds"][0]
    assert (record["id"], record["createdDate"]) == (refund.guid, "2026-11-17T11:06:40.000Z")
    assert record["transactions"][0]["amount"] == {"amount": amount(refund.amount, "EUR")}
    assert record["transactions"][0]["paymentId"] == first["payments"][0]["id"]
    assert record["details"]["lineItems"] == [{"lineItemId": shown[order.guid]["lineItems"][0]["id"], "quantity": 1}]


@pytest.mark.parametrize("ids", [[], ["x"] * 101, "x"])
def test_transactions_are_asked_for_by_1_to_100_ids(rig: Rig, ids: Any) -> None:
    """More or none is a 400."""
    rig.open().refused("/ecom/v1/payments/list-by-ids", {"orderIds": ids})


def test_imported_orders_keep_the_day_of_their_purchase(rig: Rig) -> None:
    """`createdDate` is the day of the import; the others have no `purchasedDate`."""
    person = rig.person()
    moved, plain = rig.order(person), rig.order(person)
    moved.processed_at = NOW - 400 * DAY
    rig.open()
    shown = {each["id"]: each for each in rig.orders()}
    assert (shown[moved.guid]["imported"], shown[moved.guid]["purchasedDate"][:10]) == (True, "2025-10-14")
    assert "purchasedDate" not in shown[plain.guid]
    assert _ids(rig.orders(filter={"imported": True})) == [moved.guid]


def test_searches_lag_and_reading_by_id_does_not(rig: Rig) -> None:
    """A change is found once the index has it, under the date it has."""
    order = rig.order(rig.person(), at=NOW - DAY)
    rig.open()
    rig.clock.advance(100)
    rig.world.cancel(order)
    late = {"filter": {"updatedDate": {"$gt": "2026-11-18T11:06:40Z"}}}
    assert rig.orders(**late) == []
    assert rig.get(f"/ecom/v1/orders/{order.guid}")["order"]["status"] == "CANCELED"
    rig.settle()
    assert _ids(rig.orders(**late)) == [order.guid]
    rig.world.delete_order(order)
    rig.settle()
    assert rig.orders() == []
    assert rig.call("GET", f"/ecom/v1/orders/{order.guid}").status == 404


def test_what_changes_during_a_walk_moves_behind_the_cursor(rig: Rig) -> None:
    """Upwards by date of change, a changed order comes again at the end: cursors are places, not snapshots."""
    person = rig.person()
    made = [rig.order(person, at=NOW - day * DAY) for day in (3, 2, 1)]
    rig.open()
    first = rig.post(ORDERS, {"search": {"sort": UPDATED, "cursorPaging": {"limit": 2}}})
    rig.world.cancel(made[0])
    rig.settle()
    paging = {"cursor": first["metadata"]["cursors"]["next"], "limit": 2}
    rest = rig.post(ORDERS, {"search": {"cursorPaging": paging}})
    assert _ids(first["orders"] + rest["orders"]) == [made[0].guid, made[1].guid, made[2].guid, made[0].guid]


def test_edited_orders_keep_the_ids_of_their_lines(rig: Rig) -> None:
    """A line that stays keeps its id, a new one gets the next."""
    order = rig.order(rig.person())
    rig.open()
    before = rig.orders()[0]["lineItems"]
    rig.world.edit_order(order, [order.lines[1], (rig.mug, 1)])
    rig.settle()
    after = rig.orders()[0]["lineItems"]
    assert after[0]["id"] == before[1]["id"]
    assert after[1]["id"] not in {line["id"] for line in before}


def test_checkouts_are_of_known_people_and_share_their_id_with_the_order(rig: Rig) -> None:
    """Nobody's cart and an empty one never appear; a recovered one stays and leads to the order."""
    ana = rig.person(first_name="Ana")
    known = rig.world.abandon_cart(ana, [(rig.mug, 2)], at=NOW - DAY, codes=("HELLO",))
    mailed = rig.world.abandon_cart(None, [(rig.tea, 1)], email="guest@example.com", at=NOW - 2 * DAY)
    rig.world.abandon_cart(None, [(rig.tea, 1)])
    rig.world.abandon_cart(ana, [])
    rig.open()
    shown = {each["id"]: each for each in rig.checkouts()}
    assert set(shown) == {known.guid, mailed.guid}
    assert shown[known.guid]["contactDetails"] == {"firstName": "Ana"}
    assert shown[known.guid]["totalPrice"] == {"amount": "33.80", "convertedAmount": "33.80"}
    assert shown[mailed.guid]["buyerInfo"].keys() == {"visitorId", "email"}
    order = rig.world.complete_cart(known)
    rig.settle()
    (recovered,) = rig.checkouts(filter={"status": "RECOVERED"})
    assert recovered["checkoutRecoveredDate"] == recovered["updatedDate"]
    bought = rig.orders()[0]
    assert (bought["id"], bought["checkoutId"]) == (order.guid, recovered["checkoutId"])
    assert _ids(rig.orders(filter={"checkoutId": recovered["checkoutId"]})) == [order.guid]
    assert rig.get(f"{CHECKOUTS}/{known.guid}")["abandonedCheckout"]["status"] == "RECOVERED"


def test_query_and_search_call_their_metadata_differently(rig: Rig) -> None:
    """`metadata` without `hasNext`, with a deprecated twin of the list, and `pagingMetadata` without one."""
    rig.world.abandon_cart(rig.person(), [(rig.mug, 1)], codes=("HELLO",))
    rig.open()
    query = rig.post(f"{CHECKOUTS}/query", {"query": {}})
    assert query["results"] == query["abandonedCheckouts"]
    assert query["metadata"] == {"count": 1, "cursors": {}}
    coupon = {"appliedDiscounts.coupon.code": {"$hasSome": ["HELLO"]}}
    search = rig.post(f"{CHECKOUTS}/search", {"search": {"filter": coupon}})
    assert search.keys() == {"abandonedCheckouts", "pagingMetadata"}
    assert search["pagingMetadata"]["count"] == 1
    rig.refused(f"{CHECKOUTS}/query", {"query": {"filter": {"status": {"$gt": "A"}}}})
    rig.refused(f"{CHECKOUTS}/query", {"search": {}})
    rig.refused(f"{CHECKOUTS}/search", {"search": {"sort": [{"fieldName": "status"}]}})


def test_a_whole_shop_follows_the_schemas_and_comes_once() -> None:
    """Every order and checkout of a generated shop, with everything that can happen to them."""
    world = World.generate(3, 60, clock=ManualClock(NOW))
    rig = Rig(world=world, per_minute=10_000).open()
    orders = rig.orders(sort=UPDATED, cursorPaging={"limit": 100})
    possible = [order for order in world.orders.values() if not order.test and len(order.lines) <= 300]
    assert sorted(_ids(orders)) == sorted(order.guid for order in possible)
    wanted = sorted(cart.guid for cart in world.carts.values() if cart.lines and (cart.customer or cart.email))
    assert sorted(_ids(rig.checkouts())) == wanted
    dates = [order["updatedDate"] for order in orders]
    assert dates == sorted(dates)


def test_an_order_by_id_looks_like_one_that_was_searched_for(rig: Rig) -> None:
    """The same object."""
    order = rig.order(rig.person())
    rig.open()
    single = rig.get(f"/ecom/v1/orders/{order.guid}")["order"]
    assert [single] == rig.orders()
    validator("orders_search.response").validate(orjson.loads(orjson.dumps({"orders": [single]})))


def test_after_a_day_of_changes_the_site_tells_what_the_world_knows() -> None:
    """Orders, refunds, merges, deletions, carts, consent, tags: once indexed, every list agrees with the world."""
    world = World.generate(5, 60, clock=ManualClock(NOW))
    rig = Rig(world=world, per_minute=10_000).open()
    rng = Random(5)
    for _ in range(4):
        rig.clock.sleep(3600)
        happen(world, rng, 30)
    rig.settle()
    shown = {each["id"]: each for each in rig.orders(sort=UPDATED)}
    for order in world.orders.values():
        if not rig.site.orders.serves(order):
            assert order.guid not in shown
            continue
        each = shown.pop(order.guid)
        assert each["buyerInfo"].get("contactId") == (order.customer.guid if order.customer else None)
        assert each["balanceSummary"]["refunded"]["amount"] == amount(order.refunded, order.currency)
        assert len(each["lineItems"]) == len(order.lines)
        assert (each["status"] == "CANCELED") == bool(order.cancelled_at)
    assert shown == {}
    contacts = rig.contacts(paging={"limit": 1000}, sort=[{"fieldName": "createdDate"}])
    assert set(_ids(contacts)) == {person.guid for person in world.customers.values()}
    recovered = {each["id"] for each in rig.checkouts(filter={"status": "RECOVERED"})}
    assert recovered == {cart.guid for cart in world.carts.values() if cart.completed_at and checkouts.serves(cart)}
    deleted = {event.subject for event in world.events if event.kind == "customer" and event.action == "destroy"}
    trash = rig.get("/contacts/v5/contacts/trash-bin", ("deletedFromDate", "2026-11-18T11:06:41Z"))["contacts"]
    assert {each["id"] for each in trash} == {guid("customer", number) for number in deleted}
