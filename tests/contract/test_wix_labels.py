"""Contact labels on a simulated Wix site: finding, making, filling, emptying, and how few calls it takes.

Requests for n people who change alike, whatever the number of labels up to 100: a job for each full hundred and for a
rest of three or more costs 2 (its POST, and one look), a rest of one or two is sent singly. So 2 * (n // 100) +
min(n % 100, 2):

    people   1 label   2   3   4   5
    1              1   1   1   1   1
    2              2   2   2   2   2
    100            2   2   2   2   2
    1000          20  20  20  20  20
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wix_labels_rig import NOW, Rig, ops, outcomes

from connector.base import Audience, Op, Person
from connector.errors import BadRequest
from connector.sandbox.records import guid
from connector.wix.parcels import Parcel, alike, cost, loads, parcels
from connector.wix.push import changes_of
from connector.wix.wire_labels import writing

MOST = writing().labels.contacts


@pytest.mark.parametrize("labels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("people", [1, 2, 100, 1000])
def test_calls_are_the_least(people: int, labels: int) -> None:
    """The table above, planned and sent."""
    rig = Rig(people)
    audiences = rig.audiences(labels)
    wanted = [op for number, its in enumerate(audiences) for op in ops(its, rig.people, first=1 + number * people)]
    least = 2 * (people // 100) + min(people % 100, 2)

    planned, _ = rig.destination.estimate({its.segment: [op.person for op in wanted] for its in audiences}, {})
    receipts = rig.push(wanted)

    assert planned == least
    assert rig.destination.calls == len(rig.seen) == least
    assert outcomes(receipts) == {"done": people * labels}
    assert all(rig.wearers(its) == {customer.guid for customer in rig.people} for its in audiences)


def test_people_who_move_from_one_label_to_another_share_a_job() -> None:
    """A removal and an addition of the same people are one change."""
    rig = Rig(100)
    old, new = rig.audiences(2)
    rig.wear(old, rig.people)

    rig.push([*ops(new, rig.people), *ops(old, rig.people, "remove", first=1000)])

    assert rig.names() == ["BulkAddRemoveLabels", "GetBulkJob"]
    assert (rig.wearers(old), len(rig.wearers(new))) == (set(), 100)


def test_people_who_differ_are_grouped_by_label() -> None:
    """Sixty people with sixty different changes over six labels: a job a label, not a request a person."""
    rig = Rig(63)
    audiences = rig.audiences(6)
    wanted = [
        op
        for place, its in enumerate(audiences)
        for op in ops(its, [one for number, one in enumerate(rig.people, 1) if number >> place & 1], first=place * 100)
    ]

    receipts = rig.push(wanted)

    assert len(rig.seen) == 12
    assert outcomes(receipts) == {"done": 6 * 32}


def test_full_hundreds_alike_go_together_and_the_rest_by_label() -> None:
    """Neither way alone is the cheapest: hundred people with both labels, and thirty with either."""
    changes = changes_of(
        [
            *_ops("a", range(160), "add"),
            *_ops("b", [*range(130), *range(200, 230)], "add"),
            *_ops("c", range(100), "add"),
        ]
    )
    packed = parcels(changes)
    assert cost(packed) == 6
    assert [len(parcel.contacts) for parcel in packed] == [100, 60, 60]


def test_who_is_left_over_of_several_labels_needs_one_request() -> None:
    """Two labels of 101 people each, and the last of both is the same person."""
    packed = parcels(
        changes_of([*_ops("a", [*range(50), *range(200, 251)], "add"), *_ops("b", range(100, 150), "add"),
                    *_ops("b", range(200, 251), "add")])
    )  # fmt: skip
    assert cost(packed) == 5
    assert [(len(parcel.contacts), parcel.adds) for parcel in packed if parcel.singly] == [(1, ("a", "b"))]


memberships = st.dictionaries(
    st.tuples(st.integers(0, 260), st.sampled_from(["a", "b", "c", "d"])), st.sampled_from(["add", "remove", "both"])
)


@given(memberships, st.randoms(use_true_random=False), st.sets(st.integers(0, 260)))
@settings(max_examples=40)
def test_batches_do_what_is_wanted_and_nothing_else(
    wanted: dict[tuple[int, str], str], random: Random, before: set[int]
) -> None:
    """Every op goes out exactly once, every filter names 1 to 100 contacts, and labels end up as wanted."""
    rig = Rig(261)
    audiences = {name: rig.audience(name) for name in "abcd"}
    for its in audiences.values():
        rig.wear(its, [rig.people[number] for number in before])
    given_ops: list[Op] = []
    for (number, name), what in wanted.items():
        for action in ("remove", "add") if what == "both" else (what,):
            given_ops += ops(audiences[name], [rig.people[number]], action, first=len(given_ops) + 1)
    random.shuffle(given_ops)
    adds, removes = (
        {name: [op.person for op in given_ops if (op.action, op.audience.segment) == (act, name)] for name in "abcd"}
        for act in ("add", "remove")
    )

    batches = list(rig.destination.batches(iter(given_ops)))
    assert Counter(op.id for batch in batches for op in batch.ops) == Counter(op.id for op in given_ops)
    assert batches == list(rig.destination.batches(reversed(given_ops)))
    receipts = rig.push(given_ops)

    assert set(outcomes(receipts)) <= {"done"}
    assert rig.work.unfiltered == 0
    assert all(1 <= len(job.wanted.ids or ()) <= MOST for job in rig.work.jobs.values())
    for name, its in audiences.items():
        joined = {rig.people[n].guid for (n, label), what in wanted.items() if label == name and what != "remove"}
        left = {rig.people[n].guid for (n, label), what in wanted.items() if label == name and what == "remove"}
        assert rig.wearers(its) == ({rig.people[number].guid for number in before} | joined) - left
    if "both" not in wanted.values():
        assert rig.destination.estimate(adds, removes)[0] == len(rig.seen)


@given(memberships.map(lambda rows: {place: what for place, what in rows.items() if what != "both"}))
def test_the_fewest_requests_are_never_more_than_either_simple_way(rows: dict[tuple[int, str], str]) -> None:
    """By equal change or by label, whichever is cheaper, bounds what is packed; no contact is in two jobs at once."""
    packed = parcels(changes_of(op for (number, name), what in rows.items() for op in _ops(name, [number], what)))
    by_change: Counter[object] = Counter()
    for number in {number for number, _ in rows}:
        by_change[frozenset((name, what) for (its, name), what in rows.items() if its == number)] += 1
    by_label = Counter((name, what) for (_, name), what in rows.items())
    simple = (sum(2 * -(-count // MOST) for count in counts.values()) for counts in (by_change, by_label))
    assert cost(packed) <= min(simple)
    for load in loads(packed):
        assert max(Counter(contact for parcel in load for contact in parcel.contacts).values()) == 1
        assert cost(alike(changes_of(op for parcel in load for op in _unpacked(parcel)))) <= cost(load)


def test_jobs_run_side_by_side() -> None:
    """Twenty jobs are begun before the first look, and one second later all are done."""
    rig = Rig(2000)
    audience = rig.audience("vip")
    began = rig.clock.now()
    rig.push(ops(audience, rig.people))
    assert rig.names() == ["BulkAddRemoveLabels"] * 20 + ["GetBulkJob"] * 20
    assert rig.clock.now() - began < 2


def test_slow_jobs_are_asked_after_seldom() -> None:
    """Jobs of eighty seconds: the waits double, and a round of looks ends at the first job that is not done."""
    rig = Rig(1000)
    rig.work.stage = 20.0
    audience = rig.audience("vip")
    receipts = rig.push(ops(audience, rig.people))
    looks = rig.names().count("GetBulkJob")
    assert outcomes(receipts) == {"done": 1000}
    assert looks <= 10 + 7
    assert rig.clock.now() >= NOW + 4 * 20


def test_a_label_is_made_once_and_known_by_its_key() -> None:
    """Making it again, or after it was renamed by hand, needs no second label; a name that clashes gets its own key."""
    rig = Rig(1)
    key = rig.destination.create(Audience("vip", "seg-vip"))
    assert rig.destination.create(Audience("vip", "seg-vip")) == key
    assert rig.destination.create(Audience("vip", "Seg VIP")) == f"{key}-1"
    rig.site.rename_label(rig.site.labels[key], "My best friends")

    receipts = rig.push(ops(Audience("vip", "seg-vip", key), rig.people))

    assert outcomes(receipts) == {"done": 1}
    assert rig.wearers(Audience("vip", "seg-vip", key)) == {rig.people[0].guid}
    assert len([label for label in rig.site.labels.values() if label.namespace == "custom"]) == 2


def test_a_label_of_wixs_own_is_never_taken() -> None:
    """Its name leads to it: nobody of ours is put there."""
    with pytest.raises(BadRequest, match=r"one of Wix's own \(contacts.customers\)"):
        Rig().destination.create(Audience("vip", "Customers"))


def test_ids_are_the_same_in_any_case() -> None:
    """A GUID in capitals names the same contact."""
    rig = Rig(3)
    audience = rig.audience("vip")
    wanted = [replace(op, person=replace(op.person, id=op.person.id.upper())) for op in ops(audience, rig.people)]
    assert outcomes(rig.push(wanted)) == {"done": 3}
    assert len(rig.wearers(audience)) == 3


def test_renaming_keeps_the_key_and_everybody_in_it() -> None:
    """Our own new name reaches the dashboard."""
    rig = Rig(3)
    audience = rig.audience("vip")
    rig.wear(audience, rig.people)
    rig.destination.rename(Audience("vip", "seg-best", audience.remote_id))
    assert rig.site.labels[audience.remote_id or ""].display_name == "seg-best"
    assert len(rig.wearers(audience)) == 3


def test_labels_are_found_by_their_very_name_and_date() -> None:
    """Case counts, the owner's and Wix's own labels are others, and `made` leaves out older ones."""
    rig = Rig()
    early = rig.destination.create(Audience("vip", "seg-vip"))
    rig.clock.advance(86_400)
    late = rig.destination.create(Audience("lost", "seg-lost"))
    other = rig.site.add_label("anything")
    rig.site.rename_label(other, "seg-lost")
    rig.clock.advance(60)

    names = ["seg-vip", "seg-lost", "SEG-VIP", "Customers"]
    found = rig.destination.find(names)
    fresh = rig.destination.find(names, made=(NOW + 86_000, NOW + 87_000))

    assert {name: set(keys) for name, keys in found.items()} == {
        "seg-vip": {early}, "seg-lost": {late, other.key}, "SEG-VIP": set(), "Customers": set()
    }  # fmt: skip
    assert (fresh["seg-vip"], set(fresh["seg-lost"])) == ([], {late, other.key})


def test_many_names_are_found_in_few_calls() -> None:
    """A hundred names a call."""
    rig = Rig()
    found = rig.destination.find([f"seg-{number}" for number in range(250)])
    assert (len(found), rig.destination.calls) == (250, 3)


def test_members_are_read_by_pages_that_do_not_move() -> None:
    """Everybody once, although more than a page were created in the same instant, and people leave meanwhile."""
    rig = Rig(2300)
    rig.clock.advance(100)
    later = [rig.world.add_customer(f"late{number}@example.org") for number in range(700)]
    audience = rig.audience("vip")
    rig.wear(audience, [*rig.people, *later])

    members = list(rig.destination.members(audience))

    assert Counter(members) == Counter(customer.guid for customer in [*rig.people, *later])


def test_people_without_a_contact_id_are_refused_without_a_call() -> None:
    """Nothing but a GUID may ever reach a filter or a path."""
    rig = Rig()
    audience = rig.audience("vip")
    nobodies = [Op(n, "add", audience, Person(n, id=it)) for n, it in enumerate(["", "7", "*"], 1)]
    receipts = rig.push(nobodies)
    assert {(its.outcome, its.reason) for its in receipts.values()} == {
        ("refused", "the person has no contact id of Wix")
    }
    assert rig.seen == []


def test_a_label_without_a_key_is_a_mistake_of_ours() -> None:
    """Ops go out for labels that exist."""
    rig = Rig(1)
    with pytest.raises(ValueError, match="no key"):
        list(rig.destination.batches(ops(Audience("vip", "seg-vip"), rig.people)))


def test_what_labels_do_not_have_is_empty() -> None:
    """No addresses, no consent, no automations to be seen; names are prefix and key."""
    rig = Rig()
    destination = rig.destination
    assert list(destination.lookup(["ann@example.org"])) == list(destination.changed(0)) == []
    assert destination.live_flows(Audience("vip", "seg-vip", "custom.seg-vip")) == ()
    assert destination.audience_name("vip", "Our VIPs") == "seg-vip"
    assert (destination.name, destination.platform, destination.limits.name_length) == ("tags", "wix", 180)
    assert (destination.limits.keyed, destination.limits.consent, destination.limits.by_email) == (True, False, False)


def test_estimate_counts_minutes() -> None:
    """A hundred and fifty requests a minute: 8,000 people in one label are 160 requests, four waits and one minute."""
    rig = Rig()
    people = [Person(number, id=guid("customer", number)) for number in range(8000)]
    calls, seconds = rig.destination.estimate({"vip": people}, {})
    assert (calls, seconds) == (160, 60 + 4)


def _ops(name: str, numbers: Iterable[int], action: str) -> list[Op]:
    audience = Audience(name, name, name)
    return [
        Op(0, action, audience, Person(n, id=f"00000000-0000-4000-8000-{n:012x}"))  # type: ignore[arg-type]
        for n in numbers
    ]


def _unpacked(parcel: Parcel) -> list[Op]:
    numbers = [int(contact[-12:], 16) for contact in parcel.contacts]
    sides = ((parcel.adds, "add"), (parcel.removes, "remove"))
    return [op for keys, action in sides for key in keys for op in _ops(key, numbers, action)]


def test_a_label_of_the_owner_is_not_taken_for_a_new_one() -> None:
    """Wix finds before it makes: whoever wanted one beside the owner's would get the owner's own."""
    rig = Rig()
    key = rig.site.add_label("seg-vip").key
    rig.clock.advance(3600)
    with pytest.raises(BadRequest, match=f"not ours \\({key}\\), and no second one"):
        rig.destination.create(Audience("vip", "seg-vip"))
