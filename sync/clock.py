"""The only place that tells the time and spends it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, tzinfo


def iso(seconds: int) -> str:
    """An instant for machines: UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local(seconds: float, zone: tzinfo) -> str:
    """An instant for people: in the store's zone, to the minute."""
    return datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%d %H:%M")


class SystemClock:
    """Wall time."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


class ManualClock:
    """Time that moves only when told to, or by sleeping: for tests and for worlds that run in this process."""

    def __init__(self, now: float) -> None:
        self._now = float(now)
        self.slept = 0.0

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.advance(max(0.0, seconds))
        self.slept += max(0.0, seconds)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._now += seconds
