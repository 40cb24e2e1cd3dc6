"""The first fill of an audience, what it spares, and when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeLists
from plan_rig import PlanRig, Wish

from sync.plan import Plan

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
