"""`regulars doctor`: every condition a run depends on, tried live, each finding with its way out."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from connector.base import Clock, Finding
from connector.errors import PlatformError
from sync.cli.output import show, show_json
from sync.cli.wiring import connect, refuse_demo
from sync.clock import SystemClock
from sync.config import Project, load_project
from sync.errors import RegularsError
from sync.metrics.figures import FEWEST_GAPS
from sync.segments.catalogue import load, warnings
from sync.store import state
from sync.store.engine import open_store

MARKS = {"ok": "ok  ", "warning": "note", "error": "BAD "}
LOW_DISK = 500 * 1024 * 1024
STALE_HOURS = 36


def run(config: Path | None, *, as_json: bool) -> None:
    """Print every finding; raises RegularsError (exit 1) where one of them stops a run."""
    project = load_project(config)
    refuse_demo(project)
    clock = SystemClock()
    findings = list(examine(project, clock))
    if as_json:
        show_json([{"level": f.level, "subject": f.subject, "text": f.text, "fix": f.fix} for f in findings])
    else:
        for finding in findings:
            show(f"{MARKS[finding.level]}  {finding.subject}: {finding.text}")
            if finding.fix and finding.level != "ok":
                show(f"      → {finding.fix}")
    bad = [finding for finding in findings if finding.level == "error"]
    if bad:
        raise RegularsError(f"doctor: {len(bad)} of {len(findings)} findings stop a run; the first: {bad[0].text}")


def examine(project: Project, clock: Clock) -> Iterator[Finding]:
    """Files, segments, the store, the destinations, what the database knows."""
    yield from _files(project)
    yield from _segments(project)
    yield from _platforms(project, clock)
    if project.database.exists():
        yield from _database(project, clock)


def _files(project: Project) -> Iterator[Finding]:
    secrets = project.folder / ".env"
    for path in (secrets, project.database):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding("warning", path.name, "other users of this machine can read it", f"chmod 600 {path}")
    free = shutil.disk_usage(project.folder).free
    if free < LOW_DISK:
        yield Finding("warning", "disk", f"only {free // 2**20} MB free", "free some space before the next run")
    else:
        yield Finding("ok", "disk", f"{free / 2**30:,.1f} GB free")


def _segments(project: Project) -> Iterator[Finding]:
    try:
        segments = load(project.packs, project.segment_files)
    except RegularsError as error:
        yield Finding("error", "segments", str(error).splitlines()[0], "regulars segments check shows the place")
        return
    yield Finding("ok", "segments", f"{len(segments)} compile")
    for text in warnings(segments):
        yield Finding("warning", "segments", text)


def _platforms(project: Project, clock: Clock) -> Iterator[Finding]:
    with ExitStack() as closing:
        try:
            source, destinations = connect(project, clock, {}, closing)
        except (RegularsError, PlatformError) as error:
            yield Finding("error", "keys", str(error))
            return
        for look in (source.doctor, *(destination.doctor for destination in destinations)):
            try:
                yield from look()
            except PlatformError as error:
                yield Finding("error", error.platform, str(error))


def _database(project: Project, clock: Clock) -> Iterator[Finding]:
    try:
        store = open_store(project.database, clock=clock)
    except RegularsError as error:
        yield Finding("error", "database", str(error))
        return
    try:
        with store.read() as connection:
            runs = state.last_runs(connection)
            shop = state.get_meta(connection, "shop")
            gaps = connection.exec_driver_sql("SELECT value FROM store_figures WHERE name = 'purchase_day_gaps'").scalar()
            held = state.quarantined(connection)
    finally:
        store.close()
    if runs:
        hours = (clock.now() - runs[0].started_at) / 3600
        text = f"the last run was {hours:,.0f} hours ago"
        if hours > STALE_HOURS:
            yield Finding("warning", "schedule", text, "run `regulars sync` on a schedule, for example daily by cron")
        else:
            yield Finding("ok", "schedule", text)
    if shop and project.timezone and shop["zone"] != project.timezone.key:
        text = f"days are counted in {project.timezone.key}, the shop's own zone is {shop['zone']}"
        yield Finding("warning", "zone", text, "remove timezone from [store] to use the shop's")
    if gaps is not None and gaps < FEWEST_GAPS:
        text = f"only {gaps:.0f} gaps between purchases so far, so 90 days stand in for the shop's own rhythm"
        yield Finding("warning", "rhythm", text, f"nothing to do: from {FEWEST_GAPS} gaps on the shop's own is used")
    if held:
        text = f"{len(held)} records could not be read and are kept aside; the first: {held[0].reason}"
        yield Finding("warning", "quarantine", text, "regulars status lists them; they are tried again on every change")
