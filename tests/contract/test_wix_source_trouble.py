"""What goes wrong at Wix: limits, gateways, tokens, cursors that turn in circles, missing permissions, old versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from wix_rig import APP, DAY, NOW, Rig
from wix_source_rig import STREAMS, Reader, clock, reader, shop, small_pages

from connector.base import Access, Cursor, Reply
from connector.errors import AuthError, BadReply, ScopeError, Unavailable
from connector.http import handler_transport
from connector.retry import PATIENT_FOR_A_PERSON
from connector.sandbox.records import guid
from connector.sandbox.wire import Request
from connector.wix import WixSettings
from connector.wix.connection import connect
from connector.wix.judge import Refused
from connector.wix.sandbox import API_KEY, SITE_ID
from connector.wix.sandbox_site import Campaign
from connector.wix.source import WixSource
from mappings.keys import key
from mappings.load import MappingError


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        ({"kind": "throttled"}, (60, 66)),
        ({"kind": "throttled", "retry_after": 7}, (7, 8)),
        ({"kind": "unavailable"}, (0, 2)),
        ({"kind": "html_500"}, (0, 2)),
        ({"kind": "truncated"}, (0, 2)),
        ({"kind": "malformed"}, (0, 2)),
        ({"kind": "reset"}, (0, 2)),
        ({"kind": "timeout"}, (0, 2)),
    ],
    ids=lambda value: value.get("kind") if isinstance(value, dict) else None,
)
@pytest.mark.parametrize(
    ("stream", "operation"), [("customers", "QueryContacts"), ("orders", "SearchOrders"), ("carts", "QueryAbandoned")]
)
def test_what_passes_is_waited_for(stream: str, operation: str, fault: dict[str, Any], waits: tuple[int, int]) -> None:
    """A minute where Wix names no time, its own time where it does, the backoff for the rest."""
    rig = shop()
    rig.api.faults.add(operation, **fault)
    assert len(reader(rig).rows(stream)) == 1
    assert waits[0] <= clock(rig).slept <= waits[1] + 1


def test_somebody_at_the_screen_does_not_wait_a_minute() -> None:
    """The error says when to run again."""
    rig = shop()
    rig.api.faults.add("QueryContacts", "throttled", times=0)
    access = rig.access()
    hasty = Access(access.settings, access.secrets, access.clock, access.transport, PATIENT_FOR_A_PERSON)
    with pytest.raises(Unavailable, match="60 s of pause"):
        WixSource(connect(hasty)).counts()


def test_the_pace_is_kept_before_wix_complains() -> None:
    """So many requests a minute as the section says; reading and writing of one access share them."""
    rig = shop()
    source = Reader(rig, requests_per_minute=5).source
    for _ in range(11):
        source.counts()
    assert 110 < clock(rig).slept < 130
    access = rig.access()
    assert connect(access) is connect(access)
    assert set(access.budgets) == {"wix", "wix.connection"}


def test_a_token_that_ends_is_asked_for_again() -> None:
    """In time before its end, and once when it is refused."""
    rig = shop(app=APP)
    names = ("REGULARS_WIX_APP_ID", "REGULARS_WIX_APP_SECRET", "REGULARS_WIX_INSTANCE_ID")
    access = Access(
        WixSettings(site_id=SITE_ID), dict(zip(names, APP, strict=True)), rig.clock, handler_transport(rig.handle)
    )
    source = WixSource(connect(access))
    source.counts()
    rig.api.faults.add("QueryContacts", "token_expired")
    source.counts()
    clock(rig).advance(14_400 - 30)
    source.counts()
    assert sum(request.path == "/oauth2/token" for request, _ in rig.seen) == 3


def test_a_refused_app_is_told_what_to_check() -> None:
    """Errors of the token endpoint have another form; no secret stands in them."""
    rig = shop(app=APP)
    secrets = {
        "REGULARS_WIX_APP_ID": APP[0],
        "REGULARS_WIX_APP_SECRET": "not-the-secret",
        "REGULARS_WIX_INSTANCE_ID": APP[2],
    }
    access = Access(WixSettings(site_id=SITE_ID), secrets, rig.clock, handler_transport(rig.handle))
    with pytest.raises(AuthError, match="AccessToken: no token") as caught:
        WixSource(connect(access)).shop()
    assert "not-the-secret" not in str(caught.value)


def test_a_refused_key_stops_at_once() -> None:
    """Nothing is tried twice, nothing is left out: the key itself is wrong."""
    rig = shop()
    access = Access(
        WixSettings(site_id=SITE_ID), {"REGULARS_WIX_API_KEY": "IST.other"}, rig.clock, handler_transport(rig.handle)
    )
    source = WixSource(connect(access))
    for ask in (source.shop, source.doctor, lambda: list(source.pages(STREAMS["products"], Cursor()))):
        with pytest.raises(AuthError):
            ask()
    assert len(rig.seen) == 3


def test_a_key_of_another_account_is_told_of() -> None:
    """403 without a permission to name: the site may not be the key's."""
    rig = shop()
    other = Access(
        WixSettings(site_id=SITE_ID.replace("0001", "0002")),
        {"REGULARS_WIX_API_KEY": API_KEY},
        rig.clock,
        handler_transport(rig.handle),
    )
    with pytest.raises(ScopeError, match="site_id"):
        WixSource(connect(other)).counts()


@pytest.mark.parametrize("stream", ["orders", "carts", "products"])
def test_paging_in_circles_ends(stream: str) -> None:
    """A cursor that comes again leads to no new page."""
    rig = shop(catalogue="v3")

    def circle(body: dict[str, Any]) -> dict[str, Any]:
        for name in ("metadata", "pagingMetadata"):
            if name in body:
                body[name] |= {"cursors": {"next": "again"}, "hasNext": True}
        return body

    def first(request: Request) -> Reply:
        """The cursor is not one of the simulator's: it gets the first page again."""
        body = orjson.loads(request.body or b"{}")
        for part in body.values():
            if isinstance(part, dict) and part.get("cursorPaging", {}).pop("cursor", None):
                request = Request(request.method, request.path, request.query, request.headers, orjson.dumps(body))
        return rig.handle(request)

    with pytest.raises(BadReply, match="circle"):
        _read(rig, stream, circle, first)


def test_a_cursor_that_dies_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lifetime is not published: the walk begins again at the last change date; a second refusal there is one."""
    small_pages(monkeypatch, orders=2)
    rig = shop()
    for day in range(5):
        rig.order(None, email="guest@example.com", at=NOW - (9 - day) * DAY)
    rig.settle()
    refused: dict[str, Any] = {"kind": "status", "status": 400, "body": '{"message":"invalid cursor"}'}
    rig.api.faults.add("SearchOrders", nth=3, **refused)
    rows = reader(rig).rows("orders")
    assert {row["id"] for row in rows} == {key(order.guid) for order in rig.world.orders.values()}
    rig.api.faults.add("SearchOrders", nth=2, times=0, **refused)
    with pytest.raises(Refused, match="invalid cursor"):
        reader(rig).rows("orders")


def test_contacts_out_of_order_are_no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A walk by dates would miss some where the answer is not sorted as was asked."""
    small_pages(monkeypatch, contacts=1)
    rig = shop()
    rig.world.add_customer("bob@example.com", at=NOW - 50 * DAY)
    rig.settle()
    dates = iter(["2025-01-01T00:00:00.000Z", "2024-01-01T00:00:00.000Z"])

    def unsorted(body: dict[str, Any]) -> dict[str, Any]:
        for contact in body.get("contacts", ()):
            if isinstance(contact["revision"], int):
                contact["createdDate"] = next(dates)
        return body

    with pytest.raises(BadReply, match="not in the order of createdDate"):
        _read(rig, "customers", unsorted)


def test_consent_is_known_of_a_contact_that_cannot_be_read_as_a_whole() -> None:
    """So that it can be taken back though the rest of the record waits in quarantine."""
    rig = shop()

    def odd(body: dict[str, Any]) -> dict[str, Any]:
        for contact in body.get("contacts", ()):
            contact["createdDate"] = "yesterday"
        return body

    found = _changed(rig, odd)
    (page,) = found.pages("customers")
    with pytest.raises(MappingError) as caught:
        found.source.to_rows(STREAMS["customers"])(page.records[0])
    assert (caught.value.known["email_key"], caught.value.known["email_status"]) == ("ana@example.com", "SUBSCRIBED")


def test_what_nobody_knew_yet_is_no_error() -> None:
    """New fields, new members of enums, numbers as text, empty objects."""
    rig = shop()

    def newer(body: dict[str, Any]) -> dict[str, Any]:
        for record in [*body.get("orders", ()), *body.get("contacts", ()), *body.get("abandonedCheckouts", ())]:
            record["somethingNew"] = {"deep": [1]}
            record["revision"] = "8"
        for order in body.get("orders", ()):
            order["status"], order["paymentStatus"] = "SHELVED", "CRYPTO"
            order["channelInfo"] = {"type": "QUANTUM"}
            order["activities"].append({"activityType": "TELEPORTED"})
        for contact in body.get("contacts", ()):
            if "primaryEmail" in contact:
                contact["primaryEmail"]["subscriptionStatus"] = "MAYBE"
                contact["lastActivity"]["activityType"] = "HOLOGRAM_VIEWED"
        return body

    (order,) = _read(rig, "orders", newer)
    assert (order["status"], order["channel"], order["cancelled_at"]) == ("unpaid", "QUANTUM", None)
    assert _read(rig, "customers", newer)[0]["email_status"] == "INVALID"
    assert len(_read(rig, "carts", newer)) == 1


@pytest.mark.parametrize("stream", ["products", "email_events"])
def test_what_a_site_does_not_have_is_left_out_like_what_it_hides(stream: str) -> None:
    """An API that is not there answers 404."""
    rig = shop()
    for operation in ("GetCatalogVersion", "ListCampaigns"):
        rig.api.faults.add(operation, "status", status=404, body='{"message":"Not Found"}')
    with pytest.raises(ScopeError):
        reader(rig).rows(stream)


def test_products_on_sale_are_read_where_hidden_ones_may_not_be() -> None:
    """Hidden products take the right to manage products; that is learnt once."""
    rig = shop()

    def reading(request: Request) -> Reply:
        if b"includeHiddenProducts" in request.body:
            return Reply(403, {"content-type": "application/json"}, b'{"message":"Forbidden"}')
        return rig.handle(request)

    found = Reader(rig, reading)
    assert len(found.rows("products")) == 2
    assert len(found.rows("products")) == 2
    assert found.sent()["QueryProducts"] == 2


@pytest.mark.parametrize(("stream", "operation"), [("events", "ListActivities"), ("email_events", "ListRecipients")])
def test_who_vanishes_meanwhile_takes_nobody_along(stream: str, operation: str) -> None:
    """A 404 that names the contact or campaign is not one of the API."""
    rig = shop(activity_log=True)
    rig.world.abandon_cart(rig.person("bob@example.com"), [(rig.mug, 1)], at=NOW)
    opened = {each.number: NOW for each in rig.world.customers.values()}
    rig.site.campaigns += [Campaign(guid("campaign", at), "Spring", NOW - DAY, [], opened) for at in (1, 2)]
    rig.settle()
    body = '{"message":"gone","details":{"applicationError":{"code":"NOT_FOUND"}}}'
    rig.api.faults.add(operation, "status", status=404, body=body)
    found = reader(rig)
    assert {row["email_key"] for row in found.rows(stream, NOW - DAY)} == {"ana@example.com", "bob@example.com"}
    assert found.sent()[operation] > 1


def test_a_site_without_a_store_has_no_catalogue() -> None:
    """Said in words."""
    rig = shop()
    with pytest.raises(ScopeError, match="no Wix Stores"):
        _read(rig, "products", lambda body: {"catalogVersion": "STORES_NOT_INSTALLED"})


def test_a_label_that_is_made_during_the_run_has_its_name() -> None:
    """The list of labels is read once more when a key comes up that was not in it."""
    rig = shop()
    found = reader(rig)
    found.rows("customers")
    rig.person("bob@example.com", tags=["Fresh"])
    rig.settle()
    tags = {row["tag"] for row in found.rows("customers", table="customer_tags")}
    assert tags == {"VIP", "Customers", "Fresh"}
    assert found.sent()["QueryLabels"] == 2


def test_without_rights_to_subscriptions_consent_stays_unknown() -> None:
    """Nobody is taken for subscribed because it could not be read."""
    rig = shop()
    rig.world.denied.add("SCOPE.DC-MANAGE.EMAIL-SUBSCRIPTIONS")

    def bare(body: dict[str, Any]) -> dict[str, Any]:
        for contact in body.get("contacts", ()):
            contact.pop("primaryEmail", None)
        return body

    assert [row["email_status"] for row in _read(rig, "customers", bare)] == [None]


def test_refunds_that_may_not_be_listed_stand_on_their_last_date() -> None:
    """The sum is known from the order all the same."""
    rig = shop()
    order = next(iter(rig.world.orders.values()))
    rig.world.refund(order, amount=100, at=NOW - DAY)
    rig.world.refund(order, amount=200, at=NOW)
    rig.settle()
    rig.api.faults.add("ListTransactions", "status", status=403, body="{}")
    (refund,) = reader(rig).rows("orders", table="refunds")
    assert (refund["amount"], refund["refunded_at"]) == (300, NOW)


def test_too_many_contacts_are_not_counted() -> None:
    """Wix says so instead of a number."""
    rig = shop()

    def many(body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "pagingMetadata": {"count": 1, "tooManyToCount": True, "total": 10_000}}

    assert _changed(rig, many).source.counts() == {}
    assert len(_read(rig, "customers", many)) == 1


def test_a_server_that_gives_smaller_pages_is_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The total tells that more is there, not the number of records in a page."""
    rig = shop()
    for number in range(7):
        rig.world.add_customer(f"p{number}@example.com", at=NOW - 50 * DAY)
    rig.settle()

    def smaller(request: Request) -> Reply:
        body = orjson.loads(request.body or b"{}")
        if "/v4/contacts/query" in request.path:
            body["query"]["paging"]["limit"] = 3
        return rig.handle(Request(request.method, request.path, request.query, request.headers, orjson.dumps(body)))

    assert len({row["id"] for row in _read(rig, "customers", lambda body: body, smaller)}) == 8


def test_a_site_without_a_currency_cannot_be_read() -> None:
    """Without one no money can be read."""
    rig = shop()
    with pytest.raises(BadReply, match="payment currency"):
        _changed(rig, lambda body: {"properties": {"timeZone": "Europe/Berlin"}}).source.shop()


def _changed(
    rig: Rig, change: Callable[[dict[str, Any]], dict[str, Any]], handle: Callable[[Request], Reply] | None = None
) -> Reader:
    """A reader whose good answers pass through `change`."""
    answer = handle or rig.handle

    def changed(request: Request) -> Reply:
        reply = answer(request)
        body = orjson.dumps(change(orjson.loads(reply.body))) if reply.status == 200 else reply.body
        return Reply(reply.status, reply.headers, body)

    rig.api.minute.limit = 10_000
    return Reader(rig, changed)


def _read(
    rig: Rig,
    stream: str,
    change: Callable[[dict[str, Any]], dict[str, Any]],
    handle: Callable[[Request], Reply] | None = None,
) -> list[dict[str, Any]]:
    return _changed(rig, change, handle).rows(stream)
