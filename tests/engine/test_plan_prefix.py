"""Another prefix or key means other tags: the old ones go when the new ones come, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeTags
from plan_rig import PlanRig, Wish

from sync.push.audiences import retire
from sync.push.plan import Plan

VIP = Wish("vip", "VIPs")
MEMBERS = range(1, 21)


@pytest.fixture
def tags() -> FakeTags:
    return FakeTags()


@pytest.fixture
def rig(tmp_path: Path, tags: FakeTags) -> Iterator[PlanRig]:
    """Twenty carry `seg-vip`; the prefix is `cust-` now."""
    rig = PlanRig(tmp_path / "shop.db")
    rig.destinations = [tags]
    rig.people(MEMBERS)
    rig.segment(VIP, MEMBERS)
    rig.sync()
    tags.prefix = "cust-"
    yield rig
    rig.store.close()


def test_tags_that_another_database_made_are_shown_before_ours_are_written(tmp_path: Path) -> None:
    """The ledger was lost and the keys are others now: the owner sees what stands there, and says once to go on."""
    tags = FakeTags()
    rig = PlanRig(tmp_path / "new.db")
    rig.destinations = [tags]
    rig.people(MEMBERS)
    old = [f"seg-old{letter}" for letter in "abcd"]
    rig.sql("INSERT INTO customer_tags VALUES (?, ?, 1)", [(number, tag) for tag in old for number in (1, 2)])
    rig.segment(VIP, MEMBERS)
    plan = rig.plan()
    assert held(plan) == [("unknown-ledger", "vip")]
    assert '"seg-olda" (2 people), "seg-oldb" (2 people), "seg-oldc" (2 people) and 1 more' in plan.guards[0].text
    assert rig.plan("unknown-ledger").guards == ()
    rig.sync(adopt=True)
    assert tags.state() == {"seg-vip": list(MEMBERS)}
    rig.segment(Wish("new", "New"), MEMBERS)
    assert rig.plan().guards == ()
    rig.store.close()


def held(plan: Plan) -> list[tuple[str, str]]:
    return [(guard.guard, guard.segment) for guard in plan.guards]


def test_a_changed_prefix_moves_everybody_to_the_new_tag(rig: PlanRig, tags: FakeTags) -> None:
    """Remove and add, and back again."""
    plan = rig.plan()
    assert plan.guards == ()
    assert [(its.name, its.add, its.remove) for its in plan.audiences] == [("cust-vip", 20, 0), ("seg-vip", 0, 20)]
    rig.apply(plan)
    assert tags.state() == {"cust-vip": list(MEMBERS)}
    assert not rig.plan().pending
    tags.prefix = "seg-"
    rig.sync()
    assert tags.state() == {"seg-vip": list(MEMBERS)}


def test_the_old_tag_stays_while_the_new_one_is_held(rig: PlanRig, tags: FakeTags) -> None:
    """Somebody has made tags of the new name by hand; until that is settled, nobody loses what they have."""
    rig.sql("INSERT INTO customer_tags VALUES (?, 'cust-vip', 1)", [(number,) for number in range(5, 9)])
    plan = rig.plan()
    assert held(plan) == [("unknown-ledger", "vip")]
    assert [(its.name, its.held) for its in plan.audiences] == [("cust-vip", True), ("seg-vip", True)]
    rig.apply(plan)
    assert tags.state() == {"seg-vip": list(MEMBERS)}
    rig.sync("mass-add", adopt=True)
    assert tags.state()["cust-vip"] == [*range(1, 5), *range(9, 21)]
    assert "seg-vip" not in tags.state()


def test_the_old_tag_stays_while_the_segment_cannot_be_answered(rig: PlanRig, tags: FakeTags) -> None:
    """The new tag has never been filled."""
    rig.plan()
    rig.segment(VIP, MEMBERS, missing="carts never read")
    plan = rig.plan()
    assert (plan.guards, plan.changes) == ((), False)
    rig.apply(plan)
    assert tags.state() == {"seg-vip": list(MEMBERS)}
    rig.segment(VIP, MEMBERS)
    rig.sync()
    assert tags.state() == {"cust-vip": list(MEMBERS)}


def test_a_segment_that_turned_over_meanwhile_is_a_mass_removal(rig: PlanRig, tags: FakeTags) -> None:
    """Those who move to the new tag leave nothing; those who do not are counted against the old one."""
    rig.segment(VIP, range(1, 14))
    plan = rig.plan()
    assert held(plan) == [("mass-remove", "vip")]
    assert "7 of 20 members (35%, over 30%) would leave" in plan.guards[0].text
    rig.apply(plan)
    assert tags.state() == {"cust-vip": list(range(1, 14)), "seg-vip": list(MEMBERS)}
    rig.sync("mass-remove:vip")
    assert tags.state() == {"cust-vip": list(range(1, 14))}


def test_a_segment_retired_after_its_prefix_changed_takes_both_tags_away(rig: PlanRig, tags: FakeTags) -> None:
    """Nothing is left to wait for."""
    tags.later = set(MEMBERS)
    rig.sync()
    tags.later = set()
    rig.wishes = []
    retire(rig.store, "vip")
    rig.sync()
    assert tags.state() == {}
