"""Mailchimp in trouble, behind a Wix store: others are served; after the next run nothing is lost, nothing doubled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from checks import MAILABLE, check_nothing_doubled, check_one_line, check_private, check_remote_sides
from fault_rig import (
    ANYWHERE,
    LOST_ANSWER,
    Kind,
    Lasting,
    Passing,
    State,
    calm_state,
    check_healed,
    check_ridden_out,
    check_stopped_then_healed,
    passing,
)
from local_shop import LocalShop, open_local

from connector.base import Reply
from connector.sandbox.changes import happen
from connector.sandbox.wire import Request
from sync.runs import Steps

CUSTOMERS = 40
EDGE: list[Kind] = [("throttled", {}), ("throttled_html", {}), ("blocked_html", {}), ("down_html", {})]
ONCE: dict[str, list[Kind]] = {
    "getPing": [("blocked_html", {}), ("down_html", {})],
    "getListsIdMembers": [*ANYWHERE, *EDGE],
    "previewASegment": [("throttled_html", {}), ("truncated", {})],
    "postListsIdSegments": [*ANYWHERE, *EDGE, *LOST_ANSWER],
    "postBatches": [*ANYWHERE, *EDGE, *LOST_ANSWER],
    "getBatchesId": [("throttled", {}), ("down_html", {}), ("timeout", {}), ("malformed", {})],
    "batchResults": [("html_500", {}), ("reset", {}), ("truncated", {})],
}
FOR_EVER = [
    Lasting("getPing", "down_html", {}, 4, ("mailchimp: Ping: HTTP 503; gave up after 8 tries",)),
    Lasting("getListsIdMembers", "blocked_html", {}, 4, ("mailchimp: GetMembers: HTTP 403; gave up",)),
    Lasting("getListsIdMembers", "throttled_html", {}, 4, ("mailchimp: GetMembers: HTTP 429; gave up",)),
    Lasting("getListsIdMembers", "forbidden", {}, 1, ("mailchimp: GetMembers: the key's user may not do this",)),
    Lasting("postListsIdSegments", "down_html", {}, 4, ("mailchimp: CreateTag: HTTP 503", "left for the next run")),
    Lasting(
        "postListsIdSegments", "reset", {}, 4, ("mailchimp: CreateTag: the connection to", "left for the next run")
    ),
    Lasting("postBatches", "down_html", {}, 4, ("mailchimp: ", "HTTP 503", "left for the next run")),
    Lasting("postBatches", "stuck_batch", {}, 4, ("mailchimp: ", "not finished after 1200 s", "left for the next run")),
    Lasting("getBatchesId", "down_html", {}, 4, ("mailchimp: ", "HTTP 503", "left for the next run")),
    Lasting("batchResults", "html_500", {}, 4, ("mailchimp: ", "left for the next run")),
]
FREE = Steps(pull=True, derive=True, plan=True, apply=True, force=("mass-add", "mass-remove", "emptied"))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[LocalShop]:
    """A Wix shop of 40 people, the same each time."""
    with open_local(tmp_path / "project", platform="wix", customers=CUSTOMERS) as made:
        yield made


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """What an undisturbed sync of that shop leaves."""
    with calm_state(tmp_path_factory.mktemp("calm") / "project", "wix", CUSTOMERS) as found:
        yield found


def somebody_tagged(calm: State) -> str:
    """The address of a person who gets a tag in Mailchimp."""
    return str(min(min(its) for its in calm["mail tags"].values() if its))


@pytest.mark.parametrize("fault", passing(ONCE), ids=str)
def test_a_passing_fault_at_mailchimp_is_ridden_out(fault: Passing, shop: LocalShop, calm: State) -> None:
    """One failed answer changes nothing but the time it takes."""
    check_ridden_out(shop, fault, calm)


@pytest.mark.parametrize("fault", FOR_EVER, ids=str)
def test_a_lasting_fault_at_mailchimp_stops_with_one_line_and_the_next_sync_heals(
    fault: Lasting, shop: LocalShop, calm: State
) -> None:
    """The right exit code and one line that names the operation; then everything as if nothing had been."""
    check_stopped_then_healed(shop, fault, calm)


def test_mailchimp_down_holds_up_nobody_else(shop: LocalShop, calm: State) -> None:
    """Labels and lists go out; Mailchimp's tags with the next sync."""
    shop.faults.add("/3.0/", "down_html", times=0)
    ran = shop.go()
    assert ran.code == 4
    check_one_line(ran.err, shop, "mailchimp: Ping: HTTP 503; gave up after 8 tries", "run again to go on")
    assert (shop.our_tags(), shop.lists()) == (calm["our tags"], calm["lists"])
    shop.faults.script.clear()
    healed = shop.go()
    assert (healed.code, healed.err) == (0, "")
    check_healed(shop, calm)


def test_a_wrong_audience_is_named(shop: LocalShop) -> None:
    """Exit 1, which one, and how to find the right one; nothing is changed in Mailchimp."""
    shop.config.write_text(shop.config.read_text().replace(shop.mailchimp.audience.id, "0123456789"))
    ran = shop.go()
    assert ran.code == 1
    check_one_line(ran.err, shop, "mailchimp: ", "0123456789", "audience_id")
    assert not shop.mailchimp.writes


HANDS = ["unsubscribed", "cleaned", "archived", "forgotten"]


@pytest.mark.parametrize("how", HANDS)
def test_who_leaves_between_plan_and_push_is_not_brought_back(how: str, shop: LocalShop, calm: State) -> None:
    """Their wish stands; everybody else is tagged; the next sync agrees with Mailchimp."""
    audience, address = shop.mailchimp.audience, somebody_tagged(calm)
    acts = {
        "unsubscribed": lambda: audience.unsubscribe(address),
        "cleaned": lambda: audience.unsubscribe(address, cleaned=True),
        "archived": lambda: audience.archive(address),
        "forgotten": lambda: audience.delete_permanent(address),
    }
    shop.faults.before("postBatches", lambda: acts[how]() and None)
    ran = shop.go()
    assert ran.code in (0, 4), ran.err
    check_private(ran.err, shop)
    shop.clock.advance(3600)
    healed = shop.go(FREE)
    assert (healed.code, healed.err) == (0, "")
    check_remote_sides(shop)
    check_nothing_doubled(shop)
    member = audience.find(address)
    assert member is None if how == "forgotten" else member is not None and member.status not in MAILABLE


def test_errored_operations_of_a_batch_are_left_for_the_next_run(shop: LocalShop, calm: State) -> None:
    """Who could not be tagged is told by number; the next sync tags them."""
    refused = 0

    def overloaded(request: Request) -> Reply | None:
        nonlocal refused
        refused += 1
        return Reply(500, {"content-type": "text/html"}, b"<html></html>") if refused <= 3 else None

    shop.mailchimp.in_batch = overloaded
    ran = shop.go()
    assert ran.code == 4
    check_one_line(ran.err, shop, "mailchimp: ", "left for the next run", "HTTP 500")
    healed = shop.go()
    assert (healed.code, healed.err) == (0, "")
    check_healed(shop, calm)


def test_a_tag_deleted_by_hand_is_made_again(shop: LocalShop, calm: State) -> None:
    """Before its people are written: the tag comes back with the next sync, with everybody."""
    audience = shop.mailchimp.audience

    def lose() -> None:
        tag = audience.tag_named("seg:lost")
        assert tag is not None
        audience.delete_tag(tag)

    shop.faults.before("postBatches", lose)
    ran = shop.go()
    assert ran.code in (0, 4), ran.err
    check_private(ran.err, shop)
    healed = shop.go()
    assert (healed.code, healed.err) == (0, "")
    check_remote_sides(shop)
    check_nothing_doubled(shop)


def test_a_tag_renamed_by_hand_stays_the_same_tag(shop: LocalShop, calm: State) -> None:
    """It is known by its id: nobody is tagged anew."""
    assert shop.go().code == 0
    audience = shop.mailchimp.audience
    tag = audience.tag_named("seg:lost")
    assert tag is not None
    audience.rename_tag(tag, "Gone for ever")
    before = shop.writes
    shop.clock.advance(3600)
    ran = shop.go()
    assert (ran.code, ran.err) == (0, "")
    assert shop.writes == before
    assert {its.address.lower() for its in tag.members} == calm["mail tags"]["seg:lost"]


@pytest.mark.parametrize(
    ("match", "kind", "options"),
    [
        ("postListsIdSegmentsId", "act_timeout", {}),
        ("postListsIdSegmentsId", "act_500", {"times": 0}),
        ("postBatches", "act_timeout", {}),
    ],
)
def test_nobody_is_sent_twice_into_a_live_automation(
    match: str, kind: str, options: dict[str, int], shop: LocalShop
) -> None:
    """On a later day, with an automation hanging on every tag: who joins, joins once, whatever gets lost."""
    assert shop.go().code == 0
    for name in shop.mail_tags():
        shop.mailchimp.audience.automate(name)
    happen(shop.world, Random(4), 60)
    shop.clock.advance(30 * 86_400)
    fault = shop.faults.add(match, kind, **options)
    first = shop.go(FREE)
    if match != "postBatches":
        assert fault.fired
    assert first.code in (0, 4), first.err
    check_private(first.err, shop)
    shop.faults.script.clear()
    healed = shop.go(FREE)
    assert (healed.code, healed.err) == (0, "")
    assert shop.mailchimp.joins
    check_remote_sides(shop)
    check_nothing_doubled(shop)


def test_tags_that_are_made_without_ever_an_answer_are_found(shop: LocalShop, calm: State) -> None:
    """Nothing is made twice, and nobody has to wait for the next run."""
    fault = shop.faults.add("postListsIdSegments", "act_timeout", times=0)
    ran = shop.go()
    assert (ran.code, ran.err) == (0, "")
    assert fault.fired == len(calm["mail tags"])
    check_healed(shop, calm)
