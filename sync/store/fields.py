"""Whose fields a destination may be told, and what it has acknowledged of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connector.base import Person
from sync.store.engine import Connection
from sync.store.external import OUTWARD
from sync.store.ledger import listed

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Reached:
    """Somebody who is known there and may be written to; `digest` is of what was acknowledged last."""

    customer_id: int
    remote_id: str
    digest: str | None


def reached(conn: Connection, destination: str) -> Iterator[Reached]:
    """In the order of their ids, given `consent.prepare`. An address that several share is the first one's."""
    rows = conn.exec_driver_sql(
        "SELECT r.customer_id, r.remote_id, f.digest FROM temp.reach r "
        "LEFT JOIN temp.shared s ON s.customer_id = r.customer_id "
        "LEFT JOIN field_ledger f ON f.destination = ? AND f.customer_id = r.customer_id "
        "WHERE r.reason IS NULL AND r.remote_id IS NOT NULL AND coalesce(s.place, 1) = 1 ORDER BY r.customer_id",
        (destination,),
        execution_options={"yield_per": _BATCH},
    )
    for number, remote_id, digest in rows:
        yield Reached(number, remote_id, digest)


def persons(conn: Connection, destination: str, ids: Sequence[int]) -> dict[int, Person]:
    """These people as the destination knows them. The order of the joins is ours: the planner's reads everybody."""
    rows = conn.exec_driver_sql(
        f"SELECT c.id, c.email_key, i.remote_id, {OUTWARD.format('c.id')} FROM json_each(?) w "
        "CROSS JOIN customers c ON c.id = w.value "
        "CROSS JOIN identity i ON i.destination = ? AND i.email_key = c.email_key WHERE i.remote_id IS NOT NULL",
        (listed(ids), destination),
    )
    return {row[0]: Person(row[0], row[1], row[2], id=row[3]) for row in rows}


def acknowledge(conn: Connection, destination: str, answered: Sequence[tuple[int, str, str | None]], now: int) -> None:
    """Note (person, digest, why it was refused) of all that is settled."""
    if answered:
        conn.exec_driver_sql(
            "INSERT INTO field_ledger (destination, customer_id, digest, at, refused) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (destination, customer_id) DO UPDATE SET digest = excluded.digest, at = excluded.at, "
            "refused = excluded.refused",
            [(destination, number, digest, now, refused) for number, digest, refused in answered],
        )
