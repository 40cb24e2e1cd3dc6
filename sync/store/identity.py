"""Who an order, a cart or an event belongs to.

The owner is the customer the platform names, followed through merges. Without one that lives, it is the ONE live
customer with the same address (trimmed, lower case); no such customer, or several, leave it unowned. A customer the
platform names but has not shown us yet owns it all the same. The answer depends on the stored rows alone, never on the
order they came in, so it may be asked again at any time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from sync.store.engine import Connection

_HELD = {"orders": ("order_lines", "order_codes", "refunds"), "carts": ("cart_lines",), "events": ()}
_PARENT = {"orders": "order_id", "carts": "cart_id"}


@dataclass(frozen=True, slots=True)
class Unowned:
    """Live orders and carts of nobody: without an address, with an unknown one, with one that several people have."""

    no_address: int
    no_match: int
    several: int


def listed(values: Iterable[int | str]) -> str:
    """Values as one parameter, for `IN (SELECT value FROM json_each(?))`."""
    return orjson.dumps(list(values)).decode()


def mark_dirty(connection: Connection, customers: Collection[int]) -> None:
    """Have the metrics of these customers computed again."""
    if customers:
        connection.exec_driver_sql(
            "INSERT OR IGNORE INTO dirty (customer_id) SELECT value FROM json_each(?)", (listed(sorted(customers)),)
        )


def owners(connection: Connection, claims: Sequence[tuple[int | None, str | None]]) -> list[int | None]:
    """The owner for each (customer named by the platform, address)."""
    followed = _survivors(connection, {source for source, _ in claims if source is not None})
    found = [None if source is None else followed[source] for source, _ in claims]
    keys = {key for (_, key), owner in zip(claims, found, strict=True) if owner is None and key is not None}
    if not keys:
        return found
    rows = connection.exec_driver_sql(
        "SELECT email_key, min(id) FROM customers WHERE gone_at IS NULL "
        "AND email_key IN (SELECT value FROM json_each(?)) GROUP BY email_key HAVING count(*) = 1",
        (listed(keys),),
    )
    by_key: dict[str | None, int] = {row[0]: row[1] for row in rows}
    return [by_key.get(key) if owner is None else owner for (_, key), owner in zip(claims, found, strict=True)]


def rejoin(connection: Connection, keys: Collection[str], customers: Collection[int] = ()) -> int:
    """Ask again who owns what carries these addresses or names these customers; returns how many moved.

    Old and new owner become dirty. `customers` are those that went, came back or were merged.
    """
    return sum(_rejoin(connection, table, keys, customers) for table in _HELD) if keys or customers else 0


def depart(connection: Connection, survivors: Mapping[int, int | None], now: int) -> int:
    """These customers are gone, merged into a survivor where one is given; returns how many orders and carts moved.

    Of one that we never held nothing is kept but that.
    Membership and history of a merged customer move to the survivor, whom the next evaluation then judges; the ledger
    follows when it is next compared (`store.ledger`).
    """
    if not survivors:
        return 0
    merged = {gone: survivor for gone, survivor in survivors.items() if survivor is not None}
    keys = _keys(connection, survivors)
    connection.exec_driver_sql(
        "INSERT INTO customers (id, gone_at, merged_into) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "gone_at = coalesce(gone_at, excluded.gone_at), merged_into = excluded.merged_into",
        [(gone, now, survivor) for gone, survivor in survivors.items()],
    )
    if merged:
        moves = [(survivor, gone) for gone, survivor in merged.items()]
        connection.exec_driver_sql("UPDATE customers SET merged_into = ? WHERE merged_into = ?", moves)
        _move_history(connection, moves)
    mark_dirty(connection, set(survivors) | set(merged.values()))
    return rejoin(connection, keys, list(survivors))


def _move_history(connection: Connection, moves: Sequence[tuple[int, int]]) -> None:
    """Pairs of (survivor, loser). Masks go the way of `membership`, which they repeat."""
    losers = [(loser,) for _, loser in moves]
    run = connection.exec_driver_sql
    run("UPDATE membership_event SET customer_id = ? WHERE customer_id = ?", [*moves])
    run("UPDATE OR IGNORE membership SET customer_id = ? WHERE customer_id = ?", [*moves])
    run("DELETE FROM membership WHERE customer_id = ?", losers)
    run(
        "INSERT INTO membership_mask (customer_id, word, mask) SELECT ?, word, mask FROM membership_mask "
        "WHERE customer_id = ? ON CONFLICT DO UPDATE SET mask = mask | excluded.mask",
        [*moves],
    )
    run("DELETE FROM membership_mask WHERE customer_id = ?", losers)
    run("UPDATE segment_state SET size = (SELECT count(*) FROM membership WHERE segment = segment_state.key)")


def unowned(connection: Connection) -> Unowned:
    """How much belongs to nobody, and why."""
    row = connection.exec_driver_sql(
        """
        WITH held AS (
            SELECT email_key FROM orders WHERE customer_id IS NULL AND gone_at IS NULL
            UNION ALL SELECT email_key FROM carts WHERE customer_id IS NULL AND gone_at IS NULL
        ), shared AS (
            SELECT email_key FROM customers WHERE gone_at IS NULL AND email_key IS NOT NULL
            GROUP BY email_key HAVING count(*) > 1
        )
        SELECT count(*) FILTER (WHERE email_key IS NULL), count(*) FILTER (WHERE email_key IS NOT NULL),
               count(*) FILTER (WHERE email_key IN (SELECT email_key FROM shared)) FROM held
        """
    ).one()
    return Unowned(no_address=row[0], no_match=row[1] - row[2], several=row[2])


def _survivors(connection: Connection, customers: set[int]) -> dict[int, int | None]:
    """Each customer followed to one that lives; None where the trail ends with one that is gone."""
    known: dict[int, tuple[bool, int | None]] = {}
    asked = set(customers)
    while asked:
        rows = connection.exec_driver_sql(
            "SELECT id, gone_at IS NOT NULL, merged_into FROM customers WHERE id IN (SELECT value FROM json_each(?))",
            (listed(asked),),
        ).all()
        known.update((row[0], (bool(row[1]), row[2])) for row in rows)
        asked = {row[2] for row in rows if row[1] and row[2] is not None} - known.keys()
    return {customer: _follow(customer, known) for customer in customers}


def _follow(customer: int, known: Mapping[int, tuple[bool, int | None]]) -> int | None:
    passed: set[int] = set()
    at: int | None = customer
    while at is not None and at not in passed and known.get(at, (False, None))[0]:
        passed.add(at)
        at = known[at][1]
    return None if at in passed else at


def _keys(connection: Connection, customers: Iterable[int]) -> list[str]:
    rows = connection.exec_driver_sql(
        "SELECT DISTINCT email_key FROM customers WHERE email_key IS NOT NULL "
        "AND id IN (SELECT value FROM json_each(?))",
        (listed(customers),),
    )
    return [row[0] for row in rows]


def _rejoin(connection: Connection, table: str, keys: Collection[str], customers: Collection[int]) -> int:
    asked = "SELECT id, source_customer_id, email_key, customer_id FROM " + table
    rows = list(
        connection.exec_driver_sql(
            f"{asked} WHERE email_key IN (SELECT value FROM json_each(?)) "
            "AND (source_customer_id IS NULL OR customer_id IS NOT source_customer_id)",
            (listed(keys),),
        )
    )
    if customers:
        rows += connection.exec_driver_sql(
            f"{asked} WHERE customer_id IN (SELECT value FROM json_each(?1)) "
            "OR source_customer_id IN (SELECT value FROM json_each(?1))",
            (listed(customers),),
        )
    wanted = owners(connection, [(row[1], row[2]) for row in rows])
    moves = {row[0]: (row[3], owner) for row, owner in zip(rows, wanted, strict=True) if row[3] != owner}
    if not moves:
        return 0
    changes = [(owner, parent) for parent, (_, owner) in moves.items()]
    connection.exec_driver_sql(f"UPDATE {table} SET customer_id = ? WHERE id = ?", changes)
    for child in _HELD[table]:
        connection.exec_driver_sql(f"UPDATE {child} SET customer_id = ? WHERE {_PARENT[table]} = ?", changes)
    mark_dirty(connection, {person for move in moves.values() for person in move if person is not None})
    return len(moves)
