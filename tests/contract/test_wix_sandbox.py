"""The simulated Wix site lets in, limits and refuses like the real one."""

from __future__ import annotations

import orjson
import pytest
from wix_rig import APP, SPECS, Rig, validator

from connector.sandbox.faults import Faults
from connector.sandbox.wire import Request
from connector.wix.sandbox import API_KEY, SITE_ID
from connector.wix.sandbox_tables import CHECKOUT_QUERY, CHECKOUT_SEARCH, CONTACTS_V4, CONTACTS_V5, ORDERS, Endpoint

CONTACTS = "/contacts/v4/contacts/query"
ORDERS_PATH = "/ecom/v1/orders/search"


@pytest.fixture
def rig() -> Rig:
    return Rig(app=APP).open()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "wrong", "wix-site-id": SITE_ID}, 401),
        ({"authorization": API_KEY}, 403),
        ({"authorization": API_KEY, "wix-site-id": "5a1d0b0e-51de-4f00-8a11-0000000000ff"}, 403),
        ({"authorization": API_KEY, "wix-site-id": SITE_ID, "wix-account-id": SITE_ID}, 403),
        ({"authorization": API_KEY, "wix-account-id": SITE_ID}, 403),
        ({"authorization": API_KEY, "wix-site-id": SITE_ID}, 200),
        ({"authorization": f"Bearer {API_KEY}", "wix-site-id": SITE_ID}, 200),
    ],
)
def test_a_key_needs_its_site(rig: Rig, headers: dict[str, str], status: int) -> None:
    """401 for no key or a wrong one, 403 for a key without exactly its site."""
    assert rig.call("POST", CONTACTS, {}, headers=headers).status == status


def _token(rig: Rig, **changes: str) -> tuple[int, dict[str, str]]:
    body = {"grant_type": "client_credentials", "client_id": APP[0], "client_secret": APP[1], "instance_id": APP[2]}
    reply = rig.call("POST", "/oauth2/token", {**body, **changes}, headers={})
    return reply.status, orjson.loads(reply.body)


def test_an_app_gets_a_token_for_four_hours(rig: Rig) -> None:
    """The token works without the site's id, and no longer than it says."""
    status, token = _token(rig)
    assert (status, token["token_type"], token["expires_in"]) == (200, "Bearer", 14400)
    headers = {"authorization": token["access_token"]}
    assert rig.call("POST", CONTACTS, {}, headers=headers).status == 200
    rig.clock.advance(14_400)
    assert rig.call("POST", CONTACTS, {}, headers=headers).status == 401


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "x"}, "invalid_client"),
        ({"instance_id": SITE_ID}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"extra": "x"}, "invalid_request"),
    ],
)
def test_token_errors_have_the_form_of_oauth(rig: Rig, changes: dict[str, str], error: str) -> None:
    """Not Wix's own form of errors."""
    status, body = _token(rig, **changes)
    assert status in (400, 401)
    assert body["error"] == error


def test_a_denied_scope_is_a_403(rig: Rig) -> None:
    """Only the calls that need it are refused."""
    rig.world.denied.add("SCOPE.DC-STORES.READ-ORDERS")
    rig.refused(ORDERS_PATH, {"search": {}}, 403)
    rig.post(CONTACTS, {})


def test_more_than_200_requests_a_minute_are_too_many() -> None:
    """The 429 has no header that says how long, and is no JSON; the next minute begins anew."""
    rig = Rig().open()
    rig.clock.advance(60 - rig.clock.now() % 60)
    replies = [rig.call("POST", CONTACTS, {}) for _ in range(201)]
    assert [reply.status for reply in replies] == [200] * 200 + [429]
    assert "retry-after" not in replies[-1].headers
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(replies[-1].body)
    rig.clock.advance(60)
    assert rig.call("POST", CONTACTS, {}).status == 200


def test_scaled_time_allows_more_requests() -> None:
    """Ten times faster is 2,000 requests a minute."""
    rig = Rig(scale=10.0, check=False).open()
    rig.clock.advance(60 - rig.clock.now() % 60)
    statuses = [rig.call("POST", CONTACTS, {}).status for _ in range(2001)]
    assert (set(statuses[:2000]), statuses[2000]) == ({200}, 429)


def test_every_reply_carries_its_own_request_id(rig: Rig) -> None:
    """Errors too."""
    replies = [rig.call("POST", CONTACTS, {}), rig.call("GET", "/nowhere"), rig.call("POST", CONTACTS, b"{")]
    assert [reply.status for reply in replies] == [200, 404, 400]
    assert len({reply.headers["x-wix-request-id"] for reply in replies}) == 3


@pytest.mark.parametrize(
    ("kind", "options", "status"),
    [
        ("throttled", {}, 429),
        ("conflict", {}, 409),
        ("unavailable", {}, 503),
        ("status", {"status": 428}, 428),
    ],
)
def test_faults_come_as_scripted(kind: str, options: dict[str, int], status: int) -> None:
    """Once, at the operation they name."""
    rig = Rig(check=False, faults=Faults.from_list([{"match": "QueryContacts", "kind": kind, **options}])).open()
    assert rig.call("POST", ORDERS_PATH, {"search": {}}).status == 200
    assert rig.call("POST", CONTACTS, {}).status == status
    assert rig.call("POST", CONTACTS, {}).status == 200


def test_a_fault_may_say_how_long_to_wait() -> None:
    """Other than Wix's own 429."""
    faults = Faults.from_list([{"match": "QueryContacts", "kind": "throttled", "retry_after": 7}])
    reply = Rig(faults=faults).open().call("POST", CONTACTS, {})
    assert (reply.status, reply.headers["retry-after"]) == (429, "7")


def test_an_expired_token_is_noticed_once() -> None:
    """The fault ends the app's tokens; a new one works."""
    rig = Rig(app=APP, faults=Faults.from_list([{"match": "QueryContacts", "kind": "token_expired"}])).open()
    for status in (401, 200):
        headers = {"authorization": _token(rig)[1]["access_token"]}
        assert rig.call("POST", CONTACTS, {}, headers=headers).status == status


def test_a_scripted_job_never_ends() -> None:
    """The next one does."""
    rig = Rig(faults=Faults.from_list([{"match": "BulkAddRemoveLabels", "kind": "stuck_job"}]))
    person = rig.person()
    rig.open()
    label = rig.site.add_label("Seg: VIP")
    body = {"filter": {"id": {"$in": [person.guid]}}, "labelKeysToAdd": [label.key]}
    jobs = [rig.post("/contacts/v4/bulk/contacts/add-remove-labels", body)["jobId"] for _ in range(2)]
    rig.clock.advance(3600)
    states = [rig.get(f"/contacts/v4/bulk/jobs/{job}")["job"]["status"] for job in jobs]
    assert (states[0] != "COMPLETED", states[1]) == (True, "COMPLETED")


def test_a_job_works_whether_or_not_it_is_watched() -> None:
    """Its effect is seen in queries though nobody asked how it went."""
    rig = Rig()
    person = rig.person()
    rig.open()
    label = rig.site.add_label("Seg: VIP")
    body = {"filter": {"id": {"$in": [person.guid]}}, "labelKeysToAdd": [label.key]}
    rig.post("/contacts/v4/bulk/contacts/add-remove-labels", body)
    for _ in range(2):
        rig.settle()
        found = rig.contacts(filter={"info.labelKeys": {"$hasSome": [label.key]}})
    assert [contact["id"] for contact in found] == [person.guid]


@pytest.mark.parametrize(
    ("schema", "endpoint"),
    [
        ("orders_search", ORDERS),
        ("abandoned_checkouts_query", CHECKOUT_QUERY),
        ("abandoned_checkouts_search", CHECKOUT_SEARCH),
        ("contacts_query", CONTACTS_V4),
        ("contacts_v5_query", CONTACTS_V5),
    ],
)
def test_the_tables_agree_with_the_schemas(schema: str, endpoint: Endpoint) -> None:
    """Fields, operators, sort fields and limits are the vendor's."""
    whole = validator(f"{schema}.request").schema
    asked = next(iter(whole["properties"].values()))["properties"]
    operators = {
        name: frozenset(whole["$defs"][its["$ref"].rsplit("/", 1)[1]]["anyOf"][-1]["properties"])
        for name, its in whole["$defs"]["filter"]["properties"].items()
        if not name.startswith("$")
    }
    own = {name: field.operators for name, field in endpoint.fields.items() if not name.endswith("*")}
    assert own == operators
    sort = asked["sort"]["items"]["properties"]
    assert set(endpoint.sorts) == set(sort["fieldName"]["enum"])
    assert {order for orders in endpoint.sorts.values() for order in orders} == set(sort["order"]["enum"])
    assert endpoint.most_sorts == asked["sort"]["maxItems"]
    assert endpoint.largest == asked.get("cursorPaging", asked.get("paging"))["properties"]["limit"]["maximum"]


def test_the_schemas_judge_their_own_examples() -> None:
    """The copies in the tests still accept and refuse what the vendor's page shows."""
    examples = orjson.loads((SPECS / "examples.json").read_bytes())
    for name, cases in examples.items():
        assert all(validator(name).is_valid(case) for case in cases["valid"]), name
        assert not any(validator(name).is_valid(case) for case in cases["invalid"]), name


def test_bodies_that_the_schema_refuses_are_refused(rig: Rig) -> None:
    """The vendor's counter-examples are answered with 400."""
    examples = orjson.loads((SPECS / "examples.json").read_bytes())
    paths = {
        "orders_search.request": ORDERS_PATH,
        "contacts_query.request": CONTACTS,
        "contacts_v5_query.request": "/contacts/v5/contacts/query",
    }
    for name, path in paths.items():
        for body in examples[name]["invalid"]:
            rig.refused(path, body)


def test_requests_are_bytes_that_may_be_anything(rig: Rig) -> None:
    """A body that is a list, or nothing, is a 400 and not a crash."""
    for body in (b"[]", b"null", b"3", b"{"):
        request = Request("POST", ORDERS_PATH, (), {"authorization": API_KEY, "wix-site-id": SITE_ID}, body)
        assert rig.handle(request).status == 400
