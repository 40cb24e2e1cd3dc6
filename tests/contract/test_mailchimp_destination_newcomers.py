"""People whom the simulated Mailchimp audience does not hold, added because the owner says so."""

from __future__ import annotations

import orjson
from mailchimp_tagging import Tagging, adds, strangers

from connector.base import Receipt
from connector.mailchimp.wire_members import subscriber_hash


def all_done(receipts: dict[int, Receipt], count: int) -> bool:
    return [its.outcome for its in receipts.values()] == ["done"] * count


def test_newcomers_are_added_only_if_the_owner_says_so() -> None:
    """With status_if_new only: nobody's standing is touched, and no required field stands in the way."""
    rig = Tagging(settings={"add_consented": True})
    rig.audience.add_merge_field("Birthday", "text", "BDAY", required=True)
    rig.audience.add("out@shop.test", "unsubscribed")
    rig.audience.add("put-away@shop.test", "archived")
    audience, other = rig.tag(), rig.tag("other")
    people = ["New@shop.test", "out@shop.test", "put-away@shop.test"]

    receipts = rig.push([*strangers(audience, people), *strangers(other, people[:1], first=10)])

    assert [(its.outcome, its.reason) for its in receipts.values()] == [
        ("done", None),
        ("refused", "unsubscribed"),
        ("refused", "archived"),
        ("done", None),
    ]
    assert receipts[1].remote_id == subscriber_hash("new@shop.test")
    assert rig.sandbox.created == ["New@shop.test"]
    assert rig.sandbox.consent_writes == []
    bodies = [orjson.loads(request.body) for name, request, _ in rig.seen if name == "putListsIdMembersId"]
    assert {tuple(body) for body in bodies} == {("email_address", "status_if_new")}
    assert rig.audience.tagged(audience.name) == rig.audience.tagged(other.name) == {"New@shop.test"}


def test_newcomers_go_in_batches() -> None:
    """700 of them into two tags: two batches add them once, four calls tag them."""
    rig = Tagging(settings={"add_consented": True})
    known = rig.people(300)
    newcomers = [f"new{number}@shop.test" for number in range(700)]
    audience, other = rig.tag(), rig.tag("other")
    ops = [
        *strangers(audience, newcomers),
        *adds(audience, known, first=2000),
        *strangers(other, newcomers, first=3000),
    ]

    receipts = rig.push(ops)

    assert all_done(receipts, 1700)
    assert rig.sandbox.batched == {"putListsIdMembersId": 700}
    assert rig.names().count("postListsIdSegmentsId") == 4
    assert len(rig.audience.tagged(audience.name)) == 1000


def test_newcomers_of_a_first_fill_join_silently() -> None:
    """First they are added, then tagged: a batch works in no order."""
    rig = Tagging(settings={"add_consented": True})
    audience = rig.tag(quiet=True)
    rig.audience.automate(audience.name)
    newcomers = [f"new{number}@shop.test" for number in range(30)]

    receipts = rig.push(strangers(audience, newcomers))

    assert all_done(receipts, 30)
    assert rig.audience.tagged(audience.name) == set(newcomers)
    assert rig.sandbox.joins == []


def test_why_newcomers_are_refused() -> None:
    """By the problem's name, without the address; whom Mailchimp finds too busy comes again later."""
    rig = Tagging(settings={"add_consented": True})
    rig.audience.add("erased@shop.test")
    rig.audience.delete_permanent("erased@shop.test")
    rig.account.busy.add("busy@shop.test")
    audience = rig.tag()

    receipts = rig.push(strangers(audience, ["erased@shop.test", "x@example.com", "busy@shop.test"]))

    assert [(its.outcome, its.reason) for its in receipts.values()] == [
        ("refused", "Forgotten Email Not Subscribed"),
        ("refused", "Invalid Resource (looks fake or invalid)"),
        ("retry", "Invalid Resource"),
    ]


def test_who_is_erased_looks_new_and_stays_refused() -> None:
    """GET says 404; adding says why; the tag is not tried."""
    rig = Tagging(settings={"add_consented": True})
    rig.audience.add("erased@shop.test")
    rig.audience.delete_permanent("erased@shop.test")

    assert [*rig.destination.lookup(["erased@shop.test"])] == []
    receipts = rig.push(strangers(rig.tag(quiet=True), ["erased@shop.test"]))

    assert receipts[1].reason == "Forgotten Email Not Subscribed"
    assert "postListMemberTags" not in rig.names()
