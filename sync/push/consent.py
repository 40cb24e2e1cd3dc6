"""Who of a segment a destination may get, and for each of the others the first reason why not.

Tags and labels go to everybody who lives. An e-mail destination gets an address once, for the member created first;
the other members with that address count under `no_email`, because they have no address of their own, and apart in
`doubled`. Consent is the address's: where any living record of it says UNSUBSCRIBED, nobody of it is written to. So for
every audience matched = size + Σ skipped. A refusal keeps out only people whom the audience does not yet hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from connector.base import Destination, Limits
from sync.store.engine import Connection

NO_EMAIL: Final = "no_email"
NOT_IN_AUDIENCE: Final = "not_in_audience"
REFUSED: Final = "refused"

_NOT_SUBSCRIBED: Final = "not_subscribed"

_UNSUBSCRIBED: Final = (
    "EXISTS (SELECT 1 FROM customers o WHERE o.email_key = c.email_key AND o.email_status = 'UNSUBSCRIBED' "
    "AND o.gone_at IS NULL AND o.merged_into IS NULL)"
)

STEPS: Final[tuple[tuple[str, str | None], ...]] = (
    (NO_EMAIL, "coalesce(c.email_key, '') = ''"),
    ("holdout", None),
    (_NOT_SUBSCRIBED, f"c.email_status IS NOT 'SUBSCRIBED' OR {_UNSUBSCRIBED}"),
    ("suppressed", "i.mailable = 0"),
    (NOT_IN_AUDIENCE, "i.remote_id IS NULL"),
)
"""Reasons in the order in which they are asked, over c (customers) and i (identity); None: nothing says so yet.
`refused` comes last, and is asked per audience: by the destination, or by who took the person out by hand."""

REASONS: Final = (*(reason for reason, _ in STEPS), REFUSED)

LIVE: Final = "c.gone_at IS NULL AND c.merged_into IS NULL"


def reason_sql(limits: Limits) -> str:
    """The first reason of a person, over c and i, as an SQL expression; NULL = none."""
    if not limits.by_email:
        return "NULL"
    asks = {_NOT_SUBSCRIBED: limits.consent, NOT_IN_AUDIENCE: limits.existing_only}
    asked = [(reason, sql) for reason, sql in STEPS if sql and asks.get(reason, True)]
    return f"CASE {' '.join(f'WHEN {sql} THEN {reason!r}' for reason, sql in asked)} END"


def record_sql(limits: Limits) -> str:
    """What a refusal is about: when it differs, the person is asked again. Our own tags are no part of it."""
    parts = ["coalesce(c.email_key, '')", "coalesce(c.email_status, '')", "coalesce(c.country, '')"]
    if not limits.by_email:
        parts.append("(SELECT count(*) FROM customer_tags t WHERE t.customer_id = c.id AND NOT t.ours)")
    return " || '|' || ".join(parts)


def prepare(conn: Connection, destination: Destination) -> None:
    """Lay out `temp.reach`: every living customer with the first reason that keeps them from the destination."""
    drop(conn)
    conn.exec_driver_sql(
        "CREATE TEMP TABLE reach (customer_id INTEGER PRIMARY KEY, reason TEXT, refused INTEGER NOT NULL, "
        "remote_id TEXT, email_key TEXT)"
    )
    conn.exec_driver_sql("CREATE TEMP TABLE shared (customer_id INTEGER PRIMARY KEY, email_key TEXT, place INTEGER)")
    conn.exec_driver_sql("CREATE TEMP TABLE doubled (customer_id INTEGER PRIMARY KEY)")
    conn.exec_driver_sql(
        f"INSERT INTO temp.reach SELECT c.id, {reason_sql(destination.limits)}, 0, i.remote_id, "
        f"{'c.email_key' if destination.limits.by_email else 'NULL'} FROM customers c "
        f"LEFT JOIN identity i ON i.destination = :destination AND i.email_key = c.email_key WHERE {LIVE}",
        {"destination": destination.name},
    )
    conn.exec_driver_sql(
        "UPDATE temp.reach SET refused = 1 WHERE customer_id IN (SELECT r.customer_id FROM refusal r "
        "JOIN customers c ON c.id = r.customer_id WHERE r.destination = :destination "
        f"AND r.record IS {record_sql(destination.limits)})",
        {"destination": destination.name},
    )
    if destination.limits.by_email:
        conn.exec_driver_sql(
            "INSERT INTO temp.shared SELECT id, email_key, place FROM (SELECT c.id, c.email_key, "
            "row_number() OVER (PARTITION BY c.email_key ORDER BY c.created_at IS NULL, c.created_at, c.id) AS place, "
            "count(*) OVER (PARTITION BY c.email_key) AS several "
            f"FROM customers c WHERE {LIVE} AND c.email_key <> '') WHERE several > 1"
        )


def drop(conn: Connection) -> None:
    """Take the temporary tables away: connections are used again."""
    for table in ("reach", "shared", "doubled"):
        conn.exec_driver_sql(f"DROP TABLE IF EXISTS temp.{table}")


def double(conn: Connection, segment: str) -> None:
    """Fill `temp.doubled` with the segment's members whose address goes to a member created before them."""
    conn.exec_driver_sql("DELETE FROM temp.doubled")
    conn.exec_driver_sql(
        "INSERT INTO temp.doubled SELECT customer_id FROM (SELECT s.customer_id, "
        "row_number() OVER (PARTITION BY s.email_key ORDER BY s.place) AS place FROM temp.shared s "
        "JOIN membership m ON m.segment = :segment AND m.customer_id = s.customer_id) WHERE place > 1",
        {"segment": segment},
    )


def moved_sql(profile: str, address: str) -> str:
    """Whether l (ledger) speaks of another profile, or another address, than these, which the person now has."""
    return (
        f"CASE WHEN l.remote_id IS NOT NULL THEN l.remote_id IS NOT {profile} "
        f"ELSE l.email_key IS NOT NULL AND l.email_key IS NOT {address} END"
    )


STANDING: Final = f"""
SELECT m.customer_id AS customer_id, d.customer_id IS NOT NULL AS doubled, p.remote_id AS known,
       l.customer_id IS NOT NULL AS owned, coalesce(w.again, 0) AS again, w.again = 0 AS held_out,
       {moved_sql("p.remote_id", "p.email_key")} AS moved,
       CASE WHEN d.customer_id IS NOT NULL THEN '{NO_EMAIL}'
            WHEN p.reason IS NOT NULL THEN p.reason
            WHEN (p.refused OR w.again = 0) AND l.customer_id IS NULL THEN '{REFUSED}' END AS reason
FROM membership m
JOIN temp.reach p ON p.customer_id = m.customer_id
LEFT JOIN temp.doubled d ON d.customer_id = m.customer_id
LEFT JOIN {{owned}} l ON l.destination = :destination AND l.segment = :segment AND l.customer_id = m.customer_id
LEFT JOIN withdrawn w ON w.destination = :destination AND w.segment = :segment AND w.customer_id = m.customer_id
WHERE m.segment = :segment
"""
"""Each living member of a segment with the first reason, given `prepare` and `double`. `owned` is the ledger, or what
stands in for it."""


@dataclass(frozen=True, slots=True)
class Waterfall:
    """matched = size + Σ skipped. `doubled` of those without an address share theirs with an earlier member."""

    matched: int
    size: int
    skipped: dict[str, int]
    doubled: int


def waterfall(conn: Connection, destination: str, segment: str, owned: str = "ledger") -> Waterfall:
    """The counts of one segment, given `prepare` and `double`."""
    rows = conn.exec_driver_sql(
        f"SELECT reason, count(*), sum(doubled) FROM ({STANDING.format(owned=owned)}) GROUP BY reason",
        _key(destination, segment),
    ).all()
    counts = {row[0]: int(row[1]) for row in rows}
    return Waterfall(
        matched=sum(counts.values()),
        size=counts.get(None, 0),
        skipped={reason: counts[reason] for reason in REASONS if reason in counts},
        doubled=sum(int(row[2]) for row in rows),
    )


def _key(destination: str, segment: str) -> dict[str, Any]:
    return {"destination": destination, "segment": segment}
