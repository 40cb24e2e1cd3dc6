"""A run's report as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from sync.cli.output import counted, table
from sync.push.guards import TRUNCATED_HISTORY, people
from sync.push.plan_value import BEHIND
from sync.push.report import DestinationReport
from sync.runs import RunReport


def run_text(report: RunReport, *, here: float | None = None) -> str:
    """What was read, what moved, and what was written. `here`: what a simulated run took in fact."""
    blocks = [*_read(report), *_moved(report), *_written(report)]
    took = f"took {report.seconds:,.1f} s"
    if here is not None:
        took = f"took {here:,.1f} s here; {report.seconds:,.0f} s with a real shop's rate limits"
    blocks.append(f"run {report.run} {took}")
    return "\n\n".join(blocks)


def _read(report: RunReport) -> Iterator[str]:
    if report.pulled is None:
        return
    head = ("read", "records", "new", "changed", "unchanged", "unreadable", "API calls")
    rows = [(s.stream, s.read, s.new, s.changed, s.unchanged, s.quarantined, s.calls) for s in report.pulled.streams]
    yield table(head, rows, frozenset(range(1, 7)))


def _moved(report: RunReport) -> Iterator[str]:
    if report.metrics is not None:
        yield f"metrics: {_worked_out(report.metrics.recomputed, report.metrics.store_wide)}"
    if report.segments is not None:
        moved = [change for change in report.segments.segments if change.entered or change.left]
        first = all(change.entered == change.size and not change.left for change in moved)
        rows = [(its.key, its.size) if first else (its.key, its.size, its.entered, its.left) for its in moved]
        head = ("segment", "people") if first else ("segment", "people", "entered", "left")
        yield table(head, rows, frozenset({1, 2, 3})) if moved else "segments: nobody moved"


def _worked_out(recomputed: int, store_wide: int) -> str:
    parts = []
    if recomputed:
        parts.append(f"{counted(recomputed, 'customer')} worked out anew")
    if store_wide:
        parts.append(f"the scores of {store_wide:,} moved with time or the shop")
    return "; ".join(parts) or "nothing to work out"


def _written(report: RunReport) -> Iterator[str]:
    if report.applied is None:
        return
    made = report.applied.destinations
    if not any(its.added or its.removed or its.refused or its.fields or its.unfinished for its in made):
        yield "nothing to write"
        return
    head = ("written to", "added", "removed", "refused", "unfinished", "API calls")
    rows = [(_called(report, d.destination), d.added, d.removed, d.refused, d.unfinished, d.calls) for d in made]
    yield table(head, rows, frozenset(range(1, 6)))
    for its in made:
        if its.fields:
            yield f"{its.destination}: profile fields of {people(its.fields)}"
        for reason, number in its.reasons.items():
            yield f"{its.destination}: {number:,} {reason}"


def _called(report: RunReport, destination: str) -> str:
    """The store's own audiences by what they are there; an e-mail platform by its name."""
    planned = report.plan.audiences if report.plan is not None else ()
    kinds = {its.kind for its in planned if its.destination == destination and not its.consent}
    return f"{kinds.pop()}s" if kinds else destination


def concerns(report: RunReport, *, plan_shown: bool = False) -> Iterator[str]:
    """A line for each thing that keeps the run from exit code 0: what it is, how much, the way out.

    With the plan on stdout the guards have had their say there.
    """
    yield from report.notes
    if report.plan is not None:
        yield from _held_in_short(report) if plan_shown else _held(report)
        if behind := report.plan.behind:
            yield f"{counted(len(behind), 'segment')}, for example {behind[0]}: {BEHIND}"
        reported = {its.destination for its in (report.applied.destinations if report.applied else ())}
        yield from (error for name, error in report.plan.unreachable if name not in reported)
    for its in report.applied.destinations if report.applied is not None else ():
        yield from _left(its)


def _held_in_short(report: RunReport) -> Iterator[str]:
    """One line for all guards, unless the notes have said it."""
    guards = (
        [its for its in report.plan.guards if its.guard != TRUNCATED_HISTORY or not report.notes] if report.plan else []
    )
    if guards:
        names = ", ".join(dict.fromkeys(its.guard for its in guards))
        audiences = counted(len({(its.destination, its.segment) for its in guards}), "audience")
        undo = f"undo {report.plan.undoes} --dry-run" if report.plan and report.plan.undoes is not None else "plan"
        yield f"{audiences} held by {names} and not written; `regulars {undo}` says why and what lets them pass"


def _held(report: RunReport) -> Iterator[str]:
    """One line a guard; a truncated history is among the notes already."""
    guards = report.plan.guards if report.plan is not None else ()
    for name, group in groupby(sorted(guards, key=lambda its: its.guard), key=lambda its: its.guard):
        held = list(group)
        if len(held) == 1:
            yield held[0].text
        elif name != TRUNCATED_HISTORY or not report.notes:
            yield f"{name} holds {len(held)} audiences (`regulars plan` shows them), for example {held[0].text}"


def _left(its: DestinationReport) -> Iterator[str]:
    """One line: what stopped the destination, or why changes were refused or have to wait."""
    reasons = "; ".join(f"{number:,} x {reason}" for reason, number in its.reasons.items())
    because = f" ({reasons})" if reasons else ""
    waiting = f"{its.destination}: {counted(its.unfinished, 'change')} left for the next run"
    if its.error is not None:
        yield f"{its.error}; {waiting}" if its.unfinished else str(its.error)
    elif its.refused:
        yield f"{its.destination}: {counted(its.refused, 'change')} refused{because}; `regulars status` lists them"
    elif its.unfinished:
        yield f"{waiting}{because}; run `regulars sync` again"
