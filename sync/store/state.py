"""What the store knows of itself: how far streams are read, runs, single values, records that do not map."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from sync.store.engine import Connection

EVALUATED = "evaluated"
"""Key of the moment for which all segments were last evaluated."""
_UNREADABLE = "unreadable"
_BESIDE = frozenset({"products"})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stream is read: everything before `high_water` is stored.

    A range that is under way has its half-open [since, until), the token of the next page and the newest change `seen`
    so far; `until` is None when no range is under way.
    """

    stream: str
    high_water: int | None = None
    page_token: str | None = None
    since: int | None = None
    until: int | None = None
    seen: int | None = None
    completed_at: int | None = None
    swept_at: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One row of `sync_run`; `report` is what the run said at its end."""

    id: int
    command: str
    now: int
    started_at: int
    finished_at: int | None
    exit_code: int | None
    report: Any


_PROGRESS = ("stream", "high_water", "page_token", "since", "until", "seen", "completed_at", "swept_at")
_RUN = "id, command, now, started_at, finished_at, exit_code, report"


def load(connection: Connection, stream: str) -> Progress:
    """The stream's progress; an unread stream has none of it."""
    row = connection.exec_driver_sql(
        f"SELECT {', '.join(_PROGRESS)} FROM stream_state WHERE stream = ?", (stream,)
    ).first()
    return Progress(*row) if row else Progress(stream)


def save(connection: Connection, progress: Progress) -> None:
    """Belongs into the transaction that stores what it speaks of."""
    connection.exec_driver_sql(
        f"INSERT INTO stream_state ({', '.join(_PROGRESS)}) VALUES ({', '.join('?' * len(_PROGRESS))}) "
        f"ON CONFLICT (stream) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _PROGRESS[1:])}",
        tuple(getattr(progress, name) for name in _PROGRESS),
    )


def completed(connection: Connection) -> dict[str, int | None]:
    """When each stream was last read to its end: the moment at which that read began."""
    return {row[0]: row[1] for row in connection.exec_driver_sql("SELECT stream, completed_at FROM stream_state")}


def expect(connection: Connection, streams: Iterable[str]) -> None:
    """The source has these streams, read or not: one without a row is one that it does not have."""
    present = completed(connection)
    missing = [(stream,) for stream in streams if stream not in present]
    if missing:
        connection.exec_driver_sql("INSERT INTO stream_state (stream) VALUES (?)", missing)


def spared(present: Collection[str]) -> frozenset[str]:
    """Streams that segments name and this source has no need of: its lines say themselves what was bought."""
    return _BESIDE.difference(present)


def unreadable(connection: Connection) -> dict[str, str]:
    """Streams that the key might not read when they were last tried, each with the platform's word on it."""
    return dict(get_meta(connection, _UNREADABLE, {}))


def set_unreadable(connection: Connection, reasons: Mapping[str, str]) -> None:
    """Keep what `unreadable` says."""
    if reasons or unreadable(connection):
        set_meta(connection, _UNREADABLE, dict(reasons))


def any_dirty(connection: Connection) -> bool:
    """True while somebody's facts are newer than their metrics."""
    return connection.exec_driver_sql("SELECT 1 FROM dirty LIMIT 1").first() is not None


def swept(connection: Connection, stream: str, at: int) -> None:
    """Note that every id of the stream was compared."""
    save(connection, replace(load(connection, stream), swept_at=at))


def open_run(connection: Connection, command: str, *, now: int, started_at: int) -> int:
    """Begin a run and return its number."""
    return int(
        connection.exec_driver_sql(
            "INSERT INTO sync_run (command, now, started_at) VALUES (?, ?, ?) RETURNING id", (command, now, started_at)
        ).scalar_one()
    )


def close_run(connection: Connection, run_id: int, *, finished_at: int, exit_code: int, report: Any) -> None:
    """End a run with what it reports."""
    connection.exec_driver_sql(
        "UPDATE sync_run SET finished_at = ?, exit_code = ?, report = ? WHERE id = ?",
        (finished_at, exit_code, orjson.dumps(report).decode(), run_id),
    )


def last_runs(connection: Connection, limit: int = 1) -> list[Run]:
    """The newest runs, newest first; one that never closed has no `finished_at`."""
    rows = connection.exec_driver_sql(f"SELECT {_RUN} FROM sync_run ORDER BY id DESC LIMIT ?", (limit,))
    return [
        Run(number, command, now, started, finished, code, None if report is None else orjson.loads(report))
        for number, command, now, started, finished, code, report in rows
    ]


def get_meta(connection: Connection, key: str, default: Any = None) -> Any:
    """A single value, as it was set."""
    row = connection.exec_driver_sql("SELECT value FROM meta WHERE key = ?", (key,)).first()
    return orjson.loads(row[0]) if row else default


def set_meta(connection: Connection, key: str, value: Any) -> None:
    """Keep a JSON value; an equal one is not written again."""
    connection.exec_driver_sql(
        "INSERT INTO meta (key, value) VALUES (?, ?) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE value IS NOT excluded.value",
        (key, orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()),
    )


@dataclass(frozen=True, slots=True)
class Refused:
    """A record in quarantine, whole, with the reason why it does not map."""

    stream: str
    record_id: str
    reason: str
    record: Any
    run_id: int
    at: int


def quarantine(connection: Connection, refused: Iterable[Refused]) -> None:
    """Keep these records; one that is there already with the same reason and content is not written again."""
    rows = [(each.stream, each.record_id, each.reason, _text(each.record), each.run_id, each.at) for each in refused]
    if rows:
        connection.exec_driver_sql(
            "INSERT INTO quarantine (stream, record_id, reason, record, run_id, at) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (stream, record_id) DO UPDATE SET reason = excluded.reason, record = excluded.record, "
            "run_id = excluded.run_id, at = excluded.at WHERE reason <> excluded.reason OR record <> excluded.record",
            rows,
        )


def release(connection: Connection, stream: str, record_ids: Iterable[str]) -> None:
    """These records map now."""
    rows = [(stream, each) for each in record_ids]
    if rows:
        connection.exec_driver_sql("DELETE FROM quarantine WHERE stream = ? AND record_id = ?", rows)


def kept(connection: Connection, stream: str) -> set[str]:
    """The ids of the stream's records in quarantine."""
    rows = connection.exec_driver_sql("SELECT record_id FROM quarantine WHERE stream = ?", (stream,))
    return {row[0] for row in rows}


def quarantined(connection: Connection, stream: str | None = None) -> list[Refused]:
    """What is in quarantine (of one stream), by stream and id."""
    rows = connection.exec_driver_sql(
        "SELECT stream, record_id, reason, record, run_id, at FROM quarantine WHERE ? IS NULL OR stream = ? "
        "ORDER BY stream, record_id",
        (stream, stream),
    )
    return [Refused(row[0], row[1], row[2], orjson.loads(row[3]), row[4], row[5]) for row in rows]


def _text(record: Any) -> str:
    return orjson.dumps(record, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
