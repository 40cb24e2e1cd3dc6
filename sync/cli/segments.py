"""`regulars segments`: the catalogue with its sizes, one definition in full, its members, its tests."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

from sync.audiences import retire
from sync.cli.output import note, show, show_json, table
from sync.cli.wiring import View, as_of_instant, offline_view, workspace
from sync.config import load_project
from sync.errors import RegularsError, UsageError
from sync.runs import Workspace
from sync.segments.catalogue import Segment, load, warnings
from sync.segments.evaluate import members, members_at, missing_sources
from sync.segments.fixtures import check
from sync.segments.problems import nearest
from sync.segments.show import show as shown


def run_list(*, config: Path | None, as_json: bool, as_of: str | None) -> None:
    """Every configured segment: size, where it is pushed, what it is about."""
    instant = as_of_instant(as_of)
    with workspace(config, online=False) as work, offline_view(work, instant) as view:
        missing = missing_sources(work.segments, view.sources_read)
        if instant is None:
            kept = view.connection.exec_driver_sql("SELECT key, size FROM segment_state")
            sizes = {row[0]: row[1] for row in kept}
        else:
            sizes = {its.key: len(members_as_of(work, its.key, view)) for its in work.segments}
        known = {destination.name for destination in work.project.destinations}
    rows: list[dict[str, Any]] = [
        {
            "key": its.key,
            "name": its.name,
            "size": None if its.key in missing else sizes.get(its.key),
            "push": sorted(known if its.push is None else known & set(its.push)),
            "pack": its.pack,
            "sentence": its.sentence,
            "missing": missing.get(its.key),
        }
        for its in work.segments
    ]
    if as_json:
        show_json(rows)
        return
    head = ("segment", "people", "pushed to", "who they are")
    text = [(row["key"], row["size"], ", ".join(row["push"]), row["sentence"] or row["name"]) for row in rows]
    show(table(head, text, frozenset({1})))
    for key, reason in missing.items():
        note(f"{key} cannot be answered: {reason}")


def run_show(*, key: str, config: Path | None, as_json: bool) -> None:
    """One definition: condition, words, SQL, metrics read, size."""
    with workspace(config, online=False) as work, offline_view(work, None) as view:
        segment = find(work, key)
        found = shown(
            view.connection,
            segment,
            work.segments,
            now=view.now,
            settings=view.settings,
            sources_read=view.sources_read,
        )
    if as_json:
        show_json(
            {
                "key": segment.key,
                "name": segment.name,
                "where": found.condition,
                "meaning": found.meaning,
                "sql": found.sql,
                "params": found.params,
                "reads": found.reads,
                "size": found.size,
                "missing": found.missing,
                "place": f"{segment.file}:{segment.line}",
            }
        )
        return
    show(f"{segment.key}: {segment.name}" + (f"\n{segment.sentence}" if segment.sentence else ""))
    for title, text in (
        ("people", f"{found.size:,}" if found.size is not None else f"cannot be answered: {found.missing}"),
        ("condition", found.condition),
        ("in words", found.meaning),
        ("reads", ", ".join((*found.reads, *found.functions, *found.figures))),
        ("defined in", f"{segment.file}:{segment.line}"),
        ("goal", segment.goal),
        ("do", segment.action),
        ("leave out", segment.exclusions),
        ("success", segment.metric),
        ("subject line", segment.subject),
        ("first words", segment.text),
        ("SQL", found.sql),
    ):
        if text:
            indented = "\n".join(f"    {line}" for line in text.splitlines())
            show(f"\n{title}\n{indented}")


def run_members(*, key: str, config: Path | None, format_: str, as_json: bool, as_of: str | None) -> None:
    """The platform's ids of everybody in a segment."""
    instant = as_of_instant(as_of)
    with workspace(config, online=False) as work, offline_view(work, instant) as view:
        people = people_of(work, find(work, key), view, instant)
    if as_json:
        show_json([str(person) for person in people])
    elif format_ == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["customer_id"])
        writer.writerows([person] for person in people)
    else:
        for person in people:
            show(str(person))


def run_check(*, config: Path | None, as_json: bool) -> None:
    """Compile everything, ask every test person. Raises RegularsError where one is wrong."""
    project = load_project(config)
    segments = load(project.packs, project.segment_files)
    report = check(segments)
    if as_json:
        show_json({"segments": report.segments, "people": report.people, "failures": list(report.failures)})
    else:
        for text in warnings(segments):
            note(text)
        for failure in report.failures:
            show(failure)
        show(f"{report.segments} segments compile, {report.people} test people asked")
    if report.failures:
        raise RegularsError(f"segments check: {len(report.failures)} test people are on the wrong side")


def run_retire(*, key: str, config: Path | None) -> None:
    """Let the next plan empty the audiences of a segment that is no longer configured."""
    with workspace(config, online=False) as work:
        if key in {its.key for its in work.segments}:
            raise UsageError(f"segment {key} is still configured; take it out of [segments] or its file first")
        closed = retire(work.store, key)
    names = ", ".join(f"{its.destination} {its.name!r}" for its in closed)
    show(f"{key}: everybody will be taken out of {names}; `regulars plan` shows it, `regulars apply` does it")


def find(work: Workspace, key: str) -> Segment:
    """The configured segment of that key; raises UsageError with the nearest name."""
    for segment in work.segments:
        if segment.key == key:
            return segment
    near = nearest(key, [its.key for its in work.segments])
    raise UsageError(f"no segment {key!r}{near or ';'} `regulars segments list` shows all")


def people_of(work: Workspace, segment: Segment, view: View, instant: int | None) -> list[int]:
    """Its members now, as last evaluated, or as of an instant. Raises RegularsError where it cannot be answered."""
    reason = missing_sources(work.segments, view.sources_read).get(segment.key)
    if reason is not None:
        raise RegularsError(f"segment {segment.key} cannot be answered: {reason}")
    return members(view.connection, segment.key) if instant is None else members_as_of(work, segment.key, view)


def members_as_of(work: Workspace, key: str, view: View) -> list[int]:
    """Members by the facts that the view shows."""
    return members_at(
        view.connection, work.segments, key, now=view.now, settings=view.settings, sources_read=view.sources_read
    )
