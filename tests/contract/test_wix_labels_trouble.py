"""Contact labels when things go wrong: every fault that Wix's pages warn of, and those every network has."""

from __future__ import annotations

from typing import Any

import pytest
from wix_labels_rig import Rig, ops, outcomes

from connector.base import Audience, Reply
from connector.errors import AuthError, BadReply, ScopeError, Unavailable
from connector.retry import Policy
from connector.wix.destination import LabelQuota
from connector.wix.wire_labels import writing

MANAGE_LABELS = "SCOPE.DC-CONTACTS.MANAGE-LABELS"
MANAGE_CONTACTS = "SCOPE.DC-CONTACTS.MANAGE-CONTACTS"
JOBS = writing().jobs


@pytest.mark.parametrize("match", ["BulkAddRemoveLabels", "GetBulkJob", "LabelContact", "UnlabelContact"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "throttled"},
        {"kind": "throttled", "retry_after": 7},
        {"kind": "unavailable", "times": 2},
        {"kind": "html_500"},
        {"kind": "reset"},
        {"kind": "timeout"},
        {"kind": "act_timeout"},
        {"kind": "act_reset"},
        {"kind": "act_500"},
        {"kind": "truncated"},
        {"kind": "malformed"},
    ],
    ids=lambda fault: f"{fault['kind']}{fault.get('retry_after', '')}",
)
def test_passing_trouble_changes_nothing(match: str, fault: dict[str, Any]) -> None:
    """Everybody ends up where they should, and nobody joins twice, even where Wix acted and the answer was lost."""
    rig = Rig(31, check=False)
    old, new = rig.audiences(2)
    rig.wear(old, rig.people)
    began = rig.clock.now()
    rig.faults.add(match, **fault)

    many = rig.push(ops(new, rig.people[:30]))
    one = rig.push([*ops(old, rig.people[30:], "remove"), *ops(new, rig.people[30:], first=2)])

    assert (outcomes(many), outcomes(one)) == ({"done": 30}, {"done": 2})
    assert sorted(rig.work.joins(new.remote_id or "")) == sorted(customer.guid for customer in rig.people)
    assert rig.destination.calls == len(rig.seen)
    assert rig.wearers(old) == {customer.guid for customer in rig.people[:30]}
    if fault["kind"] == "throttled":
        assert rig.clock.now() - began >= fault.get("retry_after", 60)


def test_no_answer_at_all_stops_the_destination() -> None:
    """What was not heard of is sent again on a later run."""
    rig = Rig(30, policy=Policy(tries=3, seconds=30))
    audience = rig.audience("vip")
    rig.faults.add("BulkAddRemoveLabels", "unavailable", times=0)
    with pytest.raises(Unavailable, match="HTTP 503"):
        rig.push(ops(audience, rig.people))
    rig.faults.script.clear()
    assert outcomes(rig.push(ops(audience, rig.people))) == {"done": 30}


def test_a_stuck_job_waits_for_the_next_run_and_holds_up_nobody() -> None:
    """The other jobs get their receipts; the stuck one's people are tried again, and join once."""
    rig = Rig(500)
    rig.work.stuck = 1
    audience = rig.audience("vip")
    wanted = ops(audience, rig.people)
    began = rig.clock.now()

    receipts = rig.push(wanted)

    waiting = [op for op in wanted if receipts[op.id].outcome == "retry"]
    assert outcomes(receipts) == {"done": 400, "retry": 100}
    assert "was not finished after 300 s" in (receipts[waiting[0].id].reason or "")
    assert JOBS.patience <= rig.clock.now() - began < JOBS.patience + 5
    assert rig.names().count("GetBulkJob") < 30
    assert outcomes(rig.push(waiting)) == {"done": 100}
    assert len(rig.work.joins(audience.remote_id or "")) == 500


def test_the_last_look_is_at_every_job() -> None:
    """Jobs that end just before patience does are not taken for stuck because others are."""
    rig = Rig(500)
    rig.work.stuck, rig.work.stage = 2, 70.0
    audience = rig.audience("vip")
    assert outcomes(rig.push(ops(audience, rig.people))) == {"done": 300, "retry": 200}


def test_where_no_job_ever_ends_only_one_push_waits_for_it() -> None:
    """The rest is left to a later run, which tries again."""
    rig = Rig(2500)
    rig.work.stuck = 20
    audience = rig.audience("vip")
    first, second = rig.destination.batches(ops(audience, rig.people))
    assert outcomes({its.op: its for its in rig.destination.push(first)}) == {"retry": 2000}
    sent = len(rig.seen)
    with pytest.raises(Unavailable, match="no bulk job came to an end within 300 s"):
        rig.destination.push(second)
    assert len(rig.seen) == sent
    rig.destination.check()
    assert outcomes({its.op: its for its in rig.destination.push(second)}) == {"done": 500}


def test_contacts_that_a_job_fails_for_get_their_own_receipts() -> None:
    """Wix counts failures and does not name them: everybody is read back, the doubtful one by one."""
    rig = Rig(80)
    audience = rig.audience("vip")
    rig.work.failing = {customer.guid for customer in rig.people[:3]}

    receipts = rig.push(ops(audience, rig.people))

    assert outcomes(receipts) == {"done": 77, "retry": 3}
    assert {receipts[number].outcome for number in (1, 2, 3)} == {"retry"}
    assert "done for 77 of 80 contacts" in (receipts[1].reason or "")
    rig.work.failing.clear()
    assert outcomes(rig.push(ops(audience, rig.people[:3]))) == {"done": 3}


def test_the_lagging_index_is_not_believed() -> None:
    """Right after a job the index shows the old labels: those read alone show that most is done."""
    rig = Rig(20, lag=600.0)
    rig.work.stage = 0.1
    audience = rig.audience("vip")
    rig.work.failing = {rig.people[0].guid}
    receipts = rig.push(ops(audience, rig.people))
    assert outcomes(receipts) == {"done": 19, "retry": 1}


def test_reading_back_has_an_end() -> None:
    """Where jobs fail for hundreds, a hundred are read alone and the others wait for the next run."""
    rig = Rig(400)
    audience = rig.audience("vip")
    rig.work.failing = {customer.guid for customer in rig.people}
    receipts = rig.push(ops(audience, rig.people))
    assert outcomes(receipts) == {"retry": 400}
    assert rig.names().count("GetContact") == JOBS.reads


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("together", [1, 50])
def test_a_contact_deleted_in_between(together: int, indexed: bool) -> None:
    """Who is gone carries no label: removals are done, additions refused. The others are not held up."""
    rig = Rig(together + 1)
    old, new = rig.audiences(2)
    rig.wear(old, rig.people)
    gone = rig.people[0]
    rig.world.delete_customer(gone)
    if indexed:
        rig.clock.advance(60)
    people = rig.people[:together]

    coming = rig.push(ops(new, people))
    leaving = rig.push(ops(old, people, "remove"))

    assert (coming[1].outcome, coming[1].reason) == ("refused", "the contact does not exist in Wix (any more)")
    assert leaving[1].outcome == "done"
    assert outcomes(coming).get("done", 0) == together - 1
    assert outcomes(leaving) == {"done": together}


def test_a_contact_merged_away_is_left_alone() -> None:
    """Its id leads to the survivor, who is not meant: nothing is written there."""
    rig = Rig(20)
    old, new = rig.audiences(2)
    rig.wear(old, rig.people[:10])
    rig.world.merge(rig.people[0], rig.people[15])
    rig.clock.advance(60)

    coming = rig.push(ops(new, rig.people[:10]))
    leaving = rig.push(ops(old, rig.people[:10], "remove"))

    assert (coming[1].outcome, outcomes(coming)["done"]) == ("refused", 9)
    assert "merged into another" in (coming[1].reason or "")
    assert outcomes(leaving) == {"done": 10}
    assert rig.wearers(new) == {customer.guid for customer in rig.people[1:10]}


def test_a_contact_that_the_index_does_not_know_yet_is_tried_again() -> None:
    """The job's filter misses it, so that fewer are done than were asked for."""
    rig = Rig(10)
    fresh = rig.world.add_customer("fresh@example.org")
    audience = rig.audience("vip")
    receipts = rig.push(ops(audience, [*rig.people, fresh]))
    assert outcomes(receipts) == {"done": 10, "retry": 1}
    assert "done for 10 of 11" in (receipts[11].reason or "")
    rig.clock.advance(60)
    assert outcomes(rig.push(ops(audience, [fresh]))) == {"done": 1}


@pytest.mark.parametrize("late", [False, True], ids=["refused", "failed"])
@pytest.mark.parametrize("together", [1, 50])
def test_a_label_deleted_by_hand(together: int, late: bool) -> None:
    """Its receipts say so, and the other labels of the same people are written all the same."""
    rig = Rig(together)
    rig.work.late = late
    gone, kept = rig.audiences(2)
    rig.destination.check()
    rig.site.delete_label(rig.site.labels[gone.remote_id or ""])

    first = rig.push([*ops(gone, rig.people), *ops(kept, rig.people, first=1000)])
    again = rig.push(ops(kept, rig.people, first=1000))
    leaving = rig.push(ops(gone, rig.people, "remove"))

    lost = [receipt for number, receipt in first.items() if number < 1000]
    assert {(its.outcome, its.gone) for its in lost} == {("retry", True)}
    assert {(its.outcome, its.gone) for its in leaving.values()} <= {("retry", True), ("done", False)}
    assert rig.wearers(gone) == set()
    assert "no longer exists in Wix and is made anew" in (lost[0].reason or "")
    assert not any(receipt.gone for number, receipt in first.items() if number >= 1000)
    assert outcomes(again) == {"done": together}
    assert len(rig.work.joins(kept.remote_id or "")) == together


def test_renaming_a_label_that_is_gone_leaves_the_telling_to_the_push() -> None:
    """Otherwise its people would wait for ever for a name that cannot be changed."""
    rig = Rig(5)
    audience = rig.audience("vip")
    rig.site.delete_label(rig.site.labels[audience.remote_id or ""])
    rig.destination.rename(Audience("vip", "seg-best", audience.remote_id))
    assert {its.gone for its in rig.push(ops(audience, rig.people)).values()} == {True}


def test_a_lower_ceiling_of_ids_is_found_by_halving() -> None:
    """No ceiling is published: should a hundred be too many, the halves go through."""
    rig = Rig(100)
    rig.work.most_ids = 30
    audience = rig.audience("vip")
    assert outcomes(rig.push(ops(audience, rig.people))) == {"done": 100}
    assert rig.names().count("BulkAddRemoveLabels") == 7


def test_what_is_refused_for_everybody_is_nobodys_fault() -> None:
    """Nobody is marked as refused, and the search for the culprit ends."""
    rig = Rig(1000, check=False)
    audience = rig.audience("vip")
    for match in ("BulkAddRemoveLabels", "LabelContact"):
        rig.faults.add(match, "status", status=400, times=0, body='{"message":"Expected an object"}')
    receipts = rig.push(ops(audience, rig.people))
    assert outcomes(receipts) == {"retry": 1000}
    assert len(rig.seen) < 2 * JOBS.isolate + 30


def test_one_contact_that_is_refused_does_not_take_others_along() -> None:
    """A refusal that names nobody is narrowed down to the one it is about."""
    rig = Rig(40)
    audience = rig.audience("vip")
    bad = rig.people[17]
    began: set[str] = set()

    def picky(name: str, reply: Reply) -> Reply:
        new = set(rig.work.jobs) - began
        began.update(new)
        if any(bad.guid in (rig.work.jobs[each].wanted.ids or ()) for each in new):
            return Reply(400, {"content-type": "application/json"}, b'{"message":"value is invalid"}')
        return reply

    rig.spoil = picky
    rig.faults.add(f"{bad.guid}/labels", "status", status=400, body='{"message":"value is invalid"}')
    receipts = rig.push(ops(audience, rig.people))
    assert outcomes(receipts) == {"done": 39, "refused": 1}
    assert receipts[18].outcome == "refused"
    assert len(rig.seen) < 25


@pytest.mark.parametrize("match", ["LabelContact", "UnlabelContact", "BulkAddRemoveLabels"])
def test_a_conflict_is_tried_again_later(match: str) -> None:
    """409: somebody else changed the contact at that moment."""
    rig = Rig(30)
    audience = rig.audience("vip")
    people = rig.people if match == "BulkAddRemoveLabels" else rig.people[:1]
    action = "remove" if match == "UnlabelContact" else "add"
    rig.faults.add(match, "conflict")
    receipts = rig.push(ops(audience, people, action))
    assert outcomes(receipts) == {"retry": len(people)}
    assert "409" in (receipts[1].reason or "")
    assert outcomes(rig.push(ops(audience, people, action))) == {"done": len(people)}


def test_a_job_that_vanishes_is_sent_again_later() -> None:
    """Whether it was done nobody knows; doing it again changes nothing."""
    rig = Rig(30)
    audience = rig.audience("vip")
    rig.faults.before("GetBulkJob", rig.work.jobs.clear)
    receipts = rig.push(ops(audience, rig.people))
    assert outcomes(receipts) == {"retry": 30}
    assert "Bulk job not found" in (receipts[1].reason or "")


def test_a_job_that_finds_more_contacts_than_named_stops_everything() -> None:
    """The filter was not obeyed: nothing more is sent before a person has looked."""
    rig = Rig(300)
    audience = rig.audience("vip")

    def spread() -> None:
        for job in rig.work.jobs.values():
            job.ended, job.total = job.begun, 5000

    rig.faults.before("GetBulkJob", spread)
    with pytest.raises(BadReply, match="was to touch 100 contacts and found 5000"):
        rig.push(ops(audience, rig.people))


def test_a_full_site_says_how_many_and_what_to_do() -> None:
    """The quota is not published: the refusal tells it."""
    rig = Rig(label_quota=4)
    rig.audiences(2)
    with pytest.raises(LabelQuota) as caught:
        rig.destination.create(Audience("vip", "seg-vip"))
    text = str(caught.value)
    assert "label 'seg-vip' cannot be made: the site holds 4 labels of 4; delete labels" in text
    assert "request " in text
    assert (caught.value.exit_code, "\n" in text) == (1, False)


def test_making_a_label_survives_a_lost_answer() -> None:
    """Wix made it and the answer was lost: asked again, it finds the label."""
    rig = Rig()
    rig.faults.add("FindOrCreateLabel", "act_timeout")
    key = rig.destination.create(Audience("vip", "seg-vip"))
    assert [label.key for label in rig.site.labels.values() if label.display_name == "seg-vip"] == [key]


@pytest.mark.parametrize(
    ("denied", "blocked"), [(MANAGE_LABELS, "labels cannot be found"), (MANAGE_CONTACTS, "nobody can be labelled")]
)
def test_a_missing_permission_is_named_with_what_it_blocks(denied: str, blocked: str) -> None:
    """Wix's 403 does not say which: each is tried, and nothing is changed by it."""
    rig = Rig()
    assert [finding.level for finding in rig.destination.doctor()] == ["ok", "ok"]
    rig.world.denied.add(denied)
    findings = rig.destination.doctor()
    (error,) = [finding for finding in findings if finding.level == "error"]
    assert blocked in error.text
    assert "request " in error.text
    assert denied in error.fix
    assert [finding.level for finding in findings].count("ok") == 1
    assert set(rig.names()) == {"QueryLabels", "GetBulkJob"}


def test_pushing_without_the_permission_stops_the_run() -> None:
    """A key that may not write is an error of the whole run, not of its people, and `check` tells beforehand."""
    rig = Rig(30)
    audience = rig.audience("vip")
    rig.destination.check()
    rig.world.denied.add(MANAGE_CONTACTS)
    with pytest.raises(ScopeError, match=MANAGE_CONTACTS):
        rig.destination.check()
    with pytest.raises(ScopeError, match="BulkAddRemoveLabels"):
        rig.push(ops(audience, rig.people))
    rig.world.denied.add(MANAGE_LABELS)
    with pytest.raises(ScopeError, match="QueryLabels"):
        rig.destination.check()


def test_a_refused_key_is_told_by_the_first_call() -> None:
    """401 is never retried, and the key is not shown."""
    rig = Rig()
    rig.sandbox.door.keys.clear()
    for ask in (rig.destination.check, rig.destination.doctor):
        with pytest.raises(AuthError) as caught:
            ask()
        assert "IST." not in str(caught.value)
