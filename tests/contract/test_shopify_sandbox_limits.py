"""The simulated Admin API's doors: keys, versions, costs, throttling, documents it refuses, faults by script."""

from __future__ import annotations

import orjson
import pytest
from shopify_sandbox_rig import CUSTOMERS, DAY, ORDERS, TOKEN, Rig

from connector.sandbox.faults import Faults
from connector.sandbox.wire import Drop
from connector.shopify.sandbox_cost import factor

SHOP = "query ShopInfo { shop { name } }"


def test_a_wrong_key_is_refused_with_errors_as_text() -> None:
    """401, and `errors` is a string, not a list."""
    reply = Rig().open().post({"query": SHOP}, token="shpat_other")
    assert reply.status == 401
    assert "Invalid API key" in orjson.loads(reply.body)["errors"]


@pytest.mark.parametrize(
    ("path", "host"),
    [("/admin/api/2020-01/graphql.json", "127.0.0.1"), ("/admin/api/2026-10/graphql.json", "other.myshopify.com")],
)
def test_an_unknown_version_or_shop_answers_html(path: str, host: str) -> None:
    """404 without JSON."""
    reply = Rig().open().post({"query": SHOP}, path=path, host=host)
    assert (reply.status, reply.headers["content-type"]) == (404, "text/html")


def test_client_credentials_last_a_day() -> None:
    """A token asked for with id and secret works for 24 hours and names its scopes."""
    rig = Rig()
    rig.world.denied.add("read_all_orders")
    rig.open()
    form = b"grant_type=client_credentials&client_id=sandbox-client&client_secret="
    path = "/admin/oauth/access_token"
    assert rig.post(form + b"guess", path=path).status == 400
    answer = orjson.loads(rig.post(form + b"sandbox-secret", path=path).body)
    assert answer["expires_in"] == DAY - 1
    assert "read_orders" in answer["scope"].split(",")
    assert "read_all_orders" not in answer["scope"].split(",")
    assert rig.post({"query": SHOP}, token=answer["access_token"]).status == 200
    rig.clock.advance(DAY)
    assert rig.post({"query": SHOP}, token=answer["access_token"]).status == 401


def test_every_reply_names_its_request_and_version() -> None:
    """x-request-id differs from call to call."""
    rig = Rig().open()
    first, second = (rig.post({"query": SHOP}) for _ in range(2))
    assert first.headers["x-shopify-api-version"] == "2026-10"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_the_fitted_connection_formula() -> None:
    """f(n) = max(1, floor(2 ln n)) at the recorded points."""
    assert [factor(n) for n in (1, 10, 50, 100, 250)] == [1, 4, 7, 9, 11]


def test_costs_are_reserved_in_full_and_paid_by_what_came() -> None:
    """A page that may hold 250 orders of 250 lines costs so much before, and what it returned after."""
    rig = Rig()
    rig.world.place_order(None, [(rig.mug, 1)] * 10, email="a@example.com")
    rig.open()
    cost = rig.ask(ORDERS, first=250, lineItems=250)["extensions"]["cost"]
    assert cost["requestedQueryCost"] == 2 + 11 * (1 + 1 + 2 + 11 * 1)
    assert cost["actualQueryCost"] == 2 + 1 * (1 + 1 + 2 + 4 * 1)
    assert cost["throttleStatus"] == {
        "maximumAvailable": 2000.0, "currentlyAvailable": 2000 - cost["actualQueryCost"], "restoreRate": 100.0,
    }  # fmt: skip


def test_an_empty_bucket_throttles_inside_a_200_and_refills_with_time() -> None:
    """THROTTLED has the requested cost and no actual one; waiting as long as the numbers say is enough."""
    rig = Rig(bucket=30.0, restore_rate=10.0).open()
    rig.ask(CUSTOMERS, first=250)
    assert rig.api.bucket.take(20.0)
    answer = rig.ask(CUSTOMERS, first=250)
    cost = answer["extensions"]["cost"]
    assert answer["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert cost["actualQueryCost"] is None
    missing = cost["requestedQueryCost"] - cost["throttleStatus"]["currentlyAvailable"]
    rig.clock.advance(missing / cost["throttleStatus"]["restoreRate"])
    assert "errors" not in rig.ask(CUSTOMERS, first=250)


def test_a_query_over_a_thousand_points_never_runs() -> None:
    """MAX_COST_EXCEEDED names cost and limit; nothing is taken from the bucket."""
    rig = Rig().open()
    aliases = " ".join(f"a{n}: customersCount {{ count }}" for n in range(101))
    answer = rig.ask(f"{{ {aliases} }}")
    extensions = answer["errors"][0]["extensions"]
    assert (extensions["code"], extensions["cost"], extensions["maxCost"]) == ("MAX_COST_EXCEEDED", 1010, 1000)
    assert rig.api.bucket.available() == 2000


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ shop { nmae } }", "undefinedField"),
        ("{ customers(first: 1) { nodes { id } total } }", "undefinedField"),
        ("{ customers(first: 1, limit: 2) { nodes { id } } }", "argumentNotAccepted"),
        ("{ customers(first: 251) { nodes { id } } }", "BAD_REQUEST"),
        ("{ customers { nodes { id } } }", "BAD_REQUEST"),
        ("{ abandonedCheckouts(first: 1, sortKey: UPDATED_AT) { nodes { id } } }", "argumentLiteralsIncompatible"),
        ("{ customers(first: 1, after: \"nonsense\") { nodes { id } } }", "INVALID_CURSOR"),
        ("query($first: Int!) { customers(first: $first) { nodes { id } } }", "INVALID_VARIABLE"),
        ("{ shop }", "selectionMismatch"),
        ("{ shop {", "PARSE_ERROR"),
    ],
)  # fmt: skip
def test_bad_documents_are_refused_in_a_200(query: str, code: str) -> None:
    """Each mistake has its own code, and there is no data."""
    answer = Rig().open().ask(query)
    assert "data" not in answer
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


def test_too_many_ids_are_refused() -> None:
    """Input arrays hold at most 250."""
    ids = [f"gid://shopify/Customer/{n}" for n in range(251)]
    answer = Rig().open().ask("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert answer["errors"][0]["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"


def test_scripted_faults_of_shopify_itself() -> None:
    """Throttling, server faults, partial data and dead tokens, each on its call."""
    faults = Faults()
    faults.add("ShopInfo", "throttled")
    faults.add("ShopInfo", "server_error", nth=2)
    faults.add("Customers", "partial")
    rig = Rig(faults=faults)
    rig.world.add_customer()
    rig.open()
    body = {"query": SHOP, "operationName": "ShopInfo"}
    codes = [
        orjson.loads(rig.post(body).body).get("errors", [{}])[0].get("extensions", {}).get("code") for _ in range(3)
    ]
    assert codes == ["THROTTLED", "INTERNAL_SERVER_ERROR", None]
    page = {"query": CUSTOMERS, "operationName": "Customers", "variables": {"first": 1}}
    partial = orjson.loads(rig.post(page).body)
    assert partial["data"]["customers"]["nodes"] == [None]
    assert partial["errors"][0]["path"] == ["customers", "nodes", 0]
    assert orjson.loads(rig.post(page).body)["data"]["customers"]["nodes"] != [None]


def test_an_expired_token_stays_dead() -> None:
    """token_expired ends tokens issued for client credentials; a static key works on."""
    faults = Faults()
    faults.add("ShopInfo", "token_expired", nth=2)
    rig = Rig(faults=faults).open()
    form = b"grant_type=client_credentials&client_id=sandbox-client&client_secret=sandbox-secret"
    token = orjson.loads(rig.post(form, path="/admin/oauth/access_token").body)["access_token"]
    body = {"query": SHOP, "operationName": "ShopInfo"}
    assert [rig.post(body, token=token).status for _ in range(3)] == [200, 401, 401]
    assert rig.post(body, token=TOKEN).status == 200


def test_acting_and_then_not_answering() -> None:
    """The server did its work although the client hears nothing."""
    faults = Faults()
    faults.add("TagOne", "act_timeout")
    rig = Rig(faults=faults)
    ana = rig.world.add_customer()
    rig.open()
    query = 'mutation TagOne($id: ID!) { tagsAdd(id: $id, tags: ["x"]) { userErrors { message } } }'
    body = {"query": query, "operationName": "TagOne", "variables": {"id": f"gid://shopify/Customer/{ana.number}"}}
    with pytest.raises(Drop):
        rig.post(body)
    assert ana.tag_list == ["x"]
    assert rig.api.operations == {"TagOne": 1}
