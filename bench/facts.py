"""Facts of a made-up shop straight into the tables: few people with many orders, many with one or two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from bench.runner import Bench
from sync.clock import ManualClock
from sync.metrics import MetricSettings, refresh
from sync.store.engine import Connection, Store, open_store
from sync.store.migrations import build_indexes

NOW = 1_795_219_200
DAY = 86_400
YEARS = 3
TAIL, MOST = 1.05, 150
"""Orders of one person follow a power law: five on average, one for half of all people, 150 at most."""
PRODUCTS = 3_000
CATEGORIES = tuple(f"Category {number}" for number in range(40))
SETTINGS = MetricSettings(ZoneInfo("UTC"), "EUR")
CHUNK = 20_000


def shop(bench: Bench) -> Store:
    """100,000 people, 500,000 orders, 1.2 million lines (quick: a tenth), all metrics worked out; made once a run."""
    kept = bench.kept.get("shop")
    if isinstance(kept, Store):
        return kept
    store = open_store(bench.folder / "shop.db", clock=ManualClock(NOW))
    with store.begin() as connection:
        fill(connection, bench.size(100_000, 10_000))
        build_indexes(connection)
    refresh(store, now=NOW, settings=SETTINGS, full=True)
    bench.kept["shop"] = store
    return store


def fill(connection: Connection, people: int) -> None:
    """`people` customers, about five times as many orders, with 2.4 lines each, and some carts."""
    rng = Random(5)
    _insert(connection, "customers", "id, created_at, updated_at, email, email_key, country, email_status",
            _customers(people, rng))  # fmt: skip
    orders = list(_orders(people, rng))
    _insert(connection, "orders", "id, customer_id, source_customer_id, placed_at, local_day, local_month, created_at, "
            "updated_at, currency, gross, discount, total, refunded, coupon, test, cancelled_at, status",
            orders)  # fmt: skip
    _insert(connection, "order_lines", "order_id, id, customer_id, placed_at, product_id, title, category, brand, "
            "quantity, gross, discount, net", _lines(orders, rng))  # fmt: skip
    _insert(connection, "carts", "id, customer_id, source_customer_id, created_at, updated_at, completed_at, currency, "
            "total", _carts(people, rng))  # fmt: skip


def _customers(people: int, rng: Random) -> Iterator[tuple[Any, ...]]:
    for number in range(1, people + 1):
        made = NOW - int(rng.random() * YEARS * 365 * DAY)
        email = f"person{number}@example.org"
        country = rng.choice(("DE", "FR", "GB"))
        status = "SUBSCRIBED" if rng.random() < 0.6 else "NOT_SUBSCRIBED"
        yield number, made, made, email, email, country, status


def _orders(people: int, rng: Random) -> Iterator[tuple[Any, ...]]:
    owners = [owner for owner in range(1, people + 1) for _ in range(min(MOST, int(rng.paretovariate(TAIL))))]
    rng.shuffle(owners)
    for number, owner in enumerate(owners, start=1):
        placed = NOW - YEARS * 365 * DAY + YEARS * 365 * DAY * number // len(owners)
        day = placed // DAY
        year, month = divmod(int(day / 30.4368), 12)
        gross = 500 + int(rng.expovariate(1 / 5000))
        discount = gross // 10 if rng.random() < 0.25 else 0
        paid = gross - discount + 490
        refunded = paid if rng.random() < 0.04 else 0
        cancelled = placed + 3600 if rng.random() < 0.02 else None
        yield (number, owner, owner, placed, day, (1970 + year) * 12 + month, placed, placed, "EUR", gross, discount,
               paid, refunded, int(discount > 0), 0, cancelled, "paid")  # fmt: skip


def _lines(orders: Sequence[tuple[Any, ...]], rng: Random) -> Iterator[tuple[Any, ...]]:
    line = 0
    for order in orders:
        for _ in range(min(8, 1 + int(rng.expovariate(0.52)))):
            line += 1
            product = int(PRODUCTS * rng.random() ** 2)
            price = 300 + product
            yield (order[0], line, order[1], order[3], product, f"Product number {product}",
                   CATEGORIES[product % 40], f"Brand {product % 25}", 1, price, 0, price)  # fmt: skip


def _carts(people: int, rng: Random) -> Iterator[tuple[Any, ...]]:
    for number in range(1, int(people * 1.5) + 1):
        owner = 1 + int(people * rng.random())
        made = NOW - int(rng.random() * 95 * DAY)
        done = made + 3600 if rng.random() < 0.3 else None
        yield number, owner, owner, made, made, done, "EUR", 4_000


def _insert(connection: Connection, table: str, columns: str, rows: Any) -> None:
    marks = ", ".join("?" * len(columns.split(",")))
    left = iter(rows)
    while chunk := list(islice(left, CHUNK)):
        connection.exec_driver_sql(f"INSERT INTO {table} ({columns}) VALUES ({marks})", chunk)
