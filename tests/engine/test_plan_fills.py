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
