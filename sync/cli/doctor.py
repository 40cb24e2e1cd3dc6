"""`regulars doctor`: every condition a run depends on, tried live, each finding with its way out."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from connector.base import Clock, Finding
from connector.errors import PlatformError, ScopeError
from connector.retry import PATIENT_FOR_A_PERSON
from sync import log
from sync.cli.output import counted, folded, show, show_json
from sync.cli.wiring import connect, refuse_demo
from sync.clock import SystemClock
from sync.config import Project, load_project
from sync.errors import RegularsError
from sync.metrics.figures import FEWEST_GAPS
from sync.segments.catalogue import load, warnings
from sync.store import reports, state
from sync.store.engine import open_store

MARKS = {"ok": "ok  ", "warning": "note", "error": "FAIL"}
LOW_DISK = 500 * 1024 * 1024
STALE_HOURS = 36


def run(config: Path | None, *, as_json: bool) -> None:
    """Print every finding; raises RegularsError (exit 1) where one of them stops a run."""
    log.configure()
    project = load_project(config)
    refuse_demo(project)
    findings = list(examine(project, SystemClock()))
    if as_json:
        show_json([{"level": f.level, "subject": f.subject, "text": f.text, "fix": f.fix} for f in findings])
    else:
        show_findings(findings)
    if bad := failures(findings):
        verb = "stops" if bad == 1 else "stop"
        raise RegularsError(f"doctor: {bad} of {counted(len(findings), 'finding')} {verb} a run")


def show_findings(findings: Sequence[Finding]) -> None:
    """A finding after the other, its fix below."""
    for finding in findings:
        show(folded(f"{MARKS[finding.level]}  {finding.subject}: {finding.text}", 6))
        if finding.fix and finding.level != "ok":
            show(folded(f"      → {finding.fix}", 8))


def failures(findings: Sequence[Finding]) -> int:
    """How many of them stop a run."""
    return sum(finding.level == "error" for finding in findings)


def examine(project: Project, clock: Clock) -> Iterator[Finding]:
    """Files, segments, the store, the destinations, what the database knows."""
    yield from _files(project)
    yield from _segments(project)
    yield from examine_platforms(project, clock)
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
    yield Finding("ok", "segments", f"{counted(len(segments), 'segment')} in order")
    for text in warnings(segments):
        yield Finding("warning", "segments", text)


def examine_platforms(project: Project, clock: Clock) -> Iterator[Finding]:
    """Keys and scopes, tried live for seconds only. A platform that refuses as a whole is not asked again."""
    with ExitStack() as closing:
        try:
            source, destinations = connect(project, clock, {}, closing, policy=PATIENT_FOR_A_PERSON)
        except (RegularsError, PlatformError) as error:
            yield Finding("error", "keys", str(error))
            return
        looks = [(project.store.name, source.doctor)]
        names = [its.platform.name for its in project.destinations]
        looks += [(name, made.doctor) for name, made in zip(names, destinations, strict=True)]
        given_up: set[str] = set()
        for platform, look in looks:
            if platform in given_up:
                continue
            try:
                yield from look()
            except PlatformError as error:
                yield Finding("error", platform, _without_name(error))
                if not isinstance(error, ScopeError):
                    given_up.add(platform)


def _without_name(error: PlatformError) -> str:
    """The finding's subject names the platform."""
    return str(error).removeprefix(f"{error.platform}: ")


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
            gaps = reports.figure(connection, "purchase_day_gaps")
            held = state.quarantined(connection)
    finally:
        store.close()
    if runs:
        seconds = clock.now() - runs[0].started_at
        text = f"last run {_ago(seconds)}"
        if seconds > STALE_HOURS * 3600:
            yield Finding("warning", "schedule", text, "run `regulars sync` on a schedule, for example daily by cron")
        else:
            yield Finding("ok", "schedule", text)
    if shop and project.timezone and shop["zone"] != project.timezone.key:
        text = f"days are counted in {project.timezone.key}, the shop's own zone is {shop['zone']}"
        yield Finding("warning", "zone", text, "remove timezone from [store] to use the shop's")
    if gaps is not None and gaps < FEWEST_GAPS:
        text = f"only {counted(int(gaps), 'gap')} between purchases so far, so 90 days stand in for the shop's own"
        yield Finding("warning", "rhythm", text, f"nothing to do: from {FEWEST_GAPS} gaps on the shop's own is used")
    if held:
        text = f"{counted(len(held), 'unreadable record')} kept aside; the first: {held[0].reason}"
        yield Finding("warning", "quarantine", text, "regulars status lists them; they are tried again on every change")


def _ago(seconds: float) -> str:
    """In the unit that a person would use."""
    if seconds < 120:
        return "just now"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} minutes ago"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} hours ago"
    return f"{seconds / 86_400:,.0f} days ago"
