"""Lists as Wix's search indexes have them: sorted by any field, and a while behind the truth.

Reading one record by its id does not pass through here and is always current.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from connector.base import Clock
from connector.wix.sandbox_filter import Filter, Values, read

Key = tuple[Any, ...]
ROUNDING = 0.001


class Sort(NamedTuple):
    """Sort by a field, downwards if asked."""

    name: str
    down: bool = False


class _Down:
    """A value that sorts the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Down) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Down) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.value)


class Entry(NamedTuple):
    """A record as it was indexed: what it is found by, and how it looked, unless that is worked out when asked."""

    values: Values
    document: Any = None


class Listing:
    """The records of one kind, by number, in every order somebody asked for."""

    def __init__(self, entries: Mapping[int, Entry]) -> None:
        self.entries = dict(entries)
        self._by_id = {str(entry.values["id"]): number for number, entry in self.entries.items()}
        self._sorted: dict[tuple[Sort, ...], list[Key]] = {}

    def put(self, number: int, entry: Entry | None) -> None:
        """Replace what is known of a record; None removes it."""
        old = self.entries.pop(number, None)
        for sorts, keys in self._sorted.items():
            if old is not None:
                del keys[bisect_left(keys, _key(number, old.values, sorts))]
            if entry is not None:
                insort(keys, _key(number, entry.values, sorts))
        if old is not None:
            del self._by_id[str(old.values["id"])]
        if entry is not None:
            self.entries[number] = entry
            self._by_id[str(entry.values["id"])] = number

    def walk(self, sorts: Sequence[Sort], wanted: Filter, after: Key | None = None) -> Iterator[Key]:
        """Keys behind `after` that match, in order. The last part of a key is the record's number."""
        sorts = tuple(sorts)
        if wanted.ids is not None:
            found = [self._by_id[each] for each in wanted.ids if each in self._by_id]
            keys = sorted(_key(number, self.entries[number].values, sorts) for number in found)
        else:
            keys = self._keys(sorts)
        start = bisect_right(keys, after) if after is not None else 0
        if sorts and not sorts[0].down and sorts[0].name in wanted.lower:
            start = max(start, bisect_left(keys, ((1, wanted.lower[sorts[0].name] - ROUNDING),)))
        entries, test = self.entries, wanted.test
        for at in range(start, len(keys)):
            key = keys[at]
            if test is None or test(entries[key[-1]].values):
                yield key

    def numbers(self, wanted: Filter) -> list[int]:
        """Every record that matches."""
        return [key[-1] for key in self.walk((), wanted)]

    def _keys(self, sorts: tuple[Sort, ...]) -> list[Key]:
        keys = self._sorted.get(sorts)
        if keys is None:
            keys = sorted(_key(number, entry.values, sorts) for number, entry in self.entries.items())
            self._sorted[sorts] = keys
        return keys


def _key(number: int, values: Values, sorts: Sequence[Sort]) -> Key:
    parts: list[Any] = []
    for name, down in sorts:
        value = read(values, name)
        part = (0,) if value is None else (1, value)
        parts.append(_Down(part) if down else part)
    parts.append(number)
    return tuple(parts)


class Lagging:
    """Listings of several kinds that follow what is put into them `lag` seconds later."""

    def __init__(self, clock: Clock, lag: float) -> None:
        self._clock = clock
        self.lag = lag
        self._listings: dict[str, Listing] = {}
        self._waiting: deque[tuple[float, str, int, Entry | None]] = deque()

    def fill(self, kind: str, entries: Mapping[int, Entry]) -> None:
        """What is indexed from the start."""
        self._listings[kind] = Listing(entries)

    def put(self, kind: str, number: int, entry: Entry | None) -> None:
        """Have a record indexed anew, or forgotten."""
        self._waiting.append((self._clock.now() + self.lag, kind, number, entry))

    def now(self, kind: str) -> Listing:
        """The index as it is by now."""
        moment = self._clock.now()
        while self._waiting and self._waiting[0][0] <= moment:
            _, changed, number, entry = self._waiting.popleft()
            self._listings[changed].put(number, entry)
        return self._listings[kind]
