"""`regulars status`: what the store knows of itself. Reads stored rows only."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sync.cli.output import show, show_json, table
from sync.cli.wiring import workspace
from sync.metrics import excluded_counts, other_currencies
from sync.runs import Workspace, metric_settings
from sync.store import identity, state
from sync.store.engine import Connection

RUNS = 8


def run(config: Path | None, *, as_json: bool) -> None:
    """Print runs, freshness, queue, refusals, and what was left out and why."""
    with workspace(config, online=False) as work, work.store.read() as connection:
        found = collect(work, connection)
    if as_json:
        show_json(found)
    else:
        _print(found)


def collect(work: Workspace, connection: Connection) -> dict[str, Any]:
    """Everything `status --json` says."""
    settings = metric_settings(work.project, connection)
    return {
        "shop": state.get_meta(connection, "shop"),
        "runs": [
            {
                "run": run.id,
                "command": run.command,
                "started": _instant(run.started_at),
                "seconds": run.finished_at - run.started_at if run.finished_at is not None else None,
                "exit": run.exit_code,
                "note": "; ".join((run.report or {}).get("notes", [])) or None,
            }
            for run in state.last_runs(connection, RUNS)
        ],
        "streams": [
            {
                "stream": stream,
                "rows": _rows(connection, stream),
                "read_up_to": _instant(mark),
                "completed": _instant(at),
            }
            for stream, mark, at in connection.exec_driver_sql(
                "SELECT stream, high_water, completed_at FROM stream_state ORDER BY stream"
            )
        ],
        "excluded_orders": excluded_counts(connection, settings) if settings else {},
        "other_currencies": {
            code: {"orders": number, "total_minor_units": total}
            for code, (number, total) in (other_currencies(connection, settings) if settings else {}).items()
        },
        "unowned": asdict(identity.unowned(connection)),
        "queue": [
            {"destination": destination, "state": name, "ops": number}
            for destination, name, number in connection.exec_driver_sql(
                "SELECT destination, state, count(*) FROM outbox "
                "WHERE state NOT IN ('done', 'refused') GROUP BY 1, 2 ORDER BY 1, 2"
            )
        ],
        "refused": [
            {"destination": destination, "reason": reason, "people": number}
            for destination, reason, number in connection.exec_driver_sql(
                "SELECT destination, reason, count(*) FROM (SELECT destination, reason FROM refusal UNION ALL "
                "SELECT destination, 'still there: ' || refused FROM ledger WHERE refused IS NOT NULL) "
                "GROUP BY 1, 2 ORDER BY 1, 3 DESC"
            )
        ],
        "quarantined": [
            {"stream": record.stream, "record": record.record_id, "reason": record.reason}
            for record in state.quarantined(connection)
        ],
        "unavailable": [
            {"segment": key, "missing": missing}
            for key, missing in connection.exec_driver_sql(
                "SELECT key, missing FROM segment_state WHERE missing IS NOT NULL ORDER BY key"
            )
        ],
    }


def _rows(connection: Connection, stream: str) -> int | None:
    if stream not in ("customers", "orders", "carts"):
        return None
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {stream} WHERE gone_at IS NULL").scalar_one())


def _instant(seconds: int | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds is not None else None


def _print(found: dict[str, Any]) -> None:
    shop = found["shop"]
    if shop is None:
        show("nothing pulled yet; run `regulars sync`")
        return
    show(f"{shop['name']} ({shop['platform']}), money in {shop['currency']}, days in {shop['zone']}")
    if shop["oldest_order"] is not None:
        show(f"history is truncated: orders before {_instant(shop['oldest_order'])} cannot be seen")
    _block("Runs", ("run", "command", "started", "seconds", "exit", "note"), found["runs"])
    _block("Streams", ("stream", "rows", "read_up_to", "completed"), found["streams"])
    for code, money in found["other_currencies"].items():
        show(f"{money['orders']:,} orders in {code} count by number and date; their money is in no sum")
    if found["excluded_orders"]:
        parts = ", ".join(f"{number:,} {reason}" for reason, number in found["excluded_orders"].items())
        show(f"Orders not counted: {parts}")
    if any(found["unowned"].values()):
        parts = ", ".join(
            f"{number:,} with {why.replace('_', ' ')}" for why, number in found["unowned"].items() if number
        )
        show(f"Orders and checkouts of nobody: {parts}")
    _block("Waiting", ("destination", "state", "ops"), found["queue"])
    _block("Refused until their record changes", ("destination", "reason", "people"), found["refused"])
    _block("Kept aside unread", ("stream", "record", "reason"), found["quarantined"])
    _block("Segments that cannot be answered", ("segment", "missing"), found["unavailable"])


def _block(title: str, head: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    if rows:
        right = frozenset(i for i, key in enumerate(head) if isinstance(rows[0][key], int))
        show(f"\n{title}\n{table(head, [[row[key] for key in head] for row in rows], right)}")
