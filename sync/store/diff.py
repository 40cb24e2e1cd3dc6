"""Wanted membership against the ledger, as sets.

`temp.diff` holds every op with its reason: `entered` and `left` the segment, `lost` (consent, deletion, merge: still a
member, or no longer anybody), `moved` (the person's address leads to another profile), `doubt` (sent once, never heard
of: sent again), `mended` (put back without ado where somebody or something took the person out). Only doubt changes no
count: before + (entered, mended, moved) - (left, lost, moved) = size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sync.push import outbox
from sync.push.consent import STANDING, moved_sql
from sync.store.engine import Connection
from sync.store.ledger import hashed

_DOUBT = ", ".join(repr(state) for state in outbox.DOUBT)

_OF_AUDIENCE = "destination = :destination AND segment = :segment"

_MOVED = f"({moved_sql('p.remote_id', 'p.email_key')} AND :by_email)"


@dataclass(frozen=True, slots=True)
class Counts:
    """Ops of one audience. `waiting` of those who entered are on their way already, by an earlier plan; `digest`
    stands for the very people."""

    before: int = 0
    entered: int = 0
    left: int = 0
    lost: int = 0
    moved: int = 0
    doubt: int = 0
    waiting: int = 0
    digest: tuple[Any, ...] = ()

    @property
    def add(self) -> int:
        """People who join."""
        return self.entered + self.moved

    @property
    def remove(self) -> int:
        """People who go."""
        return self.left + self.lost + self.moved


def start(conn: Connection) -> None:
    """Empty `temp.diff`, and lay out what is in doubt."""
    finish(conn)
    conn.exec_driver_sql(
        "CREATE TEMP TABLE diff (destination TEXT, segment TEXT, action TEXT, customer_id INTEGER, why TEXT, "
        "remote_id TEXT, "
        "PRIMARY KEY (destination, segment, action, customer_id)) WITHOUT ROWID"
    )
    conn.exec_driver_sql(
        "CREATE TEMP TABLE doubt (destination TEXT, segment TEXT, customer_id INTEGER, added INTEGER, removed INTEGER, "
        "PRIMARY KEY (destination, segment, customer_id)) WITHOUT ROWID"
    )
    conn.exec_driver_sql(
        "INSERT INTO temp.doubt SELECT destination, segment, customer_id, max(action = 'add'), max(action = 'remove') "
        f"FROM outbox WHERE state IN ('pending', 'sent', 'retry') AND state IN ({_DOUBT}) GROUP BY 1, 2, 3"
    )


def finish(conn: Connection) -> None:
    """Take the temporary tables away: connections are used again."""
    for table in ("diff", "doubt", "pairs"):
        conn.exec_driver_sql(f"DROP TABLE IF EXISTS temp.{table}")


def compare(conn: Connection, destination: str, segment: str, *, by_email: bool, owned: str = "ledger") -> None:
    """Add one audience's ops to `temp.diff`. Needs `consent.prepare` and `consent.double`."""
    key = {"destination": destination, "segment": segment, "by_email": by_email}
    moved = "(s.moved AND :by_email)"
    conn.exec_driver_sql(
        "INSERT INTO temp.diff SELECT :destination, :segment, 'add', s.customer_id, "
        f"CASE WHEN NOT s.owned AND s.again THEN 'mended' WHEN NOT s.owned THEN 'entered' "
        f"WHEN {moved} THEN 'moved' ELSE 'doubt' END, s.known "
        f"FROM ({STANDING.format(owned=owned)}) s LEFT JOIN temp.doubt q "
        "ON q.destination = :destination AND q.segment = :segment AND q.customer_id = s.customer_id "
        f"WHERE s.reason IS NULL AND (NOT s.owned OR {moved} OR q.removed)",
        key,
    )
    conn.exec_driver_sql(
        "INSERT INTO temp.diff SELECT :destination, :segment, 'remove', l.customer_id, "
        "CASE WHEN p.customer_id IS NULL THEN 'lost' WHEN m.customer_id IS NULL THEN 'left' "
        "WHEN d.customer_id IS NOT NULL OR p.reason IS NOT NULL THEN 'lost' ELSE 'moved' END, l.remote_id FROM "
        f"{owned} l "
        "LEFT JOIN membership m ON m.segment = :segment AND m.customer_id = l.customer_id "
        "LEFT JOIN temp.reach p ON p.customer_id = l.customer_id LEFT JOIN temp.doubled d ON d.customer_id = "
        "l.customer_id "
        "WHERE l.destination = :destination AND l.segment = :segment AND (m.customer_id IS NULL OR p.customer_id "
        "IS NULL "
        f"OR p.reason IS NOT NULL OR d.customer_id IS NOT NULL OR {_MOVED})",
        key,
    )
    if conn.exec_driver_sql(f"SELECT 1 FROM temp.doubt WHERE {_OF_AUDIENCE} LIMIT 1", key).first():
        _undo_doubt(conn, key, owned)
    if by_email:
        _hand_over(conn, key)


def _undo_doubt(conn: Connection, key: dict[str, Any], owned: str) -> None:
    conn.exec_driver_sql(
        "INSERT INTO temp.diff SELECT q.destination, q.segment, 'remove', q.customer_id, 'doubt', NULL FROM "
        "temp.doubt q "
        f"LEFT JOIN {owned} l ON l.destination = q.destination AND l.segment = q.segment AND l.customer_id = "
        "q.customer_id "
        f"LEFT JOIN ({STANDING.format(owned=owned)}) s ON s.customer_id = q.customer_id "
        "WHERE q.destination = :destination AND q.segment = :segment AND q.added AND l.customer_id IS NULL "
        "AND (s.customer_id IS NULL OR s.reason IS NOT NULL)",
        key,
    )


def empty(conn: Connection, destination: str, segment: str) -> None:
    """Add the removal of all whom we put into an audience, or may have put."""
    key = {"destination": destination, "segment": segment}
    conn.exec_driver_sql(
        "INSERT INTO temp.diff SELECT destination, segment, 'remove', customer_id, 'left', remote_id FROM ledger "
        "WHERE destination = :destination AND segment = :segment",
        key,
    )
    conn.exec_driver_sql(
        "INSERT OR IGNORE INTO temp.diff SELECT destination, segment, 'remove', customer_id, 'doubt', NULL "
        "FROM temp.doubt WHERE destination = :destination AND segment = :segment AND added",
        key,
    )


def _hand_over(conn: Connection, key: dict[str, Any]) -> None:
    """Where one goes and another with the same profile comes or stays, the row changes hands and nothing is sent."""
    conn.exec_driver_sql("DROP TABLE IF EXISTS temp.pairs")
    conn.exec_driver_sql("CREATE TEMP TABLE pairs (leaver INTEGER PRIMARY KEY, heir INTEGER UNIQUE, joins INTEGER)")
    conn.exec_driver_sql(
        "INSERT OR IGNORE INTO temp.pairs SELECT o.customer_id, a.customer_id, a.why IN ('entered', 'mended') "
        "FROM temp.diff o JOIN temp.diff a "
        "ON a.remote_id = o.remote_id AND a.destination = o.destination AND a.segment = o.segment "
        "WHERE o.destination = :destination AND o.segment = :segment AND o.action = 'remove' AND a.action = 'add' "
        "AND a.why IN ('entered', 'mended', 'doubt') ORDER BY o.customer_id, a.customer_id",
        key,
    )
    conn.exec_driver_sql(
        "INSERT OR IGNORE INTO temp.pairs SELECT o.customer_id, NULL, 0 FROM ledger l JOIN temp.diff o "
        "ON o.remote_id = l.remote_id AND o.destination = l.destination AND o.segment = l.segment AND o.action = "
        "'remove' "
        "WHERE l.destination = :destination AND l.segment = :segment AND NOT EXISTS (SELECT 1 FROM temp.diff x "
        "WHERE x.destination = l.destination AND x.segment = l.segment AND x.action = 'remove' "
        "AND x.customer_id = l.customer_id)",
        key,
    )
    if conn.exec_driver_sql("SELECT 1 FROM temp.pairs LIMIT 1").first() is None:
        return
    leavers = "customer_id IN (SELECT leaver FROM temp.pairs)"
    conn.exec_driver_sql(
        "INSERT OR REPLACE INTO ledger (destination, segment, customer_id, remote_id, email_key, run_id, at) "
        "SELECT l.destination, l.segment, p.heir, l.remote_id, l.email_key, l.run_id, l.at FROM temp.pairs p "
        "JOIN ledger l ON l.destination = :destination AND l.segment = :segment AND l.customer_id = p.leaver "
        "WHERE p.joins",
        key,
    )
    conn.exec_driver_sql(f"DELETE FROM ledger WHERE {_OF_AUDIENCE} AND {leavers}", key)
    conn.exec_driver_sql(f"DELETE FROM temp.diff WHERE {_OF_AUDIENCE} AND action = 'remove' AND {leavers}", key)
    conn.exec_driver_sql(
        f"DELETE FROM temp.diff WHERE {_OF_AUDIENCE} AND action = 'add' "
        "AND customer_id IN (SELECT heir FROM temp.pairs WHERE joins)",
        key,
    )


def counts(conn: Connection) -> dict[tuple[str, str], Counts]:
    """Per audience in `temp.diff`, without `before`."""
    whys = ("entered", "left", "lost", "moved", "doubt")
    sums = [f"sum(why IN ({why!r}, 'mended'))" if why == "entered" else f"sum(why = {why!r})" for why in whys]
    rows = conn.exec_driver_sql(
        f"SELECT destination, segment, action, {', '.join(sums)}, "
        "group_concat(customer_id || why) FROM temp.diff GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    grouped: dict[tuple[str, str], dict[str, int]] = {}
    digests: dict[tuple[str, str], list[Any]] = {}
    for destination, segment, action, *numbers, people in rows:
        audience = (destination, segment)
        numbers_of = grouped.setdefault(audience, dict.fromkeys(whys, 0))
        digests.setdefault(audience, []).append((action, hashed(people)))
        for why, number in zip(whys, numbers, strict=True):
            numbers_of[why] += int(number) if why != "moved" or action == "add" else 0
    waiting = _waiting(conn)
    return {
        audience: Counts(digest=tuple(digests[audience]), waiting=waiting.get(audience, 0), **its)
        for audience, its in grouped.items()
    }


def _waiting(conn: Connection) -> dict[tuple[str, str], int]:
    rows = conn.exec_driver_sql(
        "SELECT o.destination, o.segment, count(DISTINCT o.customer_id) FROM outbox o JOIN temp.diff d "
        "ON d.destination = o.destination AND d.segment = o.segment AND d.action = o.action "
        "AND d.customer_id = o.customer_id WHERE o.state IN ('pending', 'sent', 'retry') AND o.action = 'add' "
        "AND d.why IN ('entered', 'mended') GROUP BY 1, 2"
    )
    return {(row[0], row[1]): int(row[2]) for row in rows}
