"""`regulars segments`: the catalogue with its sizes, one definition in full, its members, its tests."""

from __future__ import annotations

import csv
import sys
import textwrap
from pathlib import Path
from typing import Any

from sync.cli.output import counted, note, show, show_json, table, wrapped
from sync.cli.wiring import View, as_of_instant, offline_view, workspace
from sync.config import load_project
from sync.errors import RegularsError, UsageError
from sync.push.audiences import retire
from sync.runs import Workspace
from sync.segments.catalogue import Segment, load, warnings
from sync.segments.evaluate import members, members_at, missing_sources
from sync.segments.fixtures import check
from sync.segments.problems import nearest
from sync.segments.show import Shown
from sync.segments.show import show as shown
from sync.store import reports
from sync.store.external import outward

NOT_COUNTED = "not counted yet; run `regulars derive`"


def run_list(*, config: Path | None, as_json: bool, as_of: str | None) -> None:
    """Every configured segment: size, where it is pushed, what it is about."""
    instant = as_of_instant(as_of)
    with workspace(config, online=False) as work, offline_view(work, instant) as view:
        missing = missing_sources(work.segments, view.sources_read)
        if instant is None:
            sizes = reports.sizes(view.connection)
        else:
            sizes = {its.key: len(members_as_of(work, its.key, view)) for its in work.segments}
        rows: list[dict[str, Any]] = [
            {
                "key": its.key,
                "name": its.name,
                "size": None if its.key in missing else sizes.get(its.key),
                "push": pushed_to(work, its),
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
    text = [(row["key"], _people(row), ", ".join(row["push"]), row["sentence"] or row["name"]) for row in rows]
    show(table(head, text, frozenset({1}), fit=True))
    for key, reason in missing.items():
        note(f"{key} cannot be answered: {reason}")
    if uncounted := [row["key"] for row in rows if row["size"] is None and row["missing"] is None]:
        more = f", for example {uncounted[0]}" if len(uncounted) > 1 else f" ({uncounted[0]})"
        note(f"{counted(len(uncounted), 'segment')}{more}: {NOT_COUNTED}")


def _people(row: dict[str, Any]) -> int | str:
    if row["size"] is not None:
        return int(row["size"])
    return "n/a" if row["missing"] else "not yet"


def run_show(*, key: str, config: Path | None, as_json: bool, with_sql: bool) -> None:
    """One definition: condition, words, metrics read, size, what to do with it; its SQL where it is asked for."""
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
        push = pushed_to(work, segment)
    if as_json:
        show_json(
            {
                "key": segment.key,
                "name": segment.name,
                "sentence": segment.sentence,
                "where": found.condition,
                "meaning": found.meaning,
                "stages": found.stages,
                "sql": found.sql,
                "params": found.params,
                "reads": found.reads,
                "size": found.size,
                "missing": found.missing,
                "push": push,
                "pack": segment.pack,
                "goal": segment.goal,
                "place": f"{segment.file}:{segment.line}",
            }
        )
    else:
        _print_shown(found, push, with_sql=with_sql)


def _print_shown(found: Shown, push: list[str], *, with_sql: bool) -> None:
    segment = found.segment
    show(f"{segment.key}: {segment.name}")
    if segment.sentence:
        show(wrapped(segment.sentence))
    people = f"{found.size:,}" if found.size is not None else NOT_COUNTED
    own = f"{segment.file}:{segment.line}"
    _paragraph("People", people if found.missing is None else f"cannot be answered: {found.missing}")
    _paragraph("Pushed to", ", ".join(push) or "nowhere")
    _paragraph("Condition", found.condition)
    _paragraph("In words", found.meaning, *found.stages)
    _paragraph("Reads", ", ".join((*found.reads, *found.functions, *found.figures)))
    _paragraph("Defined in", f"built-in pack {segment.pack}" if segment.pack else own)
    use = {
        "goal": segment.goal,
        "do": segment.action,
        "leave out": segment.exclusions,
        "success": segment.metric,
        "subject line": segment.subject,
        "first words": segment.text,
    }
    _paragraph("Suggested use", *(f"{name}: {' '.join(text.split())}" for name, text in use.items() if text))
    if with_sql:
        show("\nSQL")
        show(textwrap.indent(found.sql, "    "))
        for name, value in found.params.items():
            show(f"    :{name} = {value!r}")


def _paragraph(title: str, *texts: str) -> None:
    """The texts under their title, each in lines that fit; nothing without a text."""
    if any(texts):
        show(f"\n{title}")
        for text in texts:
            show(wrapped(text, "    "))


def run_members(*, key: str, config: Path | None, format_: str, as_json: bool, as_of: str | None) -> None:
    """The platform's ids of everybody in a segment."""
    instant = as_of_instant(as_of)
    with workspace(config, online=False) as work, offline_view(work, instant) as view:
        keys = people_of(work, find(work, key), view, instant)
        people = list(outward(view.connection, keys).values())
    if as_json:
        show_json(people)
    elif format_ == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["customer_id"])
        writer.writerows([person] for person in people)
    else:
        for person in people:
            show(person)


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
        own = sum(its.pack is None for its in segments)
        fine = "is fine" if report.segments == 1 else "are fine"
        passed = report.people - len(report.failures)
        show(f"{counted(report.segments, 'segment')} {fine} ({own} of your own); {counted(passed, 'test case')} passed")
    if report.failures:
        raise RegularsError(
            f"segments check: {len(report.failures)} of {counted(report.people, 'test case')} failed; "
            "mend the condition or the case"
        )


def run_retire(*, key: str, config: Path | None) -> None:
    """Let the next plan empty the audiences of a segment where it is no longer pushed to."""
    with workspace(config, online=False) as work:
        pushed = [name for its in work.segments if its.key == key for name in pushed_to(work, its)]
        closed = retire(work.store, key, pushed=pushed)
        kinds = {its.name: its.platform.audience_kind for its in work.project.destinations}
    places = []
    for its in closed:
        where = "" if its.destination == "tags" else f"{its.destination} "
        places.append(f'{where}{kinds.get(its.destination, "audience")} "{its.name}"')
    names = " and ".join(places)
    show(f"{key}: retired, nothing is written yet; everybody will leave {names}; what is emptied stays")
    show("next: `regulars plan` shows it, `regulars apply` or the next `regulars sync` does it")


def pushed_to(work: Workspace, segment: Segment) -> list[str]:
    """The enabled destinations that the segment goes to, in the order of the config."""
    names = [its.name for its in work.project.destinations]
    return [name for name in names if segment.push is None or name in segment.push]


def find(work: Workspace, key: str) -> Segment:
    """The configured segment of that key; raises UsageError with the nearest name."""
    for segment in work.segments:
        if segment.key == key:
            return segment
    near = nearest(key, [its.key for its in work.segments])
    raise UsageError(f"no segment {key!r}{near or ';'} `regulars segments list` shows all")


def people_of(work: Workspace, segment: Segment, view: View, instant: int | None) -> list[int]:
    """Keys of its members as last evaluated, or as of an instant. Raises RegularsError where it cannot be answered."""
    reason = missing_sources(work.segments, view.sources_read).get(segment.key)
    if reason is not None:
        raise RegularsError(f"segment {segment.key} cannot be answered: {reason}")
    if instant is not None:
        return members_as_of(work, segment.key, view)
    if segment.key not in reports.sizes(view.connection):
        raise RegularsError(f"segment {segment.key}: {NOT_COUNTED}")
    return members(view.connection, segment.key)


def members_as_of(work: Workspace, key: str, view: View) -> list[int]:
    """Members by the facts that the view shows."""
    return members_at(
        view.connection, work.segments, key, now=view.now, settings=view.settings, sources_read=view.sources_read
    )
