"""Taking a run back: the opposite of what it wrote, and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_destination import FakeLabels, FakeLists, FakeScanned, FakeTags, Keyed, Killed
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_rig import NOW, PlanRig, Wish

from connector.errors import Unavailable
from sync.errors import UsageError
from sync.push.plan import Plan
from sync.push.present import plan_text
from sync.push.report import ApplyReport
from sync.push.undo import plan_undo
from sync.store import plans

VIP, NEW = Wish("vip", "VIPs"), Wish("new", "New")
ALL = ("mass-remove", "mass-add", "emptied")
NO_ANSWER = Unavailable("fake", "push", "no answer after 4 tries")


class Site:
    """A shop with every kind of destination."""

    def __init__(self, path: Path) -> None:
        self.tags, self.labels, self.lists, self.scanned = FakeTags(), FakeLabels(), FakeLists(), FakeScanned()
        self.labels.name, self.scanned.name = "labels", "scanned"
        self.scanned.profiles = {f"p{number}@example.com": f"S{number}" for number in range(1, 41)}
        self.rig = PlanRig(path)
        self.rig.destinations = [self.tags, self.labels, self.lists, self.scanned]
        self.rig.people(range(1, 41))
        self.rig.segment(VIP, range(1, 21))

    def sync(self, *force: str) -> int:
        """One run; returns its number."""
        self.rig.sync(*force)
        return self.ran("sync")

    def ran(self, command: str) -> int:
        self.rig.sql(
            "INSERT OR IGNORE INTO sync_run (id, command, now, started_at) VALUES (?, ?, ?, ?)",
            (self.rig.run, command, NOW, NOW),
        )
        return self.rig.run

    def plan_undo(self, target: int, *force: str) -> Plan:
        self.rig.run += 1
        self.ran("undo")
        rig = self.rig
        return plan_undo(
            rig.store, rig.wishes, rig.destinations, target=target, now=rig.now, run_id=rig.run, force=force
        )

    def undo(self, target: int, *force: str) -> tuple[Plan, ApplyReport]:
        plan = self.plan_undo(target, *force)
        return plan, self.rig.apply(plan)

    def state(self) -> dict[str, Any]:
        """What stands at every destination."""
        keyed: list[Keyed] = [self.labels, self.lists, self.scanned]
        found: dict[str, Any] = {its.name: {key: set(each[1]) for key, each in its.lists.items()} for its in keyed}
        return found | {"tags": {number: set(names) for number, names in self.tags.tags.items() if names}}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "shop.db")
    yield site
    site.rig.store.close()


def test_a_change_is_taken_back_to_the_last_member(site: Site) -> None:
    """Push, push a change, take it back: every destination holds what it held before, whatever else stands there."""
    site.tags.tags[3].add("friend")
    site.sync()
    site.lists.lists["L1"][1].add("a-stranger")
    before = site.state()
    site.rig.segment(VIP, range(4, 25))
    changed = site.sync()
    assert site.state() != before
    plan, report = site.undo(changed)
    assert (plan.guards, plan.undoes, report.exit_code) == ((), changed, 0)
    assert site.state() == before
    for its in plan.audiences:
        assert (its.matched, its.add, its.remove, its.before, its.size) == (7, 3, 4, 21, 20)
    assert site.rig.ledger("mail") == {"vip": list(range(1, 21))}
    assert [op.audience.quiet for op in site.labels.pushed if op.action == "add"][-3:] == [True] * 3


def test_a_first_fill_is_held_and_then_taken_back(site: Site) -> None:
    """All leave, so two guards hold it and name the command; lists stay, empty."""
    filled = site.sync()
    plan = site.plan_undo(filled)
    assert {guard.guard for guard in plan.guards} == {"mass-remove", "emptied"}
    assert f"pass with `regulars undo {filled} --force mass-remove:vip`" in plan.guards[0].text
    assert plan_text(plan)[-1].endswith(f"regulars undo {filled} --force mass-remove --force emptied")
    before = site.state()
    site.rig.apply(plan)
    assert site.state() == before
    site.undo(filled, *ALL)
    assert {key: set() for key in site.lists.lists} == site.state()["mail"] == {"L1": set()}
    assert site.state()["tags"] == {}


def test_the_next_run_does_not_write_it_again(site: Site) -> None:
    """A guard holds the audience until it is passed; then the mark is gone."""
    site.sync()
    site.rig.segment(VIP, range(4, 25))
    changed = site.sync()
    site.undo(changed)
    before = site.state()
    plan = site.rig.plan()
    assert {guard.guard for guard in plan.guards} == {"undone"}
    said = f"run {changed} was taken back here; 4 people would join and 3 people would leave; mend the segment, or pass"
    assert plan.guards[0].text == f"tags: vip: {said} with --force undone:vip"
    site.rig.apply(plan)
    assert site.state() == before
    site.sync("undone")
    assert site.rig.rows("SELECT DISTINCT undone FROM audience") == [(None,)]
    assert site.state() != before
    site.rig.segment(VIP, range(5, 25))
    assert not site.rig.plan().guards


def test_a_mended_segment_needs_no_flag(site: Site) -> None:
    """Where nothing is left to change, or the condition is another, the run that was taken back is forgotten."""
    site.sync()
    site.rig.segment(VIP, range(4, 25))
    site.undo(site.sync())
    site.rig.segment(VIP, range(1, 21))
    site.sync()
    assert site.rig.rows("SELECT DISTINCT undone FROM audience") == [(None,)]
    site.rig.segment(VIP, range(4, 25))
    site.undo(site.sync())
    site.rig.segment(Wish("vip", "VIPs", rule_hash="r2"), range(2, 21))
    assert {guard.guard for guard in site.rig.plan().guards} == {"definition-changed"}
    site.sync("definition-changed")
    assert site.rig.rows("SELECT DISTINCT undone FROM audience") == [(None,)]


def test_consent_still_takes_people_out(site: Site) -> None:
    """Who may not be written to any more leaves an audience that was taken back, and the mark stays."""
    site.sync()
    site.rig.segment(VIP, range(1, 25))
    site.undo(site.sync())
    site.rig.segment(VIP, range(1, 21))
    site.rig.change(1, email_status="UNSUBSCRIBED")
    plan = site.rig.plan()
    assert plan.guards == ()
    site.rig.apply(plan)
    assert site.rig.ledger("mail") == {"vip": list(range(2, 21))}
    marks = site.rig.rows("SELECT DISTINCT undone FROM audience WHERE destination IN ('mail', 'scanned')")
    assert marks == [(2,)]


def test_who_moved_since_or_may_not_come_back_is_left_alone(site: Site) -> None:
    """Each is counted with the reason, in words and as data."""
    site.sync()
    site.rig.segment(VIP, range(4, 25))
    changed = site.sync()
    site.rig.segment(VIP, [1, *range(4, 22), 24])
    site.sync()
    site.rig.change(2, email_status="UNSUBSCRIBED")
    plan = site.plan_undo(changed)
    by = {its.destination: its for its in plan.audiences}
    assert (by["tags"].skipped, by["tags"].add, by["tags"].remove) == ({"moved_since": 3}, 2, 2)
    assert (by["mail"].skipped, by["mail"].add) == ({"moved_since": 3, "not_allowed": 1}, 1)
    assert plan.to_json()["audiences"][2]["skipped"] == {"moved_since": 3, "not_allowed": 1}
    left = "      7 people changed by run 2, left as they are: 3 moved since, 1 no longer allowed"
    assert left in plan_text(plan)
    site.rig.apply(plan)
    assert site.rig.ledger("tags") == {"vip": list(range(1, 21))}
    assert site.rig.ledger("mail") == {"vip": [1, *range(3, 21)]}


def test_an_undo_is_taken_back_too(site: Site) -> None:
    """And then nothing is marked: all is as the segments want it."""
    site.sync()
    site.rig.segment(VIP, range(4, 25))
    changed = site.sync()
    wanted = site.state()
    site.undo(changed)
    undone = site.state()
    site.undo(site.rig.run)
    assert site.state() == wanted
    assert site.rig.rows("SELECT DISTINCT undone FROM audience") == [(None,)]
    assert not site.rig.plan().pending
    site.undo(site.rig.run - 1)
    assert site.state() == undone
    assert {guard.guard for guard in site.rig.plan().guards} == {"undone"}


def test_a_segment_that_is_gone_is_taken_back_and_a_destination_that_is_off_is_named(site: Site) -> None:
    """The audience of the one is still ours; the other cannot be reached."""
    site.sync()
    site.rig.segment(VIP, range(4, 25))
    changed = site.sync()
    site.rig.wishes = []
    site.rig.destinations = [site.tags, site.labels, site.scanned]
    plan, _ = site.undo(changed)
    assert plan.disabled == (("mail", 7),)
    assert "  mail is not enabled any more: its 7 changes are left alone" in plan_text(plan)
    assert site.rig.ledger("tags") == {"vip": list(range(1, 21))}
    assert site.rig.ledger("mail") == {"vip": list(range(4, 25))}


def test_nothing_to_take_back_is_one_line(site: Site) -> None:
    """An unknown run, one that wrote nothing, one that never writes."""
    site.sync()
    site.sync()
    site.rig.run += 1
    site.ran("pull")
    for target, said in (
        (99, "no run 99"),
        (2, "run 2 wrote nothing that was acknowledged"),
        (3, "run 3 was a pull and wrote nothing"),
    ):
        with pytest.raises(UsageError, match=said):
            site.plan_undo(target)
    with pytest.raises(UsageError, match="no segment 'vup'; did you mean 'vip'"):
        site.plan_undo(1, "emptied:vup")


def test_a_destination_that_does_not_answer_is_left_for_another_time(site: Site) -> None:
    """The others are taken back."""
    site.sync()
    site.rig.segment(VIP, range(4, 25))
    changed = site.sync()
    site.lists.failing = NO_ANSWER
    plan, _ = site.undo(changed)
    assert [name for name, _ in plan.unreachable] == ["mail"]
    assert site.rig.ledger("tags") == {"vip": list(range(1, 21))}
    site.lists.failing = None
    site.undo(changed)
    assert site.rig.ledger("mail") == {"vip": list(range(1, 21))}


@pytest.mark.parametrize("after", [False, True], ids=["before-commit", "after-commit"])
def test_dying_anywhere_heals(tmp_path: Path, after: bool) -> None:
    """Whatever was begun goes on in the next run, and another try takes back the rest."""
    for number in range(1, 200):
        site = Site(tmp_path / f"{number}.db")
        site.rig.destinations = [site.labels, site.scanned]
        site.sync()
        before = site.state()
        site.rig.segment(VIP, range(4, 25))
        changed = site.sync()
        site.rig.store.commits, site.rig.store.dies_at, site.rig.store.after = 0, number, after
        try:
            site.undo(changed)
        except Killed:
            died = True
        else:
            died = False
        site.rig.reopen()
        with site.rig.store.read() as conn:
            begun = plans.undoing(conn)
        for plan in begun:
            site.rig.apply(plan)
        if not begun:
            site.undo(changed)
        assert site.state() == before, number
        assert {guard.guard for guard in site.rig.plan().guards} == {"undone"}
        site.rig.store.close()
        if not died:
            assert number > 10
            return
    raise AssertionError("the undo has no end")


def test_what_was_begun_outlives_another_plan(site: Site) -> None:
    """A destination stops in the midst of it; a run without it, and then one with it, write nothing else there."""
    site.sync()
    before = site.state()
    site.rig.segment(VIP, range(4, 25))
    changed = site.sync()
    plan = site.plan_undo(changed)
    site.lists.failing = NO_ANSWER
    assert site.rig.apply(plan).exit_code == 4
    site.lists.failing = None
    assert "      left as it is until a run has been taken back here" in plan_text(site.rig.plan())
    site.sync()
    with site.rig.store.read() as conn:
        [begun] = plans.undoing(conn)
    site.rig.apply(begun)
    assert site.state() == before


histories = st.lists(st.frozensets(st.integers(1, 12)), min_size=2, max_size=4)


@settings(max_examples=25, deadline=None)
@given(histories, st.integers(0, 3), st.frozensets(st.integers(1, 12), max_size=2))
def test_exactly_what_was_not_moved_since_is_inverted(
    history: list[frozenset[int]], index: int, unsubscribed: frozenset[int]
) -> None:
    """Any memberships, any of the runs taken back, consent lost by some: a plain reckoning gives the same."""
    wish = Wish("vip", "VIPs", turnover="expected")
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder) / "shop.db")
        runs = []
        for members in history:
            site.rig.segment(wish, members)
            runs.append(site.sync())
        index = min(index, len(runs) - 1)
        held = [frozenset[int](), *history]
        moved = [held[number] ^ held[number + 1] for number in range(len(history))]
        still = moved[index].difference(*moved[index + 1 :])
        for number in unsubscribed:
            site.rig.change(number, email_status="UNSUBSCRIBED")
        joined, left = still & held[index + 1], still - held[index + 1]
        if moved[index]:
            site.undo(runs[index], *ALL)
            for name, back in (("tags", left), ("labels", left), ("mail", left - unsubscribed)):
                assert set(site.rig.ledger(name).get("vip", [])) == (history[-1] - joined) | back
            assert {n for n, names in site.tags.tags.items() if names} == (history[-1] - joined) | left
        site.rig.store.close()
