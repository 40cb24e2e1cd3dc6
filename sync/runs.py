"""One run, from the lock to its report: pull → metrics → segments → plan → apply, each step restartable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from connector.base import Clock, Destination, Shop, Source
from sync.apply import ApplyReport, apply, check_keys
from sync.config import Project
from sync.errors import RegularsError
from sync.metrics import MetricSettings, MetricsReport, refresh
from sync.plan import Plan, make_plan
from sync.progress import Progress
from sync.pull import PullReport, pull
from sync.segments.catalogue import Segment
from sync.segments.evaluate import Changes, evaluate
from sync.store import state
from sync.store.engine import Store
from sync.store.lock import RunLock


@dataclass(frozen=True, slots=True)
class Workspace:
    """All that a run works with. `source` and `destinations` are None and empty for commands that stay at home."""

    project: Project
    store: Store
    clock: Clock
    segments: tuple[Segment, ...]
    source: Source | None = None
    destinations: tuple[Destination, ...] = ()
    progress: Progress = field(kw_only=True)


@dataclass(slots=True)
class RunReport:
    """What a run did, in the shape of `sync --json` (design, section 4)."""

    run: int
    exit: int = 0
    pulled: PullReport | None = None
    metrics: MetricsReport | None = None
    segments: Changes | None = None
    plan: Plan | None = None
    applied: ApplyReport | None = None
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The stable machine form."""
        return {
            "run": self.run,
            "exit": self.exit,
            "streams": [stream.to_json() for stream in self.pulled.streams] if self.pulled else [],
            "metrics": {
                "recomputed": self.metrics.recomputed if self.metrics else 0,
                "store_wide": self.metrics.store_wide if self.metrics else 0,
            },
            "segments": self.segments.to_json() if self.segments else [],
            "destinations": self.applied.to_json() if self.applied else [],
            "plan": self.plan.to_json() if self.plan else None,
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Steps:
    """Which parts of a run to do, and how."""

    pull: bool = False
    derive: bool = False
    plan: bool = False
    apply: bool = False
    plan_id: str | None = None
    full: bool = False
    only: tuple[str, ...] | None = None
    force: tuple[str, ...] = ()
    adopt: bool = False


def run(work: Workspace, command: str, steps: Steps, *, shown: Callable[[Plan], None] | None = None) -> RunReport:
    """Do the steps under the store's lock and close the run with its report, also when a step fails.

    `shown` sees the plan before anything of it is written. Raises what stopped the run.
    """
    with RunLock(work.store.path, work.clock, command):
        started = work.clock.now()
        now = int(started)
        report = RunReport(run=state.open_run(work.store, command, now))
        try:
            _do(work, steps, report, now, shown)
            report.exit = _exit_code(report)
        except BaseException as error:
            report.exit = getattr(error, "exit_code", 130 if isinstance(error, KeyboardInterrupt) else 3)
            report.notes.append(redact(f"stopped: {error}"))
            raise
        finally:
            report.seconds = work.clock.now() - started
            state.close_run(
                work.store, report.run, report.exit, orjson.dumps(report.to_json()).decode(), int(work.clock.now())
            )
    return report


def _do(work: Workspace, steps: Steps, report: RunReport, now: int, shown: Callable[[Plan], None] | None) -> None:
    if steps.plan or steps.apply:
        check_keys(work.destinations)
    if steps.pull and work.source is not None:
        report.pulled = pull(
            work.source,
            work.store,
            run_id=report.run,
            now=now,
            zone=work.project.timezone,
            prefix=work.project.tag_prefix,
            only=steps.only,
            full=steps.full,
            clock=work.clock,
            progress=work.progress,
        )
    if steps.derive:
        settings = metric_settings(work.project, work.store)
        report.metrics = refresh(work.store, now=now, settings=settings, full=steps.full)
        with work.store.begin() as conn:
            report.segments = evaluate(conn, work.segments, now=now, settings=settings, run_id=report.run)
    if steps.plan:
        report.plan = make_plan(work, now=now, run_id=report.run, force=steps.force, adopt=steps.adopt)
        if shown is not None:
            shown(report.plan)
    if steps.apply and report.plan is not None:
        report.applied = apply(
            report.plan, work.destinations, work.store, now=now, clock=work.clock, progress=work.progress
        )


def _exit_code(report: RunReport) -> int:
    """A held audience wants the owner (5); refusals and unfinished work are told once (4)."""
    if report.plan is not None and report.plan.held:
        return 5
    if report.applied is not None and (report.applied.refused or report.applied.unfinished):
        return 4
    return 0
