"""Commands about people: their metrics, and why they are where they are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from mappings.vocabulary import load_vocabulary
from sync.cli.output import note, show, show_json, wrapped
from sync.cli.segments import find, people_of
from sync.cli.wiring import View, as_of_instant, offline_view, where, workspace
from sync.clock import iso, local
from sync.errors import UsageError
from sync.metrics.export import Format, export_customers
from sync.segments.explain import Clause, Explanation, explain
from sync.segments.moved import Move
from sync.store import reports
from sync.store.external import outward
from sync.store.reports import Event

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
                view.connection,
                file,
                format=format_,
                now=view.now,
                currency=view.settings.currency,
                sources_read=view.sources_read,
                ids=ids,
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
        events = reports.moves(view.connection, person, key) if instant is None else []
        name = reports.person_name(view.connection, person)
        own = outward(view.connection, [person])[person]
        page = _Page(view, own)
    moved = {its.key: [event for event in events if event.segment == its.key] for its in found}
    if as_json:
        show_json([{**asdict(its), "customer_id": own, "history": _machine(moved[its.key])} for its in found])
        return
    show(f"{name}, customer {own}" if name else f"customer {own}")
    for its in found:
        if key is not None or its.member:
            page.show(its, moved[its.key])
    if key is None:
        others = [its.key for its in found if not its.member and its.missing is None]
        show()
        show(wrapped(", ".join(others) or "none other", "Not in: "))
        show(f"Ask about one: regulars why {own} KEY{where(config)}")


def _person(view: View, who: str) -> int:
    """The key of the live customer with this id or address; a merged id leads to its survivor."""
    who = who.strip()
    if "@" in who:
        rows = reports.customers_by_address(view.connection, who)
    elif any(character.isdigit() for character in who):
        rows = reports.customers_by_id(view.connection, who)
    else:
        raise UsageError(f"why: {who!r} is neither a customer id nor an e-mail address")
    if not rows:
        raise UsageError("why: no customer with that id or address; ids are those of the store's admin")
    if len(rows) > 1:
        ids = ", ".join(outward(view.connection, [key for key, _ in rows]).values())
        raise UsageError(f"why: {len(rows)} customers have that address: {ids}; ask by id")
    [(key, survivor)] = rows
    if survivor is not None:
        names = outward(view.connection, [key, survivor])
        note(f"customer {names[key]} was merged into {names[survivor]}")
        return survivor
    return key


def _machine(events: Sequence[Event]) -> list[dict[str, Any]]:
    return [{"entered": event.entered, "at": iso(event.at), "run": event.run_id} for event in events]


class _Page:
    """One person's explanations in lines that fit, times in the store's zone."""

    def __init__(self, view: View, own: str) -> None:
        self._own = own
        self._zone = view.settings.zone
        self._currency = view.settings.currency
        self._attributes = load_vocabulary().attributes
        self._figures = load_vocabulary().figures

    def show(self, its: Explanation, history: Sequence[Event]) -> None:
        if its.missing is not None:
            show(f"{its.key} cannot be answered: {its.missing}")
            return
        show(f"\n{self._own} is {'in' if its.member else 'not in'} {its.key} ({its.name})")
        if its.clause is not None:
            self._clause(its.clause, 1)
        for event in history[-3:]:
            why = f": {_causes(its.moved)}" if its.moved is not None and event is history[-1] else ""
            verb = "entered" if event.entered else "left"
            show(wrapped(f"{verb} {local(event.at, self._zone)} in run {event.run_id}{why}", "  "))
        if its.turns is not None:
            turned = (text if " becomes " in text else f"{text} turns" for text in its.turns.because)
            when = f" ({'; '.join(turned)})" if its.turns.because else ""
            show(
                wrapped(f"with time alone: {'enters' if its.turns.enters else 'leaves'} on {its.turns.day}{when}", "  ")
            )
        if its.needs:
            show(wrapped(f"{'leaves' if its.member else 'enters'} when {', and '.join(its.needs)}", "  "))

    def _clause(self, clause: Clause, depth: int) -> None:
        margin = "  " * depth
        show(
            wrapped(
                clause.kind.upper() if clause.kind in ("and", "or", "not") else clause.text,
                f"{margin}{_SIGNS[clause.truth]} ",
            )
        )
        own = [name for name in clause.values if name in clause.text]
        told = [name for name, value in clause.values.items() if value is not None or name in own]
        if told:
            values = ", ".join(f"{name} = {self._value(name, clause.values[name])}" for name in told)
            show(wrapped(values, f"{margin}    "))
        for sentence in clause.measured:
            show(wrapped(sentence, f"{margin}    = "))
        for row in clause.evidence:
            parts = (f"{name} {self._detail(name, value)}" for name, value in row.items() if value is not None)
            show(wrapped(", ".join(parts), f"{margin}    · "))
        for part in clause.parts:
            self._clause(part, depth + 1)

    def _value(self, name: str, value: str | None) -> str:
        """As people write it: money with its currency, days to the tenth, instants to the minute."""
        if value is None:
            return "unknown"
        one = self._figures.get(name[7:-2]) if name.startswith("store(") else self._attributes.get(name)
        if one is None:
            return value
        if one.money:
            return f"{value} {self._currency}"
        if one.kind == "date":
            return _minute(value)
        return f"{float(value):.1f}" if one.kind == "float" and "days" in name else value

    def _detail(self, name: str, value: str) -> str:
        if name == "date":
            return _minute(value)
        return f"{value} {self._currency}" if name == "amount" else value


def _minute(instant: str) -> str:
    return datetime.fromisoformat(instant).strftime("%Y-%m-%d %H:%M")


def _causes(moved: Move) -> str:
    """At most three; the JSON has all."""
    texts = [cause.text for cause in moved.causes]
    return "; ".join(texts[:3]) + (f"; and {len(texts) - 3} more" if len(texts) > 3 else "")
