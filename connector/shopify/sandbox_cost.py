"""What a query costs, and the bucket it is paid from.

Published: scalars 0, objects 1, mutations 10, a single query at most 1,000 points, 2,000 points restored at 100 a
second (shopify.dev/docs/api/usage/limits, .../apis/graphql-admin/rate-limits). The price of a connection is not; this
is the formula fitted to recorded responses: 2 + f(n) x (1 + cost of a node), f(n) = max(1, floor(2 ln n)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connector.base import Clock

MAX_QUERY_COST = 1000
FREE_TYPES = frozenset({"MoneyBag", "MoneyV2", "MailingAddress", "PageInfo"})
OBJECT_PRICES = {"Count": 10}

Variables = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Priced:
    """The cost of a selection: a fixed part and its connections."""

    fixed: int
    connections: tuple[PricedConnection, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PricedConnection:
    """A connection of `size` rows (as the variables ask), each priced as `node`."""

    size: Callable[[Variables], int]
    node: Priced


Rows = dict[PricedConnection, list[int]]


def factor(rows: int) -> int:
    return max(1, math.floor(2 * math.log(rows))) if rows > 0 else 0


def requested(cost: Priced, variables: Variables) -> int:
    """The price before running: every page is taken to be full."""
    return cost.fixed + sum(
        2 + factor(connection.size(variables)) * (1 + requested(connection.node, variables))
        for connection in cost.connections
    )


def actual(cost: Priced, rows: Rows) -> int:
    """The price of what was returned; `rows` holds (times resolved, rows in all) per connection."""
    total = cost.fixed
    for connection in cost.connections:
        times, count = rows.get(connection, (0, 0))
        if times:
            total += 2 + factor(math.ceil(count / times)) * (1 + actual(connection.node, rows))
    return total


class Bucket:
    """Points that refill with time. `scale` makes them refill faster than Shopify's."""

    def __init__(self, clock: Clock, *, maximum: float = 2000.0, rate: float = 100.0, scale: float = 1.0) -> None:
        self._clock = clock
        self.maximum = maximum
        self.rate = rate * scale
        self._available = maximum
        self._at = clock.now()

    def available(self) -> float:
        """Points there now."""
        now = self._clock.now()
        self._available = min(self.maximum, self._available + max(0.0, now - self._at) * self.rate)
        self._at = now
        return self._available

    def take(self, points: float) -> bool:
        """Pay, if there is enough."""
        if points > self.available():
            return False
        self._available -= points
        return True

    def give_back(self, points: float) -> None:
        """What was reserved and not used."""
        self._available = min(self.maximum, self._available + points)

    def status(self) -> dict[str, float]:
        return {
            "maximumAvailable": self.maximum,
            "currentlyAvailable": math.floor(self.available()),
            "restoreRate": self.rate,
        }
