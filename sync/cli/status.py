"""`regulars status`: what the store knows of itself. Reads stored rows only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from mappings.money import exponent
from mappings.money import to_text as money_text
from sync.cli.output import counted, show, show_json, table, wrapped
from sync.cli.wiring import workspace
from sync.clock import iso, local
from sync.metrics import excluded_counts, other_currencies
from sync.runs import Workspace, metric_settings
from sync.store import identity, reports, state
from sync.store.engine import Connection

RUNS = 8
ENDS = {
    None: "not at all: killed, or still running",
    0: "well",
    1: "stopped (1)",
    3: "stopped by a bug (3)",
    4: "partly done (4)",
    5: "partly held (5)",
    130: "interrupted (130)",
}
EXCLUDED = {"no_person": "of nobody"}
UNOWNED = {
    "no_address": "without an address",
    "no_match": "with an address that no customer has",
    "several": "with an address that several customers have",
}


def run(config: Path | None, *, as_json: bool) -> None:
    """Print runs, freshness, queue, refusals, and what was left out and why."""
    with workspace(config, online=False) as work, work.store.read() as connection:
        found = collect(work, connection)
        zone = metric_settings(work.project, connection).zone
    if as_json:
        show_json(found)
    else:
        _print(found, zone)


def collect(work: Workspace, connection: Connection) -> dict[str, Any]:
    """Everything `status --json` says."""
    settings = metric_settings(work.project, connection)
    runs = state.last_runs(connection, RUNS)
    shop = dict(state.get_meta(connection, "shop"))
    return {
        "unseen": shop.pop("notes", []),
        "shop": shop,
        "runs": [
            {
                "run": run.id,
                "command": run.command,
                "started": iso(run.started_at),
                "seconds": run.finished_at - run.started_at if run.finished_at is not None else None,
                "exit": run.exit_code,
                "note": "; ".join((run.report or {}).get("notes", [])) or None,
            }
            for run in runs
        ],
        "held": _held(runs),
        "streams": [
            {
                "stream": its.stream,
                "rows": its.rows,
                "read_up_to": _instant(its.high_water),
                "completed": _instant(its.completed_at),
                "unreadable": its.unreadable,
            }
            for its in reports.streams(connection)
        ],
        "excluded_orders": excluded_counts(connection, settings),
        "other_currencies": {
            code: {"orders": number, "total_minor_units": total}
            for code, (number, total) in other_currencies(connection, settings).items()
        },
        "unowned": asdict(identity.unowned(connection)),
        "queue": [
            {"destination": destination, "state": name, "ops": number}
            for destination, name, number in reports.waiting(connection)
        ],
        "refused": [
            {"destination": destination, "reason": reason, "people": number}
            for destination, reason, number in reports.refusals(connection)
        ],
        "quarantined": [
            {"stream": record.stream, "record": record.record_id, "reason": record.reason}
            for record in state.quarantined(connection)
        ],
        "unavailable": [
            {"segment": key, "missing": missing} for key, missing in reports.unavailable(connection).items()
        ],
    }


def _held(runs: list[state.Run]) -> list[dict[str, Any]]:
    """What guards held in the last run that made a plan."""
    planned = (run for run in runs if (run.report or {}).get("plan"))
    last = next(planned, None)
    return [] if last is None else [{"run": last.id, "text": text} for text in last.report["guards"]]


def _instant(seconds: int | None) -> str | None:
    return None if seconds is None else iso(seconds)


def _print(found: dict[str, Any], zone: ZoneInfo) -> None:
    shop = found["shop"]

    def at(instant: str | None) -> str | None:
        return None if instant is None else local(datetime.fromisoformat(instant).timestamp(), zone)

    show(f"{shop['name']} ({shop['platform']}), money in {shop['currency']}, days in {zone.key}")
    if shop["oldest_order"] is not None:
        show(f"History is truncated: orders before {local(shop['oldest_order'], zone)} cannot be seen")
    _runs(found["runs"], at)
    for its in found["held"]:
        if its is found["held"][0]:
            show(f"\nHeld by run {its['run']}, not written")
        show(wrapped(its["text"], "  "))
    rows = [(its["stream"], its["rows"], at(its["read_up_to"]), at(its["completed"])) for its in found["streams"]]
    _block("Read", ("records", "here", "up to", "complete at"), rows)
    for its in found["streams"]:
        if its["unreadable"]:
            show(wrapped(its["unreadable"], f"{its['stream']}: not readable: "))
    for text in found["unseen"]:
        show(wrapped(text, "Cannot be seen: "))
    _orders(found)
    waiting = [(its["destination"], its["state"], its["ops"]) for its in found["queue"]]
    _block("Changes on their way", ("destination", "state", "changes"), waiting)
    refused = [(its["destination"], its["people"], its["reason"]) for its in found["refused"]]
    _block("Refused until their record changes", ("destination", "people", "reason"), refused)
    unread = [(its["stream"], its["record"], its["reason"]) for its in found["quarantined"]]
    _block("Unreadable, kept aside", ("records", "id", "reason"), unread)
    unavailable = [(its["segment"], its["missing"]) for its in found["unavailable"]]
    _block("Segments that cannot be answered", ("segment", "because"), unavailable)


def _runs(runs: list[dict[str, Any]], at: Callable[[str | None], str | None]) -> None:
    """One row a run; what a run had to say stands below, whole."""
    rows = [
        (its["run"], its["command"], at(its["started"]), _took(its["seconds"]), ENDS.get(its["exit"], its["exit"]))
        for its in runs
    ]
    _block("Runs", ("run", "command", "started", "took", "ended"), rows)
    for its in runs:
        if its["note"]:
            show(wrapped(its["note"], f"run {its['run']}: "))


def _took(seconds: int | None) -> str | None:
    return None if seconds is None else f"{seconds:,} s"


def _orders(found: dict[str, Any]) -> None:
    for code, money in found["other_currencies"].items():
        total = f"{money_text(money['total_minor_units'], exponent(code))} {code}"
        show(f"{counted(money['orders'], 'order')} in {code} ({total} in all) counted by number and date; in no sum")
    if found["excluded_orders"]:
        parts = ", ".join(f"{number:,} {EXCLUDED.get(why, why)}" for why, number in found["excluded_orders"].items())
        show(f"Orders not counted: {parts}")
    if any(found["unowned"].values()):
        parts = ", ".join(f"{number:,} {UNOWNED[why]}" for why, number in found["unowned"].items() if number)
        show(f"Orders and checkouts of nobody: {parts}")


def _block(title: str, head: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        right = frozenset(i for i in range(len(head)) if isinstance(rows[0][i], int))
        show(f"\n{title}\n{table(head, rows, right)}")
