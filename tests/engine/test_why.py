"""Why somebody moved and what time will do, against shops whose every change is known."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metrics_reference import DAY, Bought, History, Person
from metrics_rig import BERLIN, NOW, TABLES, histories, mark, put
from test_metrics_time import change
from test_pull_world import Town

from connector.sandbox.changes import happen
from sync.clock import ManualClock
from sync.metrics import MetricSettings, refresh
from sync.metrics.table import PERSONAL
from sync.segments.catalogue import Segment, load
from sync.segments.evaluate import evaluate, members_at
from sync.segments.explain import Explanation, explain
from sync.segments.language import parse
from sync.segments.problems import Origin
from sync.segments.yardsticks import note_yardsticks
from sync.store.engine import Store, open_store

SETTINGS = MetricSettings(BERLIN, "EUR")
READ = frozenset({"customers", "orders", "carts"})
KEPT = (
    "customer_before", "evaluation", "yardstick", "membership", "membership_event", "membership_mask", "segment_state",
)  # fmt: skip


def rule(key: str, where: str) -> Segment:
    parsed = parse(where)
    return Segment(
        key=key, name=key, where=where, rule=parsed, origin=Origin("t"), rule_hash=where, sources=parsed.sources
    )


@dataclass
class Shop:
    """A store and its runs."""

    store: Store
    segments: list[Segment]
    settings: MetricSettings = SETTINGS
    run: int = 0
    now: int = NOW

    def hold(self, history: History, touched: set[int] | None = None) -> None:
        """Make the facts these."""
        with self.store.begin() as connection:
            put(connection, history, BERLIN)
            mark(connection, touched or set())

    def evaluate(self, now: int) -> None:
        """What a run does between pull and plan."""
        self.run, self.now = self.run + 1, now
        refresh(self.store, now=now, settings=self.settings)
        with self.store.begin() as connection:
            note_yardsticks(
                connection, self.segments, now=now, settings=self.settings, run_id=self.run, sources_read=READ
            )
            evaluate(connection, self.segments, now=now, settings=self.settings, run_id=self.run, sources_read=READ)

    def personal(self) -> dict[int, tuple[Any, ...]]:
        return {row[0]: row[1:] for row in self.store.query(f"SELECT customer_id, {', '.join(PERSONAL)} "
                                                            "FROM customer_metrics")}  # fmt: skip

    def why(self, key: str, person: int) -> Explanation:
        segment = next(one for one in self.segments if one.key == key)
        with self.store.read() as connection:
            return explain(
                connection, segment, person, self.segments,
                now=self.now, settings=self.settings, sources_read=READ,
            )  # fmt: skip

    def movers(self) -> list[tuple[str, int, bool]]:
        """Who moved in the last run and is still there."""
        rows = self.store.query(
            "SELECT segment, customer_id, entered FROM membership_event WHERE run_id = ? "
            "AND customer_id IN (SELECT customer_id FROM customer_metrics) ORDER BY 1, 2",
            (self.run,),
        )
        return [(key, person, bool(entered)) for key, person, entered in rows]


def causes(found: Explanation) -> list[tuple[str, str | None, str | None, str | None]]:
    assert found.moved is not None
    return [(one.kind, one.name, one.before, one.after) for one in found.moved.causes]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One database for all examples."""
    opened = open_store(tmp_path_factory.mktemp("why") / "regulars.db", clock=ManualClock(NOW))
    yield opened
    opened.close()


@pytest.fixture
def empty(store: Store) -> Store:
    return clear(store)


def clear(store: Store) -> Store:
    with store.begin() as connection:
        for table in (*TABLES, *KEPT):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    return store


def spenders(*totals: int, days: int = 50) -> History:
    """Customers 10, 20, ... with one order each."""
    bought = [Bought(n, 10 * n, NOW - days * DAY, total, 0, total) for n, total in enumerate(totals, start=1)]
    return History([Person(10 * n, 0) for n in range(1, len(totals) + 1)], bought, [])


def test_who_moves_without_a_doing_of_their_own_is_told_the_cut_that_moved(empty: Store) -> None:
    """One sale lifts the shop's cuts; whom they pass is told the cut, before and after. The buyer is told their own."""
    shop = Shop(
        empty,
        [
            rule("best", "monetary_score = 5"),
            rule("top", "percentile(amount_spent) >= 80"),
            rule("both", "IN SEGMENT 'best' AND NOT amount_spent_percentile < 80"),
        ],
    )
    history = spenders(10000, 20000, 30000, 40000, 50000)
    shop.hold(history)
    shop.evaluate(NOW)
    history.orders.append(Bought(6, 10, NOW + 1, 90000, 0, 90000))
    shop.hold(history, {10})
    shop.evaluate(NOW + DAY)
    assert shop.movers() == [
        (key, person, person == 10)
        for key, people in (("best", (10, 50)), ("both", (10, 50)), ("top", (10, 40)))
        for person in people
    ]
    assert causes(shop.why("best", 50)) == [("figure", "monetary_cut_4_of_5", "400.00", "500.00")]
    assert causes(shop.why("top", 40)) == [("figure", "percentile(amount_spent) >= 80", "400.00", "500.00")]
    assert ("figure", "monetary_cut_4_of_5", "400.00", "500.00") in causes(shop.why("both", 50))
    assert causes(shop.why("best", 10)) == [("own", "amount_spent", "100.00", "1000.00")]
    moved = shop.why("best", 50).moved
    assert moved is not None
    assert moved.causes[0].text == "the shop's monetary cut for 5 moved from 400.00 to 500.00"
    assert (moved.entered, moved.run, moved.since, moved.at) == (False, 2, NOW, NOW + DAY)


def test_what_moved_them_is_still_known_after_later_changes(empty: Store) -> None:
    """Own facts and figures that move afterwards do not change what is told of an earlier run."""
    shop = Shop(empty, [rule("best", "monetary_score = 5")])
    history = spenders(10000, 20000, 30000, 40000, 50000)
    shop.hold(history)
    shop.evaluate(NOW)
    history.orders.append(Bought(6, 10, NOW + 1, 90000, 0, 90000))
    shop.hold(history, {10})
    shop.evaluate(NOW + DAY)
    history.orders += [Bought(7, 50, NOW + DAY, 100, 0, 100), Bought(8, 10, NOW + DAY, 20000, 0, 20000)]
    shop.hold(history, {10, 50})
    shop.evaluate(NOW + 2 * DAY)
    assert causes(shop.why("best", 50)) == [("figure", "monetary_cut_4_of_5", "400.00", "500.00")]
    assert causes(shop.why("best", 10)) == [("own", "amount_spent", "100.00", "1000.00")]


def test_time_is_told_with_its_day_and_the_limit_it_passed(empty: Store) -> None:
    """Days since an order, a stage of the ladder, a window that slid."""
    shop = Shop(
        empty,
        [
            rule("late", "days_since_last_order > 55"),
            rule("stage", "lifecycle_stage = 'at-risk'"),
            rule("busy", "orders_last_90d > 0"),
        ],
    )
    shop.hold(spenders(10000))
    shop.evaluate(NOW)
    for days, key, text in (
        (9, "late", "time passed: days_since_last_order passed 55.0 on 2026-11-26"),
        (44, "busy", "time passed: orders last 90d went from 1 to 0 on 2026-12-31"),
        (100, "stage", "time passed: days_since_last_order passed 135.0 (1.5 times the expected 90.0) on 2027-02-14"),
    ):
        shop.evaluate(NOW + days * DAY)
        moved = shop.why(key, 10).moved
        assert moved is not None
        assert [(one.kind, one.text) for one in moved.causes] == [("time", text)]


def test_a_first_run_and_a_new_rule_are_said_to_be_it(empty: Store) -> None:
    """Nobody did anything: it was the first look, or another question."""
    shop = Shop(empty, [rule("any", "number_of_orders > 0")])
    shop.hold(spenders(10000))
    shop.evaluate(NOW)
    assert causes(shop.why("any", 10))[0][0] == "first"
    shop.segments[0] = rule("any", "number_of_orders > 1")
    shop.evaluate(NOW + 1)
    assert causes(shop.why("any", 10))[0][0] == "rule"


PACKS = [one for one in load(["lifecycle", "rfm", "value", "frequency", "carts"]) if one.rule]


@settings(max_examples=15, deadline=None)
@given(history=histories(people=8, most_orders=30), data=st.data())
def test_whoever_moves_is_told_why(store: Store, history: History, data: st.DataObject) -> None:
    """After any changes and any time: own facts only for those who did something; all others time or a moved figure."""
    shop = Shop(clear(store), PACKS)
    shop.hold(history)
    shop.evaluate(NOW)
    before, history = shop.personal(), deepcopy(history)
    touched = set[int]().union(*(change(data, history) for _ in range(data.draw(st.integers(0, 3)))))
    shop.hold(history, touched)
    shop.evaluate(NOW + data.draw(st.sampled_from([0, 1, DAY, 29 * DAY, 91 * DAY])))
    after = shop.personal()
    for key, person, entered in shop.movers():
        found = shop.why(key, person)
        assert (found.member, found.moved is not None) == (entered, True)
        told = causes(found)
        kinds = {kind for kind, *_ in told}
        assert kinds <= ({"own", "figure", "time"} if person in touched else {"figure", "time"}), (key, person, told)
        assert told
        assert all(was != now and name for kind, name, was, now in told if kind == "figure"), told
        if "own" in kinds and key not in ("cart-1h", "cart-24h", "cart-72h"):
            assert before.get(person) != after[person], (key, person, told)


CLOCKED = [
    *(rule(stage, f"lifecycle_stage = '{stage}'") for stage in ("active", "at-risk", "lost")),
    rule("considering", "lifecycle_stage = 'consideration' OR open_carts_last_30d > 1"),
    rule("busy", "orders_last_30d > 0 AND NOT orders_last_90d > 2"),
    rule("rising", "spent_last_90d >= 2 * spent_prior_90d AND spent_prior_90d > 0"),
    rule("late", "IN SEGMENT 'active' AND order_gap_ratio > 1"),
]


@settings(max_examples=8, deadline=None)
@given(history=histories(people=3, most_orders=12))
def test_what_time_alone_will_do_comes_to_pass(store: Store, history: History) -> None:
    """On the second named the answer is the opposite; until then it is what it was."""
    shop = Shop(clear(store), CLOCKED)
    shop.hold(history)
    shop.evaluate(NOW)
    turns = {
        (one.key, person): (found.member, found.turns)
        for one in CLOCKED
        for person in shop.personal()
        if (found := shop.why(one.key, person)) is not None
    }
    named = {flip.at for _, flip in turns.values() if flip is not None}
    sampled = {NOW + days * DAY for days in (1, 31, 100, 190)}
    for instant in sorted({one - 1 for one in named} | named | sampled):
        refresh(store, now=instant, settings=SETTINGS)
        with store.read() as connection:
            held = {
                one.key: members_at(connection, CLOCKED, one.key, now=instant, settings=SETTINGS, sources_read=READ)
                for one in CLOCKED
            }
        for (key, person), (member, flip) in turns.items():
            if flip is None or instant < flip.at:
                assert (person in held[key]) == member, (key, person, instant, flip)
            elif instant == flip.at:
                assert (person in held[key]) == flip.enters != member, (key, person, instant, flip)


def test_after_fifty_changes_every_mover_is_explained(tmp_path: Path) -> None:
    """A seeded shop behind the real client: own facts for those concerned, time or a named figure for all others."""
    town = Town(50)
    opened = town.open(tmp_path / "shop.db")
    asked = [one for one in PACKS if not one.key.startswith(("rfm6-", "rfm10-"))]
    shop = Shop(opened, asked, MetricSettings(BERLIN, town.world.currency))
    town.pull(opened)
    shop.evaluate(int(town.clock.now()))
    rng = Random(7)
    kinds: set[str] = set()
    for step, changes in ((3600, 50), (DAY, 0), (2 * DAY, 0)):
        before = shop.personal()
        town.clock.advance(step)
        happen(town.world, rng, changes)
        town.clock.advance(600)
        town.pull(opened)
        shop.evaluate(int(town.clock.now()))
        after = shop.personal()
        for key, person, entered in shop.movers():
            found = shop.why(key, person)
            told = causes(found)
            assert found.member == entered
            assert told
            kinds |= {kind for kind, *_ in told}
            if before.get(person) == after[person] and not key.startswith("cart"):
                assert {kind for kind, *_ in told} <= {"figure", "time"} or "subscri" in key, (key, person, told)
    assert {"own", "figure", "time"} <= kinds <= {"own", "figure", "time"}
    opened.close()
