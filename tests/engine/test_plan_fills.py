"""The first fill of an audience, what it spares, and when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeLists
from plan_rig import PlanRig, Wish

from connector.errors import Unavailable
from sync.push.plan import Plan

VIP = Wish("vip", "VIPs")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    yield rig
    rig.store.close()


def held(plan: Plan) -> list[str]:
    return [guard.guard for guard in plan.guards]


def test_taking_a_list_over_with_nobody_to_add_keeps_its_live_flow_guarded(rig: PlanRig) -> None:
    """The first who join are the first push, whenever they come."""
    lists = FakeLists()
    lists.lists = {"L9": ("Regulars: VIPs", set())}
    lists.flows = {"L9": ["Welcome"]}
    rig.destinations = [lists]
    rig.people([1, 2], email_status="PENDING")
    rig.segment(VIP, [1, 2])
    rig.sync(adopt=True)
    assert rig.rows("SELECT adopted, filled_at FROM audience") == [(1, None)]
    rig.people([1])
    assert held(rig.plan()) == ["live-flow"]
    rig.sync("live-flow")
    rig.people([2])
    assert held(rig.plan()) == []


def test_a_small_list_is_not_flooded_after_its_first_fill(rig: PlanRig) -> None:
    """Nine were meant to get the flow that hangs on it, not two hundred."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people(range(1, 210))
    rig.segment(VIP, range(1, 10))
    rig.sync()
    rig.segment(VIP, range(1, 210))
    plan = rig.plan()
    assert held(plan) == ["mass-add"]
    assert "200 people would join 9 members (2222%, over 30%)" in plan.guards[0].text


def test_an_emptied_list_is_not_flooded(rig: PlanRig) -> None:
    """Its second fill is no first fill."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people(range(1, 21))
    rig.segment(VIP, range(1, 21))
    rig.sync()
    rig.segment(VIP, [])
    rig.sync("mass-remove", "emptied")
    rig.segment(VIP, range(1, 21))
    plan = rig.plan()
    assert held(plan) == ["mass-add"]
    assert "20 people would join 0 members; pass with" in plan.guards[0].text


def test_the_first_push_into_an_adopted_list_is_no_first_fill(rig: PlanRig) -> None:
    """Its strangers count nowhere, so that ten are many; what was there before us is never exempt."""
    lists = FakeLists()
    lists.lists = {"L9": ("Regulars: VIPs", {f"stranger{number}" for number in range(500)})}
    rig.destinations = [lists]
    rig.people(range(1, 11))
    rig.segment(VIP, range(1, 10))
    assert held(rig.plan(adopt=True)) == []
    rig.segment(VIP, range(1, 11))
    assert held(rig.plan(adopt=True)) == ["mass-add"]


def test_one_who_sticks_does_not_keep_the_first_fill_open(rig: PlanRig) -> None:
    """The others are in; what comes later is told from what is still on its way."""
    lists = FakeLists()
    lists.later = {1}
    rig.destinations = [lists]
    rig.people(range(1, 321))
    rig.segment(VIP, range(1, 21))
    assert rig.sync().unfinished == 1
    rig.segment(VIP, range(1, 321))
    plan = rig.plan()
    assert held(plan) == ["mass-add"]
    assert "300 people would join 20 members" in plan.guards[0].text


def test_an_interrupted_first_fill_goes_on(rig: PlanRig) -> None:
    """The platform went away after the first few: the rest was let through, the next run brings it."""

    class Leaving(FakeLists):
        def push(self, batch):  # type: ignore[no-untyped-def]
            receipts = super().push(batch)
            self.failing = Unavailable("mail", "add", "no answer")
            return receipts

    lists = Leaving()
    rig.destinations = [lists]
    rig.people(range(1, 51))
    rig.segment(VIP, range(1, 41))
    assert rig.sync().unfinished == 37
    lists.failing = None
    rig.segment(VIP, range(1, 51))
    plan = rig.plan()
    assert (held(plan), plan.audiences[0].add) == ([], 47)


def test_a_first_fill_that_never_began_is_still_to_come(rig: PlanRig) -> None:
    """The destination did not answer: nothing was queued, and the next plan may bring everybody."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people(range(1, 41))
    rig.segment(VIP, range(1, 41))
    lists.key_error = Unavailable("mail", "account", "no answer")
    assert rig.sync().exit_code == 4
    lists.key_error = None
    assert held(rig.plan()) == []


def test_a_first_fill_is_over_when_its_run_died_after_the_last_receipt(rig: PlanRig) -> None:
    """The next run has nothing to write, and notes that."""
    rig.destinations = [FakeLists(size=50)]
    rig.people(range(1, 41))
    rig.segment(VIP, range(1, 21))
    rig.sync()
    rig.sql("UPDATE audience SET filled_at = NULL")
    rig.sync()
    rig.segment(VIP, range(1, 41))
    assert held(rig.plan()) == ["mass-add"]
