"""Batches in the simulated Mailchimp account: begun, waited for, read to the last line."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
import pytest
from mailchimp_rig import NOW, edge, problem
from mailchimp_tagging import Tagging, adds, strangers
from scripted import times

from connector.base import Receipt, Reply
from connector.errors import Unavailable
from connector.mailchimp.limits import limits
from connector.mailchimp.sandbox_batches import RESULTS
from connector.sandbox.faults import Faults
from connector.sandbox.wire import Drop, Request


@pytest.fixture
def rig() -> Tagging:
    return Tagging()


def fill(rig: Tagging, people: list[str]) -> dict[int, Receipt]:
    """Push a first fill."""
    return rig.push(adds(rig.tag(quiet=True), people))


def done(receipts: dict[int, Receipt]) -> int:
    return sum(its.outcome == "done" for its in receipts.values())


def documents(rig: Tagging, name: str) -> list[Any]:
    return [orjson.loads(reply.body) for its, _, reply in rig.seen if its == name and reply is not None]


def test_several_batches_are_under_way_at_once(rig: Tagging) -> None:
    """3,000 people take six batches of 500, all begun before the first is looked for; one look serves them all."""
    assert done(fill(rig, rig.people(3000))) == 3000

    names = rig.names()
    assert names[:8] == ["previewASegment", *["postBatches"] * 6, "getBatches"]
    sizes = [len(orjson.loads(request.body)["operations"]) for name, request, _ in rig.seen if name == "postBatches"]
    assert sizes == [500] * 6
    assert names.count("results") == 6


def test_no_more_batches_wait_than_we_may_have(rig: Tagging) -> None:
    """A big first fill leaves room for others: Mailchimp lets 500 batches wait per account."""
    waiting: list[int] = []
    rig.instead = lambda request: waiting.append(sum(each.archive is None for each in rig.sandbox.batches.all.values()))

    assert done(fill(rig, rig.people(11_000))) == 11_000
    assert max(waiting) == limits().writes.in_flight


def test_the_pauses_grow_and_waiting_ends(rig: Tagging) -> None:
    """A batch that never finishes leaves its people to the next run, which sends them anew."""
    faults = Faults.from_list([{"match": "postBatches", "kind": "stuck_batch"}])
    rig = Tagging(faults=faults)

    receipts = fill(rig, rig.people(20))

    assert {(its.outcome, its.reason) for its in receipts.values()} == {
        ("retry", "a batch is not finished after 1200 s without progress")
    }
    looks = rig.names().count("getBatchesId")
    assert 1200 <= rig.clock.slept < 1260
    assert 40 <= looks <= 45


def test_a_stuck_batch_holds_up_no_other() -> None:
    """What the others did is kept. The simulator works off one after the other, so the stuck one comes last."""
    rig = Tagging(faults=Faults.from_list([{"match": "postBatches", "kind": "stuck_batch", "nth": 3}]))

    receipts = fill(rig, rig.people(1300))

    assert [receipts[number].outcome for number in (1, 1000, 1001, 1300)] == ["done", "done", "retry", "retry"]


@pytest.mark.parametrize("host", ["https://mailchimp-api-batch.s3.amazonaws.test", None])
def test_results_are_fetched_without_the_key(rig: Tagging, host: str | None) -> None:
    """The address is signed, and mostly of another host."""

    def elsewhere(request: Request) -> Reply | None:
        reply = rig.sandbox.handle(request) if request.path.startswith("/3.0/batches/") and host else None
        return reply and Reply(200, {}, reply.body.replace(b"https://us19.api.mailchimp.com", str(host).encode()))

    rig.instead = elsewhere
    assert done(fill(rig, rig.people(20))) == 20

    fetched = [request for name, request, _ in rig.seen if name == "results"]
    assert [request.headers.get("authorization") for request in fetched] == [None]
    assert fetched[0].headers["host"] == (host or "https://us19.api.mailchimp.com").removeprefix("https://")
    assert rig.destination.calls == len(rig.seen)


def test_an_expired_address_is_asked_for_anew(rig: Tagging) -> None:
    """The batch gives a fresh one each time it is looked for."""
    expired = Reply(403, {"content-type": "application/xml"}, b"<Error><Code>AccessDenied</Code></Error>")
    rig.instead = times(1, expired, path=RESULTS)

    assert done(fill(rig, rig.people(20))) == 20
    assert rig.names()[-3:] == ["results", "getBatchesId", "results"]


SPOILT = {"empty": b"", "text": b"no archive", "no tar": gzip.compress(b"no tar", mtime=0), "half": None}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_damaged_archive_is_fetched_again(rig: Tagging, kind: str) -> None:
    """Also one that breaks off in the middle."""

    def spoil(request: Request) -> Reply | None:
        if not request.path.startswith(RESULTS) or rig.names().count("results"):
            return None
        body = rig.sandbox.handle(request).body
        spoilt = SPOILT[kind]
        return Reply(200, {}, body[: len(body) // 2] if spoilt is None else spoilt)

    rig.instead = spoil

    assert done(fill(rig, rig.people(20))) == 20
    assert rig.names().count("results") == 2


def test_results_that_cannot_be_had_leave_people_to_the_next_run(rig: Tagging) -> None:
    """Three addresses are tried; the reason names the batch, nobody's address."""
    rig.instead = times(99, edge(404), path=RESULTS)

    receipts = fill(rig, rig.people(20))

    assert {its.outcome for its in receipts.values()} == {"retry"}
    assert rig.names().count("results") == 3


def test_finished_may_hide_failures() -> None:
    """Each failed operation becomes the receipt of its own person, whatever the order of the results."""
    rig = Tagging(settings={"add_consented": True})
    for number in (3, 7):
        rig.audience.add(f"new{number}@shop.test")
        rig.audience.delete_permanent(f"new{number}@shop.test")
    newcomers = [f"new{number}@shop.test" for number in range(20)] + ["fake@example.com"]

    receipts = rig.push(strangers(rig.tag(), newcomers))

    assert done(receipts) == 18
    assert {number: its.reason for number, its in receipts.items() if its.outcome != "done"} == {
        4: "Forgotten Email Not Subscribed",
        8: "Forgotten Email Not Subscribed",
        21: "Invalid Resource (looks fake or invalid)",
    }
    assert documents(rig, "getBatchesId")[-1]["errored_operations"] == 3


@pytest.mark.parametrize(
    ("reply", "outcome", "reason"),
    [
        (edge(403), "retry", "HTTP 403"),
        (edge(503), "retry", "HTTP 503"),
        (problem(429, "Too Many Requests"), "retry", "Too Many Requests"),
        (problem(500, "Internal Server Error"), "retry", "Internal Server Error"),
        (edge(400), "retry", "HTTP 400 without an explanation"),
        (problem(400, "Bad Request", "p0@shop.test"), "refused", "Bad Request"),
        (problem(404, "Resource Not Found"), "refused", "not in audience"),
        (problem(400, "Member In Compliance State", "p0@shop.test"), "refused", "Member In Compliance State"),
    ],
)
def test_what_an_operation_s_answer_means(rig: Tagging, reply: Reply, outcome: str, reason: str) -> None:
    """Trouble comes again later, refusals do not; the others are done."""
    people = rig.people(20)
    first = adds(rig.tag(), people[:1])[0].person.remote_id or ""
    rig.sandbox.in_batch = lambda request: reply if first in request.path else None

    receipts = fill(rig, people)

    assert done(receipts) == 19
    assert (receipts[1].outcome, receipts[1].reason) == (outcome, reason)


def test_a_missing_result_is_asked_for_again_later(rig: Tagging) -> None:
    """Results of other programs' operations, or ones without an id, are not taken for ours."""

    def foreign(request: Request) -> Reply | None:
        if request.path != "/3.0/batches" or request.method != "POST":
            return None
        body = orjson.loads(request.body)
        body["operations"][0]["operation_id"] = "1"
        del body["operations"][1]["operation_id"]
        return rig.sandbox.handle(Request("POST", request.path, (), request.headers, orjson.dumps(body)))

    rig.instead = foreign
    receipts = fill(rig, rig.people(20))

    assert done(receipts) == 18
    assert {receipts[number].outcome for number in (1, 2)} == {"retry"}
    assert "carries no result for this person" in (receipts[1].reason or "")


@pytest.mark.parametrize("acted", [True, False])
@pytest.mark.parametrize("trouble", [Drop(), Drop(timeout=True), edge(503), problem(429, "Too Many Requests")])
def test_a_lost_answer_begins_no_second_batch(rig: Tagging, trouble: Reply | Drop, acted: bool) -> None:
    """The batch is looked for before it is sent again; a batch of another program is not taken for it."""
    other = [{"method": "GET", "path": f"/lists/{rig.audience.id}/members"}] * 7
    rig.ask("POST", "/batches", body={"operations": other})
    script = times(1, trouble, "POST", "/batches")
    if acted:
        rig.afterwards = script
    else:
        rig.instead = script

    assert done(fill(rig, rig.people(20))) == 20
    assert len(rig.sandbox.batches.all) == 2


def test_a_lost_answer_is_told_from_older_and_from_our_own_batches(rig: Tagging) -> None:
    """One of the same size ran an hour ago, and one has just been begun by this very push."""
    other = [{"method": "GET", "path": f"/lists/{rig.audience.id}/members"}] * 500
    rig.ask("POST", "/batches", body={"operations": other})
    rig.clock.advance(3600)
    lost = times(1, Drop(), "POST", "/batches")
    rig.afterwards = lambda request: lost(request) if rig.names().count("postBatches") == 1 else None

    assert done(fill(rig, rig.people(1000))) == 1000
    assert len(rig.sandbox.batches.all) == 3


def test_a_lost_answer_in_doubt_is_sent_again(rig: Tagging) -> None:
    """Two batches of the same size began just now: doing the work twice is harmless, reading foreign results is not."""
    other = [{"method": "GET", "path": f"/lists/{rig.audience.id}/members"}] * 20
    rig.ask("POST", "/batches", body={"operations": other})
    audience = rig.tag(quiet=True)
    rig.audience.automate(audience.name)
    rig.afterwards = times(1, Drop(), "POST", "/batches")

    assert done(fill(rig, rig.people(20))) == 20
    assert len(rig.sandbox.batches.all) == 3
    assert rig.sandbox.joins == []


def test_a_batch_that_somebody_deleted_is_left_to_the_next_run(rig: Tagging) -> None:
    """It answers 404."""
    rig.instead = lambda request: rig.sandbox.batches.all.clear() if request.method == "GET" else None

    receipts = fill(rig, rig.people(20))

    assert {its.outcome for its in receipts.values()} == {"retry"}


def test_trouble_while_waiting_keeps_what_is_done(rig: Tagging) -> None:
    """Mailchimp stops answering after some of five batches: their people are done, the others wait."""

    def later(request: Request) -> Reply | None:
        return edge(503) if rig.names().count("results") >= 2 and "/batches" in request.path else None

    rig.instead = later
    receipts = fill(rig, rig.people(2500))

    assert done(receipts) == 500 * rig.names().count("results") < 2500
    reasons = {its.reason for its in receipts.values() if its.outcome == "retry"}
    assert len(reasons) == 1
    assert "gave up after" in str(reasons)


def test_trouble_from_the_first_call_on_is_an_error(rig: Tagging) -> None:
    """So that the run stops asking a platform that is down."""
    rig.instead = times(10_000, edge(503), path="/batches")

    with pytest.raises(Unavailable, match="gave up after"):
        fill(rig, rig.people(2500))


def test_a_second_push_of_the_same_changes_nothing(rig: Tagging) -> None:
    """After a crash all is sent anew."""
    people = rig.people(30)
    for _ in range(2):
        assert done(fill(rig, people)) == 30
    assert rig.audience.tagged("seg:vip") == set(people)
    assert rig.clock.now() < NOW + 120
