"""Removals that nobody has heard of, when the store deletes or merges the person meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeLabels, FakeLists, FakeTags, Killed
from plan_rig import NOW, PlanRig, Wish

VIP = Wish("vip", "VIPs")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    rig.people([1, 2, 3])
    yield rig
    rig.store.close()


def open_ops(rig: PlanRig) -> list[tuple[object, ...]]:
    return rig.rows("SELECT action, customer_id, state FROM outbox WHERE state IN ('pending', 'sent', 'retry')")


@pytest.mark.parametrize("destination", [FakeTags(), FakeLabels()], ids=["tags", "labels"])
def test_a_removal_of_somebody_who_is_deleted_is_over(rig: PlanRig, destination: FakeTags) -> None:
    """The store drops the tag with the person: nothing is sent, and nothing stays open."""
    rig.destinations = [destination]
    rig.segment(VIP, [1, 2])
    rig.sync()
    rig.segment(VIP, [2])
    destination.later = {1}
    rig.sync()
    assert open_ops(rig) == [("remove", 1, "retry")]
    destination.later = set()
    rig.change(1, gone_at=NOW)
    sent = len(destination.pushed)
    rig.sync()
    assert (len(destination.pushed), open_ops(rig)) == (sent, [])


def test_a_removal_in_doubt_of_somebody_merged_is_made_good_for_the_survivor(rig: PlanRig) -> None:
    """The profile may have been taken out before the receipt was lost, and the survivor has it now."""
    lists = FakeLists(size=1)
    rig.destinations = [lists]
    rig.segment(VIP, [1, 2])
    rig.sync()
    rig.segment(VIP, [2])
    lists.die_after = 0
    with pytest.raises(Killed):
        rig.sync()
    lists.die_after = None
    assert lists.state() == {"Regulars: VIPs": ["P-p2@example.com"]}
    rig.change(1, gone_at=NOW, merged_into=3)
    rig.change(3, email_key="p1@example.com")
    rig.segment(VIP, [2, 3])
    rig.sync()
    assert lists.state() == {"Regulars: VIPs": ["P-p1@example.com", "P-p2@example.com"]}
    assert (open_ops(rig), rig.ledger("mail")) == ([], {"vip": [2, 3]})
