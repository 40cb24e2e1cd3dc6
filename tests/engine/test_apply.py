"""From a plan to acknowledged writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeLists, FakeTags
from plan_rig import NOW, PlanRig, Wish

from connector.base import Audience
from sync.store import queue

VIP = Wish("vip", "VIPs")
NEW = Wish("new", "New")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    yield rig
    rig.store.close()


def open_ops(rig: PlanRig) -> list[tuple[str, str, int, str]]:
    return rig.rows("SELECT action, segment, customer_id, state FROM outbox WHERE state <> 'done' ORDER BY id")  # type: ignore[return-value]


def test_tags_and_lists_become_what_is_wanted_and_a_second_run_does_nothing(rig: PlanRig) -> None:
    """Every op is acknowledged, and then there is nothing to say."""
    tags, lists = FakeTags(), FakeLists()
    rig.destinations = [tags, lists]
    rig.people(range(1, 8))
    rig.change(7, email_status="UNSUBSCRIBED")
    rig.segment(VIP, [1, 2, 3, 7])
    rig.segment(NEW, [3, 4, 5])
    report = rig.sync()
    assert [(its.destination, its.added, its.removed, its.refused) for its in report.destinations] == [
        ("tags", 7, 0, 0),
        ("mail", 6, 0, 0),
    ]
    assert tags.state() == {"seg-vip": [1, 2, 3, 7], "seg-new": [3, 4, 5]}
    assert lists.state()["Regulars: New"] == ["P-p3@example.com", "P-p4@example.com", "P-p5@example.com"]
    pushed, calls = len(tags.pushed) + len(lists.pushed), tags.calls + lists.calls
    rig.now += 3600
    plan = rig.plan()
    report = rig.apply(plan)
    assert (plan.pending, plan.calls_estimated, report.exit_code) == (False, 0, 0)
    assert len(tags.pushed) + len(lists.pushed) == pushed
    assert tags.calls + lists.calls == calls + 1


def test_an_unchanged_run_writes_nothing(rig: PlanRig) -> None:
    """The database file's own change counter stands still."""
    rig.destinations = [FakeTags(), FakeLists()]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    rig.sync()
    rig.sync()
    before = rig.rows("SELECT total FROM (SELECT count(*) AS total FROM plan)"), rig.path.read_bytes()
    wal = rig.path.with_name(rig.path.name + "-wal")
    size = wal.stat().st_size
    rig.now += 60
    rig.sync()
    assert (rig.rows("SELECT count(*) FROM plan"), rig.path.read_bytes()) == before
    assert wal.stat().st_size == size


def test_removals_come_before_additions(rig: PlanRig) -> None:
    """Nobody is in two exclusive audiences at once."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people(range(1, 5))
    rig.segment(VIP, [1, 2])
    rig.segment(NEW, [3, 4])
    rig.sync()
    rig.segment(VIP, [3, 2])
    rig.segment(NEW, [1, 4])
    lists.pushed.clear()
    rig.sync()
    assert [(op.action, op.audience.segment, op.person.customer_id) for op in lists.pushed] == [
        ("remove", "vip", 1),
        ("remove", "new", 3),
        ("add", "vip", 3),
        ("add", "new", 1),
    ]


def test_people_new_to_a_destination_come_first_with_all_their_lists(rig: PlanRig) -> None:
    """So that one import serves all of them, and a read that ends within a person leaves that person to the next."""
    lists = FakeLists()
    lists.profiles = {"p2@example.com": "X2"}
    rig.destinations = [lists]
    rig.people([1, 2, 3])
    rig.segment(VIP, [1, 2, 3])
    rig.segment(NEW, [1, 2, 3])
    plan = rig.plan()
    lists.later = {1, 2, 3}
    rig.apply(plan)
    assert [(segment, person) for _, segment, person, _ in open_ops(rig)] == [
        ("new", 1),
        ("vip", 1),
        ("new", 3),
        ("vip", 3),
        ("new", 2),
        ("vip", 2),
    ]
    audiences = {key: Audience(key, key, "L") for key in ("vip", "new")}
    with rig.store.read() as conn:
        for limit, whole in ((3, 2), (4, 2), (5, 4), (6, 5)):
            read = queue.waiting(conn, plan.id, lists, audiences, 0, limit)
            assert len(list(queue.ready(read, full=True))) == whole


def test_consent_lost_after_planning_drops_the_addition(rig: PlanRig) -> None:
    """Apply may drop additions, and never adds."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people([1, 2, 3])
    rig.change(3, email_status="UNSUBSCRIBED")
    rig.segment(VIP, [1, 2, 3])
    plan = rig.plan()
    rig.change(1, email_status="UNSUBSCRIBED")
    rig.change(3, email_status="SUBSCRIBED")
    report = rig.apply(plan)
    assert (report.destinations[0].dropped, report.destinations[0].added, report.exit_code) == (1, 1, 0)
    assert lists.state() == {"Regulars: VIPs": ["P-p2@example.com"]}


def test_removals_go_out_whatever_the_consent(rig: PlanRig) -> None:
    """Losing consent between plan and apply never keeps anybody in."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people(range(1, 5))
    rig.segment(VIP, range(1, 5))
    rig.sync()
    rig.segment(VIP, [2, 3, 4])
    plan = rig.plan()
    rig.change(1, email_status="UNSUBSCRIBED")
    assert rig.apply(plan).destinations[0].removed == 1


def test_a_merged_customers_tags_stay_with_the_survivor(rig: PlanRig) -> None:
    """The store unites the tags; the ledger follows, and what does not belong goes."""
    tags = FakeTags()
    rig.destinations = [tags]
    rig.people(range(1, 8))
    rig.segment(VIP, range(1, 7))
    rig.segment(NEW, [1, 2])
    rig.sync()
    tags.tags[7] |= tags.tags.pop(1)
    rig.change(1, gone_at=NOW, merged_into=7)
    rig.segment(VIP, range(2, 8))
    rig.segment(NEW, [2])
    plan = rig.plan()
    assert [(its.segment, its.add, its.remove) for its in plan.audiences] == [("vip", 0, 0), ("new", 0, 1)]
    rig.apply(plan)
    assert tags.state() == {"seg-vip": [2, 3, 4, 5, 6, 7], "seg-new": [2]}


def test_a_merged_persons_old_address_leaves_the_list(rig: PlanRig) -> None:
    """The loser's profile goes, the survivor's stays."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people([1, 2, 3])
    rig.segment(VIP, [1, 2])
    rig.segment(NEW, [1])
    rig.sync()
    rig.change(1, gone_at=NOW, merged_into=2)
    rig.segment(VIP, [2])
    rig.segment(NEW, [2])
    plan = rig.plan()
    for its in plan.audiences:
        assert its.before + its.add - its.remove == its.size
    rig.apply(plan)
    assert lists.state() == {"Regulars: VIPs": ["P-p2@example.com"], "Regulars: New": ["P-p2@example.com"]}
    assert not rig.plan().pending


def test_a_deleted_customer_leaves_the_list_and_no_tag_is_asked_for(rig: PlanRig) -> None:
    """There is nobody at the store to take a tag from; the profile is still in the list."""
    tags, lists = FakeTags(), FakeLists()
    rig.destinations = [tags, lists]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    rig.sync()
    rig.change(1, gone_at=NOW, email_key=None, email=None)
    rig.segment(VIP, [2])
    tags.pushed.clear()
    rig.sync()
    assert tags.pushed == []
    assert (rig.ledger("tags"), rig.ledger("mail")) == ({"vip": [2]}, {"vip": [2]})
    assert lists.state() == {"Regulars: VIPs": ["P-p2@example.com"]}
