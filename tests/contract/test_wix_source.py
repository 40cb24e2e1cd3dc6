"""What is read of a Wix site: every stream against the simulated API, requests held against the vendor's schemas."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from wix_rig import APP, DAY, NOW, Rig
from wix_source_rig import STREAMS, reader, small_pages

from connector.sandbox.records import guid
from connector.wix.connection import connect
from connector.wix.sandbox import API_KEY, SITE_ID
from connector.wix.sandbox_site import Campaign
from connector.wix.source import WixSource
from mappings.keys import key


def test_the_site_tells_its_name_currency_and_zone() -> None:
    """One call, once."""
    found = reader(Rig().open())
    shop = found.source.shop()
    assert (shop.id, shop.currency, shop.zone, shop.truncated) == (SITE_ID, "EUR", "Europe/Berlin", "")
    assert "guests" in shop.notes[0]
    found.source.shop()
    assert found.sent() == {"GetSiteProperties": 1}


def test_a_contact_is_read_with_the_names_of_its_labels() -> None:
    """Consent, place, membership, and labels by the names that the owner sees."""
    rig = Rig()
    rig.person(
        tags=["VIP"],
        first_name="Ana",
        country="US",
        region="CA",
        city="Los Angeles",
        email_consent="SUBSCRIBED",
        email_consent_at=NOW - 50 * DAY,
        account="ENABLED",
    )
    found = reader(rig.open())
    pages = found.pages("customers")
    (ana,) = found.mapped("customers", pages)
    assert (ana["email_key"], ana["email_status"], ana["email_status_at"]) == (
        "ana@example.com",
        "SUBSCRIBED",
        NOW - 50 * DAY,
    )
    assert (ana["region"], ana["city"], ana["account_state"]) == ("US-CA", "US-CA-Los Angeles", "ACTIVE")
    assert [row["tag"] for row in found.mapped("customers", pages, "customer_tags")] == ["VIP"]
    assert found.sent() == {"QueryContacts": 1, "QueryLabels": 1, "QueryContactsV5": 1}


def test_only_what_changed_is_read() -> None:
    """From the mark on; its own second was read before it became the mark."""
    rig = Rig()
    rig.person("old@example.com")
    later = rig.person("new@example.com")
    rig.world.touch(later, at=NOW - DAY)
    found = reader(rig.open())
    assert [row["email"] for row in found.rows("customers", NOW - 2 * DAY)] == ["new@example.com"]
    assert len(found.rows("customers", NOW - 200 * DAY)) == 2
    assert [row["email"] for row in found.rows("customers", NOW - DAY - 1)] == ["new@example.com"]
    assert found.rows("customers", NOW - DAY) == []


def test_contacts_are_walked_by_their_creation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages begin at the last date of the one before; nobody is missed and nobody comes twice."""
    small_pages(monkeypatch, contacts=3)
    rig = Rig()
    for number in range(10):
        rig.world.add_customer(f"p{number}@example.com", at=NOW - (100 - number // 2) * DAY)
    found = reader(rig.open())
    assert sorted(row["email"] for row in found.rows("customers")) == [f"p{number}@example.com" for number in range(10)]


def test_an_instant_may_fill_a_whole_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import gives many contacts one creation date: inside of it offsets go on."""
    small_pages(monkeypatch, contacts=3)
    rig = Rig()
    dates = [NOW - 90 * DAY] * 2 + [NOW - 80 * DAY] * 8 + [NOW - 70 * DAY] * 2
    for number, at in enumerate(dates):
        rig.world.add_customer(f"p{number:02d}@example.com", at=at)
    found = reader(rig.open())
    pages = found.pages("customers")
    assert len({page.next_token for page in pages}) == len(pages)
    emails = [row["email"] for row in found.mapped("customers", pages)]
    assert sorted(emails) == [f"p{number:02d}@example.com" for number in range(12)]
    resumed = found.mapped("customers", found.pages("customers", None, pages[1].next_token))
    assert {*emails[:6], *(row["email"] for row in resumed)} == set(emails)


def test_a_contact_that_changes_during_the_walk_comes_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is behind the place; its change date is newer than the beginning of the run."""
    small_pages(monkeypatch, contacts=2)
    rig = Rig()
    people = [rig.world.add_customer(f"p{number}@example.com", at=NOW - (50 - number) * DAY) for number in range(5)]
    rig.open()
    rig.api.faults.after("QueryContacts", lambda: rig.world.touch(people[0], at=NOW + 1), nth=1)
    found = reader(rig)
    assert len({row["id"] for row in found.rows("customers")}) == 5
    rig.settle()
    assert [row["email"] for row in found.rows("customers", NOW)] == ["p0@example.com"]


def test_a_site_of_version_four_only_is_read_all_the_same() -> None:
    """That version 5 is missing is learnt once; the date of a consent stays unknown then."""
    rig = Rig(v5=False)
    for number in range(3):
        rig.person(f"p{number}@example.com", email_consent="SUBSCRIBED", email_consent_at=NOW - DAY)
    found = reader(rig.open())
    found.rows("customers")
    people = found.rows("customers")
    assert {(row["email_status"], row["email_status_at"]) for row in people} == {("SUBSCRIBED", None)}
    assert sum(request.path.startswith("/contacts/v5") for request, _ in rig.seen) == 1
    assert list(found.source.gone(STREAMS["customers"])) == []


def test_consent_is_asked_for_where_a_contact_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In portions of fifty addresses, and only then."""
    rig = Rig()
    for number in range(60):
        rig.person(f"p{number}@example.com", email_consent="SUBSCRIBED", email_consent_at=NOW - DAY)
    rig.open()
    shown = rig.handle

    def without(request: Any) -> Any:
        reply = shown(request)
        body = reply.body.replace(b'"subscriptionStatus":"SUBSCRIBED","deliverabilityStatus":"VALID"}', b'"x":1}')
        return type(reply)(reply.status, reply.headers, body) if "/v4/contacts/query" in request.path else reply

    monkeypatch.setattr(rig, "handle", without)
    found = reader(rig)
    assert {row["email_status"] for row in found.rows("customers")} == {"SUBSCRIBED"}
    assert found.sent()["QueryEmailSubscriptions"] == 2


def test_a_merged_contact_leads_to_its_survivor() -> None:
    """Asked for by its old id; a deleted one is absent and lies in the trash bin."""
    rig = Rig()
    kept, merged, deleted, far = (rig.person(f"{name}@example.com") for name in ("kept", "merged", "deleted", "far"))
    rig.open()
    rig.world.merge(merged, kept)
    rig.world.merge(far, rig.person("survivor@example.com"))
    rig.world.delete_customer(deleted)
    rig.settle()
    found = reader(rig)
    (page,) = found.source.by_ids(STREAMS["customers"], [kept.guid, merged.guid, deleted.guid, far.guid])
    survivor = rig.world.by_email("survivor@example.com")[0]
    assert page.merged == {merged.guid: kept.guid, far.guid: survivor.guid}
    assert sorted(record["id"] for record in page.records) == sorted([kept.guid, survivor.guid])
    gone = [record["id"] for page in found.source.gone(STREAMS["customers"]) for record in page.records]
    assert gone == [deleted.guid]


def test_the_trash_bin_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page; of other streams Wix keeps no such list."""
    small_pages(monkeypatch, contacts_v5=2)
    rig = Rig()
    people = [rig.person(f"p{number}@example.com") for number in range(5)]
    rig.open()
    for person in people:
        rig.world.delete_customer(person)
    found = reader(rig)
    pages = list(found.source.gone(STREAMS["customers"]))
    assert {record["id"] for page in pages for record in page.records} == {person.guid for person in people}
    assert [page.next_token is None for page in pages] == [False, False, True]
    assert list(found.source.gone(STREAMS["orders"])) == []


def test_contacts_and_orders_can_be_swept() -> None:
    """Ids of all that lives, and the number of contacts."""
    rig = Rig()
    ana, bob = rig.person(), rig.person("bob@example.com")
    order = rig.order(ana)
    found = reader(rig.open())
    ids = {
        name: {record["id"] for page in found.source.ids(STREAMS[name]) for record in page.records}
        for name in ("customers", "orders")
    }
    assert ids == {"customers": {ana.guid, bob.guid}, "orders": {order.guid}}
    assert found.source.counts() == {"customers": 2}


def test_an_order_is_read_with_lines_codes_and_refund() -> None:
    """A discount on the whole order is on its lines; one refund needs no further call."""
    rig = Rig()
    ana = rig.person()
    order = rig.order(ana, order_off=1000, codes=["TEN"], shipping=490, tax=300)
    rig.world.refund(order, amount=500, at=NOW)
    found = reader(rig.open())
    pages = found.pages("orders")
    (row,) = found.mapped("orders", pages)
    lines = found.mapped("orders", pages, "order_lines")
    (refund,) = found.mapped("orders", pages, "refunds")
    assert (row["source_customer_id"], row["name"], row["status"]) == (key(ana.guid), order.name, "paid")
    assert (row["gross"], row["discount"], row["total"], row["refunded"]) == (4170, 1000, order.total, 500)
    assert row["coupon"] is True
    assert sum(line["net"] for line in lines) == order.total - 490 - 300
    assert {line["product_id"] for line in lines} == {key(rig.mug.guid), key(rig.tea.guid)}
    assert (refund["amount"], refund["refunded_at"]) == (500, NOW)
    assert [code["code"] for code in found.mapped("orders", pages, "order_codes")] == ["TEN"]
    assert found.sent() == {"SearchOrders": 1}


def test_several_refunds_are_asked_for_together() -> None:
    """One call for all orders of a page that do not tell themselves what went back when."""
    rig = Rig()
    ana = rig.person()
    for _ in range(2):
        order = rig.order(ana)
        rig.world.refund(order, amount=500, at=NOW - DAY)
        rig.world.refund(order, amount=700, at=NOW)
    rig.order(ana)
    found = reader(rig.open())
    refunds = found.rows("orders", table="refunds")
    assert sorted((row["amount"], row["refunded_at"]) for row in refunds) == sorted([(500, NOW - DAY), (700, NOW)] * 2)
    assert found.sent() == {"SearchOrders": 1, "ListTransactions": 1}


def test_orders_of_every_status_are_read() -> None:
    """Pending, rejected, cancelled and archived ones too, each with what tells whether it counts."""
    rig = Rig()
    ana = rig.person()
    orders = [rig.order(ana) for _ in range(4)]
    rig.world.cancel(orders[1], at=NOW)
    rig.open()
    rig.site.mark(orders[2], status="PENDING")
    rig.site.mark(orders[3], status="REJECTED")
    rig.site.mark(orders[0], archived=True)
    rig.settle()
    rows = {row["name"]: row for row in reader(rig).rows("orders")}
    assert [rows[order.name]["status"] for order in orders] == ["paid", "paid", "paid", "rejected"]
    assert [rows[order.name]["cancelled_at"] for order in orders] == [None, NOW, None, None]


def test_orders_go_on_where_they_were_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the last change date, not by a cursor that may have died meanwhile."""
    small_pages(monkeypatch, orders=2)
    rig = Rig()
    ana = rig.person()
    orders = [rig.order(ana, at=NOW - (10 - day) * DAY) for day in range(5)]
    rig.open()
    pages = reader(rig).pages("orders")
    assert [len(page.records) for page in pages] == [2, 2, 1]
    resumed = reader(rig).rows("orders")
    assert len(resumed) == 5
    rest = reader(rig).pages("orders", None, pages[1].next_token)
    assert [record["id"] for page in rest for record in page.records] == [orders[3].guid, orders[4].guid]
    assert [page.next_token is None for page in pages] == [False, False, True]


def test_orders_are_read_by_their_ids() -> None:
    """Those that do not exist are missing."""
    rig = Rig()
    order = rig.order(rig.person())
    found = reader(rig.open())
    pages = list(found.source.by_ids(STREAMS["orders"], [order.guid, guid("order", 999)]))
    assert [record["id"] for page in pages for record in page.records] == [order.guid]


def test_a_checkout_is_read_with_its_lines() -> None:
    """Its value is that of the lines; one that was recovered is complete."""
    rig = Rig()
    ana = rig.person()
    open_ = rig.world.abandon_cart(ana, [(rig.mug, 2)], at=NOW - DAY)
    bought = rig.world.abandon_cart(ana, [(rig.tea, 1)], at=NOW - 2 * DAY)
    rig.world.complete_cart(bought, at=NOW - DAY)
    found = reader(rig.open())
    rows = {row["id"]: row for row in found.rows("carts")}
    assert (rows[key(open_.guid)]["total"], rows[key(open_.guid)]["completed_at"]) == (3380, None)
    assert rows[key(open_.guid)]["source_customer_id"] == key(ana.guid)
    assert rows[key(bought.guid)]["completed_at"] == NOW - DAY
    assert [
        record["id"] for page in found.source.by_ids(STREAMS["carts"], [open_.guid]) for record in page.records
    ] == [open_.guid]


def test_a_checkout_and_its_order_share_a_key() -> None:
    """By it the store knows that the checkout was bought, though Wix may still show it as abandoned."""
    rig = Rig()
    cart = rig.world.abandon_cart(rig.person(), [(rig.mug, 1)], at=NOW - DAY)
    rig.world.complete_cart(cart, at=NOW)
    found = reader(rig.open())
    (checkout,), (order,) = found.rows("carts"), found.rows("orders")
    assert checkout["checkout_key"] == order["checkout_key"] == key(guid("checkout", cart.number))
    assert found.sent() == {"SearchOrders": 1, "QueryAbandonedCheckouts": 1}


@pytest.mark.parametrize("catalogue", ["v1", "v3"])
def test_products_carry_category_and_brand(catalogue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In both versions of the catalogue, however many pages; "All Products" is no category."""
    small_pages(monkeypatch, products=1)
    rig = Rig(catalogue=catalogue)
    rig.world.add_product("Gift card", 1000)
    found = reader(rig.open())
    rows = {row["title"]: (row["category"], row["brand"]) for row in found.rows("products")}
    assert rows == {"Stoneware mug": ("Mugs", "Lind"), "Earl Grey": ("Tea", None), "Gift card": (None, None)}
    assert found.rows("products", NOW - DAY) == []
    (page,) = found.source.by_ids(STREAMS["products"], [rig.tea.guid])
    assert page.records[0]["ourCategory"] == "Tea"
    assert found.sent()["GetCatalogVersion"] == 1


def test_the_latest_activity_of_each_contact_is_an_event() -> None:
    """Named as Wix names it; without a mark nobody's log is read."""
    rig = Rig(activity_log=True)
    ana = rig.person()
    rig.person("bob@example.com")
    rig.order(ana)
    found = reader(rig.open())
    rows = {row["email_key"]: (row["name"], row["at"]) for row in found.rows("events")}
    assert rows == {
        "ana@example.com": ("ECOM_PURCHASE", NOW),
        "bob@example.com": ("CONTACT_CREATED", NOW - 100 * DAY),
    }
    assert found.sent() == {"QueryContacts": 1}


@pytest.mark.parametrize("log", [True, False])
def test_the_log_is_read_where_somebody_acted(log: bool) -> None:
    """One request for each of them; where the site has no log, it is tried once and the latest activity remains."""
    rig = Rig(activity_log=log)
    for name in ("ana", "bob"):
        person = rig.person(f"{name}@example.com")
        rig.order(person, at=NOW - 2000)
        rig.world.abandon_cart(person, [(rig.mug, 1)], at=NOW - 1000)
    rig.person("idle@example.com")
    found = reader(rig.open())
    rows = found.rows("events", NOW - DAY)
    assert Counter(row["email_key"] for row in rows) == dict.fromkeys(
        ["ana@example.com", "bob@example.com"], 2 if log else 1
    )
    asked = sum(request.path.endswith("/activities") for request, _ in rig.seen)
    assert asked == (2 if log else 1)
    assert len({row["id"] for row in rows}) == len(rows)


def test_an_activity_is_one_event_however_often_it_is_read() -> None:
    """The log calls it by its template, the contact by its type; what is known already is not asked for."""
    rig = Rig(activity_log=True)
    rig.order(rig.person(), at=NOW - 1000)
    found = reader(rig.open())
    first, again = found.rows("events", NOW - DAY), found.rows("events", NOW - 1000)
    assert [row["name"] for row in first] == ["ECOM_PURCHASE"]
    assert again == first
    assert found.sent()["ListActivities"] == 1


def test_opens_and_clicks_of_recent_campaigns_are_events() -> None:
    """Those of a month; a click that is older than the mark is known already."""
    rig = Rig()
    ana = rig.person()
    rig.open()
    sent = [ana.number]
    rig.site.campaigns += [
        Campaign(
            guid("campaign", 1), "Spring", NOW - 5 * DAY, sent, {ana.number: NOW - 4 * DAY}, {ana.number: NOW - 3 * DAY}
        ),
        Campaign(guid("campaign", 2), "Winter", NOW - 40 * DAY, sent, {ana.number: NOW - 39 * DAY}, {}),
    ]
    found = reader(rig)
    rows = [(row["name"], row["campaign"], row["at"]) for row in found.rows("email_events")]
    assert rows == [("email.opened", "Spring", NOW - 4 * DAY), ("email.clicked", "Spring", NOW - 3 * DAY)]
    later = found.rows("email_events", NOW - 3 * DAY)
    assert [(row["name"], row["source_customer_id"]) for row in later] == [("email.clicked", key(ana.guid))]


def test_an_app_is_let_in_with_a_token() -> None:
    """The token is for one site: no site header goes with it."""
    rig = Rig(app=APP)
    rig.person()
    rig.open()
    access = rig.access()
    names = ("REGULARS_WIX_APP_ID", "REGULARS_WIX_APP_SECRET", "REGULARS_WIX_INSTANCE_ID")
    access = type(access)(access.settings, dict(zip(names, APP, strict=True)), access.clock, access.transport)
    source = WixSource(connect(access))
    assert source.counts() == {"customers": 1}
    assert next(request.path for request, _ in rig.seen) == "/oauth2/token"
    assert "wix-site-id" not in rig.seen[-1][0].headers


def test_a_key_names_its_site() -> None:
    """Bare, and the site beside it."""
    rig = Rig().open()
    reader(rig).source.counts()
    headers = rig.seen[-1][0].headers
    assert (headers["authorization"], headers["wix-site-id"]) == (API_KEY, SITE_ID)
