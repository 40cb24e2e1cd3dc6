"""When to try again, and when to stop. The server's own number of seconds beats the backoff."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

T = TypeVar("T")


class Again(Exception):
    """One try failed in a way that another may mend; `seconds` is what the server asked for, if it did."""

    def __init__(self, reason: str, seconds: float | None = None, request_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class Policy:
    """Doubling backoff with full jitter, capped in tries and in time.

    `seconds` caps what one call may spend on failed requests and on waiting between them; a wait for our own budget
    does not count, but a single one longer than `seconds` ends the call too.
    """

    tries: int = 8
    seconds: float = 300.0
    first: float = 1.0
    longest: float = 60.0

    def backoff(self, tried: int, chance: float) -> float:
        """Seconds after `tried` failures; `chance` lies in [0, 1).

        Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        """
        return chance * min(self.longest, self.first * 2.0 ** min(tried - 1, 60))

    def wait(self, again: Again, tried: int, chance: float) -> float:
        """At least what the server asked for, spread by up to a tenth so that clients do not return together."""
        if again.seconds is None:
            return self.backoff(tried, chance)
        return again.seconds + chance * min(5.0, again.seconds / 10)


PATIENT_FOR_A_PERSON = Policy(seconds=10.0, longest=4.0)
"""For checks that somebody waits for."""


class Attempts:
    """The tries of one call. Raises the last `Again` when the policy's caps are reached.

    `told` hears why, how long and which try it will be, from the second failure on: a single one is nothing to tell.
    """

    def __init__(
        self,
        policy: Policy,
        sleep: Callable[[float], None],
        random: Callable[[], float],
        told: Callable[[Again, float, int], None] = lambda again, seconds, attempt: None,
    ) -> None:
        self.tries = 0
        self.spent = 0.0
        self._policy = policy
        self._sleep = sleep
        self._random = random
        self._told = told

    def charge(self, seconds: float) -> None:
        """Count `seconds` of a request against the cap on time."""
        self.spent += seconds

    def run(self, attempt: Callable[[], T]) -> T:
        """The result of the first try that does not raise `Again`."""
        controller = Retrying(
            sleep=self._pause,
            wait=self._wait,
            stop=self._stop,
            retry=retry_if_exception_type(Again),
            before_sleep=self._before_sleep,
            reraise=True,
        )

        def counted() -> T:
            self.tries += 1
            return attempt()

        return controller(counted)

    def _before_sleep(self, state: RetryCallState) -> None:
        again = state.outcome.exception() if state.outcome else None
        if self.tries > 1 and isinstance(again, Again):
            self._told(again, state.upcoming_sleep, self.tries + 1)

    def _pause(self, seconds: float) -> None:
        self.spent += seconds
        self._sleep(seconds)

    def _wait(self, state: RetryCallState) -> float:
        again = state.outcome.exception() if state.outcome else None
        if not isinstance(again, Again):
            raise TypeError(f"a wait without a failed try: {again!r}")
        return self._policy.wait(again, state.attempt_number, self._random())

    def _stop(self, state: RetryCallState) -> bool:
        return self.tries >= self._policy.tries or self.spent + state.upcoming_sleep > self._policy.seconds
