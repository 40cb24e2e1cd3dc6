"""What goes to Wix follows the vendor's schemas; what comes back is judged by its status and code."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from wix_rig import call_of, validator

from connector.base import Call, Ok, Rejected, Reply, RetryAfter
from connector.errors import AuthError, BadReply, PlatformError, ScopeError
from connector.sandbox.wire import Request
from connector.wix import wire, wire_activity, wire_catalogue, wire_contacts
from connector.wix.judge import NotFound, Refused, WixWire, document, problem_of

ID = "7a585d4b-74f1-4ff5-9d42-489299bf5259"
SINCE = wire.iso(1_795_000_000)
CALL = Call("SearchOrders", "POST", "/ecom/v1/orders/search", json={})


@pytest.mark.parametrize(
    "call",
    [
        wire.orders_changed(None, None),
        wire.orders_changed(SINCE, None),
        wire.orders_changed(SINCE, "cursor"),
        wire.orders_listed(None),
        wire.orders_listed("cursor"),
        wire.orders_by_ids([ID] * 100, None),
        wire.carts_changed(SINCE, None),
        wire.carts_changed(SINCE, "cursor"),
        wire.carts_by_ids([ID], None),
        wire_contacts.contacts({}),
        wire_contacts.contacts({"updatedDate": {"$gte": SINCE}, "createdDate": {"$gte": SINCE}}, offset=1000),
        wire_contacts.contacts({}, limit=1, fields=("createdDate",)),
        wire_contacts.contacts_by_ids([ID]),
        wire_contacts.contacts_v5([ID]),
        wire_contacts.labels(),
        wire_contacts.subscriptions(["ana@example.com"]),
        wire_activity.contacts_acted({wire_activity.ACTED: {"$gte": SINCE}}, 0),
    ],
    ids=lambda call: call.operation,
)
def test_requests_follow_the_schemas(call: Call) -> None:
    """Each body that has a schema fits it."""
    body = orjson.dumps(call.json)
    name = call_of(Request(call.method, call.path, (), {}, body))
    assert name is not None
    validator(f"{name}.request").validate(json.loads(body))


def test_orders_of_every_status_are_asked_for() -> None:
    """PENDING and REJECTED are left out otherwise; a cursor goes without filter and sort."""
    first = wire.orders_changed(SINCE, None).json["search"]
    assert first["filter"] == {
        "updatedDate": {"$gte": SINCE},
        "status": {"$in": ["APPROVED", "CANCELED", "PENDING", "REJECTED"]},
    }
    assert [(each["fieldName"], each["order"]) for each in first["sort"]] == [("updatedDate", "ASC"), ("number", "ASC")]
    assert wire.orders_changed(SINCE, "next").json == {"search": {"cursorPaging": {"limit": 100, "cursor": "next"}}}


def test_the_old_catalogue_takes_its_filter_as_text() -> None:
    """Version 1 wants JSON in a string, version 3 an object."""
    query = wire_catalogue.products_v1({"lastUpdated": {"$gte": SINCE}}, 7).json["query"]
    assert json.loads(query["filter"]) == {"lastUpdated": {"$gte": SINCE}, "numericId": {"$gt": 7}}
    assert json.loads(query["sort"]) == [{"numericId": "asc"}]


def test_a_log_goes_on_with_its_cursor_alone() -> None:
    """The cursor carries contact and dates."""
    assert dict(wire_activity.activities(ID, SINCE, None).params)["contactId"] == ID
    assert wire_activity.activities(ID, SINCE, "next").params == (("cursorPaging.cursor", "next"),)


@pytest.mark.parametrize(
    ("metadata", "cursor"),
    [
        ({"cursors": {"next": "c"}, "hasNext": True}, "c"),
        ({"cursors": {"next": "c"}}, "c"),
        ({"cursors": {"next": "c"}, "hasNext": False}, None),
        ({"cursors": {"next": ""}, "hasNext": True}, None),
        ({"cursors": None}, None),
        ({}, None),
    ],
)
def test_pages_end_by_what_the_answer_says(metadata: dict[str, Any], cursor: str | None) -> None:
    """No cursor or `hasNext` false, never the number of records."""
    assert wire.following({"metadata": metadata}) == cursor


def reply(status: int, body: Any = b"", **headers: str) -> Reply:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return Reply(status, {"x-wix-request-id": "r.1", "content-type": "application/json", **headers}, data)


def refused(answer: Reply) -> PlatformError:
    verdict = WixWire().judge(CALL, answer)
    assert isinstance(verdict, Rejected)
    assert isinstance(verdict.error, PlatformError)
    return verdict.error


def application(code: str, **data: str) -> dict[str, Any]:
    return {"message": "No", "details": {"applicationError": {"code": code, "description": "no", "data": data}}}


def test_good_answers_are_objects_or_nothing() -> None:
    """A list or a web page is no answer of the API; half a JSON document is asked for again."""
    wire_ = WixWire()
    assert wire_.judge(CALL, reply(200, {"orders": []})) == Ok()
    assert wire_.judge(CALL, reply(200)) == Ok()
    assert document(reply(200)) == {}
    assert isinstance(wire_.judge(CALL, reply(200, b'{"orders":[{"id"')), RetryAfter)
    assert isinstance(refused(reply(200, [])), BadReply)
    assert isinstance(refused(Reply(200, {"content-type": "text/html"}, b"<html>")), BadReply)


def test_too_many_requests_wait_a_minute() -> None:
    """Wix names no time; where it does, that holds."""
    first, second = (
        WixWire().judge(CALL, reply(429, b"slow down", **headers)) for headers in ({}, {"retry-after": "7"})
    )
    assert isinstance(first, RetryAfter)
    assert isinstance(second, RetryAfter)
    assert (first.seconds, second.seconds) == (60, 7)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_the_server_may_be_asked_again(status: int) -> None:
    """Whatever a gateway writes into the body."""
    assert isinstance(WixWire().judge(CALL, reply(status, b"<html>503</html>")), RetryAfter)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthError),
        (403, ScopeError),
        (404, NotFound),
        (400, Refused),
        (409, Refused),
        (428, Refused),
        (501, Refused),
    ],
)
def test_refusals_have_a_type(status: int, kind: type[Exception]) -> None:
    """And the request id that Wix's support asks for."""
    error = refused(reply(status, application("SOME_CODE")))
    assert type(error) is kind
    assert error.request_id == "r.1"


def test_a_refusal_carries_the_code_and_its_data() -> None:
    """Both variants of `details`, and none at all."""
    error = refused(reply(400, application("LABELS_QUOTA_REACHED", labelsQuota="10")))
    assert isinstance(error, Refused)
    assert (error.status, error.code, error.data) == (400, "LABELS_QUOTA_REACHED", {"labelsQuota": "10"})
    violation = {"field": "value", "description": "Field 'x' is not declared as filterable"}
    body = {"message": "value is bad", "details": {"validationError": {"fieldViolations": [violation]}}}
    assert "not declared as filterable" in refused(reply(400, body)).text
    for bare in ({"message": "Not Found", "details": {}}, {"message": "Not Found"}):
        assert problem_of(reply(404, bare)).text == "Not Found"
    assert problem_of(reply(404, b"<html>")).text == ""
    assert problem_of(reply(404, b"[]")).code == ""


def test_no_address_stands_in_an_error() -> None:
    """What Wix says is quoted with addresses masked."""
    assert "ana@example.com" not in str(refused(reply(400, {"message": "bad value ana@example.com"})))
