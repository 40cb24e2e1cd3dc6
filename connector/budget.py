"""How much may be sent, and when: rate budgets without I/O. Time is a parameter, and the server's numbers win.

A call's way through a budget: `reserve` queues it and estimates the wait, `start` spends its cost or says how long to
wait still, `settle` ends it with what the server said. Between `start` and `settle` the cost counts as spent, also on
top of the server's number, because the server may not have seen that call when it counted.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from bisect import insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from connector.base import Usage

SLACK = 0.001
"""Seconds added to every wait: epoch seconds as floats are exact to a quarter of a microsecond only."""
ROUNDING = 1e-6


@dataclass(slots=True, eq=False)
class Reservation:
    """A place in a budget's queue. `seconds` is the wait as it looked when reserved."""

    cost: float
    budget: str = ""
    seconds: float = 0.0
    settled_before: float = 0.0


class Budget(ABC):
    """One limit of a server. First come, first served; not thread-safe, `Budgets` is."""

    kind = ""

    def __init__(self) -> None:
        self._queue: list[Reservation] = []
        self._in_flight: list[Reservation] = []
        self._settled = 0.0
        self.not_before = 0.0

    @abstractmethod
    def delay(self, costs: Sequence[float], now: float) -> float:
        """Seconds until the last of `costs`, taken one after the other, may go; infinite if only a release helps."""

    @abstractmethod
    def take(self, cost: float, now: float) -> None:
        """Spend."""

    @abstractmethod
    def correct(self, usage: Usage, unseen: float, now: float) -> None:
        """Adopt the server's numbers, less what it may not have counted yet."""

    @abstractmethod
    def snapshot(self, now: float) -> dict[str, Any]:
        """The state as JSON-able values."""

    @abstractmethod
    def restore(self, data: Mapping[str, Any], now: float) -> None:
        """Take over a snapshot of an earlier run."""

    def release(self) -> None:
        """A call has come back."""
        return

    def reserve(self, cost: float, now: float, budget: str = "") -> Reservation:
        """Queue a call of `cost`."""
        reservation = Reservation(cost, budget)
        self._queue.append(reservation)
        reservation.seconds = self._due(reservation, now)
        return reservation

    def start(self, reservation: Reservation, now: float) -> float:
        """0 when the cost is spent and the call must go out now, else the seconds to wait before asking again."""
        seconds = self._due(reservation, now)
        if seconds > 0:
            return seconds
        self._queue.remove(reservation)
        self._in_flight.append(reservation)
        reservation.settled_before = self._settled
        self.take(reservation.cost, now)
        return 0.0

    def cancel(self, reservation: Reservation) -> None:
        """Leave the queue without a call."""
        self._queue.remove(reservation)

    def settle(self, reservation: Reservation, usage: Usage | None, now: float) -> None:
        """End a started call. Without `usage` its whole cost stays spent."""
        self._in_flight.remove(reservation)
        self.release()
        others_since_start = self._settled - reservation.settled_before
        if usage is not None:
            self.correct(usage, self.in_flight + others_since_start, now)
        spent = usage.spent if usage is not None else None
        self._settled += reservation.cost if spent is None else spent

    def pause(self, seconds: float, now: float) -> None:
        """Start nothing for `seconds`: the server said so."""
        self.not_before = max(self.not_before, now + seconds)

    @property
    def in_flight(self) -> float:
        """The cost of all calls under way."""
        return sum(reservation.cost for reservation in self._in_flight)

    def _due(self, reservation: Reservation, now: float) -> float:
        ahead = self._queue[: self._queue.index(reservation) + 1]
        seconds = max(self.delay([each.cost for each in ahead], now), self.not_before - now)
        return seconds + SLACK if seconds > 0 else 0.0


class PointsBucket(Budget):
    """A leaky bucket of cost points, as Shopify's Admin API has it: https://shopify.dev/docs/api/usage/limits

    Begins with the given guess; maximum, rate and level are the server's from its first answer on.
    """

    kind = "points"

    def __init__(self, maximum: float = 1000.0, rate: float = 50.0) -> None:
        super().__init__()
        self.maximum = maximum
        self.rate = rate
        self._level = maximum
        self._at = -math.inf

    def level(self, now: float) -> float:
        """Points to spend now, by our reckoning."""
        if now < self._at or self._at == -math.inf:
            self._at = now
        return min(self.maximum, self._level + (now - self._at) * self.rate)

    def delay(self, costs: Sequence[float], now: float) -> float:
        needed = sum(min(cost, self.maximum) for cost in costs)
        return max(0.0, (needed - self.level(now)) / self.rate)

    def take(self, cost: float, now: float) -> None:
        self._set(self.level(now) - min(cost, self.maximum), now)

    def correct(self, usage: Usage, unseen: float, now: float) -> None:
        if usage.maximum > 0 and usage.rate > 0:
            self.maximum, self.rate = usage.maximum, usage.rate
        self._set(min(usage.available, self.maximum) - unseen, now)

    def snapshot(self, now: float) -> dict[str, Any]:
        level = self.level(now)
        return {"at": now, "level": level, "maximum": self.maximum, "rate": self.rate}

    def restore(self, data: Mapping[str, Any], now: float) -> None:
        self.maximum, self.rate = float(data["maximum"]), float(data["rate"])
        self._set(float(data["level"]), min(now, float(data["at"])))

    def _set(self, level: float, now: float) -> None:
        self._level, self._at = level, now


class Window(Budget):
    """At most `limit` units in any `seconds`, counted sliding: so no fixed window of the server is ever overdrawn.

    The server's number describes its own window, which may begin anew before ours does.
    """

    kind = "window"

    def __init__(self, limit: float, seconds: float) -> None:
        super().__init__()
        self.limit = limit
        self.seconds = seconds
        self._log: deque[tuple[float, float]] = deque()
        self._used = 0.0
        self._seen = -math.inf

    def used(self, now: float) -> float:
        """Units spent in the `seconds` before now."""
        if now < self._seen:
            self._log = deque((instant + now - self._seen, units) for instant, units in self._log)
        self._seen = now
        while self._log and self._log[0][0] + self.seconds + ROUNDING <= now:
            self._used -= self._log.popleft()[1]
        if not self._log:
            self._used = 0.0
        return self._used

    def delay(self, costs: Sequence[float], now: float) -> float:
        used = self.used(now)
        at, planned, spent = now, deque[tuple[float, float]](), chain(self._log)
        for cost in (min(cost, self.limit) for cost in costs):
            while used + cost > self.limit + ROUNDING:
                oldest = next(spent, None) or planned.popleft()
                at = max(at, oldest[0] + self.seconds)
                used -= oldest[1]
            planned.append((at, cost))
            used += cost
        return at - now

    def take(self, cost: float, now: float) -> None:
        self.used(now)
        self._put(now, cost)

    def correct(self, usage: Usage, unseen: float, now: float) -> None:
        if usage.maximum > 0:
            self.limit = usage.maximum
        surplus = self.used(now) - (self.limit - usage.available + unseen)
        if surplus < 0:
            ends = self.seconds if usage.resets is None else min(self.seconds, usage.resets)
            self._put(now + ends - self.seconds, -surplus)
        while surplus > 0 and self._log:
            instant, units = self._log.popleft()
            dropped = min(units, surplus)
            surplus -= dropped
            self._used -= dropped
            if units > dropped:
                self._log.appendleft((instant, units - dropped))

    def snapshot(self, now: float) -> dict[str, Any]:
        self.used(now)
        per_second: dict[int, float] = {}
        for instant, units in self._log:
            second = math.ceil(instant)
            per_second[second] = per_second.get(second, 0.0) + units
        return {"at": now, "limit": self.limit, "log": [[second, units] for second, units in per_second.items()]}

    def restore(self, data: Mapping[str, Any], now: float) -> None:
        self.limit = float(data["limit"])
        back = min(0.0, now - float(data["at"]))
        self._log = deque(sorted((float(second) + back, float(units)) for second, units in data["log"]))
        self._used = sum(units for _, units in self._log)

    def _put(self, instant: float, units: float) -> None:
        if self._log and instant < self._log[-1][0]:
            insort(self._log, (instant, units))
        else:
            self._log.append((instant, units))
        self._used += units


class Concurrency(Budget):
    """At most `limit` calls under way at once."""

    kind = "concurrency"

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self._held = 0

    def delay(self, costs: Sequence[float], now: float) -> float:
        return 0.0 if self._held + len(costs) <= self.limit else math.inf

    def take(self, cost: float, now: float) -> None:
        self._held += 1

    def release(self) -> None:
        self._held -= 1

    def correct(self, usage: Usage, unseen: float, now: float) -> None:
        return

    def snapshot(self, now: float) -> dict[str, Any]:
        return {}

    def restore(self, data: Mapping[str, Any], now: float) -> None:
        return


class Several(Budget):
    """Limits that all hold at once, as a burst and a steady window of one endpoint."""

    kind = "several"

    def __init__(self, *parts: Budget) -> None:
        super().__init__()
        self.parts = parts

    def delay(self, costs: Sequence[float], now: float) -> float:
        return max(part.delay(costs, now) for part in self.parts)

    def take(self, cost: float, now: float) -> None:
        for part in self.parts:
            part.take(cost, now)

    def release(self) -> None:
        for part in self.parts:
            part.release()

    def correct(self, usage: Usage, unseen: float, now: float) -> None:
        """Numbers of a window go to the one of that length: Klaviyo's headers describe the steady window only."""
        windows = [part for part in self.parts if isinstance(part, Window)]
        if windows and usage.rate > 0:
            described = usage.maximum / usage.rate
            min(windows, key=lambda window: abs(window.seconds - described)).correct(usage, unseen, now)
        for part in self.parts:
            if not isinstance(part, Window):
                part.correct(usage, unseen, now)

    def snapshot(self, now: float) -> dict[str, Any]:
        return {"parts": [part.snapshot(now) for part in self.parts]}

    def restore(self, data: Mapping[str, Any], now: float) -> None:
        for part, state in zip(self.parts, data["parts"], strict=True):
            part.restore(state, now)


class Budgets:
    """All limits of one account at one platform, by name; thread-safe, and shared by the clients of that account.

    A call's `budget` picks one; a name without a limit of its own pays from "". Several limits under one name all hold.
    """

    def __init__(self, budgets: Mapping[str, Budget | Sequence[Budget]] | Budget) -> None:
        named = {"": budgets} if isinstance(budgets, Budget) else budgets
        self._budgets = {name: one if isinstance(one, Budget) else Several(*one) for name, one in named.items()}
        self._changed = threading.Condition()

    def reserve(self, cost: float, budget: str, now: float) -> Reservation:
        """Queue a call; its `seconds` is the wait as it looks now."""
        with self._changed:
            return self._of(budget).reserve(cost, now, budget)

    def start(self, reservation: Reservation, now: float) -> float:
        """0 when the call must go out now, else the seconds to wait. Blocks while all connections are in use."""
        with self._changed:
            while math.isinf(seconds := self._of(reservation.budget).start(reservation, now)):
                self._changed.wait()
            return seconds

    def cancel(self, reservation: Reservation) -> None:
        """Give up a call that has not started."""
        with self._changed:
            self._of(reservation.budget).cancel(reservation)
            self._changed.notify_all()

    def observe(self, reservation: Reservation, usage: Usage | None, now: float) -> None:
        """End a started call, with the server's numbers if it gave any."""
        with self._changed:
            self._of(reservation.budget).settle(reservation, usage, now)
            self._changed.notify_all()

    def pause(self, budget: str, seconds: float, now: float) -> None:
        """Start nothing that pays from `budget` for `seconds`."""
        with self._changed:
            self._of(budget).pause(seconds, now)

    def snapshot(self, now: float) -> dict[str, Any]:
        """What a later run needs to keep the pace, as JSON-able values."""
        with self._changed:
            return {name: self._state(budget, now) for name, budget in self._budgets.items()}

    def restore(self, data: Mapping[str, Any], now: float) -> None:
        """Take over a snapshot. Limits that no longer exist, or are now of another kind, are left out."""
        with self._changed:
            for name, state in data.items():
                budget = self._budgets.get(name)
                if budget is not None and state["shape"] == self._shape(budget):
                    budget.restore(state, now)
                    budget.pause(float(state["paused"]), min(now, float(state["taken"])))

    def _of(self, name: str) -> Budget:
        budget = self._budgets.get(name, self._budgets.get(""))
        if budget is None:
            raise KeyError(f"no budget {name!r}, and none for calls without a name")
        return budget

    def _state(self, budget: Budget, now: float) -> dict[str, Any]:
        paused = max(0.0, budget.not_before - now)
        return {**budget.snapshot(now), "shape": self._shape(budget), "taken": now, "paused": paused}

    def _shape(self, budget: Budget) -> str:
        inner = budget.parts if isinstance(budget, Several) else ()
        return "+".join([budget.kind, *(part.kind for part in inner)])
