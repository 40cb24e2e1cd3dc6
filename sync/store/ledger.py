"""What destinations have acknowledged, whom they know, and whom they refuse. All set-based."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

import orjson

from connector.base import Profile
from sync.store.engine import Connection


def listed(values: Iterable[Any]) -> str:
    """Values as one parameter, for `IN (SELECT value FROM json_each(?))`."""
    return orjson.dumps(list(values)).decode()


def fingerprint(conn: Connection) -> tuple[list[Any], list[Any]]:
    """All membership, and all of the ledger, small enough to compare: who is where, exactly."""
    members = conn.exec_driver_sql(
        "SELECT segment, group_concat(customer_id) FROM membership GROUP BY segment ORDER BY segment"
    )
    owned = conn.exec_driver_sql(
        "SELECT destination, segment, group_concat(customer_id) FROM ledger GROUP BY 1, 2 ORDER BY 1, 2"
    )
    return [[*row[:-1], hashed(row[-1])] for row in members], [[*row[:-1], hashed(row[-1])] for row in owned]


def hashed(text: str) -> str:
    """Sixteen hex digits of the SHA-256. Groups are read along the primary key, so their order is always the same."""
    return sha256(text.encode()).hexdigest()[:16]


def follow_people(conn: Connection, destination: str, *, by_email: bool) -> None:
    """Let the ledger follow merges and deletions before it is compared.

    The store gives a merged customer's tags to the survivor and drops those of a deleted one, so the rows go the same
    way. A profile at an e-mail destination stays where it is: its row moves to the survivor if the survivor has none,
    and otherwise stays behind to be removed. One that was only known by its address is looked for under that address,
    whatever the person's is by now. Removals that were sent and not heard of go along with the row; where it is
    dropped, there is nothing left to hear of.
    """
    while _follow_merges(conn, destination, by_email=by_email):
        pass
    if by_email:
        conn.exec_driver_sql(
            "UPDATE ledger SET remote_id = (SELECT i.remote_id FROM identity i WHERE i.destination = "
            "ledger.destination AND i.email_key = ledger.email_key) "
            "WHERE destination = :destination AND remote_id IS NULL AND EXISTS (SELECT 1 FROM identity i "
            "WHERE i.destination = ledger.destination AND i.email_key = ledger.email_key AND i.remote_id IS NOT NULL)",
            {"destination": destination},
        )
    unreachable = "AND l.remote_id IS NULL AND coalesce(l.email_key, c.email_key, '') = ''" if by_email else ""
    gone = conn.exec_driver_sql(
        f"SELECT l.segment, l.customer_id {_OF} WHERE a.destination = ? AND c.gone_at IS NOT NULL {unreachable}",
        (destination,),
    ).all()
    _drop(conn, destination, [(row[0], row[1]) for row in gone])
    conn.exec_driver_sql(
        f"DELETE FROM outbox WHERE destination = :destination AND action = 'remove' AND {_OPEN} "
        f"AND NOT EXISTS (SELECT 1 FROM ledger l WHERE {_SAME.format('l')}) "
        f"AND NOT EXISTS (SELECT 1 FROM outbox o WHERE {_SAME.format('o')} AND o.action = 'add' AND o.{_OPEN})",
        {"destination": destination},
    )


_OPEN = "state IN ('pending', 'sent', 'retry')"
_SAME = "{0}.destination = outbox.destination AND {0}.segment = outbox.segment AND {0}.customer_id = outbox.customer_id"
_OF = (
    "FROM customers c CROSS JOIN audience a "
    "JOIN ledger l ON l.destination = a.destination AND l.segment = a.segment AND l.customer_id = c.id"
)


def _follow_merges(conn: Connection, destination: str, *, by_email: bool) -> bool:
    rows = conn.exec_driver_sql(
        f"SELECT l.segment, l.customer_id, c.merged_into, s.customer_id, coalesce(l.remote_id, l.email_key) "
        f"IS coalesce(s.remote_id, s.email_key) {_OF} "
        "LEFT JOIN ledger s ON s.destination = l.destination AND s.segment = l.segment AND s.customer_id = "
        "c.merged_into "
        "WHERE a.destination = ? AND c.merged_into IS NOT NULL ORDER BY l.segment, l.customer_id",
        (destination,),
    ).all()
    taken: set[tuple[str, int]] = set()
    moved, dropped = [], []
    joined = []
    for segment, loser, survivor, present, same in rows:
        if present is None and (segment, survivor) not in taken:
            taken.add((segment, survivor))
            moved.append((survivor, destination, segment, loser))
        elif not by_email or (present is not None and same):
            dropped.append((segment, loser))
        else:
            continue
        joined.append((survivor, destination, segment, loser))
    if joined:
        conn.exec_driver_sql(
            "UPDATE outbox SET customer_id = ? WHERE destination = ? AND segment = ? AND customer_id = ? "
            f"AND action = 'remove' AND {_OPEN} AND state <> 'pending'",
            joined,
        )
    if moved:
        conn.exec_driver_sql(
            "UPDATE ledger SET customer_id = ? WHERE destination = ? AND segment = ? AND customer_id = ?", moved
        )
    _drop(conn, destination, dropped)
    return bool(moved)


def _drop(conn: Connection, destination: str, keys: Sequence[tuple[str, int]]) -> None:
    if keys:
        conn.exec_driver_sql(
            "DELETE FROM ledger WHERE destination = ? AND segment = ? AND customer_id = ?",
            [(destination, segment, customer) for segment, customer in keys],
        )


def adoptable(conn: Connection, destination: str, segment: str, name: str, remote_id: str | None) -> None:
    """Add to `temp.adoptable` who carries this very tag (without regard to letter case, as the store compares), or a
    label that the store tells by this id."""
    conn.exec_driver_sql(
        "INSERT OR IGNORE INTO temp.adoptable (destination, segment, customer_id, remote_id) "
        "SELECT ?, ?, t.customer_id, NULL FROM customer_tags t JOIN customers c ON c.id = t.customer_id "
        "WHERE (t.ours AND lower(t.tag) = lower(?) OR t.tag = ?) AND c.gone_at IS NULL AND c.merged_into IS NULL",
        (destination, segment, name, remote_id),
    )


def make_adoptable(conn: Connection) -> None:
    """An empty `temp.adoptable`, of the ledger's shape."""
    conn.exec_driver_sql("DROP TABLE IF EXISTS temp.adoptable")
    conn.exec_driver_sql(
        "CREATE TEMP TABLE adoptable (destination TEXT, segment TEXT, customer_id INTEGER, remote_id TEXT, "
        "email_key TEXT, PRIMARY KEY (destination, segment, customer_id)) WITHOUT ROWID"
    )


def adoptable_sizes(conn: Connection) -> dict[str, int]:
    """Members per audience that is to be taken over."""
    rows = conn.exec_driver_sql("SELECT segment, count(*) FROM temp.adoptable GROUP BY segment")
    return {row[0]: int(row[1]) for row in rows}


def adopt(conn: Connection, run_id: int, now: int) -> None:
    """Take `temp.adoptable` into the ledger."""
    conn.exec_driver_sql(
        "INSERT OR IGNORE INTO ledger (destination, segment, customer_id, remote_id, run_id, at) "
        "SELECT destination, segment, customer_id, remote_id, ?, ? FROM temp.adoptable",
        (run_id, now),
    )


def tagged(conn: Connection) -> dict[str, int]:
    """How many living customers carry each tag of our prefix, by the tag in lower case, as last read."""
    rows = conn.exec_driver_sql(
        "SELECT lower(t.tag), count(*) FROM customer_tags t JOIN customers c ON c.id = t.customer_id "
        "WHERE t.ours AND c.gone_at IS NULL AND c.merged_into IS NULL GROUP BY 1"
    )
    return {row[0]: int(row[1]) for row in rows}


def outside(conn: Connection, destination: str, audience: str, segment: str) -> int:
    """How many of an audience are not in the segment."""
    row = conn.exec_driver_sql(
        "SELECT count(*) FROM ledger l WHERE l.destination = ? AND l.segment = ? AND NOT EXISTS (SELECT 1 "
        "FROM membership m WHERE m.segment = ? AND m.customer_id = l.customer_id)",
        (destination, audience, segment),
    )
    return int(row.scalar_one())


def forget_refused(conn: Connection, destination: str) -> None:
    """Whoever is not to leave any more, by `temp.diff`, is not waiting for a removal that was refused."""
    conn.exec_driver_sql(
        "UPDATE ledger SET refused = NULL WHERE destination = ? AND refused IS NOT NULL AND NOT EXISTS (SELECT 1 "
        "FROM temp.diff d WHERE d.destination = ledger.destination AND d.segment = ledger.segment "
        "AND d.action = 'remove' AND d.customer_id = ledger.customer_id)",
        (destination,),
    )


def sizes(conn: Connection, destination: str) -> dict[str, int]:
    """Members per audience, by segment."""
    rows = conn.exec_driver_sql(
        "SELECT segment, count(*) FROM ledger WHERE destination = ? GROUP BY segment", (destination,)
    )
    return {row[0]: int(row[1]) for row in rows}


def learn(conn: Connection, destination: str, asked: Sequence[str], profiles: Iterable[Profile], now: int) -> None:
    """Keep what a lookup of `asked` (address keys) said, also that somebody is not known."""
    found = _by_address(profiles)
    conn.exec_driver_sql(_LEARN, [_identity(destination, email, found.get(email), now) for email in asked])


def relearn(conn: Connection, destination: str, profiles: Sequence[Profile], now: int) -> None:
    """Keep what the destination says of people whose standing changed, as far as they are customers of the shop.

    A merged profile shows its present address and answers to former ones: under these it is known by its id.
    """
    shown = _by_address(profiles)
    by_id = {profile.remote_id: profile for profile in profiles}
    known = conn.exec_driver_sql(
        "SELECT email_key, NULL FROM customers WHERE email_key IN (SELECT value FROM json_each(?1)) "
        "UNION SELECT email_key, remote_id FROM identity WHERE destination = ?2 "
        "AND email_key IN (SELECT value FROM json_each(?1)) "
        "UNION SELECT email_key, remote_id FROM identity WHERE destination = ?2 "
        "AND remote_id IN (SELECT value FROM json_each(?3))",
        (listed(shown), destination, listed(by_id)),
    ).all()
    candidates: dict[str, list[Profile]] = {email: [] for email in sorted(row[0] for row in known)}
    for email, found in candidates.items():
        if email in shown:
            found.append(shown[email])
    for email, remote_id in known:
        if remote_id in by_id:
            candidates[email].append(by_id[remote_id])
    learned = {email: _strictest(found) for email, found in candidates.items()}
    rows = [_identity(destination, email, its, now) for email, its in learned.items()]
    if rows:
        conn.exec_driver_sql(_LEARN, rows)


def _identity(destination: str, email: str, its: Profile | None, now: int) -> tuple[Any, ...]:
    if its is None:
        return (destination, email, None, True, None, False, now)
    return (destination, email, its.remote_id, its.mailable, its.reason, its.subscribed, now)


def learn_strangers(conn: Connection, destination: str, now: int) -> None:
    """Keep that nobody else of the shop's people is known there, now that everybody there has been read."""
    conn.exec_driver_sql(
        "INSERT OR IGNORE INTO identity (destination, email_key, remote_id, mailable, checked_at) "
        "SELECT DISTINCT ?, email_key, NULL, 1, ? FROM customers WHERE email_key <> '' AND gone_at IS NULL "
        "AND merged_into IS NULL",
        (destination, now),
    )


def _by_address(profiles: Iterable[Profile]) -> dict[str, Profile]:
    found: dict[str, list[Profile]] = {}
    for profile in profiles:
        found.setdefault(profile.email.strip().lower(), []).append(profile)
    return {email: _strictest(those) for email, those in found.items()}


def _strictest(profiles: Sequence[Profile]) -> Profile:
    """Of several profiles that answer to one address, one that may not be mailed if there is any."""
    return next((profile for profile in profiles if not profile.mailable), profiles[0])


_LEARN = (
    "INSERT INTO identity (destination, email_key, remote_id, mailable, reason, subscribed, checked_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (destination, email_key) DO UPDATE SET remote_id = excluded.remote_id, mailable = excluded.mailable, "
    "reason = excluded.reason, subscribed = excluded.subscribed, checked_at = excluded.checked_at "
    "WHERE remote_id IS NOT excluded.remote_id OR mailable IS NOT excluded.mailable OR reason IS NOT excluded.reason "
    "OR subscribed IS NOT excluded.subscribed"
)


def has_members(conn: Connection, segment: str) -> bool:
    """Whether anybody is in the segment."""
    row = conn.exec_driver_sql("SELECT 1 FROM membership WHERE segment = ? LIMIT 1", (segment,)).first()
    return row is not None


def written(conn: Connection, destination: str) -> int:
    """People in audiences of the destination, or perhaps: additions that were sent and not heard of."""
    row = conn.exec_driver_sql(
        "SELECT (SELECT count(*) FROM ledger WHERE destination = ?1) + (SELECT count(*) FROM outbox "
        "WHERE destination = ?1 AND state IN ('pending', 'sent', 'retry') AND state <> 'pending')",
        (destination,),
    )
    return int(row.scalar_one())


def disown(conn: Connection, destination: str) -> None:
    """Forget all that was heard of a destination, and what is planned: another stands in its place."""
    for table in ("identity", "refusal", "audience", "field_ledger", "withdrawn", "plan_op"):
        conn.exec_driver_sql(f"DELETE FROM {table} WHERE destination = ?", (destination,))
    conn.exec_driver_sql(
        "DELETE FROM outbox WHERE destination = ? AND state IN ('pending', 'sent', 'retry')", (destination,)
    )
    conn.exec_driver_sql(
        "DELETE FROM meta WHERE key IN (SELECT value FROM json_each(?))",
        (listed((f"identity:{destination}", f"created:{destination}", "plan:last")),),
    )
