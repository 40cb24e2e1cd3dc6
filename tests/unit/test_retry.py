"""Tries, pauses, and when they end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.retry import Again, Attempts, Policy
from sync.clock import ManualClock

CHANCE = st.floats(0, 1, exclude_max=True)


def failing(*failures: Again, charge: float = 0.0):
    """An attempt that fails in these ways, one after the other, then gives 'done'; and its Attempts."""
    left = list(failures)
    clock = ManualClock(0)
    attempts = Attempts(Policy(), clock.sleep, lambda: 0.5)

    def attempt() -> str:
        attempts.charge(charge)
        if left:
            raise left.pop(0)
        return "done"

    return attempt, attempts, clock


@given(st.integers(1, 2000), CHANCE)
def test_backoff_doubles_up_to_its_cap(tried, chance):
    """Full jitter: anything between nothing and the doubled pause, never over the longest."""
    policy = Policy()
    assert 0 <= policy.backoff(tried, chance) <= min(policy.longest, 2.0 ** min(tried - 1, 10))


@given(st.floats(0, 1e6), st.integers(1, 20), CHANCE)
def test_the_servers_seconds_are_the_least(seconds, tried, chance):
    """We come back no earlier than we were told, and little later."""
    wait = Policy().wait(Again("busy", seconds), tried, chance)
    assert seconds <= wait <= seconds + 5


def test_waits_between_tries_double():
    """Three failures, half of 1, 2 and 4 seconds."""
    attempt, attempts, clock = failing(Again("a"), Again("b"), Again("c"))
    assert attempts.run(attempt) == "done"
    assert (attempts.tries, clock.slept) == (4, 3.5)


def test_no_failure_no_wait():
    """A good first try costs nothing."""
    attempt, attempts, clock = failing()
    assert attempts.run(attempt) == "done"
    assert (attempts.tries, clock.slept) == (1, 0.0)


def test_tries_are_capped():
    """The last failure comes out, and nobody sleeps after it."""
    attempt, attempts, clock = failing(*[Again(f"try {n}", 1.0) for n in range(1, 20)])
    with pytest.raises(Again, match="try 8"):
        attempts.run(attempt)
    assert attempts.tries == 8
    assert clock.slept == pytest.approx(7 * 1.05)


def test_time_is_capped():
    """Requests that hang count; a pause that would exceed the cap is not begun."""
    attempt, attempts, clock = failing(*[Again("hung", 1.0)] * 9, charge=120)
    with pytest.raises(Again):
        attempts.run(attempt)
    assert attempts.tries == 3
    assert clock.slept == pytest.approx(2 * 1.05)


def test_a_pause_beyond_the_cap_ends_at_once():
    """An hour is not waited for."""
    attempt, attempts, clock = failing(Again("come back later", 3600.0))
    with pytest.raises(Again):
        attempts.run(attempt)
    assert (attempts.tries, clock.slept) == (1, 0.0)


def test_other_failures_are_not_tried_again():
    """Only `Again` is worth another try."""
    attempts = Attempts(Policy(), ManualClock(0).sleep, lambda: 0.5)

    def attempt() -> None:
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        attempts.run(attempt)
    assert attempts.tries == 1
