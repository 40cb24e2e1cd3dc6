"""Segments as values of an array on profiles of the simulated Klaviyo account."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from klaviyo_rig import Rig, adds, error, removes, strangers
from pydantic import ValidationError
from scripted import times

from connector.base import Audience, Op, Person, Reply
from connector.errors import Unavailable
from connector.klaviyo import KlaviyoSettings
from connector.klaviyo.sandbox_account import Person as Profile
from connector.sandbox.wire import Drop, Request

PROPERTY = "regulars_segments"
VIP, NEW = Audience("vip", "vip", "vip"), Audience("new", "new", "new")
PATCH = "PATCH /api/profiles/{id}"
UPSERT = "POST /api/profile-import"


@pytest.fixture
def rig() -> Rig:
    return Rig(settings={"mode": "properties"})


def values(person: Profile) -> list[str]:
    return sorted(person.properties.get(PROPERTY, []))


def bodies(rig: Rig, wanted: str) -> list[dict[str, object]]:
    """What was sent, as it was sent."""
    return [orjson.loads(request.body)["data"] for name, request, _ in rig.seen if name == wanted]


def test_a_person_costs_one_call_whatever_changes(rig: Rig) -> None:
    """Several values go out as an array, one alone bare, and the two directions together."""
    ann, bob = (rig.account.add_person(f"{name}@example.org") for name in ("ann", "bob"))
    bob.properties = {PROPERTY: ["old"], "colour": ["red"]}
    old = Audience("old", "old", "old")
    ops = [
        *adds(VIP, [ann, bob]),
        *adds(NEW, [ann], first=10),
        *removes(old, [bob], first=20),
    ]

    receipts = rig.push(ops)

    assert {receipt.outcome for receipt in receipts.values()} == {"done"}
    assert (values(ann), values(bob), bob.properties["colour"]) == (["new", "vip"], ["vip"], ["red"])
    assert [body["meta"] for body in sorted(bodies(rig, PATCH), key=lambda its: its["id"] != ann.id)] == [
        {"patch_properties": {"append": {PROPERTY: ["vip", "new"]}}},
        {"patch_properties": {"append": {PROPERTY: "vip"}, "unappend": {PROPERTY: "old"}}},
    ]
    assert {tuple(body["attributes"]) for body in bodies(rig, PATCH)} == {()}  # type: ignore[arg-type]


def test_a_hundred_people_are_settled_together(rig: Rig) -> None:
    """So that little is sent again after a crash; nobody's changes are torn apart."""
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(230)]

    batches = list(rig.destination.batches([*adds(VIP, people), *adds(NEW, people, first=1000)]))

    assert [len(batch.ops) for batch in batches] == [200, 200, 60]
    assert all(len({op.person.remote_id for op in batch.ops}) * 2 == len(batch.ops) for batch in batches)


def test_unknown_people_are_made_by_additions_only(rig: Rig) -> None:
    """Nothing but the address is sent; who is to be removed and has no profile gets none."""
    ops = [
        *strangers(VIP, ["New+1@Example.org"]),
        *strangers(NEW, ["New+1@Example.org"], first=5),
        Op(9, "remove", VIP, Person(9, "nobody@example.org")),
    ]

    receipts = rig.push(ops)

    person = rig.account.find_person("new+1@example.org")
    assert person is not None
    assert (values(person), person.consent) == (["new", "vip"], "NEVER_SUBSCRIBED")
    assert [receipts[number].remote_id for number in (1, 5, 9)] == [person.id, person.id, None]
    assert {receipt.outcome for receipt in receipts.values()} == {"done"}
    assert len(rig.account.people) == 1
    assert [body["attributes"] for body in bodies(rig, UPSERT)] == [{"email": "new+1@example.org"}]


def test_somebody_known_by_now_is_not_made_again(rig: Rig) -> None:
    """Looked up first, and left alone where they may not be mailed; but they can still lose a value."""
    ann = rig.account.add_person("ann@example.org")
    out = rig.account.add_person("out@example.org", consent="SUBSCRIBED")
    out.properties[PROPERTY] = ["new"]
    rig.account.unsubscribe(out)
    ops = [*strangers(VIP, ["ann@example.org", "out@example.org"]), Op(9, "remove", NEW, Person(2, "out@example.org"))]

    receipts = rig.push(ops)

    assert UPSERT not in rig.names()
    assert (values(ann), values(out)) == (["vip"], [])
    assert (receipts[2].outcome, receipts[2].reason, receipts[9].outcome) == ("refused", "UNSUBSCRIBED", "done")


def test_somebody_who_opted_out_in_between_loses_the_value_again(rig: Rig) -> None:
    """The lookup did not show them yet, the write found them: its answer tells that they may not be mailed."""
    out = rig.account.add_person("out@example.org", lag=60)
    rig.account.unsubscribe(out)
    before = rig.account.consent_states()

    receipts = rig.push(strangers(VIP, ["out@example.org"]))

    assert (receipts[1].outcome, receipts[1].reason, values(out)) == ("refused", "UNSUBSCRIBED", [])
    assert rig.account.consent_states() == before


def test_a_conflict_leads_to_the_profile_that_it_names(rig: Rig) -> None:
    """409 duplicate_profile: one that may be mailed gets the value, one that may not is left alone."""
    ann = rig.account.add_person("ann.new@example.org")
    out = rig.account.add_person("out.new@example.org", suppressed="HARD_BOUNCE")
    rig.account.torn = {"ann@example.org": ann.id, "out@example.org": out.id, "lost@example.org": "01GONE"}

    receipts = rig.push(strangers(VIP, ["ann@example.org", "out@example.org", "lost@example.org"]))

    assert [(receipts[number].outcome, receipts[number].remote_id) for number in (1, 2, 3)] == [
        ("done", ann.id),
        ("refused", out.id),
        ("retry", None),
    ]
    assert (values(ann), values(out)) == (["vip"], [])


def test_profiles_deleted_or_merged_are_followed(rig: Rig) -> None:
    """By the address: to the survivor, or to a new profile; a removal of who is gone is done."""
    ann, bob, cid, dan = (rig.account.add_person(f"{name}@example.org") for name in ("ann", "bob", "cid", "dan"))
    survivor = rig.account.add_person("survivor@example.org")
    bob.properties[PROPERTY] = ["vip"]
    survivor.properties[PROPERTY] = ["vip"]
    rig.account.merge_people(ann, survivor)
    rig.account.merge_people(bob, survivor)
    rig.account.delete_person(cid)
    rig.account.delete_person(dan)

    receipts = rig.push([*removes(VIP, [bob, cid]), *adds(NEW, [ann], first=10), *adds(NEW, [dan], first=20)])

    assert {receipt.outcome for receipt in receipts.values()} == {"done"}
    assert values(survivor) == ["new"]
    assert receipts[10].remote_id == survivor.id
    again = rig.account.find_person("dan@example.org")
    assert again is not None
    assert (values(again), receipts[20].remote_id) == (["new"], again.id)
    assert rig.account.find_person("cid@example.org") is None


def test_a_person_deleted_between_list_and_property_waits() -> None:
    """The list took them, the profile is gone a moment later: the next run looks for the person anew."""
    rig = Rig(settings={"mode": "both"})
    audience = rig.audience()
    ann = rig.account.add_person("ann@example.org")

    def delete(request: Request) -> None:
        if request.method == "PATCH":
            rig.account.delete_person(ann)
            rig.instead = lambda later: None

    rig.instead = delete
    receipts = rig.push(adds(audience, [ann]))
    assert (receipts[1].outcome, receipts[1].reason) == (
        "retry",
        f"profile {ann.id} is gone; the person is looked for again",
    )

    receipts = rig.push(adds(audience, [ann]))
    again = rig.account.people[receipts[1].remote_id or ""]
    assert (receipts[1].outcome, again.id != ann.id, values(again)) == ("done", True, ["vip"])
    assert again.id in rig.roll(audience).members


def test_a_profile_without_an_address_that_is_gone_needs_no_removal(rig: Rig) -> None:
    """Nobody can be looked for, and nobody has the value."""
    receipts = rig.push([Op(1, "remove", VIP, Person(1, None, "01GONE")), Op(2, "add", NEW, Person(1, None, "01GONE"))])

    assert [(receipts[number].outcome, receipts[number].reason) for number in (1, 2)] == [
        ("done", None),
        ("refused", "no usable e-mail address"),
    ]


def test_a_profile_that_only_its_address_finds_waits(rig: Rig) -> None:
    """Reads are late: the lookup still shows who cannot be written any more."""
    ann = rig.account.add_person("ann@example.org")
    rig.instead = times(9, error(404, ("not_found", "Not found.", None)), "PATCH")

    receipts = rig.push(adds(VIP, [ann]))

    assert (receipts[1].outcome, receipts[1].reason) == (
        "retry",
        "the profile is found by its address, but not by its id",
    )


def test_a_removal_takes_every_copy_of_the_value(rig: Rig) -> None:
    """An addition whose answer was lost was sent twice; the answer to a removal shows what is left, which goes too."""
    ann = rig.account.add_person("ann@example.org")
    rig.afterwards = times(1, Drop(timeout=True), "PATCH")
    assert rig.push(adds(VIP, [ann]))[1].outcome == "done"
    assert values(ann) == ["vip", "vip"]
    assert list(rig.destination.members(VIP)) == [ann.id]

    assert rig.push(removes(VIP, [ann]))[1].outcome == "done"

    assert values(ann) == []


def test_an_answer_that_shows_the_past_ends_the_matter(rig: Rig) -> None:
    """Asked once more, then believed: reads are late."""
    ann = rig.account.add_person("ann@example.org")
    ann.properties[PROPERTY] = ["vip"]

    def late(request: Request) -> Reply | None:
        if request.method != "PATCH":
            return None
        attributes = {"properties": {PROPERTY: ["vip"]}}
        return Reply(200, {}, orjson.dumps({"data": {"type": "profile", "id": ann.id, "attributes": attributes}}))

    rig.afterwards = late

    assert rig.push(removes(VIP, [ann]))[1].outcome == "done"
    assert rig.names() == [PATCH, PATCH]


def test_two_records_of_one_person_keep_the_value_that_one_wants(rig: Rig) -> None:
    """One customer leaves, another of the same address joins: the value stays, as a list would keep the profile."""
    ann = rig.account.add_person("ann@example.org")
    ann.properties[PROPERTY] = ["vip"]

    rig.push([*removes(VIP, [ann]), *adds(VIP, [ann], first=5)])

    assert "vip" in values(ann)


def test_one_person_refused_does_not_stop_the_others(rig: Rig) -> None:
    """By name, with the server's reason; addresses are not shown."""
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(3)]
    rig.instead = times(1, error(400, ("invalid", "p1@example.org is odd.", None)), "PATCH", people[1].id)

    receipts = rig.push([*adds(VIP, people), *strangers(VIP, ["two..dots@example.org", None], first=10)])

    assert [receipts[number].outcome for number in (1, 2, 3, 10, 11)] == ["done", "refused", "done"] + ["refused"] * 2
    assert receipts[2].reason == "HTTP 400: <address> is odd."


def test_a_refusal_of_everybody_blames_nobody(rig: Rig) -> None:
    """The fault lies with the request: people wait."""
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(3)]
    rig.instead = times(99, error(400, ("invalid", "Properties are closed today.", None)), "PATCH")

    receipts = rig.push([*adds(VIP, people), *strangers(VIP, [None], first=10)])

    assert [receipts[number].outcome for number in (1, 2, 3, 10)] == ["retry"] * 3 + ["refused"]


@pytest.mark.parametrize("mode", ["properties", "both"])
def test_what_was_written_before_an_outage_counts(mode: str) -> None:
    """The rest waits; where nothing was written the run stops with the reason."""
    rig = Rig(settings={"mode": mode})
    audience = VIP if mode == "properties" else rig.audience()
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(4)]
    ops = adds(audience, people)
    sent = [0]

    def breaks(request: Request) -> Reply | None:
        sent[0] += request.method == "PATCH"
        return error(503, ("error", "Oops", None)) if request.method == "PATCH" and sent[0] > 2 else None

    rig.instead = breaks
    receipts = rig.push(ops)
    assert [receipts[number].outcome for number in (1, 2, 3, 4)] == ["done", "done", "retry", "retry"]
    assert (receipts[3].reason or "").startswith("HTTP 503; gave up after")
    with pytest.raises(Unavailable, match="UpdateProfile: HTTP 503"):
        rig.push(ops[2:])

    rig.instead = lambda request: None
    assert {receipt.outcome for receipt in rig.push(ops[2:]).values()} == {"done"}
    assert [values(person) for person in people] == [["vip"]] * 4


def test_no_list_is_made_or_looked_for(rig: Rig) -> None:
    """What people join is there by being used; its name is the segment's key."""
    assert rig.destination.audience_name("vip", "Very important") == "vip"
    assert rig.destination.create(VIP) == "vip"
    assert rig.destination.find(["vip"]) == {"vip": ()}
    rig.destination.rename(VIP)
    assert rig.destination.live_flows(VIP) == []
    assert not rig.destination.limits.keyed
    assert rig.seen == []


def test_members_are_read_a_hundred_at_a_time(rig: Rig) -> None:
    """Only those with the value; a property of another kind under that name is nobody's membership."""
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(230)]
    for person in people[::2]:
        person.properties[PROPERTY] = ["vip", "new"]
    people[1].properties[PROPERTY] = "vip"  # type: ignore[assignment]

    assert set(rig.destination.members(VIP)) == {person.id for person in people[::2]}
    assert len(rig.seen) == 3


def test_the_estimate_is_what_a_push_costs(rig: Rig) -> None:
    """One call for each person, and lookups for strangers."""
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(60)]
    new = [f"n{number}@example.org" for number in range(30)]
    ops = [*strangers(VIP, new), *strangers(NEW, new, first=100), *adds(VIP, people[:40], first=200)]
    ops += removes(NEW, people[20:], first=300)
    wanted: dict[str, dict[str, list[Person]]] = {"add": {}, "remove": {}}
    for op in ops:
        wanted[op.action].setdefault(op.audience.segment, []).append(op.person)

    calls, seconds = rig.destination.estimate(wanted["add"], wanted["remove"])
    rig.push(ops)

    assert (calls, rig.destination.calls) == (60 + 30 + 1, calls)
    assert seconds == pytest.approx(90 * 0.15 + 1 / 75)


@pytest.mark.parametrize("name", ["", "$segments", "a.b", "x" * 65])
def test_only_a_name_that_can_be_a_property_is_taken(name: str) -> None:
    """Klaviyo's own begin with a dollar sign."""
    with pytest.raises(ValidationError):
        KlaviyoSettings(property=name)


def test_both_are_done_only_when_both_are() -> None:
    """A person whose property is refused waits, though the list has them; the list's own refusal is kept."""
    rig = Rig(settings={"mode": "both"})
    audience = rig.audience()
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(3)]
    rig.instead = times(1, error(400, ("invalid", "No.", None)), "PATCH", people[1].id)

    receipts = rig.push([*adds(audience, people), *strangers(audience, ["new@example.org", None], first=10)])

    assert [receipts[number].outcome for number in (1, 2, 3, 10, 11)] == ["done", "retry", "done", "done", "refused"]
    assert receipts[2].reason == "the property is refused: HTTP 400: No."
    assert [values(person) for person in people] == [["vip"], [], ["vip"]]
    new = rig.account.people[receipts[10].remote_id or ""]
    assert (values(new), new.id in rig.roll(audience).members) == (["vip"], True)

    assert rig.push(adds(audience, people[1:2]))[1].outcome == "done"
    assert rig.account.writes["members_repeated"] == 1


def test_the_estimate_of_both_is_what_a_push_costs() -> None:
    """Lists as ever, and a call for each change of somebody known, or for each newcomer."""
    rig = Rig(settings={"mode": "both"})
    lists = [rig.audience("A"), rig.audience("B")]
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(60)]
    new = [f"n{number}@example.org" for number in range(30)]
    ops = [*removes(lists[0], people[50:], first=300), *strangers(lists[0], new), *strangers(lists[1], new, first=100)]
    ops += [*adds(lists[0], people[:40], first=400), *adds(lists[1], people[:20], first=500)]
    wanted: dict[str, dict[str, list[Person]]] = {"add": {}, "remove": {}}
    for op in ops:
        wanted[op.action].setdefault(op.audience.segment, []).append(op.person)

    calls, _ = rig.destination.estimate(wanted["add"], wanted["remove"])
    rig.push(ops)

    assert rig.destination.calls == calls


@given(
    wanted=st.sets(st.integers(0, 25)),
    held=st.sets(st.integers(0, 15)),
    bad=st.sets(st.integers(10, 20), max_size=2),
)
def test_differences_pushed_give_the_wanted_values(wanted: set[int], held: set[int], bad: set[int]) -> None:
    """Whatever the difference, whoever was deleted, and sent twice: the wanted have the value, each op a receipt."""
    rig = Rig(settings={"mode": "properties"})
    people = {number: rig.account.add_person(f"p{number}@example.org") for number in range(16)}
    for number in held:
        people[number].properties[PROPERTY] = ["vip"]
    for number in bad & people.keys():
        rig.account.delete_person(people[number])
    known = [people[number] for number in sorted(wanted - held) if number in people]
    unknown = [f"p{number}@example.org" for number in sorted(wanted) if number not in people]
    gone = [people[number] for number in sorted(held - wanted)]
    ops = [*removes(VIP, gone), *adds(VIP, known, first=100), *strangers(VIP, unknown, first=200)]

    for _ in range(2):
        receipts = rig.push(ops)

    assert receipts.keys() == {op.id for op in ops}
    members = {rig.account.people[member].email for member in rig.destination.members(VIP)}
    assert members == {f"p{number}@example.org" for number in wanted if number not in bad & held}
