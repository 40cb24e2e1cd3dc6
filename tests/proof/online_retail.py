"""Reads the real shop's tables straight into the store: no platform between, so that only derivation is tried."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson

from sync.metrics.days import local_days
from sync.store.engine import Connection

Row = dict[str, str]


def rows(folder: Path, name: str) -> Iterator[Row]:
    """The rows of one table; an empty field is missing."""
    with gzip.open(folder / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def instant(text: str) -> int | None:
    """Epoch seconds of `2026-11-21T00:00:00Z`."""
    return int(datetime.fromisoformat(text).timestamp()) if text else None


def pence(text: str) -> int | None:
    """Minor units of an amount with two decimals."""
    return int(Decimal(text) * 100) if text else None


def number(customer_id: str) -> int:
    """OR12346 is customer 12346."""
    return int(customer_id.removeprefix("OR"))


def insert(connection: Connection, table: str, columns: str, values: list[tuple[object, ...]]) -> None:
    """Many rows of one table."""
    marks = ", ".join("?" * len(columns.split(",")))
    connection.exec_driver_sql(f"INSERT INTO {table} ({columns}) VALUES ({marks})", values)


def load(connection: Connection, folder: Path, zone: ZoneInfo) -> None:
    """Customers, orders, lines, refunds and carts, owners resolved by id, else by address."""
    people = list(rows(folder, "customers"))
    by_address = {row["email"].strip().lower(): number(row["customer_id"]) for row in people if row["email"]}
    insert(
        connection,
        "customers",
        "id, created_at, email, email_key, first_name, country, email_status",
        [
            (
                number(row["customer_id"]),
                instant(row["created_at"]),
                row["email"] or None,
                row["email"].strip().lower() or None,
                row["first_name"] or None,
                row["country"] or None,
                "SUBSCRIBED" if row["accepts_marketing"] == "true" else "NOT_SUBSCRIBED",
            )
            for row in people
        ],
    )
    orders = _load_orders(connection, folder, zone)
    _load_lines(connection, folder, orders)
    _load_carts(connection, folder, by_address)


def _load_orders(connection: Connection, folder: Path, zone: ZoneInfo) -> dict[str, tuple[int, int | None, int]]:
    known: dict[str, tuple[int, int | None, int]] = {}
    values: list[tuple[object, ...]] = []
    for row in sorted(rows(folder, "orders"), key=lambda row: row["order_id"]):
        placed = instant(row["created_at"])
        assert placed is not None
        owner = number(row["customer_id"]) if row["customer_id"] else None
        known[row["order_id"]] = (len(known) + 1, owner, placed)
        values.append(
            (
                len(known),
                owner,
                owner,
                row["order_id"],
                placed,
                *local_days(placed, zone),
                placed,
                row["currency"],
                pence(row["subtotal"]),
                pence(row["discount_total"]),
                pence(row["total"]),
                pence(row["refunded_amount"]),
                row["discount_coupon"] != "0.00",
                row["test"] == "true",
                instant(row["cancelled_at"]),
                "paid",
            )
        )
    insert(
        connection,
        "orders",
        "id, customer_id, source_customer_id, name, placed_at, local_day, local_month, created_at, currency, "
        "gross, discount, total, refunded, coupon, test, cancelled_at, status",
        values,
    )
    insert(
        connection,
        "refunds",
        "id, order_id, customer_id, refunded_at, amount",
        [
            (place, *known[row["order_id"]][:2], instant(row["refunded_at"]), pence(row["amount"]))
            for place, row in enumerate(rows(folder, "refunds"), start=1)
        ],
    )
    return known


def _load_lines(connection: Connection, folder: Path, orders: dict[str, tuple[int, int | None, int]]) -> None:
    products: dict[str, int] = {}
    values: list[tuple[object, ...]] = []
    for place, row in enumerate(rows(folder, "order_lines"), start=1):
        order, owner, placed = orders[row["order_id"]]
        product = products.setdefault(row["product_id"], len(products) + 1)
        gross = int(row["quantity"]) * int(Decimal(row["unit_price"]) * 100)
        discount = pence(row["discount"]) or 0
        values.append(
            (
                place,
                order,
                owner,
                placed,
                product,
                row["title"],
                row["category"] or None,
                row["brand"] or None,
                int(row["quantity"]),
                gross,
                discount,
                gross - discount,
            )
        )
    insert(
        connection,
        "order_lines",
        "id, order_id, customer_id, placed_at, product_id, title, category, brand, quantity, gross, discount, net",
        values,
    )


def _load_carts(connection: Connection, folder: Path, by_address: dict[str, int]) -> None:
    carts: list[tuple[object, ...]] = []
    lines: list[tuple[object, ...]] = []
    for place, row in enumerate(rows(folder, "carts"), start=1):
        owner = number(row["customer_id"]) if row["customer_id"] else by_address.get(row["email"].strip().lower())
        stamps = (instant(row["created_at"]), instant(row["updated_at"]), instant(row["completed_at"]))
        carts.append((place, owner, *stamps, "GBP", pence(row["total"])))
        for line in orjson.loads(row["lines"]):
            value = line["quantity"] * round(Decimal(str(line["unit_price"])) * 100)
            lines.append((len(lines) + 1, place, owner, line["title"], line["quantity"], value))
    insert(connection, "carts", "id, customer_id, created_at, updated_at, completed_at, currency, total", carts)
    insert(connection, "cart_lines", "id, cart_id, customer_id, title, quantity, gross", lines)
