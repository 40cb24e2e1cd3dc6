"""What of an op its destination must know: is it part of a first fill, and which change is it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeLists, FakeTags, Killed
from plan_rig import PlanRig, Wish

from connector.errors import Unavailable

VIP = Wish("vip", "VIPs")


@pytest.fixture
def tags() -> FakeTags:
    return FakeTags(size=1)


@pytest.fixture
def rig(tmp_path: Path, tags: FakeTags) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    rig.destinations = [tags]
    rig.people(range(1, 5))
    rig.segment(VIP, [1, 2, 3])
    yield rig
    rig.store.close()


def heard(tags: FakeTags) -> list[tuple[str, int, bool, int]]:
    """What was sent since this was last asked."""
    found = [(op.action, op.person.customer_id, op.audience.quiet, op.since) for op in tags.pushed]
    tags.pushed.clear()
    return found


def entered(rig: PlanRig, number: int, at: int) -> None:
    rig.sql("UPDATE membership SET since = ? WHERE customer_id = ?", (at, number))


def test_the_first_fill_is_quiet_and_what_follows_is_not(rig: PlanRig, tags: FakeTags) -> None:
    """Additions carry when the person entered the segment, removals when they were put into the audience."""
    first = rig.now
    entered(rig, 2, 77)
    rig.sync()
    assert heard(tags) == [("add", 1, True, first), ("add", 2, True, 77), ("add", 3, True, first)]
    rig.later(1)
    rig.segment(VIP, [2, 3, 4])
    rig.sync()
    assert heard(tags) == [("remove", 1, False, first), ("add", 4, False, rig.now)]


def test_both_kinds_in_one_batch_have_audiences_of_their_own(rig: PlanRig, tags: FakeTags) -> None:
    """One audience is in its first fill while another is not."""
    rig.sync()
    heard(tags)
    tags.size = 10
    rig.segment(VIP, [1, 2, 3, 4])
    rig.segment(Wish("new", "New"), [4])
    rig.sync()
    assert {(op.audience.segment, op.audience.quiet) for op in tags.pushed} == {("vip", False), ("new", True)}


@pytest.mark.parametrize("after", range(3))
def test_a_first_fill_that_dies_stays_quiet_and_the_same(rig: PlanRig, tags: FakeTags, after: int) -> None:
    """Whatever is sent again carries the same instant; nobody is heard of loudly."""
    tags.die_after = after
    with pytest.raises(Killed):
        rig.sync()
    sent = {number: since for _, number, _, since in heard(tags)}
    tags.die_after = None
    rig.reopen()
    rig.later(1)
    rig.read(rig.now)
    assert rig.sync().exit_code == 0
    again = heard(tags)
    assert {number: since for _, number, _, since in again} | sent == dict.fromkeys((1, 2, 3), rig.now - 3600)
    assert after + 1 in {number for _, number, _, _ in again}
    assert all(quiet for _, _, quiet, _ in again)


@pytest.mark.parametrize("how", ["later", "failing"])
def test_what_is_left_of_a_first_fill_stays_quiet(rig: PlanRig, tags: FakeTags, how: str) -> None:
    """Whether one person could not be taken yet or the destination went silent; newcomers beside them are not."""
    if how == "later":
        tags.later = {2, 3}
    else:
        tags.failing = Unavailable("tags", "push", "no answer")
    rig.sync()
    assert rig.rows("SELECT filled_at IS NOT NULL FROM audience") == [(1,)]
    tags.later, tags.failing = set(), None
    heard(tags)
    rig.later(1)
    rig.segment(VIP, [1, 2, 3, 4])
    rig.sql("UPDATE membership SET since = 5 WHERE customer_id < 4")
    rig.sync()
    again = heard(tags)
    assert [its for its in again if its[1] == 4] == [("add", 4, False, rig.now)]
    assert {its for its in again if its[1] != 4} >= {("add", 2, True, 5), ("add", 3, True, 5)}
    assert all(its[2] for its in again if its[1] != 4)


@pytest.mark.parametrize("how", ["held", "unavailable"])
def test_a_first_fill_that_rests_for_a_run_stays_quiet(rig: PlanRig, tags: FakeTags, how: str) -> None:
    """What was never sent of it is remembered while a guard holds the audience, or its source is missing."""
    tags.failing = Unavailable("tags", "push", "no answer")
    rig.sync()
    tags.failing = None
    rig.later(25)
    rig.read(rig.now)
    other = Wish("new", "New", sources=frozenset({"customers"}))
    rig.segment(other, [4])
    rig.segment(VIP, [1, 2, 3, 4], missing="klaviyo" if how == "unavailable" else None)
    if how == "held":
        rig.read(rig.now - 25 * 3600, "orders")
    rig.sync()
    assert {(number, quiet) for _, number, quiet, _ in heard(tags)} == {(4, True)}
    rig.read(rig.now)
    rig.segment(VIP, [1, 2, 4])
    rig.sync()
    assert sorted((number, quiet) for _, number, quiet, _ in heard(tags)) == [(1, True), (2, True), (4, False)]
    assert rig.rows("SELECT count(*) FROM outbox WHERE state <> 'done'") == [(0,)]


def test_who_is_sent_again_because_a_removal_may_have_arrived_starts_nothing(rig: PlanRig, tags: FakeTags) -> None:
    """The person never left the segment as far as anybody is concerned."""
    rig.sync()
    rig.segment(VIP, [2, 3])
    tags.die_after = 0
    with pytest.raises(Killed):
        rig.sync()
    tags.die_after = None
    rig.reopen()
    rig.segment(VIP, [1, 2, 3])
    heard(tags)
    rig.sync()
    assert heard(tags) == [("add", 1, True, rig.now)]


def test_a_removal_healed_carries_the_same_instant(rig: PlanRig, tags: FakeTags) -> None:
    """The ledger keeps when somebody was put there until the removal is acknowledged."""
    first = rig.now
    rig.sync()
    rig.later(1)
    rig.segment(VIP, [2, 3])
    heard(tags)
    tags.die_after = 0
    with pytest.raises(Killed):
        rig.sync()
    tags.die_after = None
    rig.reopen()
    rig.later(1)
    rig.read(rig.now)
    rig.sync()
    assert heard(tags) == [("remove", 1, False, first)] * 2


def test_an_addition_healed_in_a_filled_audience_is_the_same_change(rig: PlanRig) -> None:
    """Killed between the push and its receipt: the next run sends the same instant, as loudly as before."""
    lists = FakeLists(size=1)
    rig.destinations = [lists]
    rig.sync()
    lists.pushed.clear()
    rig.later(1)
    rig.segment(VIP, [1, 2, 3, 4])
    entered(rig, 4, 4242)
    lists.die_after = 0
    with pytest.raises(Killed):
        rig.sync()
    lists.die_after = None
    rig.reopen()
    rig.later(1)
    rig.read(rig.now)
    rig.sync()
    assert heard(lists) == [("add", 4, False, 4242)] * 2
