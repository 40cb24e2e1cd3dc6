"""Lists that were asked for: which one is ours, and which only has our name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeLists, Killed
from plan_rig import PlanRig, Wish

from connector.errors import PlatformError, Stopped, Unavailable
from sync.push.audiences import CREATION
from sync.push.plan import Plan

VIP = Wish("vip", "VIPs")
NO_ANSWER = Unavailable("mail", "create", "no answer after 4 tries")
REFUSED = Stopped("mail", "create", "the plan allows no more lists")


@pytest.fixture
def lists() -> FakeLists:
    return FakeLists()


@pytest.fixture
def rig(tmp_path: Path, lists: FakeLists) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    rig.destinations = [lists]
    rig.people([1])
    rig.segment(VIP, [1])
    yield rig
    rig.store.close()


def colleague(lists: FakeLists, seconds: int) -> None:
    """Somebody else makes a list of our name, so much later, and hangs a flow on it."""
    lists.now += seconds
    lists.lists["L9"] = ("Regulars: VIPs", set())
    lists.made["L9"] = lists.now
    lists.flows["L9"] = ["Welcome"]


def held(plan: Plan) -> list[str]:
    return [guard.guard for guard in plan.guards]


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize(("failure", "seconds"), [(REFUSED, 60), (NO_ANSWER, CREATION + 1)])
def test_a_list_made_by_others_after_ours_failed_is_not_ours(
    rig: PlanRig, lists: FakeLists, failure: PlatformError, seconds: int, adopt: bool
) -> None:
    """Not after a refusal, whenever it was made, and not after any answer could have been ours."""
    lists.refuse_create = failure
    rig.sync()
    lists.refuse_create = None
    colleague(lists, seconds)
    assert held(rig.plan(adopt=adopt)) == ["live-flow" if adopt else "unknown-ledger"]
    rig.sync(adopt=adopt)
    assert lists.lists["L9"][1] == set()


def test_a_list_made_before_we_asked_is_not_ours(rig: PlanRig, lists: FakeLists) -> None:
    """It showed late; the creation died on its way."""
    lists.refuse_create = NO_ANSWER
    rig.sync()
    lists.refuse_create = None
    colleague(lists, -60)
    lists.now += 60
    assert held(rig.plan()) == ["unknown-ledger"]


@pytest.mark.parametrize("foreign", [False, True])
def test_a_list_whose_answer_was_lost_is_taken_up(rig: PlanRig, lists: FakeLists, foreign: bool) -> None:
    """It can only be ours; another of its name changes nothing."""
    lists.mute_create = NO_ANSWER
    assert rig.sync().unfinished == 1
    lists.mute_create = None
    if foreign:
        colleague(lists, 86_400)
    assert rig.sync().exit_code == 0
    assert lists.lists["L1"][1] == {"P-p1@example.com"}
    assert rig.rows("SELECT remote_id, creating_since, adopted FROM audience") == [("L1", None, 0)]


def test_a_lost_list_is_found_under_the_name_it_was_asked_for(rig: PlanRig, lists: FakeLists) -> None:
    """And renamed, though the segment has had another name since."""
    lists.die_in_create = True
    with pytest.raises(Killed):
        rig.sync()
    rig.segment(Wish("vip", "Best"), [1])
    assert rig.sync().exit_code == 0
    assert lists.lists == {"L1": ("Regulars: Best", {"P-p1@example.com"})}


def test_a_list_left_alone_stays_so_until_we_have_our_own(rig: PlanRig, lists: FakeLists) -> None:
    """Said once with --force, and not taken over when our own could not be made that day."""
    colleague(lists, 0)
    assert held(rig.plan()) == ["unknown-ledger"]
    lists.refuse_create = REFUSED
    assert rig.sync("unknown-ledger").unfinished == 1
    lists.refuse_create = None
    assert rig.sync().exit_code == 0
    assert lists.lists["L9"][1] == set()
    assert lists.lists["L2"] == ("Regulars: VIPs", {"P-p1@example.com"})


def test_a_list_left_alone_can_still_be_taken_over(rig: PlanRig, lists: FakeLists) -> None:
    """Where names are unique ours can never be made: the owner thinks better of it."""
    colleague(lists, 0)
    lists.refuse_create = REFUSED
    assert rig.sync("unknown-ledger").unfinished == 1
    assert rig.sync().unfinished == 1
    assert rig.sync("live-flow", adopt=True).exit_code == 0
    assert lists.state() == {"Regulars: VIPs": ["P-p1@example.com"]}
