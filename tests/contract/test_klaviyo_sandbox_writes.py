"""The simulator's writes for one person: properties, events, subscriptions."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from klaviyo_caller import Caller, document

from connector.klaviyo.sandbox import ALL_SCOPES

EVENTS, UPSERT = "/api/events", "/api/profile-import"
SUBSCRIBE = "/api/profile-subscription-bulk-create-jobs"


@pytest.fixture
def caller() -> Caller:
    return Caller()


def event_of(profile: dict[str, Any], **attributes: object) -> dict[str, Any]:
    return {
        "data": {
            "type": "event",
            "attributes": {
                "metric": {"data": {"type": "metric", "attributes": {"name": "Entered segment"}}},
                "profile": {"data": {"type": "profile", "attributes": {}, **profile}},
                "properties": {"segment": "vip"},
                **attributes,
            },
        }
    }


def upsert_of(email: str, **meta: object) -> dict[str, Any]:
    return {"data": {"type": "profile", "attributes": {"email": email}, "meta": {"patch_properties": meta}}}


def test_values_are_appended_as_often_as_asked_and_taken_one_by_one(caller: Caller) -> None:
    """The API leaves it open; this is what asks most of a client."""
    made = caller.send("POST", UPSERT, body=upsert_of("Ann+1@example.org", append={"tags": ["a", "b"]}))
    again = caller.send("POST", UPSERT, body=upsert_of("ann+1@example.org", append={"tags": "a"}))
    taken = caller.send("POST", UPSERT, body=upsert_of("ann+1@example.org", unappend={"tags": ["a", "x"]}))

    assert (made.status, again.status, taken.status) == (201, 200, 200)
    assert [document(each)["data"]["attributes"]["properties"] for each in (made, again, taken)] == [
        {"tags": ["a", "b"]},
        {"tags": ["a", "b", "a"]},
        {"tags": ["b", "a"]},
    ]


@pytest.mark.parametrize(
    ("email", "meta", "status"),
    [("two..dots@example.org", {}, 400), ("ann@example.org", {"append": {"tags": None}}, 400)],
)
def test_bad_addresses_and_nulls_are_refused(caller: Caller, email: str, meta: dict[str, Any], status: int) -> None:
    """And nothing is made of them."""
    assert caller.send("POST", UPSERT, body=upsert_of(email, **meta)).status == status
    assert not any(person.properties for person in caller.account.people.values())


def test_an_update_never_makes_a_profile(caller: Caller) -> None:
    """404 for one that is not there; the id of the body must be that of the path."""
    ann = caller.account.add_person("ann@example.org")
    body = {"data": {"type": "profile", "id": ann.id, "attributes": {}}}

    assert caller.send("PATCH", f"/api/profiles/{ann.id}", body=body).status == 200
    assert caller.send("PATCH", "/api/profiles/01GONE", body=body).status == 404
    other = {"data": {"type": "profile", "id": "other", "attributes": {}}}
    assert caller.send("PATCH", f"/api/profiles/{ann.id}", body=other).status == 400
    assert len(caller.account.people) == 1


def test_a_conflict_names_the_profile(caller: Caller) -> None:
    """409 with the id in its meta."""
    caller.account.torn["ann@example.org"] = "01OTHER"

    reply = caller.send("POST", UPSERT, body=upsert_of("ann@example.org"))

    assert reply.status == 409
    (problem,) = document(reply)["errors"]
    assert (problem["code"], problem["meta"]) == ("duplicate_profile", {"duplicate_profile_id": "01OTHER"})


def test_of_events_with_one_id_the_first_counts(caller: Caller) -> None:
    """Of one metric and profile; without an id the second tells them apart."""
    ann, bob = (caller.account.add_person(f"{name}@example.org") for name in ("ann", "bob"))
    for profile, unique in ((ann, "u"), (ann, "u"), (bob, "u"), (ann, None), (ann, None)):
        reply = caller.send("POST", EVENTS, body=event_of({"id": profile.id}, unique_id=unique))
        assert (reply.status, reply.body) == (202, b"")
    assert caller.account.writes["events"] == 3
    assert caller.account.writes["events_repeated"] == 2


def test_events_start_live_flows_unless_they_are_history(caller: Caller) -> None:
    """`backfill` is recorded and starts nothing; neither does a draft."""
    ann = caller.account.add_person("ann@example.org")
    caller.account.add_metric_flow("Entered segment", "Hello")
    caller.account.add_metric_flow("Entered segment", "Draft", status="draft")

    caller.send("POST", EVENTS, body=event_of({"id": ann.id}, unique_id="1", backfill=True))
    assert caller.account.flow_joins == []
    caller.send("POST", EVENTS, body=event_of({"id": ann.id}, unique_id="2"))
    assert [join.flow for join in caller.account.flow_joins] == ["Hello"]


def test_an_event_by_address_makes_a_profile(caller: Caller) -> None:
    """Which is why ours go by id; an unknown id is refused, and so is an event about nobody."""
    assert caller.send("POST", EVENTS, body=event_of({"id": "01GONE"})).status == 404
    assert caller.send("POST", EVENTS, body=event_of({})).status == 400
    assert not caller.account.people
    assert caller.send("POST", EVENTS, body=event_of({"attributes": {"email": "x@example.org"}})).status == 202
    assert len(caller.account.people) == 1


@pytest.mark.parametrize("name", ["", "x" * 128, None])
def test_a_metric_needs_a_name_of_its_length(caller: Caller, name: str | None) -> None:
    """Fewer than 128 characters."""
    ann = caller.account.add_person("ann@example.org")
    body = event_of({"id": ann.id})
    body["data"]["attributes"]["metric"]["data"]["attributes"]["name"] = name

    assert caller.send("POST", EVENTS, body=body).status == 400


def test_the_first_event_makes_its_metric(caller: Caller) -> None:
    """It is listed by name, and its flows by its id; an unknown metric has none."""
    ann = caller.account.add_person("ann@example.org")
    assert document(caller.send("GET", "/api/metrics"))["data"] == []
    caller.send("POST", EVENTS, body=event_of({"id": ann.id}))
    caller.account.add_metric_flow("Entered segment", "Hello")

    (metric,) = document(caller.send("GET", "/api/metrics"))["data"]
    flows = document(caller.send("GET", f"/api/metrics/{metric['id']}/flow-triggers"))["data"]

    assert metric["attributes"]["name"] == "Entered segment"
    assert [flow["attributes"]["name"] for flow in flows] == ["Hello"]
    assert caller.send("GET", "/api/metrics/XXXXXX/flow-triggers").status == 404


def test_subscribing_changes_consent_and_is_seen() -> None:
    """The call that is never made: the simulator carries it out, so that a test would find it."""
    caller = Caller(scopes=[*ALL_SCOPES, "subscriptions:write"])
    out = caller.account.add_person("out@example.org", consent="SUBSCRIBED")
    caller.account.unsubscribe(out)
    before = orjson.dumps(caller.account.consent_states())
    row = {"type": "profile", "attributes": {"email": "out@example.org"}}
    body = {"data": {"type": "profile-subscription-bulk-create-job", "attributes": {"profiles": {"data": [row]}}}}

    assert caller.send("POST", SUBSCRIBE, body=body).status == 202

    assert orjson.dumps(caller.account.consent_states()) != before
    assert (out.consent, out.suppressions) == ("SUBSCRIBED", [])


@pytest.mark.parametrize(
    ("method", "path", "kind", "scope"),
    [
        ("POST", SUBSCRIBE, "profile-subscription-bulk-create-job", "subscriptions:write"),
        ("POST", EVENTS, "event", "events:write"),
        ("POST", UPSERT, "profile", "profiles:write"),
        ("PATCH", "/api/lists/XXXXXX", "list", "lists:write"),
    ],
)
def test_scopes_are_looked_at_before_bodies(method: str, path: str, kind: str, scope: str) -> None:
    """403 without the scope, 400 or 404 with it; nothing is written in either case."""
    body = {"data": {"type": kind}}
    every = [*ALL_SCOPES, "subscriptions:write"]

    assert Caller(scopes=set(every) - {scope}).send(method, path, body=body).status == 403
    allowed = Caller(scopes=every)
    assert allowed.send(method, path, body=body).status in (400, 404)
    assert not allowed.account.writes


def test_joins_are_counted_by_list_and_person(caller: Caller) -> None:
    """By whatever way somebody comes onto a list, an import included; a repeated addition is none."""
    roll = caller.account.add_list("VIP")
    ann = caller.account.add_person("ann@example.org")
    rows = [{"type": "profile", "attributes": {"email": "ann@example.org"}}]
    body = {
        "data": {
            "type": "profile-bulk-import-job",
            "attributes": {"profiles": {"data": rows}},
            "relationships": {"lists": {"data": [{"type": "list", "id": roll.id}]}},
        }
    }
    caller.send("POST", "/api/profile-bulk-import-jobs", body=body)
    caller.clock.advance(60)
    caller.send("GET", "/api/lists")
    caller.account.join(roll, ann)
    assert caller.account.joins == {(roll.id, ann.id): 1}

    caller.account.leave(roll, ann)
    caller.account.join(roll, ann)
    assert caller.account.joins == {(roll.id, ann.id): 2}
