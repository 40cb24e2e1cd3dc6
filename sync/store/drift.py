"""What an audience holds, against what the ledger says: temporary tables of one connection, one audience at a time.

`temp.seen` is who is there, by the destination's id of a person (for a store: by our key). What was acknowledged in
the last minutes, or is in doubt, may not show yet and is judged by nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sync.push.consent import LIVE, STANDING
from sync.store.engine import Connection
from sync.store.external import OUTWARD, key_of
from sync.store.withdrawn import settled

CHUNK: Final = 1000
YOUNG: Final = 15 * 60
"""Seconds for which a change may not show in what a destination lists: indexes and jobs lag by seconds to minutes."""


@dataclass(frozen=True, slots=True)
class Drifter:
    """Somebody who is there and not ours, or ours and not there. `wanted`: the segment has them, nothing forbids it."""

    customer_id: int
    id: str
    wanted: bool
    remote_id: str | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """One audience. `nobodies` are there and no customers of the shop; `young` could not be judged."""

    members: int
    ours: int
    added: tuple[Drifter, ...]
    removed: tuple[Drifter, ...]
    nobodies: int
    young: int


def start(conn: Connection) -> None:
    """Empty tables, which outlive the transactions of this connection until `finish`."""
    finish(conn)
    conn.exec_driver_sql("CREATE TEMP TABLE seen (remote_id TEXT PRIMARY KEY) WITHOUT ROWID")
    conn.commit()


def finish(conn: Connection) -> None:
    """Take the temporary tables away: connections are used again."""
    conn.rollback()
    for table in ("seen", "held", "settling", "standing", "strangers"):
        conn.exec_driver_sql(f"DROP TABLE IF EXISTS temp.{table}")
    conn.commit()


def see(conn: Connection, members: Iterable[str], *, by_email: bool) -> None:
    """Take in who is there, as the destination lists them; the same one may come twice."""
    conn.exec_driver_sql("DELETE FROM temp.seen")
    coming = iter(members)
    while group := list(islice(coming, CHUNK)):
        rows = [(each if by_email else str(key_of(each)),) for each in group]
        conn.exec_driver_sql("INSERT OR IGNORE INTO temp.seen VALUES (?)", rows)
    conn.commit()


def compare(conn: Connection, destination: str, segment: str, now: int, *, by_email: bool) -> Drift:
    """Needs `see`, and `consent.prepare` and `consent.double` in this transaction."""
    key = {"destination": destination, "segment": segment, "recent": now - YOUNG}
    _lay_out(conn, key, by_email)
    removed = conn.exec_driver_sql(_REMOVED.format(there=_THERE[by_email]), key).all()
    added = conn.exec_driver_sql(_ADDED, key).all()
    return Drift(
        members=_count(conn, "SELECT count(*) FROM temp.seen", {}),
        ours=_count(conn, "SELECT count(*) FROM ledger WHERE destination = :destination AND segment = :segment", key),
        added=tuple(Drifter(row[0], row[1], bool(row[2]), row[3] if by_email else None) for row in _judged(added)),
        removed=tuple(Drifter(row[0], row[1], bool(row[2])) for row in _judged(removed)),
        nobodies=_count(conn, "SELECT count(*) FROM temp.strangers WHERE customer_id IS NULL", {}),
        young=sum(1 for row in (*added, *removed) if row[4]),
    )


def unknown(conn: Connection) -> bool:
    """True while somebody is there of whom it is not known who they are. Needs `compare`."""
    return _count(conn, "SELECT count(*) FROM temp.strangers WHERE customer_id IS NULL", {}) > 0


def _judged(rows: Iterable[tuple[int, str, bool, str | None, bool]]) -> Iterator[tuple[int, str, bool, str | None]]:
    return (row[:4] for row in rows if not row[4])


def _lay_out(conn: Connection, key: dict[str, object], by_email: bool) -> None:
    for table in ("held", "settling", "standing", "strangers"):
        conn.exec_driver_sql(f"DROP TABLE IF EXISTS temp.{table}")
    conn.exec_driver_sql("CREATE TEMP TABLE held (remote_id TEXT PRIMARY KEY) WITHOUT ROWID")
    for owned in _OWNED[by_email]:
        conn.exec_driver_sql(f"INSERT OR IGNORE INTO temp.held {owned}", key)
    conn.exec_driver_sql("CREATE TEMP TABLE settling (customer_id INTEGER PRIMARY KEY)")
    conn.exec_driver_sql(
        "INSERT OR IGNORE INTO temp.settling SELECT customer_id FROM outbox WHERE destination = :destination AND "
        "segment = :segment AND (state IN ('pending', 'sent', 'retry') OR (state = 'done' AND updated_at > :recent))",
        key,
    )
    conn.exec_driver_sql("CREATE TEMP TABLE standing (customer_id INTEGER PRIMARY KEY)")
    conn.exec_driver_sql(
        f"INSERT INTO temp.standing SELECT customer_id FROM ({STANDING.format(owned='ledger')}) "
        "WHERE reason IS NULL OR held_out",
        key,
    )
    conn.exec_driver_sql("CREATE TEMP TABLE strangers (remote_id TEXT PRIMARY KEY, customer_id INTEGER) WITHOUT ROWID")
    for strangers in _STRANGERS[by_email]:
        conn.exec_driver_sql(f"INSERT OR REPLACE INTO temp.strangers {strangers}", key)


def _count(conn: Connection, sql: str, key: dict[str, object]) -> int:
    return int(conn.exec_driver_sql(sql, key).scalar_one())


_LEDGER: Final = "l.destination = :destination AND l.segment = :segment"
_IDENTITY: Final = (
    "JOIN customers c ON c.id = l.customer_id "
    "JOIN identity i ON i.destination = l.destination AND i.email_key = c.email_key AND i.remote_id IS NOT NULL"
)

_OWNED: Final = {
    False: (f"SELECT CAST(l.customer_id AS TEXT) FROM ledger l WHERE {_LEDGER}",),
    True: (
        f"SELECT l.remote_id FROM ledger l WHERE {_LEDGER} AND l.remote_id IS NOT NULL",
        f"SELECT i.remote_id FROM ledger l {_IDENTITY} WHERE {_LEDGER}",
    ),
}
"""Ids under which ours may be listed: profiles that were merged there show under the one that is left."""

_THERE: Final = {
    False: "CAST(l.customer_id AS TEXT) IN (SELECT remote_id FROM temp.seen)",
    True: (
        "coalesce(l.remote_id, '') IN (SELECT remote_id FROM temp.seen) OR EXISTS (SELECT 1 FROM customers c "
        "JOIN identity i ON i.destination = l.destination AND i.email_key = c.email_key "
        "JOIN temp.seen s ON s.remote_id = i.remote_id WHERE c.id = l.customer_id)"
    ),
}

_REMOVED: Final = f"""
SELECT l.customer_id, {OUTWARD.format("l.customer_id")}, m.customer_id IS NOT NULL, NULL, q.customer_id IS NOT NULL
FROM ledger l LEFT JOIN temp.settling q ON q.customer_id = l.customer_id
LEFT JOIN temp.standing m ON m.customer_id = l.customer_id
WHERE {_LEDGER} AND NOT ({{there}}) ORDER BY l.customer_id
"""

_ADDED: Final = f"""
SELECT s.customer_id, {OUTWARD.format("s.customer_id")}, m.customer_id IS NOT NULL, s.remote_id,
       q.customer_id IS NOT NULL
FROM temp.strangers s LEFT JOIN temp.settling q ON q.customer_id = s.customer_id
LEFT JOIN temp.standing m ON m.customer_id = s.customer_id
WHERE s.customer_id IS NOT NULL ORDER BY s.customer_id
"""

# CROSS JOIN keeps the order of the tables: each is looked up by its key, where the planner would scan one for each row.
_STRANGERS: Final = {
    False: (
        (
            "SELECT s.remote_id, c.id FROM temp.seen s "
            f"LEFT JOIN customers c ON c.id = CAST(s.remote_id AS INTEGER) AND {LIVE} "
            "WHERE s.remote_id NOT IN (SELECT remote_id FROM temp.held)"
        ),
    ),
    True: (
        "SELECT remote_id, NULL FROM temp.seen WHERE remote_id NOT IN (SELECT remote_id FROM temp.held)",
        (
            "SELECT remote_id, customer_id FROM (SELECT s.remote_id AS remote_id, c.id AS customer_id, row_number() "
            "OVER (PARTITION BY s.remote_id ORDER BY m.customer_id IS NULL, c.created_at IS NULL, c.created_at, c.id) "
            "AS place FROM identity i CROSS JOIN temp.strangers s CROSS JOIN customers c "
            "LEFT JOIN temp.standing m ON m.customer_id = c.id WHERE i.destination = :destination "
            f"AND s.remote_id = i.remote_id AND c.email_key = i.email_key AND c.email_key <> '' AND {LIVE}) "
            "WHERE place = 1"
        ),
    ),
}
"""Of several customers who share a profile it is the one whom the segment would put there, or who came first."""


def take_over(
    conn: Connection, destination: str, segment: str, people: Iterable[Drifter], run_id: int, now: int
) -> None:
    """Count these as ours from now on; nothing is sent."""
    rows = [(destination, segment, its.customer_id, its.remote_id, run_id, now) for its in people]
    if rows:
        conn.exec_driver_sql(
            "INSERT OR IGNORE INTO ledger (destination, segment, customer_id, remote_id, run_id, at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )
        settled(conn, [row[:3] for row in rows])
