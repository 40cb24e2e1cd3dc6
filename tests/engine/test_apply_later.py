"""A plan that was shown is applied later: what may have changed in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeLists, FakeTags, Killed
from plan_rig import NOW, PlanRig, Wish

from connector.base import Profile
from connector.errors import Unavailable
from sync.errors import Held

VIP = Wish("vip", "VIPs")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    yield rig
    rig.store.close()


def test_a_plan_is_good_for_a_day(rig: PlanRig) -> None:
    """To the second, and no longer."""
    tags = FakeTags()
    rig.destinations = [tags]
    rig.people([1])
    rig.segment(VIP, [1])
    plan = rig.plan()
    rig.later(24)
    rig.now += 1
    with pytest.raises(Held, match="24 h old, more than 24 h; run `regulars plan` again"):
        rig.apply_shown(plan)
    assert tags.pushed == []
    rig.now -= 1
    assert rig.apply_shown(plan)[1].exit_code == 0


def test_a_plan_made_again_is_as_old_as_its_last_making(rig: PlanRig) -> None:
    """The id stands for the content; the age counts from when that content was last found right."""
    tags = FakeTags()
    rig.destinations = [tags]
    rig.people([1])
    rig.segment(VIP, [1])
    first = rig.plan()
    rig.later(23)
    rig.read(rig.now)
    assert rig.plan().id == first.id
    rig.later(2)
    rig.apply_shown(first)
    assert tags.state() == {"seg-vip": [1]}


def test_a_killed_plan_is_not_resumed_after_a_day(rig: PlanRig) -> None:
    """What was right when it began may be wrong by now."""
    tags = FakeTags(size=1)
    rig.destinations = [tags]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    plan = rig.plan()
    tags.die_after = 0
    with pytest.raises(Killed):
        rig.apply(plan)
    tags.die_after = None
    rig.later(25)
    with pytest.raises(Held, match="25 h old"):
        rig.apply_shown(plan)
    assert tags.state() == {"seg-vip": [1]}


def test_a_pull_since_the_plan_makes_it_stale(rig: PlanRig) -> None:
    """Also before anything has been derived from what was read."""
    rig.destinations = [FakeTags()]
    rig.people([1])
    rig.segment(VIP, [1])
    plan = rig.plan()
    rig.later(1)
    rig.sql("INSERT INTO dirty (customer_id) VALUES (1)")
    with pytest.raises(Held, match="more was read since it was made; run `regulars derive` and `regulars plan`"):
        rig.apply_shown(plan)
    rig.sql("DELETE FROM dirty")
    rig.read(rig.now, "orders")
    with pytest.raises(Held, match="orders were read since"):
        rig.apply_shown(plan)


@pytest.mark.parametrize("killed", [False, True])
def test_who_unsubscribed_there_after_planning_is_not_added(rig: PlanRig, killed: bool) -> None:
    """Their standing is read again, for a fresh plan as for one that goes on."""
    lists = FakeLists(size=1)
    lists.profiles = {f"p{number}@example.com": f"X{number}" for number in (1, 2, 3)}
    rig.destinations = [lists]
    rig.people([1, 2, 3])
    rig.segment(VIP, [1, 2, 3])
    plan = rig.plan()
    if killed:
        lists.die_after = 0
        with pytest.raises(Killed):
            rig.apply(plan)
        lists.die_after = None
    rig.later(1)
    lists.news = [Profile("p2@example.com", "X2", False, "UNSUBSCRIBE")]
    _, report = rig.apply_shown(plan)
    assert report.destinations[0].dropped == 1
    assert lists.state() == {"Regulars: VIPs": ["X1", "X3"]}


def test_a_destination_that_does_not_answer_then_gets_nothing(rig: PlanRig) -> None:
    """Nobody is added on what was known an hour ago; the others go on."""
    tags, lists = FakeTags(), FakeLists()
    rig.destinations = [tags, lists]
    rig.people([1])
    rig.segment(VIP, [1])
    plan = rig.plan()
    lists.failing = Unavailable("mail", "changed", "no answer")
    _, report = rig.apply_shown(plan)
    assert (report.exit_code, tags.state(), lists.lists) == (4, {"seg-vip": [1]}, {})


def test_a_source_that_went_stale_since_holds_what_reads_it(rig: PlanRig) -> None:
    """A read that was fresh when the plan was made need not be so when it is applied."""
    tags = FakeTags()
    rig.destinations = [tags]
    rig.people([1])
    rig.segment(VIP, [1])
    rig.segment(Wish("new", "New", sources=frozenset({"customers"})), [1])
    rig.read(NOW - 23 * 3600, "orders")
    plan = rig.plan()
    assert plan.guards == ()
    rig.later(2)
    rechecked, _ = rig.apply_shown(plan)
    assert [(guard.guard, guard.segment) for guard in rechecked.guards] == [("stale-source", "vip")]
    assert tags.state() == {"seg-new": [1]}
    rig.apply_shown(rig.plan("stale-source"))
    assert tags.state() == {"seg-new": [1], "seg-vip": [1]}
