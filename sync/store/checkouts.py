"""Carts and orders that are one checkout: an order completes the cart of its key, whichever of them came first.

Nothing is written to the cart. Whether it is open is asked of the orders whenever it is read, so the answer cannot be
out of date; only whose metrics it changes has to be noted.
"""

from __future__ import annotations

from collections.abc import Collection

from sync.store.engine import Connection
from sync.store.identity import listed, mark_dirty


def mark_carts(connection: Connection, keys: Collection[int]) -> None:
    """Orders of these checkouts came, changed or went: mark whose carts they are."""
    if keys:
        rows = connection.exec_driver_sql(
            "SELECT customer_id FROM carts WHERE checkout_key IN (SELECT value FROM json_each(?))", (listed(keys),)
        )
        mark_dirty(connection, {row[0] for row in rows} - {None})
