"""The judge of Mailchimp's requests and replies: it knows all that the simulator knows, and does not let all pass."""

from __future__ import annotations

import dataclasses
import json

import orjson
import pytest
from jsonschema import ValidationError
from mailchimp_openapi import SPEC, check_operation, check_reply, check_request, operations
from mailchimp_rig import Rig

from connector.mailchimp.sandbox_endpoints import ENDPOINTS
from connector.sandbox.wire import Request

HEADERS = {"authorization": "Bearer x", "content-type": "application/json"}
HASH = "0" * 32


def test_the_simulator_knows_the_operations_of_the_definition() -> None:
    """By method, path and name."""
    ours = {endpoint.operation: endpoint for endpoint in ENDPOINTS}

    assert set(ours) == {its["operationId"] for its in operations().values()}
    for name, its in operations().items():
        method, path = name.split()
        endpoint = ours[its["operationId"]]
        assert endpoint.method == method
        assert endpoint.path.fullmatch("/3.0" + path.replace("{", "").replace("}", ""))


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/lists/a/members"},
        {"path": "/3.0/people"},
        {"query": (("count", "1001"),)},
        {"query": (("count", "10"), ("count", "20"))},
        {"query": (("limit", "10"),)},
        {"query": (("status", "gone"),)},
        {"query": (("fields", "members.email"),)},
        {"query": (("exclude_fields", "_link"),)},
        {"query": (("since_last_changed", "2026-11-18 11:08:19"),)},
        {"query": (("vip_only", "yes"),)},
        {"headers": {}},
        {"body": b"{}"},
    ],
)
def test_the_judge_sees_what_is_wrong_with_a_request(change: dict[str, object]) -> None:
    """A definition that accepts everything would prove nothing."""
    query = (("count", "1000"), ("fields", "members.id,members.merge_fields.RFM,members.tags.name,total_items"))
    good = Request("GET", "/3.0/lists/a/members", query, HEADERS, b"")

    assert check_request(good) == "getListsIdMembers"
    with pytest.raises((AssertionError, ValidationError)):
        check_request(dataclasses.replace(good, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", f"/lists/a/members/{HASH}", {"email_address": "a@example.org"}),
        ("PUT", f"/lists/a/members/{HASH}", {"email_address": "a@b.org", "status_if_new": "subscribed", "tags": []}),
        ("PATCH", f"/lists/a/members/{HASH}", {"status": "transactional"}),
        ("POST", f"/lists/a/members/{HASH}/tags", {"tags": [{"name": "VIP"}]}),
        ("POST", "/lists/a/segments/1", {"members_to_add": ["a@example.org"], "is_syncing": True}),
        ("POST", "/lists/a/segments/1", {"members_to_add": ["a@example.org"] * 501}),
        ("PATCH", "/lists/a/segments/1", {"static_segment": []}),
        ("POST", "/lists/a", {"members": [{"email_address": "a@example.org", "status": "archived"}]}),
        ("POST", "/lists/a/merge-fields", {"name": "RFM", "tag": "RFM"}),
    ],
)
def test_the_judge_sees_what_is_wrong_with_a_body(method: str, path: str, body: object) -> None:
    """Alone and inside a batch: missing and undeclared properties, wrong values, too many."""
    with pytest.raises(ValidationError):
        check_request(Request(method, f"/3.0{path}", (), HEADERS, orjson.dumps(body)))
    operation = {"method": method, "path": path, "body": orjson.dumps(body).decode()}
    with pytest.raises(ValidationError):
        check_operation(operation)
    batch = orjson.dumps({"operations": [operation]})
    with pytest.raises(ValidationError):
        check_request(Request("POST", "/3.0/batches", (), HEADERS, batch))


def test_the_judge_sees_what_is_wrong_with_a_reply() -> None:
    """Undeclared statuses and properties, dates that are none, and refusals that are no problem documents."""
    rig = Rig()
    rig.audience.add("a@example.org")
    request = Request("GET", f"/3.0{rig.member('a@example.org')}", (), HEADERS, b"")
    reply = rig.send("GET", rig.member("a@example.org"))
    document = orjson.loads(reply.body)

    check_reply(request, reply)
    for wrong in ({**document, "shoe_size": 42}, {**document, "last_changed": "today"}, {**document, "status": "gone"}):
        with pytest.raises(ValidationError):
            check_reply(request, dataclasses.replace(reply, body=orjson.dumps(wrong)))
    for status in (201, 400):
        with pytest.raises(AssertionError):
            check_reply(request, dataclasses.replace(reply, status=status))


def test_the_trimmed_definition_says_where_it_comes_from() -> None:
    """Source, version, digest and every patch."""
    origin = json.loads(SPEC.read_text("utf-8"))["info"]["x-origin"]

    assert origin["source"].startswith("https://github.com/APIs-guru/openapi-directory")
    assert (origin["version"], len(origin["input_sha256"])) == ("3.0.55", 64)
    assert len(origin["patches"]) == 6
