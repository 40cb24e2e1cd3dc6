"""A run's report as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from sync.cli.output import table
from sync.runs import RunReport


def run_text(report: RunReport) -> str:
    """What was read, what moved, what was written, and what wants attention."""
    blocks = [*_read(report), *_moved(report), *_written(report), *report.notes]
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
        if its.error is not None:
            yield f"{its.destination}: {its.error}"
