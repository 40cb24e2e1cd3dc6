"""What lines say of their products: tags as last seen on a line, and category and brand where the products have them.

A source with a stream of products may leave category and brand out of its lines. They are then copied from the products
in the transaction that brings the line or the product, so that no order of pages and no kill leaves a line behind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sync.store.engine import Connection
from sync.store.identity import listed, mark_dirty

Rows = Mapping[str, list[tuple[Any, ...]]]
Fills = Mapping[str, tuple[str, ...]]
"""Of each table of lines the columns that come from the products."""

PRODUCTS = "products"
_COPIED = ("category", "brand")
_PARENT = {"order_lines": "order_id", "cart_lines": "cart_id"}
_TAGS_KNOWN = 50_000


def fills(lines: Mapping[str, Sequence[str]]) -> Fills:
    """What the products have to say for lines with these columns: all that the lines leave out."""
    return {
        table: left_out
        for table, columns in lines.items()
        if table in _PARENT and (left_out := tuple(name for name in _COPIED if name not in columns))
    }


def fill(connection: Connection, wanted: Fills, parents: Collection[int]) -> None:
    """Copy to the lines of these orders or carts, whose customers are marked as theirs anyway."""
    for table, columns in wanted.items():
        _copy(connection, table, columns, _PARENT[table], parents)


def spread(connection: Connection, wanted: Fills, products: Collection[int]) -> None:
    """Copy what is now stored of these products to their lines, and mark whose lines became others."""
    for table, columns in wanted.items():
        mark_dirty(connection, _copy(connection, table, columns, "product_id", products))


def _copy(connection: Connection, table: str, columns: Sequence[str], key: str, values: Collection[int]) -> set[int]:
    """Returns the customers whose lines differed."""
    if not values:
        return set()
    rows = connection.exec_driver_sql(
        f"UPDATE {table} SET {', '.join(f'{name} = p.{name}' for name in columns)} FROM products p "
        f"WHERE p.id = {table}.product_id AND {table}.{key} IN (SELECT value FROM json_each(?)) "
        f"AND ({' OR '.join(f'{table}.{name} IS NOT p.{name}' for name in columns)}) RETURNING {table}.customer_id",
        (listed(values),),
    )
    return {row[0] for row in rows if row[0] is not None}


class ProductTags:
    """Tags of products as last seen on a line; a product on a line without tags has none."""

    def __init__(self, columns: Mapping[str, Sequence[str]]) -> None:
        self._product = columns["product_tags"].index("product_id")
        self._tag = columns["product_tags"].index("tag")
        self._lines = next((name for name in ("order_lines", "cart_lines") if name in columns), None)
        self._line_product = columns[self._lines].index("product_id") if self._lines else 0
        self._seen: dict[int, frozenset[str]] = {}

    def replace(self, connection: Connection, records: Sequence[Rows]) -> None:
        """Store the tags of these records' lines."""
        tags: dict[int, set[str]] = {}
        for rows in records:
            for line in rows.get(self._lines, ()) if self._lines else ():
                if line[self._line_product] is not None:
                    tags.setdefault(line[self._line_product], set())
            for row in rows.get("product_tags", ()):
                tags.setdefault(row[self._product], set()).add(row[self._tag])
        fresh = {product: own for product, own in tags.items() if self._seen.get(product) != frozenset(own)}
        if not fresh:
            return
        stored: dict[int, set[str]] = {product: set() for product in fresh}
        for product, tag in connection.exec_driver_sql(
            "SELECT product_id, tag FROM product_tags WHERE product_id IN (SELECT value FROM json_each(?))",
            (listed(fresh),),
        ):
            stored[product].add(tag)
        gone = [(product, tag) for product, own in fresh.items() for tag in stored[product] - own]
        come = [(product, tag) for product, own in fresh.items() for tag in own - stored[product]]
        if gone:
            connection.exec_driver_sql("DELETE FROM product_tags WHERE product_id = ? AND tag = ?", gone)
        if come:
            connection.exec_driver_sql("INSERT INTO product_tags (product_id, tag) VALUES (?, ?)", come)
        if len(self._seen) > _TAGS_KNOWN:
            self._seen.clear()
        self._seen.update((product, frozenset(own)) for product, own in fresh.items())
