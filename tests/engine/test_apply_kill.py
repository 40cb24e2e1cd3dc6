"""A run may die at any point; the next plain run brings everything to where an undisturbed one would have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_destination import FakeLists, FakeTags, Killed
from plan_rig import NOW, PlanRig, Wish

VIP = Wish("vip", "VIPs")
NEW = Wish("new", "New")


class Two:
    """A shop with tags and lists, one change ahead of its destinations."""

    def __init__(self, path: Path) -> None:
        self.tags, self.lists = FakeTags(size=2), FakeLists(size=2)
        self.rig = PlanRig(path)
        self.rig.destinations = [self.tags, self.lists]
        self.rig.people(range(1, 10))
        self.rig.change(9, email_key="p1@example.com")
        self.lists.profiles = {"p2@example.com": "X2", "p3@example.com": "X3"}
        self.rig.segment(VIP, range(1, 6))

    def advance(self) -> None:
        """Members, consent, an address, a name, a prefix and a merge change."""
        self.rig.segment(Wish("vip", "Best"), [2, 3, 4, 6, 9])
        self.rig.segment(NEW, [1, 5, 6, 7, 8])
        self.rig.change(3, email_status="UNSUBSCRIBED")
        self.rig.change(4, email_key="moved@example.com")
        self.tags.prefix = "grp-"
        self.tags.tags[6] |= self.tags.tags.pop(1, set())
        self.rig.change(1, gone_at=NOW, merged_into=6)

    def state(self) -> dict[str, Any]:
        """Everything that must be the same in the end."""
        ledger = "SELECT destination, segment, customer_id, remote_id FROM ledger ORDER BY 1, 2, 3"
        audiences = "SELECT destination, segment, name, remote_id, retired FROM audience ORDER BY 1, 2"
        return {
            "tags": {name: sorted(people) for name, people in self.tags.state().items()},
            "lists": self.lists.state(),
            "ledger": self.rig.rows(ledger),
            "open": self.rig.rows("SELECT * FROM outbox WHERE state IN ('pending', 'sent', 'retry')"),
            "audiences": self.rig.rows(audiences),
        }


def undisturbed(path: Path, advanced: bool) -> dict[str, Any]:
    two = Two(path)
    two.rig.sync()
    if advanced:
        two.advance()
        two.rig.sync()
    found = two.state()
    two.rig.store.close()
    return found


def disturbed(path: Path, advanced: bool, arm: Callable[[Two], None]) -> dict[str, Any] | None:
    """The state after a death and one more run; None when it was not reached."""
    two = Two(path)
    if advanced:
        two.rig.sync()
        two.advance()
    two.rig.store.commits = 0
    arm(two)
    try:
        two.rig.sync()
    except Killed:
        died = True
    else:
        died = False
    two.tags.die_after = two.lists.die_after = None
    two.rig.reopen()
    two.rig.sync()
    assert not two.rig.plan().pending
    found = two.state()
    two.rig.store.close()
    return found if died else None


@pytest.mark.parametrize("advanced", [False, True], ids=["first", "change"])
@pytest.mark.parametrize("after", [False, True], ids=["before-commit", "after-commit"])
def test_dying_around_any_transaction_heals(tmp_path: Path, advanced: bool, after: bool) -> None:
    """Before it commits, or right after."""
    wanted = undisturbed(tmp_path / "calm.db", advanced)
    for number in range(1, 200):

        def arm(two: Two, number: int = number) -> None:
            two.rig.store.dies_at, two.rig.store.after = number, after

        found = disturbed(tmp_path / f"{number}.db", advanced, arm)
        if found is None:
            assert number > 10
            return
        assert found == wanted, f"transaction {number}"
    raise AssertionError("the run has no end")


@pytest.mark.parametrize("advanced", [False, True], ids=["first", "change"])
@pytest.mark.parametrize("which", ["tags", "lists"])
def test_dying_between_a_push_and_its_receipts_heals(tmp_path: Path, advanced: bool, which: str) -> None:
    """The destination has done it, we have not heard."""
    wanted = undisturbed(tmp_path / "calm.db", advanced)
    for number in range(50):
        found = disturbed(
            tmp_path / f"{number}.db", advanced, lambda two, n=number: setattr(getattr(two, which), "die_after", n)
        )
        if found is None:
            assert number > 2
            return
        assert found == wanted, f"push {number}"
    raise AssertionError("the run has no end")


def test_dying_right_after_a_list_was_created_makes_no_second_one(tmp_path: Path) -> None:
    """It is found again by the name under which it was about to be created."""
    wanted = undisturbed(tmp_path / "calm.db", advanced=False)
    found = disturbed(tmp_path / "1.db", False, lambda two: setattr(two.lists, "die_in_create", True))
    assert found == wanted
    assert len(found["lists"]) == 1


def test_applying_the_same_plan_after_any_death_ends_the_same(tmp_path: Path) -> None:
    """`apply PLAN` is restartable too."""
    wanted = undisturbed(tmp_path / "calm.db", advanced=True)
    for number in range(1, 200):
        two = Two(tmp_path / f"{number}.db")
        two.rig.sync()
        two.advance()
        plan = two.rig.plan()
        two.rig.store.commits = 0
        two.rig.store.dies_at = number
        try:
            two.rig.apply(plan)
        except Killed:
            two.rig.reopen()
            two.rig.apply(plan)
            assert two.state() == wanted
            two.rig.store.close()
        else:
            assert number > 10
            two.rig.store.close()
            return
    raise AssertionError("the run has no end")
