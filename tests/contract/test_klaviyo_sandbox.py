"""The simulator on its own: as strict, as limited and as late as the API it stands for."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from klaviyo_caller import NOW, Caller, document

from connector.klaviyo.sandbox import KlaviyoSandbox
from connector.klaviyo.sandbox_account import LAG
from connector.klaviyo.sandbox_install import install
from connector.sandbox.world import World
from sync.clock import ManualClock

MEMBERS = "/api/lists/{}/relationships/profiles"


@pytest.fixture
def caller() -> Caller:
    return Caller()


def import_of(*addresses: str, lists: tuple[str, ...] = (), **attributes: object) -> dict[str, Any]:
    rows = [{"type": "profile", "attributes": {"email": address, **attributes}} for address in addresses]
    return {
        "data": {
            "type": "profile-bulk-import-job",
            "attributes": {"profiles": {"data": rows}},
            "relationships": {"lists": {"data": [{"type": "list", "id": each} for each in lists]}},
        }
    }


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": None}, 401),
        ({"authorization": "Bearer x"}, 401),
        ({"authorization": "Klaviyo-API-Key pk_other"}, 401),
        ({"revision": None}, 400),
        ({"revision": "latest"}, 400),
    ],
)
def test_the_door_wants_key_and_revision(caller: Caller, headers: dict[str, str | None], status: int) -> None:
    """Each error is a JSON:API document with an id."""
    reply = caller.send("GET", "/api/accounts", **headers)

    assert reply.status == status
    assert document(reply)["errors"][0]["id"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/lists", ("page[size]", "11")),
        ("/api/lists", ("page[size]", "0")),
        ("/api/profiles", ("page[size]", "101")),
        ("/api/profiles", ("page[cursor]", "n99.1")),
        ("/api/profiles", ("limit", "5")),
        ("/api/profiles", ("sort", "name")),
        ("/api/profiles", ("additional-fields[profile]", "consent")),
        ("/api/profiles", ("fields[profile]", "shoe_size")),
        ("/api/profiles", ("filter", "greater-or-equal(updated,2026-01-01T00:00:00Z)")),
        ("/api/profiles", ("filter", "greater-than(updated,yesterday)")),
        ("/api/profiles", ("filter", 'any(email,"ann@example.org")')),
        ("/api/profiles", ("filter", "any(email,[ann@example.org])")),
        ("/api/profiles", ("filter", 'equals(first_name,"Ann")')),
        ("/api/profiles", ("filter", 'equals(email,"a@b.org"')),
        ("/api/profiles", ("filter", 'equals(email,"a@b.org")equals(id,"x")')),
        ("/api/lists", ("filter", 'contains(name,"VIP")')),
    ],
)
def test_queries_that_the_api_does_not_take_are_errors(caller: Caller, path: str, query: tuple[str, str]) -> None:
    """The parameter is named."""
    reply = caller.send("GET", path, query)

    assert reply.status == 400
    assert document(reply)["errors"][0]["source"] == {"parameter": query[0]}


def test_filters_are_joined_by_commas(caller: Caller) -> None:
    """All conditions hold at once."""
    caller.account.add_person("a@example.org")
    caller.clock.advance(100)
    caller.account.add_person("b@example.org")
    filter_ = 'any(email,["a@example.org","B@example.org"]),greater-than(updated,2026-11-18T11:07:00Z)'

    found = document(caller.send("GET", "/api/profiles", ("filter", filter_)))["data"]

    assert [each["attributes"]["email"] for each in found] == ["b@example.org"]


def test_writes_need_their_media_type(caller: Caller) -> None:
    """415 for application/json, 400 for what is no JSON."""
    body = {"data": {"type": "list", "attributes": {"name": "VIP"}}}

    assert caller.send("POST", "/api/lists", body=body, content_type="application/json").status == 415
    assert caller.send("POST", "/api/lists", body=body).status == 201
    assert caller.send("POST", "/api/people", body=body).status == 404


def test_a_list_change_takes_a_thousand_ids_and_all_or_none(caller: Caller) -> None:
    """1,001 are refused, and one unknown profile keeps the others out."""
    roll = caller.account.add_list("VIP")
    people = [caller.account.add_person(f"p{number}@example.org") for number in range(1001)]
    rows = [{"type": "profile", "id": person.id} for person in people]
    path = MEMBERS.format(roll.id)

    assert caller.send("POST", path, body={"data": rows}).status == 400
    assert caller.send("POST", path, body={"data": [*rows[:5], {"type": "profile", "id": "X"}]}).status == 404
    assert caller.send("POST", path, body={"data": [{"id": people[0].id}]}).status == 400
    assert roll.members == {}
    assert caller.send("POST", path, body={"data": rows[:1000]}).status == 204
    assert len(roll.members) == 1000
    assert caller.send("DELETE", path, body={"data": rows[:1000]}).status == 204
    assert roll.members == {}


@pytest.mark.parametrize(
    ("attributes", "field"),
    [({"subscriptions": {}}, "subscriptions"), ({"consent": "x"}, "consent"), ({"email": "no address"}, "email")],
)
def test_an_import_is_accepted_whole_or_not_at_all(caller: Caller, attributes: dict[str, Any], field: str) -> None:
    """Every bad row is named by a pointer, and nobody is imported."""
    body = import_of("a@example.org", "b@example.org")
    body["data"]["attributes"]["profiles"]["data"][1]["attributes"] |= attributes

    reply = caller.send("POST", "/api/profile-bulk-import-jobs", body=body)

    assert reply.status == 400
    pointers = [each["source"]["pointer"] for each in document(reply)["errors"]]
    assert pointers == [f"/data/attributes/profiles/data/1/attributes/{field}"]
    caller.clock.advance(60)
    assert not caller.account.imports
    assert not caller.account.people


def test_an_import_has_its_limits(caller: Caller) -> None:
    """10,000 profiles, 5 MB, 100 kB a profile, one list that exists."""
    path = "/api/profile-bulk-import-jobs"
    roll = caller.account.add_list("VIP")
    many = import_of(*[f"p{number}@example.org" for number in range(10_001)])
    heavy = import_of(*[f"p{number}@example.org" for number in range(60)], title="x" * 90_000)

    assert caller.send("POST", path, body=many).status == 400
    assert caller.send("POST", path, body=heavy).status == 413
    assert caller.send("POST", path, body=import_of("a@example.org", title="x" * 100_000)).status == 400
    assert caller.send("POST", path, body=import_of("a@example.org", lists=("A", "B"))).status == 400
    unknown = caller.send("POST", path, body=import_of("a@example.org", lists=("NOLIST",)))
    assert document(unknown)["errors"][0]["source"] == {"pointer": "/data"}
    assert caller.send("POST", path, body=import_of("a@example.org", lists=(roll.id,))).status == 202


def test_an_import_takes_its_time(caller: Caller) -> None:
    """Queued, then processing, then complete; only then are people there, and a little later they show."""
    roll = caller.account.add_list("VIP")
    reply = caller.send("POST", "/api/profile-bulk-import-jobs", body=import_of("a@example.org", lists=(roll.id,)))
    path = f"/api/profile-bulk-import-jobs/{document(reply)['data']['id']}"

    def status() -> str:
        return str(document(caller.send("GET", path))["data"]["attributes"]["status"])

    seen = [status()]
    for _ in range(3):
        caller.clock.advance(1.0)
        seen.append(status())
    assert seen == ["queued", "processing", "processing", "complete"]
    assert len(roll.members) == 1
    assert document(caller.send("GET", "/api/profiles"))["data"] == []
    caller.clock.advance(LAG)
    assert len(document(caller.send("GET", "/api/profiles"))["data"]) == 1


def test_burst_and_minute_are_limits_of_each_operation(caller: Caller) -> None:
    """A 429 has only Retry-After; other answers count down the minute; another operation is not affected."""
    replies = [caller.send("GET", "/api/accounts") for _ in range(2)]

    assert [reply.status for reply in replies] == [200, 429]
    assert replies[0].headers["ratelimit-limit"] == "15"
    assert replies[0].headers["ratelimit-remaining"] == "14"
    assert replies[1].headers["retry-after"] == "1"
    assert not any(name.startswith("ratelimit") for name in replies[1].headers)
    assert caller.send("GET", "/api/lists").status == 200
    for _ in range(14):
        caller.clock.advance(1.0)
        assert caller.send("GET", "/api/accounts").status == 200
    caller.clock.advance(1.0)
    assert caller.send("GET", "/api/accounts").headers["retry-after"] == "45"
    caller.clock.advance(45)
    assert caller.send("GET", "/api/accounts").status == 200


def test_a_scaled_account_runs_faster() -> None:
    """Ten times the speed: a minute's window ends after six seconds, and Retry-After is in real seconds."""
    caller = Caller(scale=10.0)
    statuses = []
    for _ in range(16):
        reply = caller.send("GET", "/api/accounts")
        statuses.append(reply.status)
        caller.clock.advance(0.11)

    assert statuses == [200] * 15 + [429]
    assert 1 <= int(reply.headers["retry-after"]) <= 6


def test_a_missing_scope_is_403(caller: Caller) -> None:
    """Also for one of two scopes."""
    roll = caller.account.add_list("VIP")
    caller.sandbox.scopes.remove("profiles:write")

    assert caller.send("POST", MEMBERS.format(roll.id), body={"data": []}).status == 403
    assert caller.send("GET", "/api/lists").status == 200


def test_pages_link_to_where_the_client_came_from(caller: Caller) -> None:
    """So that a client of a loopback server stays there; the last page links to nothing."""
    for number in range(12):
        caller.account.add_list(f"list {number}")

    first = document(caller.send("GET", "/api/lists", ("sort", "name"), host="127.0.0.1:9003"))
    link = first["links"]["next"]

    assert link.startswith("http://127.0.0.1:9003/api/lists?sort=name&page%5Bcursor%5D=")
    cursor = link.rpartition("=")[2]
    second = document(caller.send("GET", "/api/lists", ("sort", "name"), ("page[cursor]", cursor)))
    assert (len(first["data"]), len(second["data"]), second["links"]["next"]) == (10, 2, None)


def test_joining_a_list_with_a_live_flow_is_recorded(caller: Caller) -> None:
    """Once per joining; a draft and a repeated addition send nobody anything."""
    roll = caller.account.add_list("VIP")
    person = caller.account.add_person("ann@example.org")
    caller.account.add_flow(roll, "Hello")
    caller.account.add_flow(roll, "Draft", status="draft")

    for action in (caller.account.join, caller.account.join, caller.account.leave, caller.account.join):
        action(roll, person)

    assert [join.flow for join in caller.account.flow_joins] == ["Hello", "Hello"]
    assert caller.account.writes["members_repeated"] == 1


def test_members_show_with_the_lag_in_the_order_of_joining(caller: Caller) -> None:
    """Removals too; the newest comes first."""
    roll = caller.account.add_list("VIP")
    people = [caller.account.add_person(f"p{number}@example.org") for number in range(3)]
    for person in people:
        caller.account.join(roll, person)
        caller.clock.advance(1)
    caller.clock.advance(LAG)
    caller.account.leave(roll, people[0])

    def shown() -> list[str]:
        return [each["id"] for each in document(caller.send("GET", MEMBERS.format(roll.id)))["data"]]

    assert shown() == [people[2].id, people[1].id, people[0].id]
    caller.clock.advance(LAG)
    assert shown() == [people[2].id, people[1].id]


def test_seeding_is_repeatable_and_keeps_its_shares(caller: Caller) -> None:
    """Two accounts from one seed are alike."""
    addresses = [f"p{number}@example.org" for number in range(2000)]
    other = Caller()
    for each in (caller, other):
        each.sandbox.seed(addresses, Random(3), known=0.5, unsubscribed=0.1, suppressed=0.2)

    people = caller.account.people.values()
    assert 900 < len(people) < 1100
    assert 0.06 < sum(person.consent == "UNSUBSCRIBED" for person in people) / len(people) < 0.14
    assert 0.24 < sum(bool(person.suppressions) for person in people) / len(people) < 0.36
    assert [*other.account.people] == [*caller.account.people]


def test_a_world_comes_with_an_account_that_knows_its_people() -> None:
    """Most of the shop's addresses, and only those; a denied scope is missing from the key."""
    clock = ManualClock(NOW)
    world = World.generate(seed=5, customers=200, now=NOW, clock=clock)
    world.denied.add("flows:read")

    installed = install(world, clock=clock, scale=1.0, faults=None)

    assert isinstance(installed.simulator, KlaviyoSandbox)
    known = {person.email for person in installed.simulator.account.people.values()}
    addresses = {customer.email.lower() for customer in world.customers.values() if customer.email}
    assert known <= addresses
    assert len(known) > len(addresses) / 2
    assert not {"flows:read", "subscriptions:write"} & installed.simulator.scopes
    assert installed.secrets == {"REGULARS_KLAVIYO_API_KEY": installed.simulator.api_key}
