"""What the simulated Wix site tells of behaviour, goods and itself; what it cannot tell in which edition."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from httpx import post
from hypothesis import given, settings
from hypothesis import strategies as st
from wix_rig import APP, DAY, NOW, Rig, validator

from connector.base import Call
from connector.sandbox.faults import Faults
from connector.sandbox.serve import serving
from connector.sandbox.world import World
from connector.wix import sandbox_tables as tables
from connector.wix.connection import connect
from connector.wix.sandbox import API_KEY, SITE_ID
from connector.wix.sandbox_catalogue import ALL_PRODUCTS
from connector.wix.sandbox_install import install
from connector.wix.sandbox_site import Campaign
from sync.clock import ManualClock

LOG = "/crm/contacts-activity-log/v1"
CAMPAIGNS = "/email-marketing/v1/campaigns"
PRODUCTS = "/stores-reader/v1/products/query"
PRODUCTS_V3 = "/stores/v3/products/query"
CATEGORIES = "/categories/v1/categories/query"
TREE = {"treeReference": {"appNamespace": "@wix/stores", "treeKey": None}}


@pytest.fixture
def rig() -> Rig:
    return Rig(activity_log=True)


def test_recipients_of_a_campaign_come_by_activity(rig: Rig) -> None:
    """Who opened and when, page by page; people who are gone are marked; without an activity it is a 400."""
    people = [rig.person(f"p{n}@example.com") for n in range(3)]
    rig.open()
    opened = {person.number: NOW - DAY + n for n, person in enumerate(people)}
    sent = [person.number for person in people]
    id_ = "5a9c1f1e-0000-4000-8000-0000000000cc"
    rig.site.campaigns.append(Campaign(id_, "Autumn", NOW - 2 * DAY, sent, opened, {sent[0]: NOW}))
    rig.world.delete_customer(people[1])
    assert [each["campaignId"] for each in rig.get(CAMPAIGNS)["campaigns"]] == [id_]
    path = f"{CAMPAIGNS}/{id_}/statistics/recipients"
    first = rig.get(path, ("activity", "OPENED"), ("paging.limit", "2"))
    cursor = first["pagingMetadata"]["cursors"]["next"]
    rest = rig.get(path, ("activity", "OPENED"), ("paging.limit", "2"), ("paging.cursor", cursor))
    rows = first["recipients"] + rest["recipients"]
    assert [row["contactId"] for row in rows] == [person.guid for person in people]
    assert [row["contactDeleted"] for row in rows] == [False, True, False]
    assert "next" not in rest["pagingMetadata"]["cursors"]
    assert len(rig.get(path, ("activity", "CLICKED"))["recipients"]) == 1
    assert rig.get(path, ("activity", "NOT_OPENED"))["recipients"] == []
    for params in ((), (("activity", "READ"),), (("activity", "OPENED"), ("paging.limit", "1001"))):
        assert rig.call("GET", path, params=params).status == 400
    assert rig.call("GET", path, params=(("activity", "CLICKED"), ("paging.cursor", cursor))).status == 400
    assert rig.call("GET", f"{CAMPAIGNS}/x/statistics/recipients", params=(("activity", "OPENED"),)).status == 404


def test_the_activity_log_is_one_contact_s_history_newest_first(rig: Rig) -> None:
    """With a cursor nothing else may be sent; a visit shows there and as the contact's last activity."""
    person = rig.person()
    rig.order(person, at=NOW - 2 * DAY)
    rig.open()
    before = rig.get(f"/contacts/v4/contacts/{person.guid}")["contact"]["updatedDate"]
    rig.site.visit(person, NOW - DAY)
    first = rig.get(f"{LOG}/activities", ("contactId", person.guid), ("cursorPaging.limit", "2"))
    cursor = first["metadata"]["cursors"]["next"]
    rest = rig.get(f"{LOG}/activities", ("cursorPaging.cursor", cursor))
    kinds = {each["id"]: each["name"] for each in rig.get(f"{LOG}/templates")["templates"]}
    noted = [kinds[each["templateId"]] for each in first["activities"] + rest["activities"]]
    assert noted == ["GENERAL", "ECOM_PURCHASE", "CONTACT_CREATED"]
    shown = rig.get(f"/contacts/v4/contacts/{person.guid}")["contact"]
    assert shown["lastActivity"]["activityType"] == "GENERAL"
    assert shown["updatedDate"] == before
    since = rig.get(f"{LOG}/activities", ("contactId", person.guid), ("fromDate", "2026-11-17T00:00:00Z"))
    assert len(since["activities"]) == 1
    refused = rig.call("GET", f"{LOG}/activities", params=(("cursorPaging.cursor", cursor), ("contactId", person.guid)))
    assert refused.status == 400
    assert rig.call("GET", f"{LOG}/activities").status == 400
    assert rig.call("GET", f"{LOG}/activities", params=(("contactId", "x"),)).status == 404


def test_previews_may_be_missing() -> None:
    """A site without the activity log answers 404; one whose key may not read campaigns answers 403."""
    rig = Rig().open()
    assert rig.call("GET", f"{LOG}/templates").status == 404
    rig.world.denied.add("SCOPE.DC-PROMOTE.READ-EMAIL-MARKETING")
    assert rig.call("GET", CAMPAIGNS).status == 403


def test_the_catalogue_of_version_1_has_collections(rig: Rig) -> None:
    """Offsets, a total, filters as JSON in a string; one collection holds everything and its id is no GUID."""
    rig.open()
    first = rig.post(PRODUCTS, {"query": {"paging": {"limit": 1}}})
    assert (first["totalResults"], first["metadata"]) == (2, {"items": 1, "offset": 0})
    (mug,) = first["products"]
    assert (mug["name"], mug["brand"], mug["priceData"]["price"]) == ("Stoneware mug", "Lind", 16.9)
    collections = rig.post("/stores-reader/v1/collections/query", {"query": {}})["collections"]
    names = {each["id"]: each["name"] for each in collections}
    assert [names[each] for each in mug["collectionIds"]] == ["All Products", "Mugs"]
    assert mug["collectionIds"][0] == ALL_PRODUCTS
    wanted = orjson.dumps({"id": {"$hasSome": [rig.tea.guid]}}).decode()
    refused = rig.call("POST", PRODUCTS, {"query": {"filter": {"id": rig.tea.guid}}})
    assert refused.status == 400
    found = rig.post(PRODUCTS, {"query": {"filter": orjson.dumps({"id": {"$in": [rig.tea.guid]}}).decode()}})
    assert [each["name"] for each in found["products"]] == ["Earl Grey"]
    assert rig.post(PRODUCTS, {"query": {"filter": wanted, "sort": '[{"numericId":"desc"}]'}})["totalResults"] == 1
    rig.refused(PRODUCTS, {"query": {"paging": {"limit": 101}}})
    rig.refused(PRODUCTS_V3, {}, 428)
    assert rig.get("/stores/v3/provision/version") == {"catalogVersion": "V1_CATALOG"}


def test_the_catalogue_of_version_3_has_categories() -> None:
    """Cursors; the categories of a product come only if asked for, and every request names the tree."""
    rig = Rig(catalogue="v3").open()
    first = rig.post(PRODUCTS_V3, {"query": {"cursorPaging": {"limit": 1}}, "fields": ["DIRECT_CATEGORIES_INFO"]})
    (mug,) = first["products"]
    assert mug["actualPriceRange"]["minValue"] == {"amount": "16.90"}
    categories = rig.post(CATEGORIES, TREE)["categories"]
    names = {each["id"]: each["name"] for each in categories}
    assert [names[each["id"]] for each in mug["directCategoriesInfo"]["categories"]] == ["Mugs"]
    paging = {"limit": 1, "cursor": first["pagingMetadata"]["cursors"]["next"]}
    (tea,) = rig.post(PRODUCTS_V3, {"query": {"cursorPaging": paging}})["products"]
    assert (tea["name"], names[tea["mainCategoryId"]]) == ("Earl Grey", "Tea")
    assert "directCategoriesInfo" not in tea
    rig.refused(CATEGORIES, {"query": {}})
    rig.refused(PRODUCTS_V3, {"fields": ["name"]})
    rig.refused(PRODUCTS, {}, 428)


def test_goods_need_a_permission_of_their_own(rig: Rig) -> None:
    """Without it orders still name what was bought."""
    rig.order(rig.person())
    rig.open()
    rig.world.denied.add("SCOPE.DC-STORES.READ-PRODUCTS")
    rig.refused(PRODUCTS, {}, 403)
    assert rig.orders()[0]["lineItems"][0]["productName"]["original"] == "Stoneware mug"


def test_a_renamed_product_is_shown_under_its_new_name(rig: Rig) -> None:
    """In the catalogue and in orders."""
    rig.order(rig.person())
    rig.open()
    rig.orders()
    rig.post(PRODUCTS, {})
    rig.world.edit_product(rig.mug, title="Mug, large")
    assert rig.post(PRODUCTS, {})["products"][0]["name"] == "Mug, large"
    assert rig.orders()[0]["lineItems"][0]["productName"]["original"] == "Mug, large"


def test_a_site_tells_its_name_its_money_and_its_time() -> None:
    """To keys and apps; the instance exists for apps only."""
    rig = Rig(app=APP).open()
    properties = rig.get("/site-properties/v4/properties")["properties"]
    assert (properties["paymentCurrency"], properties["timeZone"]) == ("EUR", "Europe/Berlin")
    assert properties["siteDisplayName"] == rig.world.name
    assert rig.call("GET", "/apps/v1/instance").status == 403
    rig.world.denied.add("SCOPE.DC.MANAGE-YOUR-APP")
    assert rig.call("GET", "/site-properties/v4/properties").status == 403
    rig.world.denied.clear()
    body = {"grant_type": "client_credentials", "client_id": APP[0], "client_secret": APP[1], "instance_id": APP[2]}
    token = orjson.loads(rig.call("POST", "/oauth2/token", body, headers={}).body)["access_token"]
    reply = rig.call("GET", "/apps/v1/instance", headers={"authorization": token})
    assert orjson.loads(reply.body)["site"]["siteId"] == SITE_ID


def test_a_generated_site_remembers_newsletters_and_visits() -> None:
    """Opened only by people who agreed before, and the same for the same seed."""
    clock = ManualClock(NOW)
    sites = [install(World.generate(2, 60, clock=clock), clock=clock, scale=1.0, faults=None) for _ in range(2)]
    one, two = (each.simulator.site for each in sites)  # type: ignore[attr-defined]
    assert one.campaigns == two.campaigns
    assert any(campaign.opened for campaign in one.campaigns)
    for campaign in one.campaigns:
        assert set(campaign.clicked) <= set(campaign.opened) <= set(campaign.sent_to)
    assert one.visits


def test_it_is_installed_with_what_a_project_needs() -> None:
    """Settings and the key; a faster pace where time is scaled; the tables of a real shop get no invented past."""
    clock = ManualClock(NOW)
    world = World(clock=clock)
    world.source_ids = {"customer": {}}
    plain = install(world, clock=clock, scale=1.0, faults=None)
    assert plain.settings == {"platform": "wix", "site_id": SITE_ID}
    assert plain.secrets == {"REGULARS_WIX_API_KEY": API_KEY}
    assert plain.simulator.site.campaigns == []  # type: ignore[attr-defined]
    fast = install(World(clock=clock), clock=clock, scale=20.0, faults=Faults())
    assert fast.settings["requests_per_minute"] == 3000


def test_it_is_served_on_loopback(rig: Rig) -> None:
    """A client over a socket, the request's id in a header."""
    rig.order(rig.person())
    rig.open()
    with serving([rig.api]) as (server,):
        headers = {"authorization": API_KEY, "wix-site-id": SITE_ID}
        reply = post(f"{server.url}/ecom/v1/orders/search", json={"search": {}}, headers=headers, trust_env=False)
    assert reply.json()["metadata"]["count"] == 1
    assert reply.headers["x-wix-request-id"]


def _condition(kind: str, operator: str) -> st.SearchStrategy[Any]:
    value: st.SearchStrategy[Any] = {
        "date": st.just("2026-01-01T00:00:00Z"),
        "amount": st.sampled_from(["1.50", 3]),
        "bool": st.booleans(),
        "text": st.sampled_from(["a", "b"]),
        "list": st.sampled_from(["a", "b"]),
    }[kind]
    many = st.lists(value, max_size=2)
    return st.booleans() if operator == "$exists" else many if operator in _MANY else value


_MANY = ("$in", "$nin", "$any", "$hasSome", "$hasAll")
_OPERATORS = ("$eq", "$ne", "$exists", "$lt", "$gte", "$startsWith", "$begins", *_MANY)


@st.composite
def _filters(draw: st.DrawFn, endpoint: tables.Endpoint) -> Any:
    names = sorted(name for name in endpoint.fields if not name.endswith("*"))
    name = draw(st.sampled_from([*names, "no.such.field"]))
    kind = endpoint.fields[name].kind if name in endpoint.fields else "text"
    operator = draw(st.sampled_from(_OPERATORS))
    leaf = {name: {operator: draw(_condition(kind, operator))}}
    return draw(st.sampled_from([leaf, {"$and": [leaf]}, {"$or": [leaf, {}]}, {"$not": leaf}]))


@pytest.mark.parametrize(
    ("endpoint", "path", "schema", "name"),
    [
        (tables.ORDERS, "/ecom/v1/orders/search", "orders_search", "search"),
        (tables.CHECKOUT_QUERY, "/ecom/v1/abandoned-checkout/query", "abandoned_checkouts_query", "query"),
        (tables.CHECKOUT_SEARCH, "/ecom/v1/abandoned-checkout/search", "abandoned_checkouts_search", "search"),
        (tables.CONTACTS_V4, "/contacts/v4/contacts/query", "contacts_query", "query"),
        (tables.CONTACTS_V5, "/contacts/v5/contacts/query", "contacts_v5_query", "query"),
    ],
)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_filter_is_answered_exactly_if_the_schema_allows_it(
    endpoint: tables.Endpoint, path: str, schema: str, name: str, data: st.DataObject
) -> None:
    """The simulator is neither laxer nor stricter than the vendor's own schema."""
    rig = Rig()
    person = rig.person()
    rig.order(person)
    rig.world.abandon_cart(person, [(rig.tea, 1)])
    rig.open()
    body = {name: {"filter": data.draw(_filters(endpoint))}}
    allowed = validator(f"{schema}.request").is_valid(body)
    assert rig.call("POST", path, body).status == (200 if allowed else 400)


def test_the_client_reads_it(rig: Rig) -> None:
    """The project's own client over the in-process transport."""
    rig.order(rig.person())
    rig.open()
    with (access := rig.access()).closing:
        answer = connect(access).read(Call("SearchOrders", "POST", "/ecom/v1/orders/search", json={"search": {}}))
    assert answer["metadata"]["count"] == 1
