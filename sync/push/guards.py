"""What keeps one audience from being written. Pure: facts in, reasons out; the other audiences go on.

A guard says nothing when there is nothing to write. `--force GUARD[:SEGMENT]` lets one run pass, `[guards] accept`
every run.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sync.errors import UsageError

MASS_REMOVE: Final = "mass-remove"
MASS_ADD: Final = "mass-add"
LIVE_FLOW: Final = "live-flow"
EMPTIED: Final = "emptied"
DEFINITION_CHANGED: Final = "definition-changed"
STALE_SOURCE: Final = "stale-source"
TRUNCATED_HISTORY: Final = "truncated-history"
UNKNOWN_LEDGER: Final = "unknown-ledger"
UNDONE: Final = "undone"

GUARDS: Final = (
    MASS_REMOVE,
    MASS_ADD,
    LIVE_FLOW,
    EMPTIED,
    DEFINITION_CHANGED,
    STALE_SOURCE,
    TRUNCATED_HISTORY,
    UNKNOWN_LEDGER,
    UNDONE,
)

SHARE: Final = 0.30
SURGE: Final = 3.0
"""Of the members, for a window of days such as a cart's: between two daily runs half of it and more is new people."""
SMALLEST: Final = 10
"""Members below which a share says nothing: smaller audiences may lose all, and are taken for this large when people
join, so that one that has shrunk is not flooded."""
FRESH_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Facts:
    """What the guards know of one audience.

    `before` and `size` are its members of ours now and after; `left` are the removals that no loss of consent,
    deletion, merge or address explains; `waiting` of those to add were let through before, and have not arrived yet.
    `filled`: the plan of the first fill is through. `stale` are (stream, last completed
    read) of the streams that are too old or were never read; `oldest_order` is where a truncated history begins, if the
    segment reads it; `unclaimed` says what of our name stands at the destination without being in the ledger.
    """

    destination: str
    segment: str
    name: str
    before: int = 0
    size: int = 0
    matched: int = 0
    add: int = 0
    remove: int = 0
    left: int = 0
    waiting: int = 0
    adopted: bool = False
    filled: bool = False
    changeable: bool = False
    flows: tuple[str, ...] = ()
    rule_changed: bool = False
    stale: tuple[tuple[str, int | None], ...] = ()
    oldest_order: int | None = None
    unclaimed: str | None = None
    undone: int | None = None
    undoes: int | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """One reason to hold one audience. `text` is one line: the fact, the number, the way out."""

    guard: str
    destination: str
    segment: str
    text: str


def check(facts: Facts, now: int) -> list[Guard]:
    """Every guard that this audience trips."""
    if facts.add == 0 and facts.remove == 0:
        return []
    found = [
        *_sizes(facts),
        *_first_push(facts),
        *_definition(facts),
        *_taken_back(facts),
        *_sources(facts, now),
    ]
    return [Guard(name, facts.destination, facts.segment, _line(facts, name, text)) for name, text in found]


def _sizes(facts: Facts) -> Iterable[tuple[str, str]]:
    if facts.left > SHARE * facts.before and facts.before >= SMALLEST and not facts.changeable:
        share = _share(facts.left, facts.before, SHARE)
        yield MASS_REMOVE, f"{facts.left:,} of {facts.before:,} members ({share}) would leave"
    first = not facts.filled and not facts.adopted
    much = SURGE if facts.changeable else SHARE
    new, there = facts.add - facts.waiting, facts.before + facts.waiting
    if new > much * max(there, SMALLEST) and new >= SMALLEST and not first:
        share = f" ({_share(new, there, much)})" if there else ""
        yield MASS_ADD, f"{people(new)} would join {there:,} members{share}"
    if facts.left > 0 and facts.matched == 0 and not facts.changeable:
        empty = "nobody is in the segment any more" if facts.undoes is None else "nobody would be left"
        yield EMPTIED, f"{empty}, {people(facts.before)} would leave"


def _first_push(facts: Facts) -> Iterable[tuple[str, str]]:
    if facts.adopted and not facts.filled and facts.add and facts.flows:
        flows = ", ".join(f'"{flow}"' for flow in facts.flows)
        yield LIVE_FLOW, f"{people(facts.add)} would start the live flow {flows}"
    if facts.unclaimed:
        yield UNKNOWN_LEDGER, facts.unclaimed


def _definition(facts: Facts) -> Iterable[tuple[str, str]]:
    if facts.rule_changed:
        yield DEFINITION_CHANGED, f"its condition has changed since the last write: + {facts.add:,}  - {facts.remove:,}"


def _taken_back(facts: Facts) -> Iterable[tuple[str, str]]:
    if facts.undone is not None and (facts.add or facts.left):
        moves = [f"{people(facts.add)} would join"] if facts.add else []
        moves += [f"{people(facts.left)} would leave"] if facts.left else []
        yield UNDONE, f"run {facts.undone} was taken back here; {' and '.join(moves)}"


def _sources(facts: Facts, now: int) -> Iterable[tuple[str, str]]:
    if facts.stale:
        ages = ", ".join(
            f"{stream} never read to the end" if at is None else f"{stream} last read {(now - at) // 3600} h ago"
            for stream, at in facts.stale
        )
        yield STALE_SOURCE, f"{ages}, more than {FRESH_SECONDS // 3600} h"
    if facts.oldest_order is not None:
        day = datetime.fromtimestamp(facts.oldest_order, UTC).date().isoformat()
        yield TRUNCATED_HISTORY, f"orders before {day} cannot be seen, so it may hold the wrong people"


_ADVICE: Final = {
    STALE_SOURCE: "run `regulars pull`, or ",
    TRUNCATED_HISTORY: "grant read_all_orders, or ",
    UNKNOWN_LEDGER: "take over with --adopt, or leave it alone and ",
    UNDONE: "mend the segment, or ",
}


def _line(facts: Facts, guard: str, text: str) -> str:
    force = f"--force {guard}:{facts.segment}"
    passing = force if facts.undoes is None else f"`regulars undo {facts.undoes} {force}`"
    way_out = f"{_ADVICE.get(guard, '')}pass with {passing}"
    return f"{facts.destination}: {facts.segment}: {text}; {way_out}"


def _share(part: int, whole: int, limit: float) -> str:
    return f"{part / whole:.0%}, over {limit:.0%}"


def people(number: int) -> str:
    """1 person, 2 people."""
    return f"{number:,} {'person' if number == 1 else 'people'}"


def parse_force(flags: Sequence[str]) -> tuple[tuple[str, str | None], ...]:
    """`GUARD` or `GUARD:SEGMENT` (keys may hold colons). Raises UsageError on a guard that does not exist."""
    parsed: list[tuple[str, str | None]] = []
    for flag in flags:
        guard, colon, segment = flag.partition(":")
        if guard not in GUARDS:
            near = difflib.get_close_matches(guard, GUARDS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; guards are {', '.join(GUARDS)}"
            raise UsageError(f"--force {flag}: no guard {guard!r}{hint}")
        parsed.append((guard, segment if colon else None))
    return tuple(parsed)


def is_passed(guard: Guard, passes: Iterable[tuple[str, str | None]]) -> bool:
    """True when a force or a standing acceptance covers the guard."""
    return passed(guard.guard, guard.segment, passes)


def passed(guard: str, key: str, passes: Iterable[tuple[str, str | None]]) -> bool:
    """The same for a guard and a segment by name."""
    return any(name == guard and segment in (None, key) for name, segment in passes)


def stale(streams: Iterable[str], read_at: Mapping[str, int | None], now: int) -> tuple[tuple[str, int | None], ...]:
    """Those of the streams whose last completed read is too old, with its time."""
    return tuple((name, read_at.get(name)) for name in sorted(streams) if not fresh(read_at.get(name), now))


def fresh(completed_at: int | None, now: int) -> bool:
    """True when a stream's last completed read is young enough."""
    return completed_at is not None and now - completed_at <= FRESH_SECONDS
