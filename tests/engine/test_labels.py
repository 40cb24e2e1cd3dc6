"""Labels: audiences with ids of their own, whose members are the store's people, without consent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import FakeLabels, Killed
from plan_rig import PlanRig, Wish

from connector.errors import Unavailable
from sync.push.audiences import retire
from sync.push.plan import Plan
from sync.push.present import plan_text

VIP = Wish("vip", "VIPs")
NO_ANSWER = Unavailable("tags", "create", "no answer after 4 tries")


@pytest.fixture
def labels() -> FakeLabels:
    return FakeLabels()


@pytest.fixture
def rig(tmp_path: Path, labels: FakeLabels) -> Iterator[PlanRig]:
    rig = PlanRig(tmp_path / "shop.db")
    rig.destinations = [labels]
    rig.people([1, 2, 3])
    rig.change(3, email_key=None, email_status="UNSUBSCRIBED")
    rig.segment(VIP, [1, 2, 3])
    yield rig
    rig.store.close()


def carry(rig: PlanRig, tag: str, *numbers: int, ours: bool = True) -> None:
    """These people had the tag when they were last read."""
    rig.sql("INSERT INTO customer_tags VALUES (?, ?, ?)", [(number, tag, ours) for number in numbers])


def held(plan: Plan) -> list[str]:
    return [guard.text for guard in plan.guards]


def test_everybody_gets_a_label_made_for_the_first_of_them(rig: PlanRig, labels: FakeLabels) -> None:
    """Consent is not asked for, the label is created once, its creation is counted, and it is called a label."""
    plan = rig.plan()
    lines = plan_text(plan)
    assert '  + 3  − 0  = 3  vip → label "seg-VIPs"' in lines
    assert "      a new label, created with the first members" in lines
    assert any(line.startswith("Labels carry no consent: ") for line in lines)
    assert (plan.calls_estimated, plan.audiences[0].kind) == (2, "label")
    assert rig.apply(plan).exit_code == 0
    assert labels.lists == {"custom.1": ("seg-VIPs", {"1", "2", "3"})}
    assert rig.ledger("tags") == {"vip": [1, 2, 3]}
    assert not rig.plan().pending
    rig.segment(VIP, [2, 3])
    rig.sync()
    assert labels.lists == {"custom.1": ("seg-VIPs", {"2", "3"})}


def test_a_label_renamed_by_its_owner_stays_the_one(rig: PlanRig, labels: FakeLabels) -> None:
    """It is known by its id; only a new name of ours renames it."""
    rig.sync()
    labels.lists["custom.1"] = ("Best of all", labels.lists["custom.1"][1])
    rig.segment(VIP, [1, 2])
    assert rig.sync().exit_code == 0
    assert labels.lists == {"custom.1": ("Best of all", {"1", "2"})}
    rig.segment(Wish("vip", "Regulars"), [1, 2])
    plan = rig.plan()
    assert plan.audiences[0].renamed_from == "seg-VIPs"
    rig.apply(plan)
    assert labels.lists == {"custom.1": ("seg-Regulars", {"1", "2"})}
    assert not rig.plan().pending


def test_a_label_deleted_by_hand_is_made_and_filled_again(rig: PlanRig, labels: FakeLabels) -> None:
    """Nobody carries it any more, so those who did when they were last read are in nobody's way."""
    rig.sync()
    carry(rig, "seg-VIPs", 1, 2, 3)
    carry(rig, "custom.1", 1, ours=False)
    carry(rig, "friend", 1, ours=False)
    del labels.lists["custom.1"]
    rig.people([4])
    rig.segment(VIP, [1, 2, 3, 4])
    assert rig.sync().unfinished == 1
    assert rig.rows("SELECT tag FROM customer_tags") == [("friend",)]
    plan = rig.plan()
    assert (plan.guards, plan.audiences[0].new, plan.audiences[0].add) == ((), True, 4)
    labels.pushed.clear()
    rig.apply(plan)
    assert labels.lists == {"custom.2": ("seg-VIPs", {"1", "2", "3", "4"})}
    assert all(op.audience.quiet for op in labels.pushed), "filling it again starts nothing"
    assert not rig.plan().pending


def test_a_label_deleted_by_hand_may_have_a_new_name(rig: PlanRig, labels: FakeLabels) -> None:
    """It cannot be renamed any more; that is told, and it is made under the new name."""
    rig.sync()
    del labels.lists["custom.1"]
    rig.people([4])
    rig.segment(Wish("vip", "Best"), [1, 2, 3, 4])
    report = rig.sync()
    assert "tags: rename: there is no such audience" in report.destinations[0].reasons
    assert rig.sync().exit_code == 0
    assert labels.lists == {"custom.2": ("seg-Best", {"1", "2", "3", "4"})}


@pytest.mark.parametrize("told_by", ["seg-vips", "custom.9"])
def test_a_label_of_our_name_is_held_until_it_is_taken_over(rig: PlanRig, labels: FakeLabels, told_by: str) -> None:
    """Those who carry it become ours, by its name or by its id, as the store tells them; the others are added."""
    labels.lists["custom.9"] = ("seg-VIPs", {"1", "9"})
    rig.people([9])
    carry(rig, told_by, 1, 9, ours=told_by == "seg-vips")
    carry(rig, "friend", 2, ours=False)
    [text] = held(rig.plan())
    assert text.startswith(
        'tags: vip: a label "seg-VIPs" exists there and is not in our ledger; take over with --adopt'
    )
    plan = rig.plan(adopt=True)
    assert (plan.audiences[0].before, plan.audiences[0].add, plan.audiences[0].remove) == (2, 2, 1)
    assert "      taken over: 2 people carried the label" in plan_text(plan)
    rig.apply(plan)
    assert labels.lists == {"custom.9": ("seg-VIPs", {"1", "2", "3"})}
    assert not rig.plan().pending


def test_people_who_had_the_label_are_a_warning_even_where_none_is_found(rig: PlanRig, labels: FakeLabels) -> None:
    """It may be spelled differently, or be gone since; there is nothing to take over."""
    carry(rig, "SEG-VIPS", 1, 2)
    for adopt in (False, True):
        [text] = held(rig.plan(adopt=adopt))
        assert '2 people had the label "seg-VIPs" when last read, and none is called so there' in text
    assert rig.sync("unknown-ledger").exit_code == 0
    assert labels.state() == {"seg-VIPs": ["1", "2", "3"]}


def test_labels_of_another_database_are_shown_before_writing_beside_them(rig: PlanRig) -> None:
    """Our prefix on labels of no segment, while we remember none: somebody else's work, or our own forgotten."""
    carry(rig, "seg-old", 1, 2)
    [text] = held(rig.plan())
    assert 'belong to no segment: "seg-old" (2 people)' in text
    assert not rig.plan(adopt=True).guards


@pytest.mark.parametrize("how", ["killed", "mute"])
def test_a_label_whose_creation_was_not_heard_of_is_found_again(rig: PlanRig, labels: FakeLabels, how: str) -> None:
    """One label, whatever happened to the answer."""
    if how == "killed":
        labels.die_in_create = True
        with pytest.raises(Killed):
            rig.sync()
        rig.reopen()
    else:
        labels.mute_create = NO_ANSWER
        assert rig.sync().unfinished == 3
        labels.mute_create = None
    assert rig.sync().exit_code == 0
    assert labels.lists == {"custom.1": ("seg-VIPs", {"1", "2", "3"})}


@pytest.mark.parametrize("after", [False, True])
def test_dying_around_any_transaction_heals(tmp_path: Path, after: bool) -> None:
    """One label with the right people, whenever the run dies."""
    for number in range(1, 40):
        labels, rig = FakeLabels(size=2), PlanRig(tmp_path / f"{number}.db")
        rig.destinations = [labels]
        rig.people([1, 2, 3])
        rig.segment(VIP, [1, 2, 3])
        rig.store.commits, rig.store.dies_at, rig.store.after = 0, number, after
        try:
            rig.sync()
        except Killed:
            rig.reopen()
            assert rig.sync().exit_code == 0
            assert labels.lists == {"custom.1": ("seg-VIPs", {"1", "2", "3"})}
            assert not rig.plan().pending
            rig.store.close()
        else:
            rig.store.close()
            assert number > 8
            return
    raise AssertionError("the run has no end")


def test_only_so_many_labels_are_made_a_day(rig: PlanRig, labels: FakeLabels) -> None:
    """The rest follow tomorrow, and the report says labels."""
    for number in range(20):
        rig.segment(Wish(f"s{number}", f"S{number}"), [1])
    report = rig.sync()
    assert dict(report.destinations[0].reasons) == {"20 new labels a day is the limit; the rest follow tomorrow": 1}
    assert len(labels.lists) == 20
    rig.later(24)
    rig.read(rig.now)
    rig.sync()
    assert len(labels.lists) == 21


@pytest.mark.parametrize("flows", [[], ["Welcome"]])
def test_flows_that_a_label_starts_are_named_where_they_can_be_seen(
    rig: PlanRig, labels: FakeLabels, flows: list[str]
) -> None:
    """And not spoken of where they cannot."""
    rig.sync()
    labels.flows["custom.1"] = flows
    rig.people([4])
    rig.segment(VIP, [1, 2, 3, 4])
    said = [line for line in plan_text(rig.plan()) if "live flow" in line]
    assert said == (['      joining starts the live flow "Welcome" for 1 person'] if flows else [])


def test_a_retired_label_is_emptied_and_left_standing(rig: PlanRig, labels: FakeLabels) -> None:
    """Audiences are never deleted from here."""
    rig.sync()
    rig.wishes = []
    assert rig.plan().retired[0].before == 3
    retire(rig.store, "vip")
    rig.sync("mass-remove")
    assert labels.lists == {"custom.1": ("seg-VIPs", set())}
