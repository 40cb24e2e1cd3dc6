"""Who gets what, and the first reason why the others do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeLists, FakeTags
from plan_rig import NOW, PlanRig, Wish

from connector.base import Op, Profile, Receipt
from sync.push.plan_value import AudiencePlan

VIP = Wish("vip", "VIPs")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    yield rig
    rig.store.close()


def the_audience(rig: PlanRig) -> AudiencePlan:
    return rig.plan().audiences[0]


def test_everybody_has_the_first_reason_that_fits(rig: PlanRig) -> None:
    """Reasons come in a fixed order, and matched = size + what was skipped."""
    lists = FakeLists()
    lists.profiles = {f"p{number}@example.com": f"X{number}" for number in range(1, 9)}
    lists.barred = {"p4@example.com": "HARD_BOUNCE", "p2@example.com": "UNSUBSCRIBE"}
    rig.destinations = [lists]
    rig.people(range(1, 9))
    rig.change(1, email_key=None, email_status=None)
    rig.change(2, email_status="UNSUBSCRIBED")
    rig.change(3, email_status="PENDING")
    rig.change(5, email_status=None)
    rig.change(6, email_key="", email_status="SUBSCRIBED")
    rig.segment(VIP, range(1, 9))
    its = the_audience(rig)
    assert its.skipped == {"no_email": 2, "not_subscribed": 3, "suppressed": 1}
    assert (its.matched, its.size, its.add) == (8, 2, 2)
    rig.sync()
    assert lists.state() == {"Regulars: VIPs": ["X7", "X8"]}


def test_tags_ask_nobody(rig: PlanRig) -> None:
    """A tag carries no consent: everybody who lives gets it."""
    rig.destinations = [FakeTags()]
    rig.people([1, 2, 3])
    rig.change(1, email_key=None, email_status="UNSUBSCRIBED")
    rig.change(3, gone_at=NOW)
    rig.segment(VIP, [1, 2, 3])
    its = the_audience(rig)
    assert (its.matched, its.size, its.skipped) == (2, 2, {})


def test_only_those_who_may_be_written_to_are_looked_up_and_only_once(rig: PlanRig) -> None:
    """A second run asks for nobody, also not for those the destination does not know."""
    lists = FakeLists()
    lists.profiles = {"p1@example.com": "X1"}
    rig.destinations = [lists]
    rig.people(range(1, 5))
    rig.change(3, email_status="UNSUBSCRIBED")
    rig.segment(VIP, [1, 2, 3])
    rig.plan()
    assert lists.asked == ["p1@example.com", "p2@example.com"]
    rig.plan()
    assert lists.asked == ["p1@example.com", "p2@example.com"]


def test_standing_is_refreshed_from_what_changed(rig: PlanRig) -> None:
    """Somebody suppressed there leaves on the next run; the range read overlaps the last one."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    rig.sync()
    assert lists.since == []
    lists.barred = {"p1@example.com": "SPAM_COMPLAINT"}
    lists.news = [lists.profile("p1@example.com"), Profile("stranger@example.com", "X9", True)]
    rig.now += 1000
    rig.sync()
    assert lists.since == [NOW - 3600]
    assert lists.state() == {"Regulars: VIPs": ["P-p2@example.com"]}
    assert rig.rows("SELECT count(*) FROM identity WHERE email_key = 'stranger@example.com'") == [(0,)]
    lists.news = []
    rig.now += 1000
    rig.plan()
    rig.plan()
    assert lists.since == [NOW - 3600, NOW + 1000 - 3600, NOW + 1000 - 3600]


def test_a_suppression_reaches_who_is_known_under_a_former_address(rig: PlanRig) -> None:
    """A merged profile shows its present address; the shop's customer has the old one."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    rig.sync()
    lists.news = [Profile("present@example.com", "P-p1@example.com", False, "SPAM_COMPLAINT")]
    rig.now += 1000
    rig.sync()
    assert lists.state() == {"Regulars: VIPs": ["P-p2@example.com"]}
    assert rig.rows("SELECT email_key FROM identity ORDER BY 1") == [("p1@example.com",), ("p2@example.com",)]


@pytest.mark.parametrize("shown", ["p1@example.com", "former@example.com"])
@pytest.mark.parametrize("order", [1, -1])
def test_of_two_profiles_at_one_address_the_one_that_must_not_be_mailed_counts(
    rig: PlanRig, order: int, shown: str
) -> None:
    """In whatever order they come, and whether they are known by the address or by the id."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people([1])
    rig.segment(VIP, [1])
    rig.sync()
    news = [Profile("p1@example.com", "NEW", True), Profile(shown, "P-p1@example.com", False, "HARD_BOUNCE")]
    lists.news = news[::order]
    rig.now += 1000
    rig.sync()
    assert lists.state() == {"Regulars: VIPs": []}
    assert rig.rows("SELECT email_key, mailable, reason FROM identity") == [("p1@example.com", 0, "HARD_BOUNCE")]


def test_an_address_goes_once_for_the_member_created_first(rig: PlanRig) -> None:
    """The others count as having no address of their own."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people([1, 2, 3], email_key="both@example.com")
    rig.change(1, created_at=300)
    rig.change(2, created_at=200)
    rig.segment(VIP, [1, 2])
    its = the_audience(rig)
    assert (its.matched, its.size, its.skipped, its.doubled) == (2, 1, {"no_email": 1}, 1)
    rig.sync()
    assert rig.ledger("mail") == {"vip": [2]}


def test_an_address_passes_from_one_member_to_the_next_in_silence(rig: PlanRig) -> None:
    """Removing and adding the same profile would start the list's flows again."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people([1, 2], email_key="both@example.com")
    rig.segment(VIP, [1, 2])
    rig.sync()
    sent = len(lists.pushed)
    rig.segment(VIP, [2])
    plan = rig.plan()
    assert (plan.pending, plan.audiences[0].size, plan.audiences[0].before) == (False, 1, 1)
    rig.apply(plan)
    assert (len(lists.pushed), rig.ledger("mail")) == (sent, {"vip": [2]})


def test_the_first_created_speaks_for_the_address(rig: PlanRig) -> None:
    """Where that person has not agreed, nobody is written to."""
    rig.destinations = [FakeLists()]
    rig.people([1, 2], email_key="both@example.com")
    rig.change(1, email_status="UNSUBSCRIBED")
    rig.segment(VIP, [1, 2])
    assert the_audience(rig).skipped == {"no_email": 1, "not_subscribed": 1}


@pytest.mark.parametrize("member", [1, 2])
def test_an_address_that_unsubscribed_anywhere_is_not_written_to(rig: PlanRig, member: int) -> None:
    """Whichever record is older, and whether or not both are in the segment; a record that is gone says nothing."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people([1, 2], email_key="both@example.com")
    rig.change(3 - member, email_status="UNSUBSCRIBED")
    rig.segment(VIP, [member])
    assert the_audience(rig).skipped == {"not_subscribed": 1}
    rig.segment(VIP, [1, 2])
    assert the_audience(rig).size == 0
    rig.change(3 - member, gone_at=NOW)
    rig.segment(VIP, [member])
    assert the_audience(rig).size == 1


def test_an_address_that_unsubscribes_under_another_record_leaves(rig: PlanRig) -> None:
    """And is not added by a plan that was made before."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people([1, 3])
    rig.people([2, 4], email_key="p1@example.com", email_status="PENDING")
    rig.change(4, email_key="p3@example.com")
    rig.segment(VIP, [1])
    rig.sync()
    rig.segment(VIP, [1, 3])
    plan = rig.plan()
    rig.change(4, email_status="UNSUBSCRIBED")
    assert rig.apply(plan).destinations[0].dropped == 1
    rig.change(2, email_status="UNSUBSCRIBED")
    rig.sync()
    assert lists.state() == {"Regulars: VIPs": []}


def test_a_new_address_leaves_as_the_old_profile_and_joins_as_the_new(rig: PlanRig) -> None:
    """The old profile never stays behind in the list."""
    lists = FakeLists()
    rig.destinations = [lists]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    rig.sync()
    rig.change(1, email_key="new@example.com")
    its = the_audience(rig)
    assert (its.before, its.add, its.remove, its.size) == (2, 1, 1, 2)
    rig.sync()
    assert lists.state() == {"Regulars: VIPs": ["P-new@example.com", "P-p2@example.com"]}
    assert not rig.plan().pending


class Silent(FakeLists):
    """Takes people by their address, and does not say under which profile."""

    def _one(self, op: Op) -> Receipt:
        if op.person.remote_id is None:
            profile = self.profiles.setdefault(op.person.email or "", f"P-{op.person.email}")
            self._move(op, profile)
            return Receipt(op.id, "done")
        return super()._one(op)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("stays", [False, True])
def test_an_address_whose_profile_was_never_told_leaves_as_it_came(rig: PlanRig, learned: bool, stays: bool) -> None:
    """The old address goes, whether or not its profile has been learned since, and never the new one for it."""
    lists = Silent()
    lists.profiles["new@example.com"] = "NEW"
    rig.destinations = [lists]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    rig.sync()
    assert rig.rows("SELECT remote_id, email_key FROM ledger WHERE customer_id = 1") == [(None, "p1@example.com")]
    assert not rig.plan().pending
    rig.change(1, email_key="new@example.com")
    if learned:
        lists.news = [lists.profile("p1@example.com")]
    rig.segment(VIP, [1, 2] if stays else [2])
    rig.now += 60
    rig.sync()
    assert lists.state() == {"Regulars: VIPs": (["NEW"] if stays else []) + ["P-p2@example.com"]}
    assert not rig.plan().pending


def test_a_refusal_stands_until_the_record_changes(rig: PlanRig) -> None:
    """Told once; asked again with another address."""
    lists = FakeLists()
    lists.refuse = {"p1@example.com": "no such mailbox"}  # type: ignore[dict-item]
    rig.destinations = [lists]
    rig.people([1, 2])
    rig.segment(VIP, [1, 2])
    report = rig.sync()
    assert (report.refused, report.exit_code) == (1, 4)
    its = the_audience(rig)
    assert (its.skipped, its.size, its.add) == ({"refused": 1}, 1, 0)
    assert rig.sync().exit_code == 0
    rig.change(1, updated_at=NOW + 5)
    assert not rig.plan().pending
    rig.change(1, email_key="mended@example.com")
    rig.sync()
    assert lists.state() == {"Regulars: VIPs": ["P-mended@example.com", "P-p2@example.com"]}


def test_a_refusal_takes_nobody_out(rig: PlanRig) -> None:
    """Who is in one audience stays there when another would not take them."""
    tags = FakeTags()
    rig.destinations = [tags]
    rig.people([1])
    rig.segment(VIP, [1])
    rig.sync()
    tags.refuse[1] = "250 tags"
    rig.segment(Wish("new", "New"), [1])
    rig.sync()
    plan = rig.plan()
    assert {its.segment: (its.size, its.skipped) for its in plan.audiences} == {
        "vip": (1, {}),
        "new": (0, {"refused": 1}),
    }
    assert not plan.pending
    rig.sql("INSERT INTO customer_tags VALUES (1, 'seg-vip', 1)")
    assert not rig.plan().pending
    rig.sql("INSERT INTO customer_tags VALUES (1, 'blue', 0)")
    assert rig.plan().pending
