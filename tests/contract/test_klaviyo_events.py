"""Events of who enters and who leaves, in the simulated Klaviyo account."""

from __future__ import annotations

import dataclasses

import orjson
import pytest
from klaviyo_rig import NOW, Rig, adds, error, removes, strangers
from scripted import times

from connector.base import Audience, Op, Person, Reply
from connector.errors import ScopeError
from connector.klaviyo.sandbox_account import Event
from connector.retry import Policy
from connector.sandbox.wire import Drop, Request

EVENT = "POST /api/events"
SINCE = NOW - 86_400


@pytest.fixture
def rig() -> Rig:
    return Rig(settings={"events": True})


def events(rig: Rig) -> list[Event]:
    return list(rig.account.events.values())


def test_who_enters_gets_an_event_behind_the_change(rig: Rig) -> None:
    """Of the instant of entry, addressed by the profile's id, with the segment's key and name."""
    audience = Audience("vip", "Regulars: Very important", rig.audience().remote_id)
    ann = rig.account.add_person("ann@example.org")

    receipts = rig.push([*adds(audience, [ann]), *strangers(audience, ["new@example.org"], first=7)])

    first, second = sorted(events(rig), key=lambda event: event.unique_id)
    assert first == Event(
        "Entered segment",
        ann.id,
        f"regulars:vip:c1:{SINCE}:entered",
        SINCE,
        {"segment": "vip", "segment_name": "Very important"},
        quiet=False,
    )
    assert (second.profile_id, second.unique_id) == (receipts[7].remote_id, f"regulars:vip:c7:{SINCE}:entered")
    assert rig.names()[-1] == EVENT
    for name, request, _ in rig.seen:
        if name == EVENT:
            profile = orjson.loads(request.body)["data"]["attributes"]["profile"]["data"]
            assert profile == {"type": "profile", "id": profile["id"], "attributes": {}}


def test_a_first_fill_is_history(rig: Rig) -> None:
    """Recorded without starting a flow; a later newcomer starts it."""
    audience = rig.audience()
    rig.account.add_metric_flow("Entered segment", "Hello")
    ann, bob = (rig.account.add_person(f"{name}@example.org") for name in ("ann", "bob"))

    rig.push(adds(dataclasses.replace(audience, quiet=True), [ann]))
    assert rig.account.flow_joins == []
    rig.push(adds(audience, [bob], first=2))
    assert [join.profile_id for join in rig.account.flow_joins] == [bob.id]


def test_a_repeated_push_is_one_event(rig: Rig) -> None:
    """However often the same change is sent; the next entry is another event."""
    audience = rig.audience()
    ann = rig.account.add_person("ann@example.org")
    ops = adds(audience, [ann])
    for _ in range(3):
        rig.push(ops)
        rig.clock.advance(3600)
    assert len(events(rig)) == 1

    rig.push([dataclasses.replace(ops[0], since=NOW)])
    assert len(events(rig)) == 2


def test_an_answer_that_was_lost_makes_no_second_event(rig: Rig) -> None:
    """The server acted, the connection broke, the client asks again."""
    rig.afterwards = times(2, Drop(timeout=True), "POST", "/api/events")

    assert rig.push(adds(rig.audience(), [rig.account.add_person("ann@example.org")]))[1].outcome == "done"

    assert (rig.account.writes["events"], rig.account.writes["events_repeated"]) == (1, 2)


def test_who_leaves_gets_an_event_of_now(rig: Rig) -> None:
    """To the second; named by when they were put in."""
    audience = rig.audience()
    ann = rig.account.add_person("ann@example.org", consent="SUBSCRIBED")
    rig.account.join(rig.roll(audience), ann)
    rig.clock.advance(0.75)

    rig.push(removes(audience, [ann]))

    (event,) = events(rig)
    assert (event.metric, event.at, event.unique_id) == ("Left segment", NOW, f"regulars:vip:c1:{SINCE}:left")


def test_nobody_without_consent_gets_an_event_for_leaving(rig: Rig) -> None:
    """Opted out, suppressed, never asked, deleted, unknown: they leave, and nothing else is written about them."""
    audience = rig.audience()
    never = rig.account.add_person("never@example.org")
    out = rig.account.add_person("out@example.org", consent="SUBSCRIBED")
    hard = rig.account.add_person("hard@example.org", consent="SUBSCRIBED", suppressed="HARD_BOUNCE")
    gone = rig.account.add_person("gone@example.org", consent="SUBSCRIBED")
    for person in (never, out, hard, gone):
        rig.account.join(rig.roll(audience), person)
    rig.account.unsubscribe(out)
    rig.account.delete_person(gone)
    before = (rig.account.consent_states(), [*rig.account.people])

    ops = [*removes(audience, [never, out, hard, gone]), Op(9, "remove", audience, Person(9, "x@example.org"))]
    receipts = rig.push(ops)

    assert {receipt.outcome for receipt in receipts.values()} == {"done"}
    assert rig.roll(audience).members == {}
    assert EVENT not in rig.names()
    assert (rig.account.consent_states(), [*rig.account.people]) == before


def test_who_was_suppressed_in_between_gets_no_event_for_entering(rig: Rig) -> None:
    """Their standing is read behind the change; known people cost one call for a hundred."""
    audience = rig.audience()
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(120)]
    rig.account.suppress(people[3])

    receipts = rig.push(adds(audience, people))

    assert {receipt.outcome for receipt in receipts.values()} == {"done"}
    assert len(events(rig)) == 119
    assert people[3].id not in {event.profile_id for event in events(rig)}
    assert rig.names().count("GET /api/profiles") == 2


def test_a_refused_event_is_noted_and_ends_the_matter(rig: Rig) -> None:
    """The change itself is done, and is not sent again for it."""
    audience = rig.audience()
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(2)]
    rig.instead = times(1, error(400, ("invalid", "Not this one.", None)), "POST", "/api/events")

    receipts = rig.push(adds(audience, people))

    assert [receipts[number].outcome for number in (1, 2)] == ["done", "done"]
    assert [receipts[number].reason for number in (1, 2)] == ["the event is refused: HTTP 400: Not this one.", None]


def test_an_event_that_does_not_go_out_makes_its_change_wait(rig: Rig) -> None:
    """After one that no try got through the rest is left for the next run, which sends each once."""
    audience = rig.audience()
    rig.account.add_metric_flow("Entered segment", "Hello")
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(3)]
    ops = adds(audience, people)
    sent = [0]

    def broken(request: Request) -> Reply | None:
        sent[0] += "/api/events" in request.path
        return error(503, ("error", "Oops", None)) if "/api/events" in request.path and sent[0] > 1 else None

    rig.instead = broken
    receipts = rig.push(ops)
    assert [receipts[number].outcome for number in (1, 2, 3)] == ["done", "retry", "retry"]
    assert (receipts[2].reason or "").startswith("the event was not sent: HTTP 503; gave up after")
    assert sent[0] == 1 + Policy().tries

    rig.instead = lambda request: None
    again = rig.open(rig.sandbox.api_key)
    assert {its.outcome for batch in again.batches(ops[1:]) for its in again.push(batch)} == {"done"}
    assert len(events(rig)) == len(rig.account.flow_joins) == 3
    assert max(rig.account.joins.values()) == 1


def test_a_key_without_the_scope_stops_with_its_name(rig: Rig) -> None:
    """Instead of a change without its event."""
    rig.sandbox.scopes.remove("events:write")

    with pytest.raises(ScopeError, match="needs events:write"):
        rig.push(adds(rig.audience(), [rig.account.add_person("ann@example.org")]))


def test_without_the_setting_there_are_none() -> None:
    """The default."""
    rig = Rig()
    rig.push(adds(rig.audience(), [rig.account.add_person("ann@example.org")]))

    assert rig.names() == ["POST /api/lists/{id}/relationships/profiles"]


def test_flows_of_the_event_are_told_beside_those_of_the_list(rig: Rig) -> None:
    """Live ones; the metric is asked for once, and is not there before the first event."""
    audience, other = rig.audience("A"), rig.audience("B")
    rig.account.add_flow(rig.roll(audience), "By list")
    assert rig.open(rig.sandbox.api_key).live_flows(audience) == ["By list"]
    rig.account.add_metric_flow("Entered segment", "By event")
    rig.account.add_metric_flow("Entered segment", "Draft", status="draft")
    rig.account.add_metric_flow("Left segment", "Farewell")
    rig.account.add_metric_flow("Placed Order", "Thanks")
    rig.seen.clear()

    assert rig.destination.live_flows(audience) == ["By list", "By event"]
    assert rig.destination.live_flows(other) == ["By event"]
    assert rig.names().count("GET /api/metrics") == rig.names().count("GET /api/metrics/{id}/flow-triggers") == 1


def test_properties_send_events_too() -> None:
    """Of one person for each segment, behind the one call that changes both."""
    rig = Rig(settings={"mode": "properties", "events": True})
    vip, new = Audience("vip", "vip", "vip"), Audience("new", "new", "new")
    ann = rig.account.add_person("ann@example.org", consent="SUBSCRIBED")
    ann.properties["regulars_segments"] = ["new"]

    rig.push([*adds(vip, [ann]), *removes(new, [ann], first=2), *strangers(vip, ["x@example.org"], first=3)])

    assert sorted((event.metric, event.properties["segment"]) for event in events(rig)) == [
        ("Entered segment", "vip"),
        ("Entered segment", "vip"),
        ("Left segment", "new"),
    ]
    assert rig.names().count(EVENT) == 3


def test_the_estimate_counts_events(rig: Rig) -> None:
    """One for each change, and the standing of the known; newcomers are settled by the thousand."""
    audience = rig.audience()
    people = [rig.account.add_person(f"p{number}@example.org", consent="SUBSCRIBED") for number in range(250)]
    for person in people[200:]:
        rig.account.join(rig.roll(audience), person)
    ops = [*removes(audience, people[200:], first=3000), *strangers(audience, [f"n{n}@x.org" for n in range(40)])]
    ops += adds(audience, people[:200], first=500)
    of = {action: {"vip": [op.person for op in ops if op.action == action]} for action in ("add", "remove")}

    calls, seconds = rig.destination.estimate(of["add"], of["remove"])
    rig.push(ops)

    assert rig.destination.calls == calls
    assert seconds >= 290 * 0.15


def test_newcomers_go_out_by_the_thousand(rig: Rig) -> None:
    """So that a crash does not send ten thousand events again."""
    audience = rig.audience()
    batches = list(rig.destination.batches(strangers(audience, [f"n{number}@x.org" for number in range(2500)])))

    assert [len(batch.ops) for batch in batches] == [1000, 1000, 500]
