"""What others changed in our audiences is found, named, and dealt with as chosen; nothing is written by looking."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_destination import FakeLabels, FakeLists, FakeScanned, FakeTags
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_rig import PlanRig, Wish

from connector.base import Destination
from connector.errors import Unavailable
from sync.cli.audit import lines
from sync.errors import UsageError
from sync.progress import Silent
from sync.push.audit import AudienceAudit, Audit, audit, parse
from sync.push.reach import reach
from sync.store.reports import refusals

VIP, NEW = Wish("vip", "VIPs", turnover="expected"), Wish("new", "New", turnover="expected")
NAMES = ("tags", "labels", "mail", "scanned")
PEOPLE = range(1, 61)


class Site:
    """A shop with every kind of destination, two segments, and hands that meddle."""

    def __init__(self, path: Path) -> None:
        self.tags, self.labels, self.lists, self.scanned = FakeTags(), FakeLabels(), FakeLists(), FakeScanned()
        self.labels.name, self.scanned.name = "labels", "scanned"
        self.scanned.profiles = {f"p{number}@example.com": f"S{number}" for number in PEOPLE}
        self.lists.profiles = {f"p{number}@example.com": f"K{number}" for number in PEOPLE if number % 3}
        self.rig = PlanRig(path)
        self.rig.destinations = [self.tags, self.labels, self.lists, self.scanned]
        self.rig.people(PEOPLE)
        self.rig.segment(VIP, range(1, 31))
        self.rig.segment(NEW, range(21, 41))
        self.rig.sync()
        self.rig.later(1)

    def audit(self, additions: tuple[str, ...] = (), removals: tuple[str, ...] = ()) -> Audit:
        self.rig.run += 1
        choices = parse(additions, removals, ["vip", "new"])
        rig = self.rig
        return audit(rig.store, rig.destinations, choices, now=rig.clock.now, run_id=rig.run, progress=Silent())

    def one(self, found: Audit, destination: str, segment: str = "vip") -> AudienceAudit:
        return next(its for its in found.audiences if (its.destination, its.segment) == (destination, segment))

    def remote(self, name: str, number: int) -> str:
        if name == "mail":
            return self.lists.profiles.setdefault(f"p{number}@example.com", f"P-p{number}@example.com")
        return f"S{number}" if name == "scanned" else str(number)

    def held(self, name: str, segment: str) -> set[str]:
        """The members themselves, to be meddled with (tags: a copy)."""
        if name == "tags":
            return {str(number) for number, names in self.tags.tags.items() if f"seg-{segment}" in names}
        [site] = [its for its in (self.labels, self.lists, self.scanned) if its.name == name]
        [key] = [
            row[0]
            for row in self.rig.rows(
                "SELECT remote_id FROM audience WHERE destination = ? AND segment = ?", (name, segment)
            )
        ]
        return site.lists[key][1]

    def put(self, name: str, segment: str, number: int) -> None:
        """Somebody adds this customer by hand."""
        if name == "tags":
            self.tags.tags[number].add(f"seg-{segment}")
        else:
            self.held(name, segment).add(self.remote(name, number))

    def take(self, name: str, segment: str, number: int) -> None:
        """Somebody takes this customer out by hand."""
        if name == "tags":
            self.tags.tags[number].discard(f"seg-{segment}")
        else:
            self.held(name, segment).discard(self.remote(name, number))

    def state(self) -> dict[tuple[str, str], set[str]]:
        return {(name, segment): set(self.held(name, segment)) for name in NAMES for segment in ("vip", "new")}

    def ids(self, name: str, numbers: Any) -> set[str]:
        return {self.remote(name, number) for number in numbers}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "shop.db")
    yield site
    site.rig.store.close()


def test_a_hundred_edits_are_found_and_attributed(site: Site) -> None:
    """Each by the person's id at the store; then the default and a sync: as wanted, strangers untouched."""
    dice = random.Random(7)
    wanted = {"vip": set(range(1, 31)), "new": set(range(21, 41))}
    edits: dict[tuple[str, str], tuple[set[int], set[int]]] = {}
    for name, segment in dice.choices([(n, s) for n in NAMES for s in wanted], k=100):
        added, removed = edits.setdefault((name, segment), (set(), set()))
        number = dice.choice(PEOPLE)
        if number in wanted[segment]:
            removed.add(number)
            site.take(name, segment, number)
        else:
            added.add(number)
            site.put(name, segment, number)
    site.held("mail", "vip").add("X-nobody")
    calls = len(site.tags.pushed)
    found = site.audit()
    for (name, segment), (added, removed) in edits.items():
        its = site.one(found, name, segment).to_json()
        assert {int(number) for number in its["people"]["added"]} == added
        assert {int(number) for number in its["people"]["removed"]} == removed
        alien = 1 if (name, segment) == ("mail", "vip") else 0
        assert (its["added"], its["removed"], its["not_customers"]) == (len(added) + alien, len(removed), alien)
        assert (its["members"], its["ours"]) == (
            len(wanted[segment]) + len(added) - len(removed) + alien,
            len(wanted[segment]),
        )
        assert (its["young"], its["state"]) == (0, "there")
        assert its["choice"] == {"additions": "ignore", "removals": "revert"}
    assert len(site.tags.pushed) == calls
    before = len(site.labels.pushed)
    site.rig.sync()
    assert all(op.audience.quiet for op in site.labels.pushed[before:])
    state = site.state()
    for (name, segment), (added, _) in edits.items():
        nobody = {"X-nobody"} if (name, segment) == ("mail", "vip") else set()
        assert state[name, segment] == site.ids(name, wanted[segment] | added) | nobody
    assert site.rig.rows("SELECT count(*) FROM withdrawn") == [(0,)]
    again = site.audit()
    assert not any(its.found.removed for its in again.audiences if its.found.young == 0)


def test_nothing_changed_is_nothing_written(site: Site) -> None:
    """Two looks, one line, no write."""
    found = site.audit()
    assert not any(its.differs for its in found.audiences)
    assert list(lines(found)) == [
        "8 audiences are as we left them.",
        "",
        "The next sync writes nothing because of this.",
        "Next: regulars status",
    ]
    assert not site.rig.plan().pending


def test_what_we_did_minutes_ago_is_not_judged(site: Site) -> None:
    """An index lags: neither what was added nor what was removed a moment ago counts as somebody's doing."""
    site.rig.segment(VIP, range(4, 34))
    site.rig.sync()
    for name in NAMES:
        for number in (31, 32, 33):
            site.take(name, "vip", number)
        for number in (1, 2, 3):
            site.put(name, "vip", number)
        site.take(name, "vip", 10)
    found = site.audit((), ("ignore",))
    for name in NAMES:
        its = site.one(found, name).to_json()
        assert (its["young"], its["people"]) == (6, {"added": [], "removed": ["10"]})
    assert "24 people were moved by us in the last 15 minutes: too young to judge." in list(lines(found))
    site.rig.later(0.5)
    its = site.one(site.audit(), "labels").to_json()
    assert (its["young"], its["added"], its["removed"]) == (0, 3, 4)


def test_removals_adopted_stay_out_until_they_leave_the_segment(site: Site) -> None:
    """Counted as refused, told by reach and status; once out and in again, they are added."""
    for name in NAMES:
        site.take(name, "vip", 1)
    found = site.audit((), ("adopt",))
    assert "  − 1 person taken out by others: stay out while they are in the segment" in list(lines(found))
    plan = site.rig.plan()
    assert not plan.pending
    skipped = {its.destination: its.skipped for its in plan.audiences if its.segment == "vip"}
    assert skipped == {name: {"refused": 1} for name in NAMES}
    site.rig.apply(plan)
    with site.rig.store.read() as conn:
        _, lost = reach(conn, site.tags, "vip")
        assert [(its.customer_id, its.reason, its.detail) for its in lost] == [("1", "refused", "taken out by hand")]
        assert ("tags", "taken out by hand", 1) in refusals(conn)
    site.rig.segment(VIP, range(2, 31))
    assert not site.rig.plan().pending
    site.rig.segment(VIP, range(1, 31))
    assert all(its.add == 1 for its in site.rig.plan().audiences if its.segment == "vip")


def test_removals_ignored_are_told_again(site: Site) -> None:
    """Nothing changes, here or there."""
    site.take("labels", "vip", 1)
    for _ in range(2):
        found = site.audit((), ("ignore",))
        assert site.one(found, "labels").to_json()["people"] == {"added": [], "removed": ["1"]}
        assert not site.rig.plan().pending


def test_additions_adopted_become_ours_where_they_are_wanted(site: Site) -> None:
    """Who is in the segment by now is ours without a write, the others stay strangers."""
    for name in NAMES:
        site.put(name, "vip", 50)
        site.put(name, "vip", 51)
    site.rig.segment(VIP, [*range(1, 31), 50])
    state = site.state()
    site.audit(("adopt",))
    assert not site.rig.plan().pending
    assert site.rig.ledger("mail")["vip"] == [*range(1, 31), 50]
    site.rig.segment(VIP, range(1, 31))
    site.rig.sync()
    for name in NAMES:
        assert site.held(name, "vip") == state[name, "vip"] - site.ids(name, [50])


def test_additions_reverted_go_where_they_are_not_wanted(site: Site) -> None:
    """All customers among them become ours; nobody else is touched. One segment may be dealt with otherwise."""
    for name in NAMES:
        site.put(name, "vip", 50)
        site.put(name, "vip", 51)
        site.put(name, "new", 52)
    site.held("scanned", "vip").add("S-nobody")
    site.rig.segment(VIP, [*range(1, 31), 50])
    found = site.audit(("revert", "ignore:new"))
    assert "The next sync takes 4 people out, under the usual guards." in list(lines(found))
    assert site.one(found, "tags", "new").to_json()["choice"]["additions"] == "ignore"
    site.rig.sync()
    for name in NAMES:
        nobody = {"S-nobody"} if name == "scanned" else set()
        assert site.held(name, "vip") == site.ids(name, [*range(1, 31), 50]) | nobody
        assert site.remote(name, 52) in site.held(name, "new")


def test_what_was_deleted_is_made_anew_and_what_was_renamed_goes_on(site: Site) -> None:
    """By hand, at the destination."""
    asked = "SELECT remote_id FROM audience WHERE destination = ? AND segment = ?"
    [(label,)] = site.rig.rows(asked, ("labels", "vip"))
    [(gone,)] = site.rig.rows(asked, ("mail", "new"))
    site.labels.lists.pop(label)
    site.lists.lists.pop(gone)
    site.scanned.lists["L1"] = ("Mine now", site.scanned.lists["L1"][1])
    found = site.audit()
    states = {(its.destination, its.segment): its.state for its in found.audiences if its.state != "there"}
    assert states == {("labels", "vip"): "gone", ("mail", "new"): "gone", ("scanned", "vip"): "renamed"}
    said = list(lines(found))
    assert "  it is gone; 30 people of ours were in it" in said
    assert "  it has another name there now; it is known by its id, and goes on under its new name" in said
    assert "The next sync makes 2 audiences anew, under the usual guards." in said
    site.rig.sync()
    assert site.held("labels", "vip") == site.ids("labels", range(1, 31))
    assert site.held("mail", "new") == site.ids("mail", range(21, 41))


def test_a_destination_that_does_not_answer_is_named(site: Site) -> None:
    """The others are read all the same."""
    site.lists.failing = Unavailable("fake", "list members", "no answer after 4 tries")
    found = site.audit()
    assert [name for name, _ in found.unreachable] == ["mail"]
    assert {its.destination for its in found.audiences} == {"tags", "labels", "scanned"}
    assert "mail did not answer: left out." in list(lines(found))


def test_choices_are_checked() -> None:
    """A word, and a segment if any."""
    for value, said in (
        ("keep", "it is adopt, revert or ignore"),
        ("adopt:vup", "no audience of a segment 'vup'; did you mean 'vip'"),
    ):
        with pytest.raises(UsageError, match=said):
            parse([value], [], ["vip"])
    with pytest.raises(UsageError, match="adopt was said before"):
        parse(["adopt", "revert"], [], ["vip"])
    assert parse(["adopt", "revert:vip"], [], ["vip"]).of("vip").additions == "revert"


hands = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(1, 12), st.booleans()), max_size=12)
choices = st.sampled_from(["adopt", "revert", "ignore"])


@settings(max_examples=25, deadline=None)
@given(st.frozensets(st.integers(1, 12)), hands, choices, choices)
def test_any_edits_end_as_they_were_chosen(
    members: frozenset[int], edits: list[tuple[str, int, bool]], additions: str, removals: str
) -> None:
    """A plain reckoning of what stands there after audit and sync, for every choice."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder) / "shop.db")
        everyone: list[Destination] = site.rig.destinations
        site.rig.segment(VIP, members)
        site.rig.sync()
        site.rig.later(1)
        there = {name: set(members) for name in NAMES}
        for name, number, adding in edits:
            (site.put if adding else site.take)(name, "vip", number)
            (there[name].add if adding else there[name].discard)(number)
        found = site.audit((additions,), (removals,))
        site.rig.sync()
        for each in everyone:
            name = each.name
            added, removed = there[name] - members, members - there[name]
            its = site.one(found, name).to_json()
            assert {int(one) for one in its["people"]["added"]} == added
            assert {int(one) for one in its["people"]["removed"]} == removed
            wanted = there[name] | (removed if removals == "revert" else set())
            wanted -= added if additions == "revert" else set()
            assert site.held(name, "vip") == site.ids(name, wanted)
        site.rig.store.close()
