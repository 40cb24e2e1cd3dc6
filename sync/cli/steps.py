"""`sync` and its steps: each a run under the lock, with its report on stdout."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

import typer

from sync.cli.output import folded, note, show, show_json
from sync.cli.segments import members_as_of
from sync.cli.summary import concerns, run_text
from sync.cli.wiring import as_of_instant, offline_view, where, workspace
from sync.errors import UsageError
from sync.push.plan_value import BEHIND, Plan
from sync.push.present import plan_text
from sync.runs import RunReport, Steps, Workspace, run
from sync.segments.evaluate import missing_sources

CHANGES = 10


def run_sync(
    *,
    config: Path | None,
    dry_run: bool,
    full: bool,
    only: str | None,
    no_pull: bool,
    force: list[str],
    adopt: bool,
    as_json: bool,
    as_of: str | None,
) -> None:
    """Pull, derive, plan; apply unless dry."""
    _now_only("sync", as_of)
    steps = Steps(
        pull=not no_pull,
        derive=True,
        plan=True,
        apply=not dry_run,
        full=full,
        only=_names(only),
        force=tuple(force),
        adopt=adopt,
    )
    with workspace(config, online=True) as work:
        report = run(work, "sync", steps)
    finish(report, as_json=as_json, with_plan=dry_run, own=_own(work), tail=where(config))


def run_pull(*, config: Path | None, full: bool, only: str | None, as_json: bool) -> None:
    """Read what changed."""
    with workspace(config, online=True) as work:
        finish(run(work, "pull", Steps(pull=True, full=full, only=_names(only))), as_json=as_json)


def run_derive(*, config: Path | None, full: bool, as_json: bool, as_of: str | None) -> None:
    """Metrics and segments from what is here; with an instant, sizes as they were then, and nothing is written."""
    if as_of is None:
        with workspace(config, online=False) as work:
            finish(run(work, "derive", Steps(derive=True, full=full)), as_json=as_json)
        return
    with workspace(config, online=False) as work, offline_view(work, as_of_instant(as_of)) as view:
        missing = missing_sources(work.segments, view.sources_read)
        sizes = {its.key: len(members_as_of(work, its.key, view)) for its in work.segments if its.key not in missing}
    if as_json:
        show_json([{"key": key, "size": size} for key, size in sizes.items()])
    else:
        for key, size in sizes.items():
            show(f"{size:>10,}  {key}")


def run_plan(
    *, config: Path | None, force: list[str], adopt: bool, as_json: bool, detailed: bool, as_of: str | None
) -> None:
    """Every write, before it is made."""
    _now_only("plan", as_of)
    with workspace(config, online=True) as work:
        report = run(work, "plan", Steps(plan=True, force=tuple(force), adopt=adopt))
    plan = _plan_of(report)
    if as_json:
        show_json(plan.to_json())
    else:
        _show_plan(plan, _own(work), where(config))
    if report.exit:
        _warn(report, plan_shown=not as_json)
        raise typer.Exit(report.exit)
    if detailed and plan.changes:
        raise typer.Exit(CHANGES)


def run_apply(
    *, config: Path | None, plan_id: str | None, force: list[str], adopt: bool, as_json: bool, as_of: str | None
) -> None:
    """Apply a plan that was shown, or make one and apply it."""
    _now_only("apply", as_of)
    if plan_id is not None and (force or adopt):
        flags = " ".join([*(f"--force {guard}" for guard in force), *(["--adopt"] if adopt else [])])
        raise UsageError(
            f"apply {plan_id}: a plan is applied as it was shown; run `regulars plan {flags}` and apply that one"
        )
    steps = Steps(plan=plan_id is None, apply=True, plan_id=plan_id, force=tuple(force), adopt=adopt)
    with workspace(config, online=True) as work:
        report = run(work, "apply", steps)
    finish(report, as_json=as_json, own=_own(work), tail=where(config))


def _plan_of(report: RunReport) -> Plan:
    if report.plan is None:
        raise TypeError("the run made no plan")
    return report.plan


def _names(only: str | None) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in only.split(",") if name.strip()) if only else None


def _now_only(command: str, as_of: str | None) -> None:
    if as_of is not None:
        raise UsageError(f"{command}: --as-of looks back and never writes; {command} works on the present only")


def finish(
    report: RunReport, *, as_json: bool, with_plan: bool = False, own: Collection[str] = (), tail: str = ""
) -> None:
    """The report on stdout, what wants attention on stderr. Raises Exit with the run's code.

    The plan comes last, because it ends with the next command; one that is held is always shown. `own` are the segments
    that the owner wrote; `tail` is what the next command ends with.
    """
    plan_shown = not as_json and report.plan is not None and (with_plan or report.plan.held)
    if as_json:
        show_json(report.to_json())
    else:
        show(run_text(report))
    if plan_shown:
        show()
        _show_plan(_plan_of(report), own, tail)
    if plan_shown and with_plan:
        show("\nDry run: nothing was written.")
    _warn(report, plan_shown=plan_shown)
    raise typer.Exit(report.exit)


def _warn(report: RunReport, *, plan_shown: bool) -> None:
    for line in concerns(report, plan_shown=plan_shown):
        note(line)


def _show_plan(plan: Plan, own: Collection[str], tail: str) -> None:
    """A catalogue entry that cannot be answered is no news in a plan: `segments list` and `status` name it."""
    told = tuple((key, why) for key, why in plan.unavailable if key in own or why == BEHIND)
    show_plan(plan_text(replace(plan, unavailable=told), tail=tail))


def show_plan(lines: Iterable[str]) -> None:
    """Each line within the width, its remarks and guards too."""
    for line in lines:
        show(folded(line, 6))


def _own(work: Workspace) -> frozenset[str]:
    """The segments that the owner wrote."""
    return frozenset(its.key for its in work.segments if its.pack is None)
