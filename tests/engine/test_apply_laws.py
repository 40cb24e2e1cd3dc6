"""Laws of planning and applying, over generated histories."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fake_destination import FakeLists, FakeTags
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_rig import NOW, PlanRig, Wish

PEOPLE = range(1, 9)
WISHES = (Wish("a", "A", turnover="expected"), Wish("b", "B", turnover="expected"))
ADDRESSES = ("", *(f"{letter}@example.com" for letter in "stuvwxyz"))
STATES = ("SUBSCRIBED", "SUBSCRIBED", "UNSUBSCRIBED")

members = st.tuples(st.just("members"), st.sampled_from(WISHES), st.frozensets(st.sampled_from(PEOPLE)))
facts = st.tuples(
    st.just("facts"), st.sampled_from(PEOPLE), st.tuples(st.sampled_from(ADDRESSES), st.sampled_from(STATES))
)
barred = st.tuples(st.just("barred"), st.sampled_from(ADDRESSES[1:]), st.booleans())
later = st.tuples(st.just("later"), st.frozensets(st.sampled_from(PEOPLE), max_size=2), st.none())
gone = st.tuples(st.just("gone"), st.sampled_from(PEOPLE), st.none())
merged = st.tuples(st.just("merged"), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE))
run = st.tuples(st.just("run"), st.none(), st.none())
steps = st.lists(st.one_of(members, members, facts, barred, later, gone, merged, run, run), max_size=14)


class Shop:
    """A shop whose history is made up step by step."""

    def __init__(self, path: Path) -> None:
        self.tags, self.lists = FakeTags(), FakeLists()
        self.rig = PlanRig(path)
        self.rig.destinations = [self.tags, self.lists]
        self.rig.people(PEOPLE)
        self.wanted: dict[str, frozenset[int]] = {}
        for wish in WISHES:
            self.join(wish, frozenset())

    def join(self, wish: Wish, numbers: frozenset[int]) -> None:
        self.wanted[wish.key] = numbers
        living = {row[0] for row in self.rig.rows("SELECT id FROM customers WHERE gone_at IS NULL")}
        self.rig.segment(wish, sorted(numbers & living))

    def do(self, step: tuple[str, object, object]) -> None:
        kind, what, how = step
        if kind == "members":
            self.join(what, how)  # type: ignore[arg-type]
        elif kind == "facts":
            self.rig.change(what, email_key=how[0], email_status=how[1])  # type: ignore[arg-type, index]
        elif kind == "barred":
            self.bar(str(what), bool(how))
        elif kind == "later":
            self.tags.later = self.lists.later = set(what)  # type: ignore[call-overload]
        elif kind == "gone":
            self.rig.change(what, gone_at=NOW)  # type: ignore[arg-type]
            self.tags.tags.pop(what, None)  # type: ignore[call-overload]
            self.again()
        elif kind == "merged":
            self.merge(int(what), int(how))  # type: ignore[call-overload]
        else:
            self.run()

    def again(self) -> None:
        for wish in WISHES:
            self.join(wish, self.wanted[wish.key])

    def merge(self, number: int, survivor: int) -> None:
        """One living customer into another: the store gives the survivor the tags of both."""
        living = {row[0] for row in self.rig.rows("SELECT id FROM customers WHERE gone_at IS NULL")}
        if number != survivor and {number, survivor} <= living:
            self.rig.change(number, gone_at=NOW, merged_into=survivor)
            self.rig.sql("UPDATE customers SET merged_into = ? WHERE merged_into = ?", (survivor, number))
            self.tags.tags[survivor] |= self.tags.tags.pop(number, set())
            self.again()

    def bar(self, email: str, barred: bool) -> None:
        """Somebody who is known there is suppressed, or is so no longer; it shows in what changed."""
        self.lists.profiles.setdefault(email, f"P-{email}")
        if barred:
            self.lists.barred[email] = "SPAM_COMPLAINT"
        else:
            self.lists.barred.pop(email, None)
        self.lists.news = [self.lists.profile(each) for each in self.lists.profiles]

    def run(self) -> None:
        plan = self.rig.plan()
        assert plan.guards == ()
        for its in plan.audiences:
            assert its.matched == its.size + sum(its.skipped.values())
            assert its.before + its.add - its.remove == its.size
        self.rig.apply(plan)
        self.lists.news = []

    def desired(self) -> tuple[dict[str, list[int]], dict[str, list[str]]]:
        """What tags and lists must be in the end, in plain Python."""
        rows = {
            row[0]: (row[1], row[2])
            for row in self.rig.rows("SELECT id, email_key, email_status FROM customers WHERE gone_at IS NULL")
        }
        refused = {email for email, status in rows.values() if status == "UNSUBSCRIBED"}
        tags, lists = {}, {}
        for wish in WISHES:
            living = sorted(self.wanted[wish.key] & rows.keys())
            tags[f"seg-{wish.key}"] = living
            first: dict[str, int] = {}
            for number in living:
                if rows[number][0]:
                    first.setdefault(rows[number][0], number)
            lists[f"Regulars: {wish.name}"] = sorted(
                self.lists.profiles[email]
                for email, number in first.items()
                if rows[number][1] == "SUBSCRIBED" and email not in {*self.lists.barred, *refused}
            )
        return tags, lists


@settings(max_examples=40)
@given(steps)
def test_any_history_ends_in_what_is_wanted(history: list[tuple[str, object, object]]) -> None:
    """Diff then apply = desired, whatever came before; then nothing is left to do."""
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder) / "shop.db")
        for step in history:
            shop.do(step)
        shop.tags.later = shop.lists.later = set()
        shop.lists.news = [shop.lists.profile(each) for each in shop.lists.profiles]
        shop.run()
        sent = len(shop.tags.pushed) + len(shop.lists.pushed)
        tags, lists = shop.desired()
        assert {name: shop.tags.state().get(name, []) for name in tags} == tags
        assert {name: shop.lists.state().get(name, []) for name in lists} == lists
        shop.run()
        assert len(shop.tags.pushed) + len(shop.lists.pushed) == sent
        assert shop.rig.rows("SELECT count(*) FROM outbox WHERE state IN ('pending', 'sent', 'retry')") == [(0,)]
        shop.rig.store.close()
