"""Our calls, the simulator and our table of limits against Klaviyo's own definition."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import orjson
import pytest
from jsonschema import ValidationError
from klaviyo_openapi import SPEC, check_reply, check_request, operation_of, operations
from klaviyo_rig import Rig, adds, removes, strangers

from connector.base import Audience
from connector.klaviyo import wire_events, wire_imports, wire_lists, wire_profiles, wire_properties
from connector.klaviyo.doctor import consent_probe
from connector.klaviyo.limits import limits
from connector.klaviyo.sandbox_endpoints import ENDPOINTS
from connector.sandbox.wire import Request

CALLS = [
    wire_lists.get_account(),
    wire_lists.get_lists(),
    wire_lists.create_list("VIP"),
    wire_lists.rename_list("L1", "VIP"),
    wire_lists.flow_triggers("L1"),
    wire_lists.member_ids("L1"),
    wire_lists.change_members("L1", ["P1"], add=True),
    wire_lists.change_members("L1", ["P1"], add=False),
    wire_profiles.any_profile(),
    wire_imports.create_job(["ann@example.org"]),
    wire_imports.get_job("J1"),
    wire_imports.import_errors("J1"),
    wire_imports.imported("J1"),
    wire_properties.change_profile("P1", "segments", ["vip"], ["new"]),
    wire_properties.import_profile("ann@example.org", "segments", ["vip"]),
    wire_events.create_event("Entered segment", "P1", "u1", 1_795_000_000, {"segment": "vip"}, quiet=False),
    wire_events.get_metrics(),
    wire_events.metric_flows("M1"),
    consent_probe(),
]


def test_every_operation_is_used_and_every_reply_fits() -> None:
    """One run through everything the destination does; the rig holds each exchange against the definition."""
    rig = Rig(settings={"mode": "both", "events": True})
    rig.account.add_metric_flow("Entered segment", "Welcome")
    rig.account.unsubscribe(rig.account.add_person("out@example.org"))
    known = [rig.account.add_person(f"p{number}@example.org") for number in range(3)]
    rig.account.unimportable["bad@example.org"] = "No."
    audience = Audience("vip", "VIP", rig.destination.create(Audience("vip", "VIP")))
    rig.account.add_flow(rig.roll(audience), "Hello")
    ops = [
        *removes(audience, known[:1]),
        *adds(audience, known[1:], first=10),
        *strangers(audience, ["new@example.org", "bad@example.org", "two..dots@example.org"], first=20),
    ]

    rig.destination.doctor()
    list(rig.destination.lookup(["out@example.org", "p1@example.org"]))
    list(rig.destination.changed(0))
    rig.destination.find(["VIP"])
    rig.destination.rename(audience)
    rig.destination.live_flows(audience)
    rig.push(ops)
    rig.clock.advance(60)
    list(rig.destination.members(audience))

    assert set(rig.names()) == set(operations())
    assert {reply.status for _, _, reply in rig.seen if reply} == {200, 201, 202, 204, 400, 403, 404}


def test_limits_and_scopes_are_those_of_the_definition() -> None:
    """`mappings/klaviyo.toml` says per operation what Klaviyo says."""
    told = {}
    for call in CALLS:
        its = operations()[operation_of(Request(call.method, call.path, (), {}, b""))]
        rate = its["x-klaviyo-ratelimit"]
        told[call.operation] = (rate["burst"], rate["steady"], set(its["x-klaviyo-scopes"]))
        if call.operation == "CreateList":
            assert rate["daily"] == f"{limits().writes.list_creates_per_day}/d"

    ours = {name: (f"{its.burst}/s", f"{its.steady}/m", set(its.scopes)) for name, its in limits().operations.items()}
    assert ours == told
    assert {endpoint.operation for endpoint in ENDPOINTS} == ours.keys()


def test_page_sizes_are_the_largest_that_the_definition_allows() -> None:
    """A smaller page costs calls, a larger one is refused."""
    sizes = [
        (wire_lists.get_lists(), limits().pages.lists),
        (wire_profiles.any_profile(), limits().pages.profiles),
        (wire_lists.member_ids("L1"), limits().pages.members),
        (wire_imports.import_errors("J1"), limits().pages.import_errors),
    ]
    for call, size in sizes:
        its = operations()[operation_of(Request(call.method, call.path, (), {}, b""))]
        (parameter,) = [each for each in its["parameters"] if each["name"] == "page[size]"]
        assert parameter["schema"]["maximum"] == size


@pytest.mark.parametrize(
    "change",
    [
        {"query": (("page[size]", "101"),)},
        {"query": (("fields[profile]", "email,shoe_size"),)},
        {"query": (("limit", "5"),)},
        {"query": (("sort", "email"), ("sort", "id"))},
        {"headers": {"accept": "application/vnd.api+json"}},
        {"headers": {"accept": "application/json", "revision": "2026-10-15"}},
        {"body": b"{}"},
        {"path": "/api/people"},
    ],
)
def test_the_judge_sees_what_is_wrong_with_a_request(change: dict[str, object]) -> None:
    """A definition that accepts everything would prove nothing."""
    headers = {"accept": "application/vnd.api+json", "revision": "2026-10-15"}
    good = Request("GET", "/api/profiles", (("page[size]", "100"), ("sort", "-updated")), headers, b"")

    check_request(good)
    with pytest.raises((AssertionError, ValidationError, KeyError)):
        check_request(dataclasses.replace(good, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"type": "lists", "attributes": {"name": "VIP"}}},
        {"data": {"type": "list", "attributes": {}}},
        {"data": {"type": "list", "attributes": {"name": "VIP", "colour": "red"}}},
        {"data": {"type": "list", "attributes": {"name": None}}},
    ],
)
def test_the_judge_sees_what_is_wrong_with_a_body(body: object) -> None:
    """Wrong type, missing, undeclared and null properties."""
    media = "application/vnd.api+json"
    headers = {"accept": media, "content-type": media, "revision": "2026-10-15"}
    with pytest.raises(ValidationError):
        check_request(Request("POST", "/api/lists", (), headers, orjson.dumps(body)))


def test_the_judge_sees_what_is_wrong_with_a_reply() -> None:
    """An undeclared status, and a document without its attributes."""
    rig = Rig()
    rig.destination.find(["VIP"])
    ((_, request, reply),) = rig.seen
    assert reply is not None

    with pytest.raises(AssertionError):
        check_reply(request, dataclasses.replace(reply, status=204))
    body = b'{"data":[{"type":"list","id":"L1"}],"links":{"self":"x:y"}}'
    with pytest.raises(ValidationError):
        check_reply(request, dataclasses.replace(reply, body=body))


def test_the_trimmed_definition_says_where_it_comes_from() -> None:
    """Source, version, digest and every patch."""
    info = json.loads(Path(SPEC).read_text("utf-8"))["info"]

    assert info["x-origin"]["source"] == "https://github.com/klaviyo/openapi, openapi/stable.json"
    assert len(info["x-origin"]["sha256"]) == 64
    assert info["x-origin"]["patches"] == ["CollectionLinks.next and .prev are nullable: the last page says null"]
