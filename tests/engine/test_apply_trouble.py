"""What goes wrong between a plan and its receipts, and how the next run mends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeLists, FakeTags, Killed
from plan_rig import PlanRig, Wish

from connector.base import Op, Receipt
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


def test_a_refused_removal_is_asked_for_until_it_is_done(rig: PlanRig) -> None:
    """Whoever cannot be taken out is still there; told once for each reason."""
    tags = FakeTags()
    rig.destinations = [tags]
    rig.people([1, 2, 3, 4])
    rig.segment(VIP, [1, 2, 3, 4])
    rig.sync()
    tags.refuse[1] = "Customer is being merged"
    rig.segment(VIP, [2, 3, 4])
    assert rig.sync().exit_code == 4
    assert rig.ledger("tags") == {"vip": [1, 2, 3, 4]}
    again = rig.sync()
    assert (again.exit_code, again.refused, dict(again.destinations[0].reasons)) == (0, 0, {})
    tags.refuse[1] = "Customer is locked"
    assert rig.sync().exit_code == 4
    assert rig.rows("SELECT count(*) FROM refusal") == [(0,)]
    assert rig.rows("SELECT customer_id, refused FROM ledger WHERE refused IS NOT NULL") == [(1, "Customer is locked")]
    tags.refuse.clear()
    assert rig.sync().destinations[0].removed == 1
    assert (tags.state(), rig.ledger("tags")) == ({"seg-vip": [2, 3, 4]}, {"vip": [2, 3, 4]})
    assert not rig.plan().pending


def test_a_refused_removal_is_forgotten_when_the_person_comes_back(rig: PlanRig) -> None:
    """They are where they belong, and nobody has to see to it."""
    tags = FakeTags()
    rig.destinations = [tags]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    rig.sync()
    tags.refuse[1] = "Customer is locked"
    rig.segment(VIP, [2])
    rig.sync()
    rig.segment(VIP, [1, 2])
    assert not rig.plan().pending
    assert rig.rows("SELECT count(*) FROM ledger WHERE refused IS NOT NULL") == [(0,)]


def test_who_lost_consent_is_taken_out_however_often_that_was_refused(rig: PlanRig) -> None:
    """The list must not be mailed to them."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    rig.sync()
    rig.change(1, email_status="UNSUBSCRIBED")
    lists.refuse["p1@example.com"] = "conflict"  # type: ignore[index]
    assert [rig.sync().exit_code for _ in range(3)] == [4, 0, 0]
    lists.refuse.clear()
    rig.sync()
    assert lists.state() == {"Regulars: VIPs": ["P-p2@example.com"]}


def test_a_refused_removal_of_what_may_have_arrived_is_asked_for_again(rig: PlanRig) -> None:
    """The ledger never had the person, the destination may."""
    tags = FakeTags(size=1)
    rig.destinations = [tags]
    rig.people([1])
    rig.segment(VIP, [1])
    tags.die_after = 0
    with pytest.raises(Killed):
        rig.sync()
    tags.die_after = None
    rig.segment(VIP, [])
    tags.refuse[1] = "Customer is locked"
    assert [rig.sync().exit_code for _ in range(3)] == [4, 0, 0]
    tags.refuse.clear()
    rig.sync()
    assert tags.state() == {}
    assert rig.rows("SELECT count(*) FROM outbox WHERE state IN ('pending', 'sent', 'retry')") == [(0,)]


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
    rig.sql("INSERT INTO ledger (destination, segment, customer_id, run_id, at) VALUES ('tags', 'old', 1, 1, 1)")
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


def test_a_prefix_that_comes_back_before_it_was_gone_is_taken_up_again(rig: PlanRig) -> None:
    """What was asked for under the other prefix, and not heard of, is undone."""
    tags = FakeTags()
    rig.destinations = [tags]
    rig.people(range(1, 6))
    rig.segment(VIP, range(1, 6))
    rig.sync()
    tags.prefix, tags.later = "grp-", set(range(1, 6))
    assert rig.sync().unfinished == 10
    tags.prefix, tags.later = "seg-", set()
    plan = rig.plan()
    assert [(its.name, its.before, its.add, its.remove, its.doubt) for its in plan.audiences] == [
        ("seg-vip", 5, 0, 0, 5),
        ("grp-vip", 0, 0, 0, 5),
    ]
    rig.apply(plan)
    assert (tags.state(), open_ops(rig)) == ({"seg-vip": [1, 2, 3, 4, 5]}, [])
    assert not rig.plan().pending


def test_an_addition_under_a_new_address_waits_for_the_removal_of_the_old(rig: PlanRig) -> None:
    """Otherwise nobody would know any more that the old profile is in the list."""

    class Clinging(FakeLists):
        clings = False

        def _one(self, op: Op) -> Receipt:
            return Receipt(op.id, "retry", "not now") if self.clings and op.action == "remove" else super()._one(op)

    lists = Clinging()
    rig.destinations = [lists]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    rig.sync()
    rig.change(1, email_key="new@example.com")
    lists.clings = True
    assert rig.sync().unfinished == 2
    lists.clings = False
    rig.sync()
    assert lists.state() == {"Regulars: VIPs": ["P-new@example.com", "P-p2@example.com"]}
    assert not rig.plan().pending


def test_ops_that_never_went_out_and_are_no_longer_wanted_are_cancelled(rig: PlanRig) -> None:
    """The outbox keeps nothing of a plan that was overtaken."""
    tags = FakeTags(size=1)
    rig.destinations = [tags]
    rig.people(range(1, 6))
    rig.segment(VIP, range(1, 6))
    tags.failing = Unavailable("tags", "add", "no answer")
    rig.sync()
    assert [state for *_, state in open_ops(rig)] == ["sent", "pending", "pending", "pending", "pending"]
    tags.failing = None
    rig.segment(VIP, [1, 2])
    rig.sync()
    assert (tags.state(), open_ops(rig)) == ({"seg-vip": [1, 2]}, [])
    assert [op.person.customer_id for op in tags.pushed] == [1, 2]
