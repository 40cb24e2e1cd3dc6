"""Budgets against simulated servers: what they allow is never refused, and what the server says is believed."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base import Usage
from connector.budget import SLACK, Budget, Budgets, Concurrency, PointsBucket, Reservation, Several, Window

START = 1_790_000_000.0
STEPS = st.lists(
    st.tuples(
        st.floats(0, 30),  # seconds before the next step
        st.floats(1, 400),  # requested cost
        st.floats(0, 1),  # share of it that is really spent
        st.integers(0, 5),  # how many of the replies under way arrive now
        st.randoms(use_true_random=False),  # in which order
    ),
    max_size=40,
)


@dataclass
class Bucket:
    """Shopify's side: refuses a call that costs more than the bucket holds."""

    maximum: float
    rate: float
    level: float
    at: float = START

    def serve(self, cost: float, spent: float, now: float) -> Usage:
        self.level = min(self.maximum, self.level + (now - self.at) * self.rate)
        self.at = now
        assert self.level >= min(cost, self.maximum) - 1e-3, "the server would have throttled"
        self.level -= spent
        return Usage("", self.level, self.maximum, self.rate, spent)


@dataclass
class FixedWindow:
    """Klaviyo's side: a count that begins anew at its own instants."""

    limit: int
    seconds: float
    phase: float
    counts: dict[int, int] = field(default_factory=dict)

    def serve(self, now: float) -> Usage:
        number, since = divmod(now - START + self.phase, self.seconds)
        self.counts[int(number)] = self.counts.get(int(number), 0) + 1
        assert self.counts[int(number)] <= self.limit, "the server would have answered 429"
        left = self.limit - self.counts[int(number)]
        return Usage("", left, self.limit, self.limit / self.seconds, resets=self.seconds - since)


def started(budget: Budget, cost: float, now: float) -> tuple[Reservation, float]:
    """A call that has waited as long as it was told to, and the time it is then."""
    reservation = budget.reserve(cost, now)
    for _ in range(200):
        seconds = budget.start(reservation, now)
        if seconds == 0:
            return reservation, now
        now += seconds
    raise AssertionError("waiting does not end")


@given(STEPS, st.floats(400, 3000), st.floats(10, 500), st.floats(0.2, 1), st.floats(0.2, 1))
def test_points_are_never_overspent(steps, maximum, rate, guessed_maximum, guessed_rate):
    """With any costs, refunds and order of replies, a server that has no other callers never throttles."""
    server = Bucket(maximum, rate, maximum)
    budget = PointsBucket(max(400.0, maximum * guessed_maximum), rate * guessed_rate)
    now, under_way = START, []
    for gap, cost, share, arriving, order in steps:
        now += gap
        reservation, now = started(budget, cost, now)
        under_way.append((reservation, server.serve(cost, cost * share, now)))
        order.shuffle(under_way)
        for _ in range(min(arriving, len(under_way))):
            budget.settle(*under_way.pop(), now)


@given(STEPS, st.integers(1, 4), st.floats(1, 90), st.floats(0, 90), st.booleans())
def test_windows_are_never_overdrawn(steps, limit, seconds, phase, told):
    """Whenever the server's window begins, and whether or not it tells its count, it never has to refuse."""
    server = FixedWindow(limit, seconds, phase)
    budget = Window(limit, seconds)
    now, under_way = START, []
    for gap, _cost, _share, arriving, order in steps:
        now += gap / 25 * seconds
        reservation, now = started(budget, 1, now)
        usage = server.serve(now)
        under_way.append((reservation, usage if told else None))
        order.shuffle(under_way)
        for _ in range(min(arriving, len(under_way))):
            budget.settle(*under_way.pop(), now)


@pytest.mark.parametrize(("after", "wait"), [(0, 60), (57, 3), (59.9, 0.1), (60.1, 0)])
def test_a_full_window_opens_when_its_oldest_call_is_that_old(after, wait):
    """Not before, and no later."""
    budget = Window(2, 60)
    started(budget, 1, START)
    started(budget, 1, START + 20 if after > 20 else START)
    assert budget.reserve(1, START + after).seconds == pytest.approx(wait, abs=2 * SLACK)


@given(st.lists(st.floats(0, 3), max_size=60))
def test_burst_and_steady_hold_together(gaps):
    """Two windows of one endpoint: neither is overdrawn."""
    burst, steady = FixedWindow(3, 1, 0.4), FixedWindow(10, 60, 17)
    budget, now = Several(Window(3, 1), Window(10, 60)), START
    for gap in gaps:
        reservation, now = started(budget, 1, now + gap)
        burst.serve(now)
        budget.settle(reservation, steady.serve(now), now)


@pytest.mark.parametrize("make", [lambda: PointsBucket(100, 5), lambda: Window(3, 60), lambda: Concurrency(3)])
@given(costs=st.lists(st.floats(0.5, 3), min_size=1, max_size=12))
def test_a_later_reservation_never_goes_first(make, costs):
    """Waits grow along the queue."""
    budget = make()
    waits = [budget.reserve(cost, START).seconds for cost in costs]
    assert waits == sorted(waits)


@given(st.floats(1, 100), st.floats(1, 100), st.lists(st.floats(1, 100), max_size=5))
def test_a_dearer_call_never_goes_earlier(one, other, before):
    """Waits grow with cost."""

    def wait(cost: float) -> float:
        budget = PointsBucket(150, 5)
        for each in before:
            budget.reserve(each, START)
        return budget.reserve(cost, START).seconds

    assert wait(min(one, other)) <= wait(max(one, other))


@given(st.floats(0, 5000), st.floats(100, 5000), st.floats(1, 1000))
def test_the_bucket_is_what_the_server_says(available, maximum, rate):
    """More or less than reckoned: the server's number counts, and so do its maximum and rate."""
    budget = PointsBucket(1000, 50)
    reservation, now = started(budget, 100, START)
    budget.settle(reservation, Usage("", available, maximum, rate, 20.0), now)
    assert budget.level(now) == min(available, maximum)
    assert budget.level(now + 7) == pytest.approx(min(maximum, min(available, maximum) + 7 * rate))


def test_unspent_points_come_back():
    """A call that cost less than requested leaves the difference to the next."""
    budget = PointsBucket(1000, 50)
    reservation, now = started(budget, 900, START)
    assert budget.reserve(900, now).seconds == pytest.approx(16, abs=0.01)
    budget.settle(reservation, Usage("", 990, 1000, 50, 10.0), now)
    assert budget.level(now) == 990


def test_what_is_under_way_is_not_spent_twice():
    """The server has not seen the second call when it counts for the first."""
    budget = PointsBucket(1000, 50)
    first, now = started(budget, 300, START)
    started(budget, 300, START)
    budget.settle(first, Usage("", 700, 1000, 50, 300.0), now)
    assert budget.level(now) == 400


def test_a_reply_that_was_overtaken_is_no_news():
    """The server counted for the first call before it saw the second, whose reply came earlier."""
    budget = PointsBucket(1000, 50)
    first, now = started(budget, 300, START)
    second, now = started(budget, 300, START)
    budget.settle(second, Usage("", 400, 1000, 50, 300.0), now)
    budget.settle(first, Usage("", 700, 1000, 50, 300.0), now)
    assert budget.level(now) == 400


@given(st.integers(0, 10))
def test_the_window_is_what_the_server_says(left):
    """Used by others or begun anew: the server's count replaces ours."""
    budget = Window(10, 60)
    for _ in range(5):
        reservation, now = started(budget, 1, START)
    budget.settle(reservation, Usage("", left, 10, 10 / 60), now)
    unseen = 4
    assert budget.used(now) == 10 - left + unseen


def test_foreign_use_ends_with_the_servers_window():
    """The count of others is forgotten when the server's window begins anew."""
    budget = Window(10, 60)
    reservation, now = started(budget, 1, START)
    budget.settle(reservation, Usage("", 0, 10, 10 / 60, resets=12), now)
    assert budget.reserve(1, now).seconds == pytest.approx(12 + SLACK)


def test_a_correction_reaches_those_who_wait():
    """Who was told to wait is asked again, by the numbers of then."""
    budget = PointsBucket(1000, 50)
    first, now = started(budget, 1000, START)
    waiting = budget.reserve(500, now)
    assert waiting.seconds == pytest.approx(10 + SLACK)
    budget.settle(first, Usage("", 0, 1000, 10, 1000.0), now)
    assert budget.start(waiting, now + 10) == pytest.approx(40 + SLACK)


def test_the_steady_numbers_leave_the_burst_alone():
    """A server's count of the minute says nothing about the second."""
    burst, steady = Window(3, 1), Window(60, 60)
    budget = Several(burst, steady)
    reservation, now = started(budget, 1, START)
    budget.settle(reservation, Usage("", 20, 60, 1.0), now)
    assert (burst.used(now), steady.used(now)) == (1, 40)


def test_a_pause_holds_everybody():
    """Retry-After of one call stops the others that pay from the same budget, and only those."""
    budgets = Budgets({"a": Window(10, 1), "b": Window(10, 1)})
    budgets.pause("a", 30, START)
    assert budgets.reserve(1, "a", START).seconds == pytest.approx(30 + SLACK)
    assert budgets.reserve(1, "b", START).seconds == 0


def test_a_clock_set_back_costs_no_more_than_one_window():
    """After a step of the clock to yesterday the past is where it was, as seen from now."""
    window, bucket = Window(1, 60), PointsBucket(100, 10)
    started(window, 1, START)
    started(bucket, 100, START)
    assert window.reserve(1, START - 86_400).seconds == pytest.approx(60 + SLACK)
    assert bucket.reserve(100, START - 86_400).seconds == pytest.approx(10 + SLACK)


def test_a_call_dearer_than_the_bucket_goes_out_when_it_is_full():
    """The server refuses it with its own words; waiting for ever would hide them."""
    budget = PointsBucket(1000, 50)
    started(budget, 500, START)
    assert budget.reserve(5000, START).seconds == pytest.approx(10 + SLACK)


@given(STEPS, st.floats(0, 100))
def test_pace_survives_a_restart(steps, pause):
    """A snapshot, as JSON, restored into new budgets never allows a call earlier than the old ones would."""

    def make() -> Budgets:
        return Budgets({"": PointsBucket(1000, 50), "w": (Window(5, 20), Window(9, 60))})

    old, now = make(), START
    for gap, cost, share, arriving, _order in steps:
        now += gap
        for name, price in (("", cost), ("w", 1.0)):
            reservation = old.reserve(price, name, now)
            while (seconds := old.start(reservation, now)) > 0:
                now += seconds
            usage = Usage("", 700 * share, 2000, 100, cost * share) if name == "" and arriving else None
            old.observe(reservation, usage, now)
    old.pause("w", pause, now)
    new = make()
    new.restore(json.loads(json.dumps(old.snapshot(now))), now)
    for name, price in (("", 400.0), ("w", 1.0)):
        assert new.reserve(price, name, now).seconds >= old.reserve(price, name, now).seconds - 1e-6


def test_a_snapshot_of_other_limits_is_left_out():
    """A budget that has changed its kind since begins afresh."""
    old = Budgets(Window(1, 60))
    old.pause("", 1000, START)
    new = Budgets({"": PointsBucket(100, 1)})
    new.restore({**old.snapshot(START), "gone": {"shape": "window"}}, START)
    assert new.reserve(100, "", START).seconds == 0


def test_old_snapshots_have_run_out():
    """A day later nothing is left of the waits."""
    old = Budgets({"": (Window(1, 60), PointsBucket(100, 1))})
    started(old._of(""), 100, START)
    new = Budgets({"": (Window(1, 60), PointsBucket(100, 1))})
    new.restore(old.snapshot(START), START + 86_400)
    assert new.reserve(100, "", START + 86_400).seconds == 0


def test_an_unknown_name_pays_from_the_common_budget():
    """Without one it is a mistake, and says so."""
    assert Budgets({"": Window(1, 1)}).reserve(1, "x", START).seconds == 0
    with pytest.raises(KeyError, match="no budget 'x'"):
        Budgets({"a": Window(1, 1)}).reserve(1, "x", START)


def test_connections_free_up_only_by_replies():
    """No time helps when all connections are taken; a reply does, also for a thread that already waits."""
    budgets = Budgets(Concurrency(1))
    first = budgets.reserve(1, "", START)
    assert budgets.start(first, START) == 0
    second = budgets.reserve(1, "", START)
    assert math.isinf(second.seconds)
    began = threading.Event()
    thread = threading.Thread(target=lambda: (budgets.start(second, START), began.set()))
    thread.start()
    assert not began.wait(0.05)
    budgets.observe(first, None, START)
    thread.join(5)
    assert began.is_set()


def test_giving_up_frees_the_place_in_the_queue():
    """Those behind do not wait for a call that will never be made."""
    budget = PointsBucket(100, 1)
    started(budget, 100, START)
    dear, cheap = budget.reserve(100, START), budget.reserve(1, START)
    assert cheap.seconds == pytest.approx(101 + SLACK)
    budget.cancel(dear)
    assert budget.start(cheap, START) == pytest.approx(1 + SLACK)
