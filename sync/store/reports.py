"""What commands that only look ask of the store, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.keys import key
from sync.store import state, withdrawn
from sync.store.engine import Connection
from sync.store.external import OUTWARD

STREAM_ROWS = {
    "customers": "customers WHERE true",
    "products": "products WHERE true",
    "orders": "orders WHERE true",
    "carts": "carts WHERE true",
    "events": "events WHERE name NOT GLOB 'email.*'",
    "email_events": "events WHERE name GLOB 'email.*'",
}
"""Where the rows of a stream stand that `status` counts."""


@dataclass(frozen=True, slots=True)
class Event:
    """One entrance into a segment, or one exit."""

    segment: str
    entered: bool
    at: int
    run_id: int


@dataclass(frozen=True, slots=True)
class Read:
    """How far a stream is read, with the rows it has brought that are still there.

    `unreadable` is what the platform said when the key might not read it.
    """

    stream: str
    high_water: int | None
    completed_at: int | None
    rows: int | None
    unreadable: str | None = None


def customers_by_id(connection: Connection, external: str) -> list[tuple[int, int | None]]:
    """(key, key of whom it was merged into) of the customer with that id, in any letter case, gone or not."""
    rows = connection.exec_driver_sql(
        f"SELECT id, merged_into FROM customers WHERE id = ? AND lower({OUTWARD.format('customers.id')}) = lower(?)",
        (key(external), external),
    )
    return [(row[0], row[1]) for row in rows]


def customers_by_address(connection: Connection, address: str) -> list[tuple[int, int | None]]:
    """The same of everybody who is there under that address, the eldest first."""
    rows = connection.exec_driver_sql(
        "SELECT id, merged_into FROM customers WHERE email_key = ? AND gone_at IS NULL ORDER BY created_at, id",
        (address.strip().lower(),),
    )
    return [(row[0], row[1]) for row in rows]


def person_name(connection: Connection, customer_id: int) -> str | None:
    """First and last name, for stdout alone."""
    row = connection.exec_driver_sql("SELECT first_name, last_name FROM customers WHERE id = ?", (customer_id,)).first()
    return " ".join(part for part in row if part) or None if row else None


def moves(connection: Connection, customer_id: int, segment: str | None = None) -> list[Event]:
    """The person's entrances and exits (of one segment), oldest first."""
    rows = connection.exec_driver_sql(
        "SELECT segment, entered, at, run_id FROM membership_event "
        "WHERE customer_id = ? AND (? IS NULL OR segment = ?) ORDER BY id",
        (customer_id, segment, segment),
    )
    return [Event(row[0], bool(row[1]), row[2], row[3]) for row in rows]


def sizes(connection: Connection) -> dict[str, int]:
    """Members of each segment that has been evaluated; one that could not be answered is absent."""
    rows = connection.exec_driver_sql("SELECT key, size FROM segment_state WHERE missing IS NULL ORDER BY 2 DESC, 1")
    return {row[0]: row[1] for row in rows}


def unavailable(connection: Connection) -> dict[str, str]:
    """What kept a segment from being evaluated, by its key."""
    rows = connection.exec_driver_sql("SELECT key, missing FROM segment_state WHERE missing IS NOT NULL ORDER BY key")
    return {row[0]: row[1] for row in rows}


def stages(connection: Connection) -> dict[str, int]:
    """People in each stage of the lifecycle."""
    rows = connection.exec_driver_sql("SELECT lifecycle_stage, count(*) FROM customer_metrics GROUP BY 1")
    return {row[0]: row[1] for row in rows}


def most_orders(connection: Connection, stages: tuple[str, ...]) -> str | None:
    """Of the people in these stages the one with the most orders, by the platform's own id."""
    own = OUTWARD.format("customer_metrics.customer_id")
    row = connection.exec_driver_sql(
        f"SELECT {own} FROM customer_metrics WHERE lifecycle_stage IN ({', '.join('?' * len(stages))}) "
        "ORDER BY number_of_orders DESC, customer_id LIMIT 1",
        stages,
    ).first()
    return str(row[0]) if row else None


def figure(connection: Connection, name: str) -> float | None:
    """A figure of the whole store as last derived."""
    return connection.exec_driver_sql("SELECT value FROM store_figures WHERE name = ?", (name,)).scalar()


def streams(connection: Connection) -> list[Read]:
    """Every stream of the source, read or not."""
    rows = connection.exec_driver_sql("SELECT stream, high_water, completed_at FROM stream_state ORDER BY stream")
    refused = state.unreadable(connection)
    return [Read(row[0], row[1], row[2], _rows(connection, row[0]), refused.get(row[0])) for row in rows.all()]


def _rows(connection: Connection, stream: str) -> int | None:
    if stream not in STREAM_ROWS:
        return None
    rows = f"SELECT count(*) FROM {STREAM_ROWS[stream]} AND gone_at IS NULL"
    return int(connection.exec_driver_sql(rows).scalar_one())


def waiting(connection: Connection) -> list[tuple[str, str, int]]:
    """(destination, state, number) of the changes that are still to be sent or heard of."""
    rows = connection.exec_driver_sql(
        "SELECT destination, state, count(*) FROM outbox "
        "WHERE state NOT IN ('done', 'refused') GROUP BY 1, 2 ORDER BY 1, 2"
    )
    return [(row[0], row[1], row[2]) for row in rows]


def refusals(connection: Connection) -> list[tuple[str, str, int]]:
    """(destination, reason, number) of the people whom, or whose fields, a destination will not take, or who were taken
    out by hand."""
    rows = connection.exec_driver_sql(
        "SELECT destination, reason, count(*) FROM (SELECT destination, reason FROM refusal "
        "UNION ALL SELECT destination, refused FROM field_ledger WHERE refused IS NOT NULL "
        f"UNION ALL SELECT destination, '{withdrawn.REASON}' FROM withdrawn WHERE NOT again) "
        "GROUP BY 1, 2 ORDER BY 1, 3 DESC"
    )
    return [(row[0], row[1], row[2]) for row in rows]
