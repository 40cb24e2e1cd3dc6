"""Membership is planned only while it is that of the facts here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeTags
from plan_rig import NOW, PlanRig, Wish

from sync.errors import Held
from sync.push.plan_value import BEHIND

VIP = Wish("vip", "VIPs")
CARTS = Wish("cart", "Cart", sources=frozenset({"carts"}))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    rig.destinations = [FakeTags()]
    rig.people([1])
    rig.segment(VIP, [1])
    rig.segment(CARTS, [1])
    yield rig
    rig.store.close()


def test_a_pull_without_derive_leaves_what_reads_its_streams_alone(rig: PlanRig) -> None:
    """Who has bought since is still in the cart segment; nobody is sent there."""
    rig.now += 3600
    rig.read(rig.now, "carts")
    rig.evaluated(NOW)
    plan = rig.plan()
    assert plan.unavailable == (("cart", BEHIND),)
    assert [its.segment for its in plan.audiences] == ["vip"]
    assert plan.behind == ("cart",)
    rig.evaluated(rig.now)
    assert rig.plan().unavailable == ()


def test_a_read_of_customers_concerns_every_segment(rig: PlanRig) -> None:
    """Who somebody is, and what they agreed to, is part of all of them."""
    rig.now += 3600
    rig.read(rig.now, "customers")
    rig.evaluated(NOW)
    assert rig.plan().behind == ("cart", "vip")


def test_facts_newer_than_their_metrics_leave_everything_alone(rig: PlanRig) -> None:
    """A pull that was interrupted has stored pages, though no stream is read to its end."""
    rig.sql("INSERT INTO dirty (customer_id) VALUES (1)")
    assert rig.plan().behind == ("cart", "vip")


def test_members_of_yesterday_are_not_planned(rig: PlanRig) -> None:
    """Time moves people without news: to the second a day, and never without an evaluation."""
    rig.now += 24 * 3600
    assert rig.plan().behind == ()
    rig.now += 1
    assert rig.plan().behind == ("cart", "vip")
    rig.sql("DELETE FROM meta WHERE key = 'evaluated'")
    assert rig.plan().behind == ("cart", "vip")


@pytest.mark.parametrize(("before", "after"), [([1, 5, 6], [2, 3, 7]), ([1, 4, 6, 7], [2, 3, 5, 8])])
def test_other_people_are_another_plan_however_alike_their_numbers(
    rig: PlanRig, before: list[int], after: list[int]
) -> None:
    """The same count, the same sum, the same sum of squares: and not one of them the same."""
    rig.people(range(1, 9))
    rig.segment(VIP, before)
    first = rig.plan()
    rig.segment(VIP, after)
    with pytest.raises(Held, match="segment membership changed"):
        rig.apply(first)
    second = rig.plan()
    assert (second.id, second.ops, second.members) != (first.id, first.ops, first.members)
    rig.apply(second)
    assert rig.ledger("tags")["vip"] == after


def test_a_plan_whose_ops_are_there_already_does_not_write_them_again(rig: PlanRig) -> None:
    """The rows keep their numbers."""
    rig.plan()
    rows = rig.rows("SELECT * FROM plan_op")
    rig.run += 5
    rig.plan()
    assert rig.rows("SELECT * FROM plan_op") == rows


def test_a_condition_that_was_not_evaluated_yet_is_not_planned(rig: PlanRig) -> None:
    """Membership of the former condition is never sent under the new one."""
    rig.wishes = [Wish("vip", "VIPs", rule_hash="r2")]
    assert rig.plan().unavailable == (("vip", "not evaluated yet; run `regulars derive`"),)
