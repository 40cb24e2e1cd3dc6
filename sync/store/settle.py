"""What stored rows owe to settings: days to the store's zone, ownership of tags to our prefix."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sync.store import state
from sync.store.engine import Connection, Store
from sync.store.identity import listed
from sync.store.upsert import is_ours, local_days

_ROWS = 20_000


def settle(store: Store, *, zone: ZoneInfo, prefix: str) -> None:
    """Bring stored rows in line with a zone or prefix that has changed since they were stored.

    The setting is noted after the last of its rows: a run that is killed here begins again.
    """
    with store.read() as connection:
        old_zone = state.get_meta(connection, "zone")
        old_prefix = state.get_meta(connection, "prefix")
    if old_zone != zone.key:
        _rezone(store, zone)
        with store.begin() as connection:
            state.set_meta(connection, "zone", zone.key)
    if old_prefix != prefix:
        with store.begin() as connection:
            _retag(connection, prefix)
            state.set_meta(connection, "prefix", prefix)


def _rezone(store: Store, zone: ZoneInfo) -> None:
    last: int | None = None
    while True:
        with store.begin() as connection:
            rows = connection.exec_driver_sql(
                "SELECT id, placed_at, customer_id FROM orders WHERE placed_at IS NOT NULL AND (?1 IS NULL OR id > ?1) "
                "ORDER BY id LIMIT ?2",
                (last, _ROWS),
            ).all()
            if not rows:
                return
            connection.exec_driver_sql(
                "UPDATE orders SET local_day = ?, local_month = ? WHERE id = ?",
                [(*local_days(row[1], zone), row[0]) for row in rows],
            )
            connection.exec_driver_sql(
                "INSERT OR IGNORE INTO dirty (customer_id) SELECT value FROM json_each(?)",
                (listed({row[2] for row in rows} - {None}),),
            )
            last = rows[-1][0]


def _retag(connection: Connection, prefix: str) -> None:
    tags = connection.exec_driver_sql("SELECT DISTINCT tag FROM customer_tags").all()
    changes = [(is_ours(row[0], prefix.lower()), row[0]) for row in tags]
    if changes:
        connection.exec_driver_sql("CREATE TEMP TABLE tag_owner (ours INTEGER, tag TEXT PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO tag_owner (ours, tag) VALUES (?, ?)", changes)
        connection.exec_driver_sql(
            "UPDATE customer_tags SET ours = (SELECT ours FROM tag_owner WHERE tag_owner.tag = customer_tags.tag) "
            "WHERE ours <> (SELECT ours FROM tag_owner WHERE tag_owner.tag = customer_tags.tag)"
        )
        connection.exec_driver_sql("DROP TABLE tag_owner")
