"""Members of lists in the simulated Klaviyo account."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from klaviyo_rig import Rig, adds, error, removes, strangers
from scripted import times

from connector.base import Audience, Op, Person


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_known_people_join_and_leave_by_thousands(rig: Rig) -> None:
    """2,500 additions are three calls, removals go first, and members are those that should be."""
    audience = rig.audience()
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(2600)]
    for person in people[2500:]:
        rig.account.join(rig.roll(audience), person)

    receipts = rig.push([*adds(audience, people[:2500]), *removes(audience, people[2500:], first=5000)])

    path = "/api/lists/{id}/relationships/profiles"
    assert rig.names() == [f"DELETE {path}", *[f"POST {path}"] * 3]
    assert {receipt.outcome for receipt in receipts.values()} == {"done"}
    rig.clock.advance(60)
    assert set(rig.destination.members(audience)) == {person.id for person in people[:2500]}


def test_pushing_again_changes_nothing_and_starts_no_flow_again(rig: Rig) -> None:
    """A list is a set: a repeated addition sends nobody a second mail."""
    audience = rig.audience()
    rig.account.add_flow(rig.roll(audience), "Hello")
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(5)]

    rig.push(adds(audience, people))
    rig.push(adds(audience, people))

    assert rig.account.writes["members_added"] == 5
    assert len(rig.account.flow_joins) == 5


def test_removals_without_a_profile_id_go_by_address(rig: Rig) -> None:
    """Who has a profile is looked up and removed; who has none is no member."""
    audience = rig.audience()
    person = rig.account.add_person("ann@example.org")
    rig.account.join(rig.roll(audience), person)
    ops = [
        Op(1, "remove", audience, Person(1, "Ann@example.org")),
        Op(2, "remove", audience, Person(2, "nobody@example.org")),
    ]

    receipts = rig.push(ops)

    assert [receipts[number].outcome for number in (1, 2)] == ["done", "done"]
    assert rig.roll(audience).members == {}


def test_one_deleted_profile_among_a_thousand_is_isolated(rig: Rig) -> None:
    """The others join; the one is asked for by address and imported anew; the search stays within its bound."""
    audience = rig.audience()
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(1000)]
    rig.account.delete_person(people[617])

    receipts = rig.push(adds(audience, people))

    again = rig.account.find_person("p617@example.org")
    assert again is not None
    assert {receipt.outcome for receipt in receipts.values()} == {"done"}
    assert receipts[618].remote_id == again.id != people[617].id
    assert len(rig.roll(audience).members) == 1000
    assert rig.sandbox.requests["AddProfilesToList"] <= 22
    assert rig.sandbox.requests["GetLists"] == 1


def test_a_profile_merged_meanwhile_is_followed(rig: Rig) -> None:
    """Additions and removals reach the survivor by the address; one who may not be mailed does not join."""
    audience = rig.audience()
    ann, bob, out = (rig.account.add_person(f"{name}@example.org") for name in ("ann", "bob", "out"))
    survivor = rig.account.add_person("new@example.org")
    gone = rig.account.add_person("gone@example.org", suppressed="HARD_BOUNCE")
    rig.account.join(rig.roll(audience), bob)
    rig.account.merge_people(ann, survivor)
    rig.account.merge_people(bob, survivor)
    rig.account.merge_people(out, gone)

    removed = rig.push(removes(audience, [bob]))
    assert (removed[1].outcome, rig.roll(audience).members) == ("done", {})

    added = rig.push(adds(audience, [ann, out]))
    assert (added[1].outcome, added[1].remote_id) == ("done", survivor.id)
    assert (added[2].outcome, added[2].reason) == ("refused", "HARD_BOUNCE")
    assert [*rig.roll(audience).members] == [survivor.id]


def test_profiles_refused_for_another_reason_are_refused_alone(rig: Rig) -> None:
    """The reason is the server's, and who is named by a pointer costs one more call, not a search."""
    audience = rig.audience()
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(50)]
    rig.instead = times(1, error(400, ("invalid", "Not this one.", "/data/17/id")), "POST", "relationships")

    receipts = rig.push(adds(audience, people))

    assert {number: receipt.reason for number, receipt in receipts.items() if receipt.outcome == "refused"} == {
        18: "Not this one."
    }
    assert len(rig.roll(audience).members) == 49
    assert len(rig.seen) == 2


def test_a_deleted_profile_needs_no_removal(rig: Rig) -> None:
    """Removing who no longer exists is done, and the others leave."""
    audience = rig.audience()
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(3)]
    for person in people:
        rig.account.join(rig.roll(audience), person)
    rig.account.delete_person(people[1])

    receipts = rig.push(removes(audience, people))

    assert {receipt.outcome for receipt in receipts.values()} == {"done"}
    assert rig.roll(audience).members == {}


def test_a_refusal_of_everything_blames_nobody(rig: Rig) -> None:
    """Where no request is accepted at all, people wait instead of being refused, after a bounded number of calls."""
    audience = rig.audience()
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(100)]
    rig.instead = times(10_000, error(400, ("invalid", "Something is wrong.", None)), "POST", "relationships")

    receipts = rig.push(adds(audience, people))

    assert {receipt.outcome for receipt in receipts.values()} == {"retry"}
    assert rig.names().count("POST /api/lists/{id}/relationships/profiles") <= 64


@pytest.mark.parametrize("kind", ["add", "remove", "import"])
def test_a_list_deleted_by_hand_makes_its_ops_wait(rig: Rig, kind: str) -> None:
    """The receipt says that the list is gone; nothing crashes."""
    audience = rig.audience()
    person = rig.account.add_person("ann@example.org")
    rig.account.delete_list(audience.remote_id or "")
    ops = {
        "add": adds(audience, [person]),
        "remove": removes(audience, [person]),
        "import": strangers(audience, ["new@example.org"]),
    }[kind]

    receipts = rig.push(ops)

    assert receipts[1].outcome == "retry"
    assert receipts[1].reason == f"list 'VIP' ({audience.remote_id}) no longer exists in Klaviyo and is made anew"
    assert receipts[1].gone


def test_an_audience_without_an_id_cannot_be_pushed(rig: Rig) -> None:
    """Planning must create it first."""
    with pytest.raises(ValueError, match="has no id yet"):
        list(rig.destination.batches(strangers(Audience("vip", "VIP"), ["a@example.org"])))


def test_members_show_late(rig: Rig) -> None:
    """What was just written is not yet read: plans must rest on the ledger, not on this."""
    audience = rig.audience()
    rig.push(adds(audience, [rig.account.add_person("ann@example.org")]))

    assert list(rig.destination.members(audience)) == []
    rig.clock.advance(10)
    assert len(list(rig.destination.members(audience))) == 1


def test_the_estimate_is_what_a_push_costs(rig: Rig) -> None:
    """Calls as counted, over lists that share their people, and seconds that hold for a fresh minute."""
    lists = [rig.audience("A"), rig.audience("B"), rig.audience("C")]
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(1500)]
    new = [f"s{n}@example.org" for n in range(250)]
    ops = [
        *adds(lists[0], people[:1200]),
        *strangers(lists[0], new, first=9000),
        *adds(lists[1], people[:900], first=11_000),
        *strangers(lists[1], new[:200], first=12_000),
        *strangers(lists[2], new[100:150], first=13_000),
    ]
    wanted = {its.segment: [op.person for op in ops if op.audience == its] for its in lists}
    calls, seconds = rig.destination.estimate(wanted, {"gone": []})

    started = rig.clock.now()
    rig.push(ops)

    assert (calls, rig.destination.calls) == (2 + 2 + 1 + 1 + 2 + 1 + 3, calls)
    assert rig.clock.now() - started <= seconds < 10


@given(
    wanted=st.sets(st.integers(0, 25)),
    held=st.sets(st.integers(0, 15)),
    bad=st.sets(st.integers(10, 20), max_size=2),
)
def test_differences_pushed_give_the_wanted_members(wanted: set[int], held: set[int], bad: set[int]) -> None:
    """Whatever the difference and whoever was deleted: members are the wanted that exist; each op has a receipt."""
    rig = Rig()
    audience = rig.audience()
    people = {number: rig.account.add_person(f"p{number}@example.org") for number in range(16)}
    for number in held:
        rig.account.join(rig.roll(audience), people[number])
    for number in bad & people.keys():
        rig.account.delete_person(people[number])
    known = [people[number] for number in sorted(wanted - held) if number in people]
    unknown = [f"p{number}@example.org" for number in sorted(wanted) if number not in people]
    gone = [people[number] for number in sorted(held - wanted)]
    ops = [*removes(audience, gone), *adds(audience, known, first=100), *strangers(audience, unknown, first=200)]

    receipts = rig.push(ops)

    assert receipts.keys() == {op.id for op in ops}
    members = {rig.account.people[member].email for member in rig.roll(audience).members}
    assert members == {f"p{number}@example.org" for number in wanted if number not in bad & held}
