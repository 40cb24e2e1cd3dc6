"""Pushing changes of tags to the simulated Mailchimp audience.

Calls of a push, and the least that Mailchimp's limits allow (a change of one tag takes 500 in and 500 out):

| Push | Least | Ours |
|---|---|---|
| 750 into a tag, 1,200 out of it | 3 | 3 |
| the same again, after a crash | 3 | 3, and per call that added nobody one batch that asks by member |
| 30 people who change from one to another of 15 tags | 15 | 15 |
| 2 people who get 6 tags each | 2 | 3: the names of the tags are read first |
| first fill of 1,200 people with 1,900 tags | 6, and looks | 7, and looks: the names of the tags are read first |
| first fill of 3 people | 3 | 4 |
| 1,000 into a tag and 700 into another, 700 of them new | 8, and looks | 8, and looks |
"""

from __future__ import annotations

from collections import Counter

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailchimp_rig import problem
from mailchimp_tagging import Tagging, adds, op, removes, strangers
from scripted import times

from connector.base import Audience, Op, Person, Receipt, Reply
from connector.mailchimp.wire_members import subscriber_hash


@pytest.fixture
def rig() -> Tagging:
    return Tagging()


def outcomes(receipts: dict[int, Receipt]) -> Counter[tuple[str, str | None]]:
    return Counter((its.outcome, its.reason) for its in receipts.values())


def test_people_come_and_go_by_five_hundred(rig: Tagging) -> None:
    """750 in and 1,200 out take three calls."""
    audience = rig.tag()
    people = rig.people(1950)
    rig.audience.tag_by_hand(audience.name, people[750:])

    receipts = rig.push([*adds(audience, people[:750]), *removes(audience, people[750:], first=5000)])

    assert outcomes(receipts) == {("done", None): 1950}
    assert rig.names() == ["postListsIdSegmentsId"] * 3
    assert rig.audience.tagged(audience.name) == set(people[:750])
    assert {receipts[number].remote_id for number in (1, 750)} == {
        subscriber_hash(people[0]),
        subscriber_hash(people[749]),
    }


def test_a_daily_difference_starts_an_automation_once(rig: Tagging) -> None:
    """For each who newly joins; sending it again starts nothing."""
    audience = rig.tag()
    people = rig.people(5)
    rig.audience.automate(audience.name)

    for _ in range(3):
        assert outcomes(rig.push(adds(audience, people))) == {("done", None): 5}

    assert Counter(join.address for join in rig.sandbox.joins) == dict.fromkeys(people, 1)


def test_a_first_fill_starts_no_automation(rig: Tagging) -> None:
    """Each member gets all their tags in one operation, silently."""
    first, second = rig.tag("vip", quiet=True), rig.tag("active", quiet=True)
    people = rig.people(1200)
    for audience in (first, second):
        rig.audience.automate(audience.name)

    receipts = rig.push([*adds(first, people), *adds(second, people[:700], first=5000)])

    assert outcomes(receipts) == {("done", None): 1900}
    assert rig.sandbox.joins == []
    assert rig.sandbox.batched == {"postListMemberTags": 1200}
    assert Counter(rig.names()) >= Counter({"previewASegment": 1, "postBatches": 3, "results": 3})
    assert rig.destination.calls <= 1 + 3 + 3 + 8
    assert (len(rig.audience.tagged(first.name)), len(rig.audience.tagged(second.name))) == (1200, 700)


def test_a_few_go_without_a_batch(rig: Tagging) -> None:
    """A first fill of three takes four calls and no waiting."""
    people = rig.people(3)

    rig.push(adds(rig.tag(quiet=True), people))

    assert rig.names() == ["previewASegment"] + ["postListMemberTags"] * 3
    assert rig.clock.slept == 0


def test_people_with_many_tags_go_by_person(rig: Tagging) -> None:
    """And their automations begin."""
    people = rig.people(2)
    tags = [rig.tag(f"t{number}") for number in range(6)]
    rig.audience.automate(tags[0].name)
    ops = [one for number, tag in enumerate(tags) for one in adds(tag, people, first=10 * number + 1)]

    assert outcomes(rig.push(ops)) == {("done", None): 12}
    assert rig.names() == ["previewASegment"] + ["postListMemberTags"] * 2
    assert len(rig.sandbox.joins) == 2


def test_thirty_people_between_fifteen_tags(rig: Tagging) -> None:
    """As many calls as tags are changed, each with who comes and who goes."""
    people = rig.people(30)
    tags = [rig.tag(f"t{number}") for number in range(15)]
    ops = []
    for number, address in enumerate(people):
        ops += adds(tags[number % 15], [address], first=100 + number)
        ops += removes(tags[(number + 1) % 15], [address], first=200 + number)

    rig.push(ops)

    assert rig.names() == ["postListsIdSegmentsId"] * 15


def test_plus_parts_and_capitals_are_kept(rig: Tagging) -> None:
    """The shop's spelling differs from Mailchimp's; a plus part is another person."""
    rig.audience.add("Ann+Shop@Shop.test")
    rig.audience.add("ann@shop.test")
    audience = rig.tag()

    receipts = rig.push(adds(audience, ["ann+shop@shop.test"]))

    assert receipts[1].outcome == "done"
    assert rig.audience.tagged(audience.name) == {"Ann+Shop@Shop.test"}


def test_who_is_not_there_or_has_left_is_refused_one_by_one(rig: Tagging) -> None:
    """The others of the call join; reasons name no address."""
    audience = rig.tag()
    people = rig.people(2)
    rig.audience.add("out@shop.test", "unsubscribed")

    receipts = rig.push(adds(audience, [*people, "out@shop.test", "nobody@shop.test"]))

    assert [receipts[number].outcome for number in (1, 2, 3, 4)] == ["done", "done", "refused", "refused"]
    assert all("@" not in (receipts[number].reason or "") for number in (3, 4))
    assert rig.sandbox.created == []


def test_people_whom_mailchimp_passes_over_are_asked_for(rig: Tagging) -> None:
    """Mailchimp says that unknown addresses are ignored: neither added nor refused must not mean done."""
    audience = rig.tag()
    people = rig.people(2)
    rig.audience.tag_by_hand(audience.name, people[:1])
    rig.audience.automate(audience.name)
    silent = orjson.dumps({"members_added": [], "members_removed": [], "errors": [], "total_added": 0})
    rig.instead = times(1, Reply(200, {}, silent), "POST", "/segments/")

    receipts = rig.push(adds(audience, [*people, "nobody@shop.test"]))

    assert [(its.outcome, its.reason) for its in receipts.values()] == [
        ("done", None),
        ("done", None),
        ("refused", "not in audience"),
    ]
    assert rig.audience.tagged(audience.name) == set(people)
    assert rig.sandbox.joins == []


def test_who_unsubscribed_still_leaves(rig: Tagging) -> None:
    """A call to a tag may not take them out: then their own call does. Who is gone needs no removal."""
    audience = rig.tag()
    people = rig.people(4)
    rig.audience.tag_by_hand(audience.name, people)
    rig.audience.unsubscribe(people[0])
    rig.audience.archive(people[1])
    rig.audience.delete_permanent(people[2])

    receipts = rig.push(removes(audience, people))

    assert outcomes(receipts) == {("done", None): 4}
    assert rig.audience.tagged(audience.name) == set()
    assert [its.remote_id for its in receipts.values()] == [None] * 4


def test_removals_by_hash_alone(rig: Tagging) -> None:
    """A customer whose record is gone, and one with another address by now, leave under the hash that joined."""
    audience = rig.tag()
    people = rig.people(3)
    rig.audience.tag_by_hand(audience.name, people)
    hashes = [subscriber_hash(address) for address in people]

    receipts = rig.push(
        [
            op("remove", 1, audience, None, hashes[0]),
            op("remove", 2, audience, "new@shop.test", hashes[1]),
            op("remove", 3, audience, None, None),
        ]
    )

    assert outcomes(receipts) == {("done", None): 3}
    assert rig.audience.tagged(audience.name) == {people[2]}


def test_a_tag_that_is_gone_is_said(rig: Tagging) -> None:
    """Nobody is in it any more; a new one by accident of its name does not come into being."""
    audience, other = rig.tag(), rig.tag("other")
    people = rig.people(3)
    rig.audience.delete_tag(rig.segment(audience))
    for quiet in (False, True):
        its = Audience(audience.segment, audience.name, audience.remote_id, quiet)
        receipts = rig.push([*adds(its, people), *adds(other, people, first=10)])

        assert {(receipts[n].outcome, receipts[n].gone) for n in (1, 2, 3)} == {("retry", True)}
        assert {(receipts[n].outcome, receipts[n].gone) for n in (10, 11, 12)} == {("done", False)}
        assert "no longer exists in Mailchimp" in (receipts[1].reason or "")
    assert [segment.name for segment in rig.audience.segments.values()] == [other.name]


def test_a_tag_that_was_renamed_by_hand_keeps_its_members(rig: Tagging) -> None:
    """Calls by member go by name: the present one is read, so that no second tag comes of the former."""
    audience = rig.tag(quiet=True)
    people = rig.people(2)
    rig.audience.rename_tag(rig.segment(audience), "Our best")

    rig.push(adds(audience, people))

    assert [segment.name for segment in rig.audience.segments.values()] == ["Our best"]
    assert rig.audience.tagged("Our best") == set(people)


def test_a_call_that_is_refused_as_a_whole_goes_by_person(rig: Tagging) -> None:
    """Some address spoils it: each gets an answer of its own, and automations begin as they would have."""
    audience = rig.tag()
    people = rig.people(3)
    rig.audience.automate(audience.name)
    rig.instead = times(1, problem(400, "Invalid Resource", "The resource is invalid."), "POST", "/segments/")

    receipts = rig.push(adds(audience, [*people, "nobody@shop.test"]))

    assert [its.outcome for its in receipts.values()] == ["done"] * 3 + ["refused"]
    assert len(rig.sandbox.joins) == 3


def test_unusable_addresses_are_not_sent(rig: Tagging) -> None:
    """Mailchimp would answer some of them with HTTP 500."""
    audience = rig.tag()
    addresses = ["a b@shop.test", "a@shop", "a,b@shop.test", "a@shop.test.", None, ""]

    receipts = rig.push(strangers(audience, addresses))

    assert outcomes(receipts) == {("refused", "no usable e-mail address"): len(addresses)}
    assert set(rig.names()) == {"previewASegment"}


def test_two_customers_with_one_address(rig: Tagging) -> None:
    """One leaves, one joins: whoever is in the segment has the tag in the end, quietly or not."""
    (address,) = rig.people(1)
    for quiet in (False, True):
        audience = rig.tag(f"t{quiet}", quiet=quiet)
        rig.audience.tag_by_hand(audience.name, [address])

        receipts = rig.push([*removes(audience, [address]), *adds(audience, [address], first=2)])

        assert outcomes(receipts) == {("done", None): 2}
        assert rig.audience.tagged(audience.name) == {address}


def test_the_estimate_counts_calls_of_a_daily_difference() -> None:
    """Changes by tag, and batches for newcomers where they are added."""
    rig = Tagging()
    people = [Person(number, f"p{number}@shop.test", subscriber_hash(f"p{number}@shop.test")) for number in range(1200)]
    newcomers = [Person(number, f"n{number}@shop.test") for number in range(700)]

    adds, removes = {"a": people[10:], "b": people[:3]}, {"a": people[:10], "c": people[:501]}
    assert rig.destination.estimate(adds, removes)[0] == 3 + 1 + 2
    assert rig.destination.estimate({"a": newcomers}, {}) == (2, 3.0)
    assert rig.destination.estimate({"a": people}, {}, {"a"})[0] == 1 + 3 * 2 + 2
    calls, seconds = rig.open(add_consented=True).estimate({"a": newcomers}, {})
    assert (calls, seconds) == (2 + 2 * 2 + 2, 3.0 + 30 + 6)


def test_nothing_that_touches_consent_or_others_is_ever_sent() -> None:
    """Of all that these pushes send: no status, no archiving, no deletion, no membership replaced, no unknown tag."""
    rig = Tagging(settings={"add_consented": True, "merge_fields": ["rfm_group"]})
    known = rig.people(600)
    audience, first = rig.tag(), rig.tag("first", quiet=True)
    merchants = rig.audience.tag_by_hand("Merchant's own", known[:50])
    ops: list[Op] = [
        *adds(audience, known),
        *strangers(audience, ["new@shop.test"], first=1000),
        *adds(first, known[:20], first=2000),
        *removes(first, known[20:30], first=3000),
    ]

    rig.push(ops)
    rig.destination.rename(Audience("vip", "seg:best", audience.remote_id))

    sent = [request for _, request, _ in rig.seen]
    assert not [request for request in sent if request.method == "DELETE" or "delete-permanent" in request.path]
    bodies = b" ".join(request.body for request in sent)
    for word in (b'"status":"subscribed"', b"update_existing", b"sync_tags", b"static_segment", b"DELETE"):
        assert word not in bodies
    assert (rig.sandbox.consent_writes, rig.sandbox.replaced) == ([], [])
    assert len(merchants.members) == 50
    assert len(rig.audience.segments) == 3


STATUSES = ["subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived", "nobody"]


@given(st.data())
def test_whatever_is_pushed_the_receipts_tell_the_truth(data: st.DataObject) -> None:
    """Done means in, or out; refused means that nothing was given; only open joins start an automation, once each."""
    rig = Tagging()
    people = [f"p{number}@shop.test" for number in range(14)]
    for address in people:
        status = data.draw(st.sampled_from(STATUSES))
        if status != "nobody":
            rig.audience.add(address, status)
    tags = [rig.tag("a"), rig.tag("b"), rig.tag("quiet", quiet=True)]
    for tag in tags:
        rig.audience.tag_by_hand(tag.name, [each for each in people[:7] if rig.audience.find(each)])
        rig.audience.automate(tag.name)
    before = {tag.name: rig.audience.tagged(tag.name) for tag in tags}
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(tags), st.sampled_from(people)), unique=True))
    ops = [
        (adds if data.draw(st.booleans()) else removes)(tag, [address], first=number)[0]
        for number, (tag, address) in enumerate(pairs)
    ]

    for _ in range(2):
        receipts = rig.push(ops)

        for each in ops:
            tagged = each.person.email in rig.audience.tagged(each.audience.name)
            was = each.person.email in before[each.audience.name]
            if each.action == "remove":
                assert (receipts[each.id].outcome, tagged) == ("done", False)
            else:
                assert (receipts[each.id].outcome, tagged) in [("done", True), ("refused", was)]
    joined = Counter((join.tag, join.address) for join in rig.sandbox.joins)
    opened = {
        (each.audience.name, each.person.email)
        for each in ops
        if each.action == "add" and not each.audience.quiet and receipts[each.id].outcome == "done"
    }
    assert joined == dict.fromkeys([(name, address) for name, address in opened if address not in before[name]], 1)
