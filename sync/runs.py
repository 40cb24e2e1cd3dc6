"""One run, from the lock to its report: pull → metrics → segments → plan → apply, each step restartable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from connector.base import Clock, Destination, Shop, Source
from connector.errors import PlatformError, Unavailable
from connector.redact import redact
from sync.config import Project
from sync.errors import Held, RegularsError
from sync.log import bind_run
from sync.metrics import MetricSettings, MetricsReport, refresh
from sync.progress import Progress
from sync.pull.pull import PullReport, pull
from sync.push.accounts import claim
from sync.push.apply import apply, check_keys
from sync.push.audit import Audit, audit, parse
from sync.push.guards import TRUNCATED_HISTORY
from sync.push.plan import config_digest, make_plan
from sync.push.plan_value import Plan
from sync.push.recheck import recheck
from sync.push.report import ApplyReport
from sync.push.undo import plan_undo
from sync.segments.catalogue import Segment
from sync.segments.evaluate import Changes, evaluate
from sync.segments.yardsticks import note_yardsticks
from sync.store import audience, plans, state
from sync.store.engine import Connection, Store
from sync.store.lock import RunLock
from sync.store.settle import settle

BUG = 3
INTERRUPTED = 130
NOTHING_PULLED = "nothing has been pulled yet; run `regulars pull` or `regulars sync` first"


@dataclass(frozen=True, slots=True)
class Workspace:
    """All that a run works with. `source` is None and `destinations` empty for commands that stay at home."""

    project: Project
    store: Store
    clock: Clock
    segments: tuple[Segment, ...]
    progress: Progress
    source: Source | None = None
    destinations: tuple[Destination, ...] = ()


@dataclass(frozen=True, slots=True)
class Steps:
    """Which parts of a run to do, and how. `plan_id` applies a plan that was made before, `undo` takes a run back."""

    pull: bool = False
    derive: bool = False
    plan: bool = False
    apply: bool = False
    plan_id: str | None = None
    undo: int | None = None
    full: bool = False
    only: tuple[str, ...] | None = None
    force: tuple[str, ...] = ()
    adopt: bool = False


@dataclass(slots=True)
class RunReport:
    """What a run did. `exit` is the command's exit code."""

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
        """The stable machine form (`sync --json`)."""
        return {
            "run": self.run,
            "exit": self.exit,
            "streams": [
                {
                    "stream": its.stream,
                    "read": its.read,
                    "new": its.new,
                    "changed": its.changed,
                    "unchanged": its.unchanged,
                    "quarantined": its.quarantined,
                    "pages": its.pages,
                    "calls": its.calls,
                }
                for its in (self.pulled.streams if self.pulled else ())
            ],
            "metrics": {
                "recomputed": self.metrics.recomputed if self.metrics else 0,
                "store_wide": self.metrics.store_wide if self.metrics else 0,
            },
            "segments": [
                {"key": its.key, "size": its.size, "entered": its.entered, "left": its.left, "missing": its.missing}
                for its in (self.segments.segments if self.segments else ())
            ],
            "destinations": self.applied.to_json() if self.applied else [],
            "plan": self.plan.id if self.plan else None,
            "guards": [guard.text for guard in self.plan.guards] if self.plan else [],
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }


def run(work: Workspace, command: str, steps: Steps, *, shown: Callable[[Plan], None] | None = None) -> RunReport:
    """Do the steps in a run of their own. `shown` sees the plan before anything of it is written.

    Raises what stopped the run.
    """
    with opened(work, command) as (report, now):
        _do(work, steps, report, now, shown)
        report.exit = exit_code(report)
    return report


@contextmanager
def opened(work: Workspace, command: str) -> Iterator[tuple[RunReport, int]]:
    """A run under the store's lock, with its moment; it is closed with its report, also when what is done fails."""
    with RunLock(work.store.path, work.clock, command):
        started = work.clock.now()
        now = int(started)
        with work.store.begin() as connection:
            report = RunReport(state.open_run(connection, command, now=now, started_at=now))
        bind_run(report.run)
        try:
            yield report, now
        except BaseException as error:
            report.exit = _code_of(error)
            told = "interrupted" if isinstance(error, KeyboardInterrupt) else redact(str(error))
            report.notes.append(f"stopped: {told or type(error).__name__}")
            raise
        finally:
            report.seconds = work.clock.now() - started
            with work.store.begin() as connection:
                finished = int(work.clock.now())
                state.close_run(
                    connection, report.run, finished_at=finished, exit_code=report.exit, report=report.to_json()
                )


def _do(work: Workspace, steps: Steps, report: RunReport, now: int, shown: Callable[[Plan], None] | None) -> None:
    shop: Shop | None = None
    checked: Mapping[str, PlatformError] = {}
    if steps.plan or steps.apply or steps.undo is not None:
        checked = _check(work)
    if steps.pull:
        shop = _pull(work, steps, report, now)
    else:
        _settle(work)
    begun = _go_on(work, report, now, checked) if steps.apply and steps.plan_id is None else []
    if steps.derive:
        _derive(work, steps, report, now)
    if steps.undo is not None:
        report.plan = plan_undo(
            work.store,
            work.segments,
            work.destinations,
            target=steps.undo,
            now=now,
            run_id=report.run,
            force=steps.force,
            accept=work.project.accept,
            silent={name: str(error) for name, error in checked.items()},
            progress=work.progress,
        )
    elif steps.plan:
        report.plan = _plan(work, steps, report, now, shop or _known_shop(work.store), checked)
    elif steps.plan_id is not None:
        report.plan, failed = recheck(
            plans.load(work.store, steps.plan_id),
            work.segments,
            work.destinations,
            work.store,
            now=now,
            accept=work.project.accept,
            silent=checked,
        )
        checked = {**checked, **failed}
    if report.plan is not None and shown is not None:
        shown(report.plan)
    if steps.apply and report.plan is not None:
        report.applied = _apply(work, report, report.plan, now, checked)
        for earlier in begun:
            report.applied = report.applied.plus(earlier)


def run_audit(work: Workspace, additions: Sequence[str], removals: Sequence[str]) -> Audit:
    """Compare every audience of ours with what stands there. Raises UsageError, and what stopped the run."""
    with work.store.read() as connection:
        keys = {segment.partition("@")[0] for _, segment in audience.kept(connection)}
    choices = parse(additions, removals, sorted({*keys, *(its.key for its in work.segments)}))
    with opened(work, "audit") as (report, _):
        silent = {name: str(error) for name, error in _check(work).items()}
        found = audit(
            work.store,
            work.destinations,
            choices,
            now=work.clock.now,
            run_id=report.run,
            progress=work.progress,
            silent=silent,
        )
        report.notes += [error for _, error in found.unreachable]
        report.exit = Unavailable.exit_code if found.unreachable else 0
    return found


def _check(work: Workspace) -> dict[str, PlatformError]:
    """Every key proved, and whose accounts they open. Returns who did not answer."""
    silent = check_keys(work.destinations)
    claim(work.store, [each for each in work.destinations if each.name not in silent])
    return silent


def _go_on(work: Workspace, report: RunReport, now: int, checked: Mapping[str, PlatformError]) -> list[ApplyReport]:
    """Finish what was begun to be taken back: no other plan makes these ops again."""
    with work.store.read() as connection:
        begun = plans.undoing(connection)
    made = []
    for plan in begun:
        applied = _apply(work, report, plan, now, checked)
        added, removed = (sum(getattr(its, name) for its in applied.destinations) for name in ("added", "removed"))
        report.notes.append(f"went on taking back run {plan.undoes}: {added:,} added, {removed:,} removed")
        made.append(applied)
    return made


def _plan(
    work: Workspace, steps: Steps, report: RunReport, now: int, shop: Shop | None, checked: Mapping[str, PlatformError]
) -> Plan:
    if shop is None:
        raise RegularsError(NOTHING_PULLED)
    plan = make_plan(
        work.store,
        work.segments,
        work.destinations,
        now=now,
        run_id=report.run,
        force=steps.force,
        accept=work.project.accept,
        adopt=steps.adopt,
        shop=shop,
        silent={name: str(error) for name, error in checked.items()},
        progress=work.progress,
    )
    if any(guard.guard == TRUNCATED_HISTORY for guard in plan.guards):
        report.notes.append(f"{work.project.store.name}: {shop.truncated}, or run with --force {TRUNCATED_HISTORY}")
    return plan


def _apply(
    work: Workspace, report: RunReport, plan: Plan, now: int, checked: Mapping[str, PlatformError]
) -> ApplyReport:
    return apply(
        plan,
        work.destinations,
        work.store,
        now=now,
        clock=work.clock,
        progress=work.progress,
        run_id=report.run,
        config=config_digest(work.segments, work.destinations),
        checked=checked,
    )


def _pull(work: Workspace, steps: Steps, report: RunReport, now: int) -> Shop:
    if work.source is None:
        raise TypeError("a pull needs a source")
    report.pulled = pull(
        work.source,
        work.store,
        run_id=report.run,
        now=now,
        zone=work.project.timezone,
        prefix=work.project.tag_prefix,
        only=steps.only,
        full=steps.full,
        progress=work.progress,
    )
    report.notes += report.pulled.notes
    return report.pulled.shop


def _settle(work: Workspace) -> None:
    """Bring what is stored in line with the zone and prefix that the configuration has now, as a pull would."""
    with work.store.read() as connection:
        shop = state.get_meta(connection, "shop")
    if shop is not None:
        zone = work.project.timezone or ZoneInfo(shop["zone"])
        settle(work.store, zone=zone, prefix=work.project.tag_prefix)


def _derive(work: Workspace, steps: Steps, report: RunReport, now: int) -> None:
    with work.store.read() as connection:
        settings = metric_settings(work.project, connection)
        read = sources_read(connection)
    report.metrics = refresh(work.store, now=now, settings=settings, full=steps.full)
    with work.store.begin() as connection:
        note_yardsticks(connection, work.segments, now=now, settings=settings, run_id=report.run, sources_read=read)
        report.segments = evaluate(
            connection, work.segments, now=now, settings=settings, run_id=report.run, sources_read=read
        )
        state.set_meta(connection, state.EVALUATED, now)


def metric_settings(project: Project, connection: Connection) -> MetricSettings:
    """How orders count, in which zone and currency. Raises RegularsError before the first pull."""
    shop = state.get_meta(connection, "shop")
    if shop is None:
        raise RegularsError(NOTHING_PULLED)
    zone = project.timezone or ZoneInfo(shop["zone"])
    return MetricSettings(zone=zone, currency=shop["currency"], **project.orders.model_dump())


def sources_read(connection: Connection) -> frozenset[str]:
    """The streams that have been read to their end at least once, and those that the source has no need of."""
    completed = state.completed(connection)
    return frozenset(name for name, at in completed.items() if at is not None) | state.spared(completed)


def _known_shop(store: Store) -> Shop | None:
    """The shop as the last pull saw it."""
    with store.read() as connection:
        known = state.get_meta(connection, "shop")
    if known is None:
        return None
    return Shop(
        known["id"],
        known["name"],
        known["currency"],
        known["zone"],
        oldest_order=known["oldest_order"],
        truncated=known.get("truncated", ""),
    )


def exit_code(report: RunReport) -> int:
    """A platform that stopped for good (1), an audience that wants the owner (5), then what is partly done (4)."""
    applied = report.applied.exit_code if report.applied is not None else 0
    if applied not in (0, 4):
        return applied
    if report.plan is not None and (report.plan.held or report.plan.behind):
        return Held.exit_code
    unreachable = report.plan is not None and report.plan.unreachable
    partly = report.pulled is not None and report.pulled.partly
    return Unavailable.exit_code if unreachable or partly else applied


def _code_of(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return error.exit_code if isinstance(error, RegularsError | PlatformError) else BUG
