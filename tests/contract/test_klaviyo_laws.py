"""What holds of Klaviyo whatever breaks: consent stays, nobody joins twice, everything wanted arrives."""

from __future__ import annotations

import re

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from klaviyo_rig import Rig, adds, removes, strangers

from connector.base import Audience
from connector.klaviyo.sandbox_account import LAG, Person
from connector.sandbox.faults import KINDS, Faults

CONSENT = re.compile(r"subscri|suppress|consent", re.IGNORECASE)
CALLS = [
    "GetProfiles",
    "AddProfilesToList",
    "RemoveProfilesFromList",
    "CreateList",
    "CreateImportJob",
    "GetImportJob",
    "GetImportProfiles",
    "UpdateProfile",
    "ImportProfile",
    "CreateEvent",
]


@pytest.mark.parametrize("mode", ["both", "properties"])
@pytest.mark.parametrize("kind", sorted(KINDS - {"delay"}))
@pytest.mark.parametrize("match", CALLS)
def test_one_fault_anywhere_leaves_the_account_as_wished(kind: str, match: str, mode: str) -> None:
    """Whatever breaks once, and wherever: one list, the right members and values, one flow and one event each."""
    faults = Faults.from_list([{"match": match, "kind": kind, "status": 503}])
    rig = Rig(faults=faults, check=False, settings={"mode": mode, "events": True})
    account = rig.account
    known, old = (account.add_person(f"{name}@example.org", consent="SUBSCRIBED") for name in ("known", "old"))
    account.unsubscribe(account.add_person("out@example.org"))
    before = account.consent_states()

    name = rig.destination.audience_name("vip", "VIP")
    list_id = rig.destination.create(Audience("vip", name))
    audience = Audience("vip", name, list_id)
    old.properties["regulars_segments"] = ["vip"]
    if mode == "both":
        account.join(account.lists[list_id], old)
        account.add_flow(account.lists[list_id], "Hello")
    account.add_metric_flow("Entered segment", "Entered")
    list(rig.destination.lookup(["known@example.org"]))
    ops = [*removes(audience, [old]), *strangers(audience, ["new@example.org"], 2), *adds(audience, [known], 3)]
    receipts = rig.push(ops)

    assert {receipt.outcome for receipt in receipts.values()} == {"done"}
    new = account.find_person("new@example.org")
    assert new is not None
    assert [*account.lists] == ([list_id] if mode == "both" else [])
    for roll in account.lists.values():
        assert set(roll.members) == {known.id, new.id}
    having = {its.id for its in account.people.values() if its.properties.get("regulars_segments")}
    assert having == {known.id, new.id}
    assert len(account.flow_joins) == (4 if mode == "both" else 2)
    assert sorted(event.metric for event in account.events.values()) == ["Entered segment"] * 2 + ["Left segment"]
    assert {number: account.consent_states()[number] for number in before} == before


@settings(deadline=None)
@given(
    mode=st.sampled_from(["lists", "properties", "both"]),
    rounds=st.lists(st.sets(st.integers(0, 11)), min_size=1, max_size=4),
    fault=st.sampled_from(sorted(KINDS - {"delay"})),
    nth=st.integers(1, 12),
    events=st.booleans(),
)
def test_consent_is_never_written(mode: str, rounds: list[set[int]], fault: str, nth: int, events: bool) -> None:
    """Whatever is pushed, repeated and broken: consent and suppressions are byte for byte what they were, no request
    names them, and nobody came onto a list more often than they were put there."""
    rig = Rig(
        faults=Faults.from_list([{"match": "", "kind": fault, "nth": nth, "status": 500}]),
        check=False,
        settings={"mode": mode, "events": events},
    )
    states = ("SUBSCRIBED", "NEVER_SUBSCRIBED", "UNSUBSCRIBED")
    people = [rig.account.add_person(f"P{number}+x@example.org", consent=states[number % 3]) for number in range(9)]
    rig.account.suppress(people[0], "SPAM_COMPLAINT")
    before = orjson.dumps(rig.account.consent_states())
    audience = rig.audience() if mode != "properties" else Audience("vip", "vip", "vip")
    there: set[int] = set()
    for wanted in rounds:
        coming, going = sorted(wanted - there), sorted(there - wanted)
        new = [number for number in coming if number > 8 and not rig.account.find_person(f"n{number}@x.org")]
        known = [_whose(rig, number) for number in coming if number not in new]
        ops = [*removes(audience, [_whose(rig, number) for number in going]), *adds(audience, known, 100)]
        ops += strangers(audience, [f"n{number}@x.org" for number in new], 200)
        for _ in range(2):
            rig.push(ops)
        there = wanted
        rig.clock.advance(2 * LAG)

    kept = {number: its for number, its in rig.account.consent_states().items() if number in {p.id for p in people}}
    assert orjson.dumps(kept) == before
    assert rig.account.writes["consent_changed"] == 0
    for name, request, _ in rig.seen:
        assert name.startswith("GET") or not CONSENT.search(f"{request.path} {request.body.decode()}")
    assert all(count <= len(rounds) for count in rig.account.joins.values())


def _whose(rig: Rig, number: int) -> Person:
    person = rig.account.find_person(f"p{number}+x@example.org" if number < 9 else f"n{number}@x.org")
    assert person is not None
    return person
