"""A run's report as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from sync.apply import DestinationReport
from sync.cli.output import table
from sync.guards import TRUNCATED_HISTORY
from sync.plan_value import BEHIND
from sync.runs import RunReport


def run_text(report: RunReport) -> str:
    """What was read, what moved, and what was written."""
    blocks = [*_read(report), *_moved(report), *_written(report)]
    blocks.append(f"run {report.run} took {report.seconds:,.1f} s")
    return "\n\n".join(blocks)


def _read(report: RunReport) -> Iterator[str]:
    if report.pulled is None:
        return
    head = ("read", "records", "new", "changed", "unchanged", "kept aside", "calls")
    rows = [(s.stream, s.read, s.new, s.changed, s.unchanged, s.quarantined, s.calls) for s in report.pulled.streams]
    yield table(head, rows, frozenset(range(1, 7)))


def _moved(report: RunReport) -> Iterator[str]:
    if report.metrics is not None:
        recomputed, store_wide = report.metrics.recomputed, report.metrics.store_wide
        yield f"metrics: {recomputed:,} people recomputed, {store_wide:,} moved with the store or with time"
    if report.segments is not None:
        moved = [change for change in report.segments.segments if change.entered or change.left]
        rows = [(change.key, change.size, change.entered, change.left) for change in moved]
        head = ("segment", "people", "entered", "left")
        yield table(head, rows, frozenset({1, 2, 3})) if moved else "segments: nobody moved"


def _written(report: RunReport) -> Iterator[str]:
    if report.applied is None:
        return
    head = ("written to", "added", "removed", "refused", "unfinished", "calls")
    rows = [(d.destination, d.added, d.removed, d.refused, d.unfinished, d.calls) for d in report.applied.destinations]
    yield table(head, rows, frozenset(range(1, 6)))
    for its in report.applied.destinations:
        for reason, number in its.reasons.items():
            yield f"{its.destination}: {number:,} {reason}"


def concerns(report: RunReport) -> Iterator[str]:
    """A line for each thing that keeps the run from exit code 0: what it is, how much, the way out."""
    yield from report.notes
    if report.plan is not None:
        yield from _held(report)
        if behind := report.plan.behind:
            number = "1 segment" if len(behind) == 1 else f"{len(behind)} segments"
            yield f"{number}, for example {behind[0]}: {BEHIND}"
        reported = {its.destination for its in (report.applied.destinations if report.applied else ())}
        yield from (error for name, error in report.plan.unreachable if name not in reported)
    for its in report.applied.destinations if report.applied is not None else ():
        yield from _left(its)


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
    waiting = f"{its.destination}: {_changes(its.unfinished)} left for the next run"
    if its.error is not None:
        yield f"{its.error}; {waiting}" if its.unfinished else str(its.error)
    elif its.refused:
        yield f"{its.destination}: {_changes(its.refused)} refused{because}; `regulars status` lists them"
    elif its.unfinished:
        yield f"{waiting}{because}; run `regulars sync` again"


def _changes(number: int) -> str:
    return f"{number:,} change{'' if number == 1 else 's'}"
