"""What goes wrong at Mailchimp, and what becomes of it."""

from __future__ import annotations

import pytest
from mailchimp_rig import edge, problem
from mailchimp_tagging import Tagging, adds, removes, strangers
from scripted import times

from connector.base import Access, Audience, FieldWrite, Reply
from connector.errors import AuthError, BadReply, BadRequest, ScopeError, Stopped, Unavailable, WrongShop
from connector.mailchimp import API_KEY, MailchimpSettings
from connector.mailchimp.destination import open_destination
from connector.retry import PATIENT_FOR_A_PERSON
from connector.sandbox.faults import KINDS, Faults
from connector.sandbox.wire import Drop

OWN_KINDS = ("throttled", "throttled_html", "blocked_html", "down_html")


@pytest.fixture
def rig() -> Tagging:
    return Tagging()


@pytest.mark.parametrize(
    "trouble",
    [
        edge(429),
        edge(403),
        edge(503),
        problem(429, "Too Many Requests"),
        problem(500, "Internal Server Error"),
        Drop(),
        Drop(timeout=True),
        Reply(200, {}, b"<html>"),
        Reply(408, {}, b""),
    ],
)
def test_passing_trouble_is_tried_again(rig: Tagging, trouble: Reply | Drop) -> None:
    """Mailchimp never says how long to wait: the backoff is ours."""
    people = rig.people(3)
    rig.instead = times(3, trouble)

    assert [*rig.everybody()] == people
    assert rig.destination.calls == 4
    assert rig.clock.slept > 0


def test_lasting_trouble_ends_as_unavailable(rig: Tagging) -> None:
    """One line, exit 4; sooner where somebody waits at the screen."""
    rig.instead = times(1000, edge(403))

    with pytest.raises(Unavailable, match=r"^mailchimp: GetMembers: HTTP 403; gave up after 8 tries") as caught:
        rig.everybody()
    assert caught.value.exit_code == 4

    settings = MailchimpSettings(audience_id=rig.audience.id)
    secrets = {API_KEY: rig.sandbox.api_key}
    access = Access(settings, secrets, rig.clock, rig.transport(), policy=PATIENT_FOR_A_PERSON)
    slept = rig.clock.slept
    with access.closing, pytest.raises(Unavailable):
        open_destination(access).check()
    assert rig.clock.slept - slept < 15


@pytest.mark.parametrize(
    ("reply", "error", "text"),
    [
        (problem(401, "API Key Invalid", "Your API key may be invalid"), AuthError, "REGULARS_MAILCHIMP_API_KEY"),
        (Reply(401, {}, b""), AuthError, "the key is refused"),
        (problem(403, "WrongDatacenter", "linked to a different datacenter"), AuthError, "whole with its data centre"),
        (problem(403, "User Action Not Permitted", "Your plan does not permit it"), ScopeError, "does not permit it"),
        (problem(403, "User Disabled", "This account has been disabled."), Stopped, "has switched this off"),
        (problem(599, "Compliance Related", "This method has been disabled."), Stopped, "has switched this off"),
        (problem(400, "Invalid Resource", "since_last_changed"), BadRequest, "Invalid Resource: since_last_changed"),
        (edge(404), BadReply, "check api_url"),
        (edge(400), BadReply, "check api_url"),
        (Reply(400, {}, b"[]"), BadReply, "check api_url"),
    ],
)
def test_refusals_are_not_tried_again(rig: Tagging, reply: Reply, error: type[Exception], text: str) -> None:
    """Title and status tell what kind it is; a 404 of a proxy does not mean that nobody is there."""
    rig.instead = times(1, reply)

    with pytest.raises(error, match=text):
        rig.everybody()
    assert rig.destination.calls == 1


def test_a_key_that_may_not_tag_ends_the_run() -> None:
    """A 403 with a reason is no refusal of a person."""
    rig = Tagging(forbidden={"postListsIdSegmentsId", "postListMemberTags"})
    people = rig.people(3)

    for audience in (rig.tag(), rig.tag(quiet=True)):
        with pytest.raises(ScopeError, match="may not do this"):
            rig.push(adds(audience, people))


def test_an_audience_that_is_gone_is_no_reason_to_make_tags_anew() -> None:
    """The tag's 404 may be the audience's."""
    rig = Tagging()
    people, audience = rig.people(3), rig.tag()
    del rig.account.audiences[rig.audience.id]

    with pytest.raises(WrongShop, match=r"no audience .* in this account"):
        rig.push(adds(audience, people))


@pytest.mark.parametrize("kind", sorted((KINDS | set(OWN_KINDS)) - {"delay"}))
@pytest.mark.parametrize(
    "match",
    [
        "postListsIdSegments",
        "postListsIdSegmentsId",
        "postBatches",
        "getBatchesId",
        "batchResults",
        "previewASegment",
        "putListsIdMembersId",
        "postListMemberTags",
        "patchListsIdMembersId",
        "postListsIdMergeFields",
    ],
)
def test_one_fault_anywhere_leaves_the_audience_as_wished(kind: str, match: str) -> None:
    """Whatever breaks once, and wherever: one tag, the right people, each automation once, first fills silent."""
    faults = Faults.from_list([{"match": match, "kind": kind, "status": 503}])
    rig = Tagging(settings={"add_consented": True, "merge_fields": ["rfm_group"]}, faults=faults, check=False)
    many, few = rig.people(20), rig.people(2, first=50)

    tag = rig.destination.create(Audience("vip", "seg:vip"))
    audience = Audience("vip", "seg:vip", tag)
    rig.audience.automate("seg:vip")
    first = Audience("new", "seg:new", rig.destination.create(Audience("new", "seg:new")), quiet=True)
    rig.audience.automate("seg:new")
    ops = [
        *adds(audience, few),
        *strangers(audience, ["new@shop.test"], first=10),
        *adds(first, many, first=100),
        *adds(first, few, first=200),
    ]
    receipts = rig.push(ops)
    receipts |= rig.push([op for op in ops if receipts[op.id].outcome == "retry"])
    fields = rig.destination.write_fields([FieldWrite(op.person, {"rfm_group": "Loyal"}) for op in ops[:2]])

    assert {receipt.outcome for receipt in receipts.values()} == {"done"}
    assert [receipt.outcome for receipt in fields] == ["done", "done"]
    assert sorted(segment.name for segment in rig.audience.segments.values()) == ["seg:new", "seg:vip"]
    assert rig.audience.tagged("seg:vip") == {*few, "new@shop.test"}
    assert rig.audience.tagged("seg:new") == {*many, *few}
    assert sorted(join.address for join in rig.sandbox.joins) == sorted([*few, "new@shop.test"])
    assert [each.name for each in rig.audience.merge_fields.values()].count("RFM group") == 1
    assert (rig.sandbox.consent_writes, rig.sandbox.replaced) == ([], [])


@pytest.mark.parametrize("kind", ["act_timeout", "act_reset", "act_500"])
def test_a_change_whose_answer_was_lost_is_sent_again(kind: str) -> None:
    """Nothing is added or taken a second time, so that the second answer speaks of nobody."""
    rig = Tagging(faults=Faults.from_list([{"match": "postListsIdSegmentsId", "kind": kind}]), check=False)
    people, audience = rig.people(40), rig.tag()
    rig.audience.tag_by_hand(audience.name, people[20:])
    rig.audience.automate(audience.name)

    receipts = rig.push([*adds(audience, people[:20]), *removes(audience, people[20:], first=100)])

    assert {receipt.outcome for receipt in receipts.values()} == {"done"}
    assert rig.audience.tagged(audience.name) == set(people[:20])
    assert len(rig.sandbox.joins) == 20
