"""People of ours whom somebody took out of an audience by hand, as long as their segment wants them there."""

from __future__ import annotations

from collections.abc import Sequence

from sync.store.engine import Connection

REASON = "taken out by hand"


def note(conn: Connection, destination: str, segment: str, people: Sequence[int], now: int, *, again: bool) -> None:
    """Drop these from the ledger. Members of the segment are put back quietly (`again`), or kept out."""
    if not people:
        return
    keys = [(destination, segment, number) for number in people]
    conn.exec_driver_sql("DELETE FROM ledger WHERE destination = ? AND segment = ? AND customer_id = ?", keys)
    conn.exec_driver_sql(
        "INSERT OR REPLACE INTO withdrawn (destination, segment, customer_id, again, at) "
        "SELECT ?1, ?2, m.customer_id, ?4, ?5 FROM membership m WHERE m.segment = ?2 AND m.customer_id = ?3",
        [(*key, again, now) for key in keys],
    )


def forget(conn: Connection, destination: str, segment: str) -> None:
    """Drop those who have left the segment; one who was merged lives on in the other."""
    key = {"destination": destination, "segment": segment}
    conn.exec_driver_sql(
        "UPDATE OR IGNORE withdrawn SET customer_id = (SELECT c.merged_into FROM customers c "
        "WHERE c.id = withdrawn.customer_id) WHERE destination = :destination AND segment = :segment AND EXISTS "
        "(SELECT 1 FROM customers c WHERE c.id = withdrawn.customer_id AND c.merged_into IS NOT NULL)",
        key,
    )
    conn.exec_driver_sql(
        "DELETE FROM withdrawn WHERE destination = :destination AND segment = :segment AND NOT EXISTS (SELECT 1 "
        "FROM membership m WHERE m.segment = withdrawn.segment AND m.customer_id = withdrawn.customer_id)",
        key,
    )


def settled(conn: Connection, keys: Sequence[tuple[str, str, int]]) -> None:
    """These (destination, segment, person) are in the audience again."""
    if keys:
        conn.exec_driver_sql("DELETE FROM withdrawn WHERE destination = ? AND segment = ? AND customer_id = ?", keys)
