"""Commands about people: their metrics, and why they are where they are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sync.cli.output import note, show, show_json
from sync.cli.segments import find, people_of
from sync.cli.wiring import View, as_of_instant, offline_view, workspace
from sync.errors import UsageError
from sync.export import Format, export_customers
from sync.segments.explain import Clause, Explanation, explain
from sync.segments.moved import Move

_SIGNS = {True: "✓", False: "✗", None: "?"}


def run_export(
    *, config: Path | None, format_: Format, segment: str | None, output: Path | None, as_of: str | None
) -> None:
    """Every metric of everybody, or of one segment's members; a file is private and appears whole or not at all."""
    instant = as_of_instant(as_of)
    with workspace(config, online=False) as work, offline_view(work, instant) as view:
        ids = None if segment is None else people_of(work, find(work, segment), view, instant)
        with _private(output) as file:
            count = export_customers(
                view.connection, file, format=format_, now=view.now, currency=view.settings.currency, ids=ids
            )
    if output is not None:
        note(f"{count:,} customers written to {output}")


@contextmanager
def _private(output: Path | None) -> Iterator[IO[str]]:
    """stdout, or a file that is readable by its owner alone and takes its name when it is whole."""
    if output is None:
        yield sys.stdout
        return
    partial = output.with_name(output.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        yield file
    partial.replace(output)


def run_why(*, who: str, key: str | None, config: Path | None, as_json: bool, as_of: str | None) -> None:
    """The clause tree with this person's values; without a key, one for every segment they are in."""
    instant = as_of_instant(as_of)
    with workspace(config, online=False) as work, offline_view(work, instant) as view:
        person = _person(view, who)
        chosen = work.segments if key is None else (find(work, key),)
        found = [
            explain(
                view.connection,
                segment,
                person,
                work.segments,
                now=view.now,
                settings=view.settings,
                sources_read=view.sources_read,
                past=instant is not None,
            )
            for segment in chosen
        ]
        moved = _history(view, person, key) if instant is None else {}
    if as_json:
        show_json([{**asdict(its), "customer_id": str(person), "history": moved.get(its.key, [])} for its in found])
        return
    for its in found:
        if key is not None or its.member:
            _print(its, moved.get(its.key, []))
    if key is None:
        others = [its.key for its in found if not its.member and its.missing is None]
        show(f"\nNot in: {', '.join(others) or 'none other'}. Ask about one: regulars why {who} KEY")


def _person(view: View, who: str) -> int:
    """The live customer with this id or address; a merged id leads to its survivor."""
    sql = "SELECT id, merged_into FROM customers WHERE {} ORDER BY created_at, id"
    if "@" in who:
        rows = view.connection.exec_driver_sql(
            sql.format("email_key = ? AND gone_at IS NULL"), (who.strip().lower(),)
        ).all()
    elif who.isdigit():
        rows = view.connection.exec_driver_sql(sql.format("id = ?"), (int(who),)).all()
    else:
        raise UsageError(f"why: {who!r} is neither a customer id nor an e-mail address")
    if not rows:
        raise UsageError("why: no customer with that id or address; ids are those of the store's admin")
    if len(rows) > 1:
        ids = ", ".join(str(row[0]) for row in rows)
        raise UsageError(f"why: {len(rows)} customers have that address: {ids}; ask by id")
    if rows[0][1] is not None:
        note(f"customer {rows[0][0]} was merged into {rows[0][1]}")
        return int(rows[0][1])
    return int(rows[0][0])


def _history(view: View, person: int, key: str | None) -> dict[str, list[dict[str, Any]]]:
    rows = view.connection.exec_driver_sql(
        "SELECT segment, entered, at, run_id FROM membership_event "
        "WHERE customer_id = ? AND (? IS NULL OR segment = ?) ORDER BY id",
        (person, key, key),
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for segment, entered, at, run in rows:
        moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found.setdefault(segment, []).append({"entered": bool(entered), "at": moment, "run": run})
    return found


def _print(its: Explanation, history: list[dict[str, Any]]) -> None:
    if its.missing is not None:
        show(f"{its.key} cannot be answered: {its.missing}")
        return
    show(f"\n{its.customer_id} is {'in' if its.member else 'not in'} {its.key} ({its.name})")
    if its.clause is not None:
        _print_clause(its.clause, 1)
    for event in history[-3:]:
        why = f": {_causes(its.moved)}" if its.moved is not None and event is history[-1] else ""
        show(f"  {'entered' if event['entered'] else 'left'} {event['at']} in run {event['run']}{why}")
    if its.turns is not None:
        turned = (text if " becomes " in text else f"{text} turns" for text in its.turns.because)
        when = f" ({'; '.join(turned)})" if its.turns.because else ""
        show(f"  with time alone: {'enters' if its.turns.enters else 'leaves'} on {its.turns.day}{when}")
    if its.needs:
        show(f"  {'leaves' if its.member else 'enters'} when {', and '.join(its.needs)}")


def _causes(moved: Move) -> str:
    """At most three; the JSON has all."""
    texts = [cause.text for cause in moved.causes]
    return "; ".join(texts[:3]) + (f"; and {len(texts) - 3} more" if len(texts) > 3 else "")


def _print_clause(clause: Clause, depth: int) -> None:
    values = ", ".join(f"{name} = {value if value is not None else 'unknown'}" for name, value in clause.values.items())
    text = clause.kind.upper() if clause.parts else clause.text
    show(f"{'  ' * depth}{_SIGNS[clause.truth]} {text}" + (f"      [{values}]" if values else ""))
    for sentence in clause.measured:
        show(f"{'  ' * depth}    = {sentence}")
    for row in clause.evidence:
        show(f"{'  ' * depth}    · " + ", ".join(f"{name} {value}" for name, value in row.items() if value is not None))
    for part in clause.parts:
        _print_clause(part, depth + 1)
