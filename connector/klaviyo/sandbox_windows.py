"""Klaviyo's rate limits as the server counts them: fixed windows per operation.

https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from connector.klaviyo.limits import limits

_DAY = 86_400.0


@dataclass
class Windows:
    """Counts requests in windows that begin on the second, the minute and the day. Time runs `scale` times faster."""

    scale: float = 1.0
    _counts: dict[tuple[str, float], tuple[int, int]] = field(default_factory=dict)

    def refuse(self, operation: str, now: float) -> int | None:
        """Seconds to wait, in real time, if a window of the operation is full; else the request is counted."""
        sizes = self._sizes(operation)
        waits = [
            math.ceil(self._left(seconds, now) / self.scale)
            for seconds, limit in sizes.items()
            if self._used(operation, seconds, now) >= limit
        ]
        if waits:
            return max(1, *waits)
        for seconds in sizes:
            window = math.floor(now * self.scale / seconds)
            self._counts[operation, seconds] = (window, self._used(operation, seconds, now) + 1)
        return None

    def headers(self, operation: str, now: float) -> Mapping[str, str]:
        """Of the minute's window only, and on every answer but a 429."""
        limit = limits().operations[operation].steady
        return {
            "ratelimit-limit": str(limit),
            "ratelimit-remaining": str(max(0, limit - self._used(operation, 60.0, now))),
            "ratelimit-reset": str(math.ceil(self._left(60.0, now) / self.scale)),
        }

    def _sizes(self, operation: str) -> Mapping[float, int]:
        its = limits().operations[operation]
        daily = {_DAY: limits().writes.list_creates_per_day} if operation == "CreateList" else {}
        return {1.0: its.burst, 60.0: its.steady, **daily}

    def _used(self, operation: str, seconds: float, now: float) -> int:
        window, used = self._counts.get((operation, seconds), (-1, 0))
        return used if window == math.floor(now * self.scale / seconds) else 0

    def _left(self, seconds: float, now: float) -> float:
        return seconds - (now * self.scale) % seconds
