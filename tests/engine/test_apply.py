"""From a plan to acknowledged writes, with everything that can go wrong in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeLists, FakeTags, Killed
from plan_rig import NOW, PlanRig, Wish

from connector.errors import AuthError, BadRequest, Stopped, Unavailable
from sync.errors import Held

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


def test_one_refused_person_does_not_hinder_the_others(rig: PlanRig) -> None:
    """Refused once, told with its reason, and not tried again."""
    tags = FakeTags()
    tags.refuse[2] = "Customer does not exist"
    rig.destinations = [tags]
    rig.people([1, 2, 3])
    rig.segment(VIP, [1, 2, 3])
    report = rig.sync()
    assert dict(report.destinations[0].reasons) == {"Customer does not exist": 1}
    assert (report.exit_code, tags.state()) == (4, {"seg-vip": [1, 3]})
    tags.pushed.clear()
    assert (rig.sync().exit_code, tags.pushed) == (0, [])


def test_a_refused_removal_ends_our_claim(rig: PlanRig) -> None:
    """There is nothing left that we could take away."""
    tags = FakeTags()
    rig.destinations = [tags]
    rig.people([1, 2, 3, 4])
    rig.segment(VIP, [1, 2, 3, 4])
    rig.sync()
    tags.refuse[1] = "Customer does not exist"
    rig.segment(VIP, [2, 3, 4])
    assert rig.sync().exit_code == 4
    assert rig.ledger("tags") == {"vip": [2, 3, 4]}
    assert not rig.plan().pending


def test_what_could_not_be_done_now_is_done_next_time(rig: PlanRig) -> None:
    """A retry stays in the outbox and goes out with the next run."""
    tags = FakeTags()
    tags.later = {2}
    rig.destinations = [tags]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    report = rig.sync()
    assert (report.unfinished, report.exit_code) == (1, 4)
    assert open_ops(rig) == [("add", "vip", 2, "retry")]
    tags.later = set()
    assert rig.sync().exit_code == 0
    assert (tags.state(), open_ops(rig)) == ({"seg-vip": [1, 2]}, [])


def test_what_may_have_arrived_is_taken_back_when_no_longer_wanted(rig: PlanRig) -> None:
    """An addition without a receipt may be there: the person is removed, though the ledger never had them."""
    tags = FakeTags(size=1)
    rig.destinations = [tags]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    tags.die_after = 1
    with pytest.raises(Killed):
        rig.sync()
    assert tags.state() == {"seg-vip": [1, 2]}
    assert rig.ledger("tags") == {"vip": [1]}
    tags.die_after = None
    rig.segment(VIP, [1])
    plan = rig.plan()
    its = plan.audiences[0]
    assert (its.before, its.add, its.remove, its.doubt, its.size) == (1, 0, 0, 1, 1)
    rig.apply(plan)
    assert (tags.state(), open_ops(rig)) == ({"seg-vip": [1]}, [])


def test_a_removal_in_doubt_is_made_good_when_wanted_again(rig: PlanRig) -> None:
    """The ledger still has the person, the destination may not."""
    tags = FakeTags(size=1)
    rig.destinations = [tags]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    rig.sync()
    rig.segment(VIP, [1])
    tags.die_after = 0
    with pytest.raises(Killed):
        rig.sync()
    assert tags.state() == {"seg-vip": [1]}
    tags.die_after = None
    rig.segment(VIP, [1, 2])
    rig.sync()
    assert (tags.state(), open_ops(rig), rig.ledger("tags")) == ({"seg-vip": [1, 2]}, [], {"vip": [1, 2]})


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


def test_an_unreachable_destination_keeps_its_ops_and_the_others_go_on(rig: PlanRig) -> None:
    """Exit code 4, and the next run brings it up."""
    tags, lists = FakeTags(), FakeLists()
    rig.destinations = [tags, lists]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    plan = rig.plan()
    lists.failing = Unavailable("mail", "add", "no answer after 5 tries")
    report = rig.apply(plan)
    assert (report.exit_code, report.unfinished) == (4, 2)
    assert str(report.destinations[1].error) == "mail: add: no answer after 5 tries"
    assert tags.state() == {"seg-vip": [1, 2]}
    assert rig.plan().unreachable
    lists.failing = None
    assert rig.sync().exit_code == 0
    assert len(lists.state()["Regulars: VIPs"]) == 2


def test_a_destination_that_does_not_even_prove_its_key_is_skipped(rig: PlanRig) -> None:
    """Nothing of it is queued away, nothing of the others is lost."""
    tags, lists = FakeTags(), FakeLists()
    rig.destinations = [tags, lists]
    rig.people([1])
    rig.segment(VIP, [1])
    lists.key_error = Unavailable("mail", "account", "no answer")
    assert rig.sync().exit_code == 4
    assert (tags.state(), lists.lists) == ({"seg-vip": [1]}, {})
    lists.key_error = None
    assert rig.sync().exit_code == 0


def test_a_refused_key_stops_everything_before_the_first_write(rig: PlanRig) -> None:
    """Also at the destinations that would have come first."""
    tags, lists = FakeTags(), FakeLists()
    rig.destinations = [tags, lists]
    rig.people([1])
    rig.segment(VIP, [1])
    lists.key_error = AuthError("mail", "account", "key refused")
    with pytest.raises(AuthError):
        rig.sync()
    assert (tags.pushed, lists.lists) == ([], {})


def test_a_destination_that_stops_for_good_is_told_by_its_exit_code(rig: PlanRig) -> None:
    """The owner has to act there; the rest is done."""
    tags, lists = FakeTags(), FakeLists()
    rig.destinations = [lists, tags]
    rig.people([1])
    rig.segment(VIP, [1])
    plan = rig.plan()
    lists.failing = Stopped("mail", "add", "the account is suspended")
    assert rig.apply(plan).exit_code == 1
    assert tags.state() == {"seg-vip": [1]}


def test_a_list_that_cannot_be_created_waits_alone(rig: PlanRig) -> None:
    """The other lists are filled."""

    class Picky(FakeLists):
        def create(self, audience):  # type: ignore[no-untyped-def]
            if audience.segment == "vip":
                raise BadRequest("mail", "create", "name taken")
            return super().create(audience)

    lists = Picky()
    rig.destinations = [lists]
    rig.people([1])
    rig.segment(VIP, [1])
    rig.segment(NEW, [1])
    report = rig.sync()
    assert (report.unfinished, dict(report.destinations[0].reasons)) == (1, {"mail: create: name taken": 1})
    assert lists.state() == {"Regulars: New": ["P-p1@example.com"]}


def test_lists_are_created_within_the_days_limit(rig: PlanRig) -> None:
    """What is over waits for the next day, with its members."""
    from dataclasses import replace

    lists = FakeLists()
    lists.limits = replace(lists.limits, creates_per_day=2)  # type: ignore[misc]
    rig.destinations = [lists]
    rig.people([1])
    for number in range(5):
        rig.segment(Wish(f"s{number}", f"S{number}"), [1])
    report = rig.sync()
    assert (len(lists.lists), report.unfinished, report.exit_code) == (2, 3, 4)
    rig.sync()
    assert len(lists.lists) == 2
    rig.clock.advance(86_400)
    rig.now += 86_400
    rig.read(rig.now)
    rig.sync()
    assert len(lists.lists) == 4
    rig.clock.advance(86_400)
    rig.now += 86_400
    rig.read(rig.now)
    assert rig.sync().exit_code == 0
    assert all(members == {"P-p1@example.com"} for _, members in lists.lists.values())


def test_a_stale_plan_is_refused(rig: PlanRig) -> None:
    """Membership, ledger and configuration are what it was made on."""
    rig.destinations = [FakeTags()]
    rig.people([1, 2])
    rig.segment(VIP, [1])
    plan = rig.plan()
    with pytest.raises(Held, match="stale: the configuration changed"):
        rig.apply(plan, config="other")
    rig.segment(VIP, [1, 2])
    with pytest.raises(Held, match="stale: segment membership changed"):
        rig.apply(plan)
    newer = rig.plan()
    rig.sql("INSERT INTO ledger VALUES ('tags', 'old', 1, NULL, 1, 1)")
    with pytest.raises(Held, match="stale: the ledger changed"):
        rig.apply(newer)


def test_a_plan_that_was_replaced_is_refused(rig: PlanRig) -> None:
    """Its ops are gone; the later one is the one to apply."""
    rig.destinations = [FakeTags()]
    rig.people(range(1, 21))
    rig.segment(VIP, range(1, 21))
    rig.sync()
    rig.segment(VIP, [1])
    held = rig.plan()
    forced = rig.plan("mass-remove")
    with pytest.raises(Held, match="replaced by a later one"):
        rig.apply(held)
    assert rig.apply(forced).exit_code == 0


def test_an_interrupted_plan_goes_on_where_it_stopped(rig: PlanRig) -> None:
    """`apply PLAN` again, after a kill, sends what is left and nothing that was acknowledged."""
    tags = FakeTags(size=2)
    rig.destinations = [tags]
    rig.people(range(1, 8))
    rig.segment(VIP, range(1, 8))
    plan = rig.plan()
    tags.die_after = 1
    with pytest.raises(Killed):
        rig.apply(plan)
    tags.die_after = None
    tags.pushed.clear()
    assert rig.apply(plan).exit_code == 0
    assert [op.person.customer_id for op in tags.pushed] == [3, 4, 5, 6, 7]
    assert tags.state() == {"seg-vip": list(range(1, 8))}
    assert rig.apply(plan).exit_code == 0
    assert not rig.plan().pending


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
