"""The way from a segment to the people whom a destination gets, to the last person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fake_destination import FakeLists, FakeTags
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_rig import NOW, PlanRig, Wish

from connector.base import Destination
from sync.progress import Silent
from sync.push import identities
from sync.push.reach import Disagreement, Lost, Reach, reach

VIP = Wish("vip", "VIPs")
STATES = ("SUBSCRIBED", "UNSUBSCRIBED", "PENDING", None)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    yield rig
    rig.store.close()


def asked(rig: PlanRig, destination: Destination) -> tuple[Reach, tuple[Lost, ...]]:
    """The way, once the destination has been asked for everybody."""
    identities.refresh(rig.store, destination, rig.now)
    identities.look_up(rig.store, destination, ["vip"], rig.now, Silent(), everybody=True)
    with rig.store.read() as conn:
        return reach(conn, destination, "vip")


def test_each_step_loses_those_who_are_named(rig: PlanRig) -> None:
    """The waterfall of an e-mail destination, with what keeps each person out and who says so."""
    lists = FakeLists()
    lists.profiles = {f"p{number}@example.com": f"X{number}" for number in (3, 4)}
    lists.barred = {"p3@example.com": "HARD_BOUNCE"}
    rig.people(range(1, 6))
    rig.change(1, email_key=None)
    rig.change(2, email_status="UNSUBSCRIBED")
    rig.segment(VIP, range(1, 6))
    found, lost = asked(rig, lists)
    assert list(found.steps) == [
        ("matched", 5),
        ("has_email", 4),
        ("consented", 3),
        ("not_suppressed", 2),
        ("known_there", 2),
        ("accepted", 2),
    ]
    assert (found.strangers, found.members, found.asked_at) == (1, 0, NOW)
    assert lost == (
        Lost("1", "no_email", None),
        Lost("2", "not_subscribed", "unsubscribed in the store"),
        Lost("3", "suppressed", "hard bounce"),
    )
    assert found.disagreements == (Disagreement("3", "subscribed", "hard bounce"),)


def test_tags_lose_nobody(rig: PlanRig) -> None:
    """A tag asks for no address and no consent."""
    rig.people([1, 2])
    rig.change(1, email_key=None, email_status="UNSUBSCRIBED")
    rig.segment(VIP, [1, 2])
    found, lost = asked(rig, FakeTags())
    assert list(found.steps) == [("matched", 2), ("accepted", 2)]
    assert (lost, found.disagreements) == ((), ())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STATES), st.integers(0, 3), st.sampled_from(("", "there", "barred")))))
def test_the_numbers_add_up_to_the_last_person(people: list[tuple[str | None, int, str]]) -> None:
    """matched = accepted + everybody named as left out, each once, whatever the people are like."""
    with TemporaryDirectory() as folder:
        rig = PlanRig(Path(folder) / "shop.db")
        lists = FakeLists()
        rig.people(range(1, len(people) + 1))
        for number, (state, address, standing) in enumerate(people, 1):
            email = f"a{address}@example.com" if address else None
            rig.change(number, email_key=email, email_status=state)
            if email and standing:
                lists.profiles[email] = f"X{address}"
            if email and standing == "barred":
                lists.barred[email] = "SPAM_COMPLAINT"
        rig.segment(VIP, range(1, len(people) + 1))
        found, lost = asked(rig, lists)
        rig.store.close()
    assert found.matched == len(people) == found.accepted + len(lost)
    assert len({its.customer_id for its in lost}) == len(lost)
    assert dict(found.steps)["accepted"] == found.accepted
