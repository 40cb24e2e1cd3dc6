"""`regulars undo RUN`: the opposite of what one run wrote, under the same guards."""

from __future__ import annotations

from pathlib import Path

import typer

from sync.cli.output import note, show, show_json
from sync.cli.steps import show_plan
from sync.cli.summary import concerns, run_text
from sync.cli.wiring import where, workspace
from sync.push.present import plan_text
from sync.push.undo import undoable
from sync.runs import Steps
from sync.runs import run as run_steps


def run(*, target: int, config: Path | None, dry_run: bool, force: list[str], as_json: bool) -> None:
    """Plan the opposite and apply it unless dry. What is left as it is, is always shown."""
    with workspace(config, online=True) as work:
        with work.store.read() as connection:
            undoable(connection, target)
        report = run_steps(work, "undo", Steps(undo=target, apply=not dry_run, force=tuple(force)))
    plan = report.plan
    if plan is None:
        raise TypeError("the run made no plan")
    if as_json:
        show_json({**report.to_json(), "undo": plan.to_json()})
    else:
        show_plan(plan_text(plan, applied=report.applied is not None, tail=where(config)))
        show("\nDry run: nothing was written." if dry_run else f"\n{run_text(report)}")
    for line in concerns(report, plan_shown=not as_json):
        note(line)
    raise typer.Exit(report.exit)
