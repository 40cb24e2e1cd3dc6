"""Destinations whose people are read once, and who take nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeScanned, Killed
from plan_rig import PlanRig, Wish

from connector.base import Profile
from sync.push.identities import OVERLAP

VIP = Wish("vip", "VIPs")


@pytest.fixture
def mail() -> FakeScanned:
    mail = FakeScanned()
    mail.profiles = {f"p{number}@example.com": f"X{number}" for number in (1, 2, 3, 4)}
    mail.profiles |= {f"stranger{number}@example.com": f"S{number}" for number in range(10)}
    mail.barred = {"p2@example.com": "unsubscribed"}
    return mail


@pytest.fixture
def rig(tmp_path: Path, mail: FakeScanned) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    rig.destinations = [mail]
    rig.people(range(1, 8))
    rig.change(3, email_status="UNSUBSCRIBED")
    rig.segment(VIP, range(1, 8))
    yield rig
    rig.store.close()


def known(rig: PlanRig) -> list[tuple[str, str | None]]:
    return rig.rows("SELECT email_key, remote_id FROM identity ORDER BY 1")  # type: ignore[return-value]


def test_who_is_there_is_read_once_and_nobody_is_added(rig: PlanRig, mail: FakeScanned) -> None:
    """Who is not there is counted as such; strangers to the shop are not kept; nobody is asked for by address."""
    plan = rig.plan()
    [its] = plan.audiences
    assert its.skipped == {"not_subscribed": 1, "suppressed": 1, "not_in_audience": 3}
    assert (its.matched, its.size, its.add) == (7, 2, 2)
    assert known(rig) == [(f"p{n}@example.com", f"X{n}" if n < 5 else None) for n in range(1, 8)]
    rig.apply(plan)
    assert mail.state() == {"Regulars: VIPs": ["X1", "X4"]}
    assert len(mail.profiles) == 14
    assert not rig.plan().pending
    assert (mail.since, mail.asked) == ([None, rig.now - OVERLAP], [])


@pytest.mark.parametrize("page", range(5))
def test_a_scan_that_is_broken_off_is_begun_again(rig: PlanRig, mail: FakeScanned, page: int) -> None:
    """The mark stands at the moment when the scan that came through began."""
    mail.die_in_scan = page
    with pytest.raises(Killed):
        rig.plan()
    rig.reopen()
    assert rig.rows("SELECT count(*) FROM meta WHERE key = 'identity:mail'") == [(0,)]
    mail.die_in_scan = None
    rig.later(2)
    rig.sync()
    assert mail.state() == {"Regulars: VIPs": ["X1", "X4"]}
    assert rig.rows("SELECT value FROM meta WHERE key = 'identity:mail'") == [(str(rig.now),)]


def test_who_appears_there_later_enters(rig: PlanRig, mail: FakeScanned) -> None:
    """What changed since the scan is read, and a sign-up there is a change."""
    rig.sync()
    mail.profiles["p5@example.com"] = "X5"
    mail.news = [mail.profile("p5@example.com"), Profile("nobody@example.com", "S99", mailable=True)]
    rig.later(1)
    plan = rig.plan()
    assert (plan.audiences[0].add, plan.audiences[0].skipped["not_in_audience"]) == (1, 2)
    rig.apply(plan)
    assert mail.state() == {"Regulars: VIPs": ["X1", "X4", "X5"]}


def test_people_new_to_the_shop_are_asked_for_once(rig: PlanRig, mail: FakeScanned) -> None:
    """They may have been there long before: the scan did not keep strangers. A new address is a new person."""
    rig.sync()
    mail.profiles["p8@example.com"] = "X8"
    mail.profiles["moved@example.com"] = "X6"
    rig.people([8, 9, 10])
    rig.change(6, email_key="moved@example.com")
    rig.segment(VIP, [*range(1, 8), 8, 9])
    rig.sync()
    assert mail.asked == ["moved@example.com", "p8@example.com", "p9@example.com"]
    assert mail.state() == {"Regulars: VIPs": ["X1", "X4", "X6", "X8"]}
    assert not rig.plan().pending
    assert len(mail.asked) == 3


def test_a_person_who_is_not_known_is_not_sent_even_if_planned(rig: PlanRig, mail: FakeScanned) -> None:
    """Known people whom the destination has forgotten between plan and apply are dropped."""
    plan = rig.plan()
    rig.sql("UPDATE identity SET remote_id = NULL WHERE email_key = 'p1@example.com'")
    assert rig.apply(plan).destinations[0].dropped == 1
    assert mail.state() == {"Regulars: VIPs": ["X4"]}
