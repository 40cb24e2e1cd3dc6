"""Sending many items in one request, and finding those that make it fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from connector.klaviyo.wire import Refused
from connector.klaviyo.wire_imports import rows_named

R = TypeVar("R")


@dataclass
class Isolation(Generic[R]):
    """What became of the items of one request.

    Rows that the refusal points at are left out and the rest is sent once more; what is refused then, or points at
    nothing, is halved until single items remain. Where no request at all is accepted the fault lies not with the items:
    they wait, but for those that the first refusal pointed at, and those that do not exist. `most` bounds the requests,
    because each costs a place in the minute's window.
    """

    send: Callable[[Sequence[str]], R]
    most: int
    accepted: list[tuple[Sequence[str], R]] = field(default_factory=list)
    refused: dict[str, Refused] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    _sent: int = 0
    _first: frozenset[str] = frozenset()

    def run(self, items: Sequence[str]) -> None:
        """Send them. Every item ends in exactly one of `accepted`, `refused` and `waiting`."""
        self._run(items, stripped=False)
        if self._sent > 1 and not self.accepted:
            doubtful = {
                item: error for item, error in self.refused.items() if error.status != 404 and item not in self._first
            }
            self.waiting.update({item: str(error) for item, error in doubtful.items()})
            self.refused = {item: error for item, error in self.refused.items() if item not in doubtful}

    def reason(self, item: str) -> str:
        """Why it was refused."""
        return self.reasons.get(item) or self.refused[item].text

    def _run(self, items: Sequence[str], *, stripped: bool) -> None:
        if not items:
            return
        if self._sent >= self.most:
            text = f"not tried again after {self._sent} requests that failed for others"
            self.waiting.update(dict.fromkeys(items, text))
            return
        self._sent += 1
        try:
            self.accepted.append((items, self.send(items)))
        except Refused as error:
            self._blame(items, error, stripped)

    def _blame(self, items: Sequence[str], error: Refused, stripped: bool) -> None:
        named = {items[index]: reason for index, reason in rows_named(error.errors).items() if index < len(items)}
        if named:
            self.reasons.update(named)
            self.refused.update(dict.fromkeys(named, error))
            rest = [item for item in items if item not in named]
            if stripped:
                self._halve(rest)
            else:
                self._first = frozenset(named) if self._sent == 1 else self._first
                self._run(rest, stripped=True)
        elif len(items) == 1:
            self.refused[items[0]] = error
        else:
            self._halve(items, stripped=stripped)

    def _halve(self, items: Sequence[str], *, stripped: bool = True) -> None:
        middle = len(items) // 2
        self._run(items[:middle], stripped=stripped)
        self._run(items[middle:], stripped=stripped)
