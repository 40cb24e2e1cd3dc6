"""The audiences that we keep at destinations.

Where an audience is known by its name alone (a tag), a new name means another audience. The old one then lives on under
a segment of the form `key@old-name` until everybody has been taken out of it; `@` is in no segment's key.
"""

from __future__ import annotations

from dataclasses import dataclass

from sync.store.engine import Connection

REPLACED = "@"

_COLUMNS = (
    "destination, segment, name, remote_id, adopted, filled_at, rule_hash, retired, creating_since, apart, undone"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """An audience of ours. `remote_id` None: it is yet to be created. `filled_at`: the first fill was completed.

    `creating_since`: we asked for it under this name, and have not heard whether it was made. `apart`: one of the same
    name that is not ours was left alone, as the owner wished. `undone`: the run that was taken back here last.
    """

    destination: str
    segment: str
    name: str
    remote_id: str | None = None
    adopted: bool = False
    filled_at: int | None = None
    rule_hash: str | None = None
    retired: bool = False
    creating_since: int | None = None
    apart: bool = False
    undone: int | None = None

    @property
    def replaced(self) -> bool:
        """True of an audience that has been left for another name."""
        return REPLACED in self.segment


def kept(conn: Connection, destination: str | None = None) -> dict[tuple[str, str], Kept]:
    """All audiences (of one destination) by (destination, segment)."""
    rows = conn.exec_driver_sql(
        f"SELECT {_COLUMNS} FROM audience WHERE ? IS NULL OR destination = ? ORDER BY destination, segment",
        (destination, destination),
    )
    return {
        (row[0], row[1]): Kept(
            row[0], row[1], row[2], row[3], bool(row[4]), row[5], row[6], bool(row[7]), row[8], bool(row[9]), row[10]
        )
        for row in rows
    }


def keep(conn: Connection, audience: Kept) -> None:
    """Write an audience down, new or changed."""
    conn.exec_driver_sql(
        f"INSERT INTO audience ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (destination, segment) DO UPDATE SET name = excluded.name, "
        "remote_id = excluded.remote_id, adopted = excluded.adopted, filled_at = excluded.filled_at, "
        "rule_hash = excluded.rule_hash, retired = excluded.retired, creating_since = excluded.creating_since, "
        "apart = excluded.apart, undone = excluded.undone",
        (
            audience.destination,
            audience.segment,
            audience.name,
            audience.remote_id,
            audience.adopted,
            audience.filled_at,
            audience.rule_hash,
            audience.retired,
            audience.creating_since,
            audience.apart,
            audience.undone,
        ),
    )


def leave(conn: Connection, audience: Kept) -> None:
    """Set the audience aside under `key@name`; its key is free for the one with the new name."""
    aside = f"{audience.segment}{REPLACED}{audience.name}"
    for table in ("ledger", "audience", "outbox"):
        conn.exec_driver_sql(
            f"UPDATE OR REPLACE {table} SET segment = ? WHERE destination = ? AND segment = ?",
            (aside, audience.destination, audience.segment),
        )


def come_back(conn: Connection, destination: str, segment: str, name: str) -> bool:
    """Take the audience of this name up again if it was set aside before; True if it was."""
    aside = f"{segment}{REPLACED}{name}"
    if (destination, aside) not in kept(conn, destination):
        return False
    for table in ("ledger", "audience", "outbox"):
        conn.exec_driver_sql(
            f"UPDATE OR REPLACE {table} SET segment = ? WHERE destination = ? AND segment = ?",
            (segment, destination, aside),
        )
    return True


def lose(conn: Connection, destination: str, segment: str, *, carried: bool = False) -> None:
    """Forget an audience that somebody deleted at the destination, and who was in it: the next plan makes it anew.

    `carried`: it was a mark on the shop's own customers, who do not have it any more either.
    """
    if carried:
        conn.exec_driver_sql(
            "DELETE FROM customer_tags WHERE EXISTS (SELECT 1 FROM audience a WHERE a.destination = ? "
            "AND a.segment = ? AND (lower(tag) = lower(a.name) OR tag = a.remote_id))",
            (destination, segment),
        )
    for table in ("ledger", "audience"):
        conn.exec_driver_sql(f"DELETE FROM {table} WHERE destination = ? AND segment = ?", (destination, segment))


def forget_replaced(conn: Connection, destination: str) -> None:
    """Drop the rows of audiences that were left for another name and hold nobody of ours any more."""
    conn.exec_driver_sql(
        "DELETE FROM audience WHERE destination = :destination AND instr(segment, :mark) "
        "AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.destination = audience.destination "
        "AND l.segment = audience.segment) "
        "AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.destination = audience.destination "
        "AND o.segment = audience.segment AND o.state IN ('pending', 'sent', 'retry'))",
        {"destination": destination, "mark": REPLACED},
    )


def filled(conn: Connection, destination: str, segments: list[str], now: int) -> None:
    """Note the end of the first fill for those of `segments` that have begun it, now that its plan is through.

    What is left of it is known by its ops. One that was taken over is filled once somebody has joined: a first push of
    nobody uses up no guard.
    """
    if not segments:
        return
    conn.exec_driver_sql(
        "UPDATE audience SET filled_at = ? WHERE destination = ? AND segment = ? AND filled_at IS NULL "
        "AND remote_id IS NOT NULL AND (NOT adopted OR EXISTS (SELECT 1 FROM ledger l "
        "WHERE l.destination = audience.destination AND l.segment = audience.segment))",
        [(now, destination, segment) for segment in segments],
    )
