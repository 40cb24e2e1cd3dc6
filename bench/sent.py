"""What requests of a platform were sent for, and lines that hold their number against the fewest possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.runner import Result, at_most

TARGET = 1.05


@dataclass(frozen=True, slots=True)
class Sent:
    """One request: its operation, what can share it only with the like (`group`), and what it carries or brings."""

    name: str
    group: str = ""
    items: Sequence[str] = ()


@dataclass(slots=True)
class Tally:
    """Requests by operation; what they carried, each thing once, however often it was sent."""

    requests: Counter[str] = field(default_factory=Counter)
    carried: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def note(self, sent: Sent) -> None:
        self.requests[sent.name] += 1
        self.carried.setdefault((sent.name, sent.group), set()).update(sent.items)

    def forget(self) -> None:
        self.requests.clear()
        self.carried.clear()

    def groups(self, name: str) -> list[set[str]]:
        return [items for (its, _), items in self.carried.items() if its == name]

    def line(self, name: str, least: int) -> Line:
        return Line(name, self.requests[name], least, (name,))

    def filled(self, name: str, size: int, *, empty: int = 0) -> Line:
        """At `size` things a request, each group by itself; a group of nothing takes `empty` requests."""
        return self.line(name, sum(max(up(len(items), size), empty) for items in self.groups(name)))


@dataclass(frozen=True, slots=True)
class Line:
    """Requests of the operations `of` beside the fewest."""

    name: str
    made: int
    least: int
    of: tuple[str, ...]


def row(number: str, what: str, size: str, tally: Tally, lines: Sequence[Line]) -> Result:
    """A row of the table with a line for each operation; those that no limit bounds are shown and not judged."""
    lines = [each for each in lines if each.made or each.least]
    made, least = sum(each.made for each in lines), sum(each.least for each in lines)
    judged = {name for each in lines for name in each.of}
    figures = [f"{size}: {made:,} requests, at least {least:,}"]
    figures += [f"{each.name:44} {each.made:>6,} of {each.least:>6,}" for each in lines]
    figures += [f"{name:44} {tally.requests[name]:>6,}" for name in sorted(tally.requests) if name not in judged]
    return at_most(number, what, TARGET, made / least if least else 1.0 + made, "\n".join(figures))


def up(number: int, size: int) -> int:
    return -(-number // size)
