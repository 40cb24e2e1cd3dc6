"""A plan in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeLists, FakeTags
from plan_rig import PlanRig, Wish

from connector.errors import Unavailable
from sync.push.present import plan_text


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    yield rig
    rig.store.close()


def test_a_first_plan_reads_like_a_colleague(rig: PlanRig) -> None:
    """Per audience what comes, goes and is; who is left out; cost; the next command."""
    lists = FakeLists()
    lists.profiles = {"p3@example.com": "X3"}
    lists.barred = {"p3@example.com": "HARD_BOUNCE"}
    rig.destinations = [FakeTags(), lists]
    rig.people(range(1, 1301))
    rig.change(1, email_status="UNSUBSCRIBED")
    rig.change(2, email_key=None)
    rig.change(4, email_key="p5@example.com")
    rig.segment(Wish("lapsed-vip", "Lapsed VIPs"), range(1, 1301))
    rig.segment(Wish("clickers", "Clickers"), [], missing="e-mail events never read")
    plan = rig.plan()
    assert plan_text(plan) == [
        f"Plan {plan.id}, as of 2026-09-21 14:13 UTC",
        "",
        '  + 1,300  − 0  = 1,300  lapsed-vip → tag "seg-lapsed-vip"',
        '  + 1,296  − 0  = 1,296  lapsed-vip → mail list "Regulars: Lapsed VIPs"',
        (
            "      1,300 in the segment, left out: 2 without an address of their own (1 shared with an earlier "
            "member), 1 not subscribed, 1 unsubscribed or suppressed there"
        ),
        "      a new list, created with the first members",
        "",
        "Segments that cannot be answered, their audiences left as they are:",
        "  clickers: e-mail events never read",
        "",
        "Tags carry no consent: they go to everybody in the segment. Filter by subscription before mailing a tag.",
        "",
        "About 867 calls, 43 min.",
        "",
        f"Next: regulars apply {plan.id}",
    ]


def test_what_is_held_names_its_flag_and_the_way_to_look(rig: PlanRig) -> None:
    """Held audiences are marked, and so is what was retired, passed or not reached."""
    lists = FakeLists()
    rig.destinations = [FakeTags(), lists]
    rig.people(range(1, 21))
    rig.segment(Wish("vip", "VIPs", push=("tags",)), range(1, 21))
    rig.segment(Wish("old", "Old", push=("tags",)), [1])
    rig.sync()
    rig.wishes = []
    rig.segment(Wish("vip", "VIPs", push=("tags",)), [1])
    lists.failing = Unavailable("mail", "find", "no answer")
    rig.segment(Wish("new", "New", push=("mail",)), [1])
    lines = plan_text(rig.plan())
    assert '  + 0  − 19  = 1  vip → tag "seg-vip"  HELD' in lines
    assert "  mail: mail: find: no answer" in lines
    assert '  old → tag "seg-old", 1 person' in lines
    assert lines[-1] == ("Next: regulars segments show vip, and if it is right: regulars apply --force mass-remove:vip")
    forced = plan_text(rig.plan("mass-remove"))
    assert "  mass-remove: tags: vip: 19 of 20 members (95%, over 30%) would leave" in forced


def test_every_guard_of_the_audience_is_in_the_next_command(rig: PlanRig) -> None:
    """One flag alone would leave it held by the other; what the command ends with comes last."""
    rig.destinations = [FakeTags()]
    rig.people(range(1, 21))
    rig.segment(Wish("vip", "VIPs"), range(1, 21))
    rig.sync()
    rig.segment(Wish("vip", "VIPs"), [])
    last = plan_text(rig.plan(), tail=" --config shop")[-1]
    assert last == (
        "Next: regulars segments show vip --config shop, and if it is right: "
        "regulars apply --force mass-remove:vip --force emptied:vip --config shop"
    )


def test_what_was_not_derived_leads_to_derive(rig: PlanRig) -> None:
    """The segment is named with the command that it waits for."""
    rig.destinations = [FakeTags()]
    rig.people([1])
    rig.segment(Wish("vip", "VIPs"), [1])
    rig.sql("INSERT INTO dirty (customer_id) VALUES (1)")
    lines = plan_text(rig.plan())
    assert "  vip: not evaluated since the last pull; run `regulars derive`" in lines
    assert lines[-1] == "Next: regulars derive, and then regulars plan"


def test_nothing_to_do_says_so(rig: PlanRig) -> None:
    """One line, and where to look."""
    rig.destinations = [FakeTags()]
    rig.people([1])
    rig.segment(Wish("vip", "VIPs"), [1])
    rig.sync()
    lines = plan_text(rig.plan())
    assert lines[2:] == [
        "  Nothing to write: 1 audience is as it should be.",
        "",
        "Next: regulars segments list",
    ]
