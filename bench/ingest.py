"""Targets 2 and 5: pages of orders from a loopback server into SQLite, by the product and by a loop written by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import orjson

from bench.pages import CUSTOMERS, FIRST_CUSTOMER, PAGE, START, serving
from bench.runner import Bench, Result, Timed, alternate, at_least
from connector.base import Access, Source
from connector.shopify import ShopifySettings, platform
from connector.shopify.documents import document
from sync.clock import SystemClock
from sync.pull.extract import run_stream
from sync.store.engine import Store, open_store
from sync.store.migrations import build_indexes

UTC = ZoneInfo("UTC")
NOW = START + 400_000_000
TABLES = ("orders", "order_lines", "refunds", "order_codes", "product_tags")
_names = count()


def run(bench: Bench) -> Iterator[Result]:
    orders = bench.size(20_000, 3_000)
    with serving(orders) as address:
        yield _page_pull(bench, address, orders)
        yield _again(bench, address, orders)


def source(address: str) -> Source:
    """The real source, its client and its budget."""
    assert platform.source is not None
    access = Access(
        ShopifySettings(shop="bench", api_url=address), {"REGULARS_SHOPIFY_TOKEN": "shpat_bench"}, SystemClock()
    )
    return platform.source(access)


def new_store(folder: Path, *, indexed: bool) -> Store:
    """A store that knows the people whose orders come."""
    store = open_store(folder / f"{next(_names)}.db", clock=SystemClock())
    with store.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO customers (id, email, email_key) VALUES (?, ?, ?)",
            [(FIRST_CUSTOMER + n, f"person{n}@example.org", f"person{n}@example.org") for n in range(CUSTOMERS)],
        )
        build_indexes(connection, None if indexed else ["customers"])
    return store


def pull_orders(source_: Source, store: Store, *, full: bool = False) -> None:
    """What a sync does with one stream, its indexes included."""
    stream = next(one for one in source_.streams if one.name == "orders")
    run_stream(source_, stream, store, run_id=1, now=NOW, zone=UTC, prefix="seg-", full=full)
    with store.begin() as connection:
        build_indexes(connection, source_.columns(stream))


def _page_pull(bench: Bench, address: str, orders: int) -> Result:
    used: list[Path] = []

    def ours() -> Timed:
        store = new_store(bench.folder, indexed=False)
        used.append(store.path)
        return partial(pull_orders, source(address), store)

    def raw() -> Timed:
        store = new_store(bench.folder, indexed=False)
        store.close()
        used.append(store.path)
        return partial(raw_loop, address, store.path)

    def fetch() -> Timed:
        return partial(_fetch_only, address)

    best = alternate(bench.rounds, ours=ours, raw=raw, fetch=fetch)
    assert _sums(used[0]) == _sums(used[1]), "the raw loop stored something else"
    figures = (
        f"{orders:,} orders in pages of {PAGE}; ours {best['ours']}, raw loop {best['raw']}, "
        f"fetching and parsing alone {best['fetch']}\n"
        f"wall-clock ratio {best['raw'].wall / best['ours'].wall:.2f}x; {orders / best['ours'].wall:,.0f} orders/s"
    )
    what = "pages into SQLite, speed beside httpx + orjson + executemany"
    return at_least("2", what, 0.70, best["raw"].cpu / best["ours"].cpu, figures)


def _again(bench: Bench, address: str, orders: int) -> Result:
    held = new_store(bench.folder, indexed=True)
    pull_orders(source(address), held)

    def first() -> Timed:
        return partial(pull_orders, source(address), new_store(bench.folder, indexed=True))

    def again() -> Timed:
        return partial(pull_orders, source(address), held, full=True)

    best = alternate(bench.rounds, first=first, again=again)
    held.close()
    figures = (
        f"{orders:,} orders; first load with indexes {best['first']}, the same again {best['again']}\n"
        f"wall-clock ratio {best['first'].wall / best['again'].wall:.2f}x"
    )
    return at_least("5", "unchanged rows again, speed beside their first load", 1.2,
                    best["first"].cpu / best["again"].cpu, figures)  # fmt: skip


def bodies(address: str) -> Iterator[Any]:
    """Every page, parsed."""
    text = document("OrdersPage")
    with httpx.Client(base_url=address) as client:
        after: str | None = None
        while True:
            variables = {"first": PAGE, "after": after, "query": None, "lineItems": PAGE}
            asked = {"query": text, "operationName": "OrdersPage", "variables": variables}
            page = orjson.loads(client.post("/graphql.json", json=asked).content)["data"]["orders"]
            yield page["nodes"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]


def _fetch_only(address: str) -> None:
    for _ in bodies(address):
        pass


ORDERS = (
    "INSERT INTO orders (id, source_customer_id, customer_id, email_key, name, placed_at, local_day, local_month, "
    "created_at, updated_at, currency, gross, discount, total, refunded, coupon, test, cancelled_at, channel, status) "
    f"VALUES ({', '.join('?' * 20)}) ON CONFLICT (id) DO UPDATE SET customer_id = excluded.customer_id, "
    "updated_at = excluded.updated_at, total = excluded.total, refunded = excluded.refunded, "
    "cancelled_at = excluded.cancelled_at, status = excluded.status"
)
LINES = (
    "INSERT OR REPLACE INTO order_lines (order_id, id, customer_id, placed_at, product_id, title, category, brand, "
    f"quantity, gross, discount, net) VALUES ({', '.join('?' * 12)})"
)
REFUNDS = "INSERT OR REPLACE INTO refunds (order_id, id, customer_id, refunded_at, amount) VALUES (?, ?, ?, ?, ?)"
CODES = "INSERT OR REPLACE INTO order_codes (order_id, code, customer_id) VALUES (?, ?, ?)"
TAGS = "INSERT OR IGNORE INTO product_tags (product_id, tag) VALUES (?, ?)"


def raw_loop(address: str, path: Path) -> None:
    """The least that fills the same rows: no marks, no guard, no owners looked up, no quarantine."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -32768"):
        connection.execute(f"PRAGMA {pragma}")
    for nodes in bodies(address):
        orders: list[Any] = []
        lines: list[Any] = []
        refunds: list[Any] = []
        codes: list[Any] = []
        tags: set[tuple[int, str]] = set()
        for node in nodes:
            _convert(node, orders.append, lines.append, refunds.append, codes.append, tags)
        connection.execute("BEGIN IMMEDIATE")
        for sql, rows in ((ORDERS, orders), (LINES, lines), (REFUNDS, refunds), (CODES, codes), (TAGS, tags)):
            connection.executemany(sql, rows)
        connection.execute("COMMIT")
    connection.close()
    store = open_store(path, clock=SystemClock())
    with store.begin() as opened:
        build_indexes(opened, TABLES)
    store.close()


def _convert(
    node: Any,
    order: Callable[[Any], None],
    line: Callable[[Any], None],
    refund: Callable[[Any], None],
    code: Callable[[Any], None],
    tags: set[tuple[int, str]],
) -> None:
    number, person, placed = _number(node["id"]), _number(node["customer"]["id"]), _epoch(node["processedAt"])
    gross = discount = 0
    for item in node["lineItems"]["nodes"]:
        listed = _cents(item["originalTotalSet"])
        off = sum(_cents(one["allocatedAmountSet"]) for one in item["discountAllocations"])
        product = item["product"]
        product_id = _number(product["id"])
        gross += listed
        discount += off
        line((number, _number(item["id"]), person, placed, product_id, item["title"], product["productType"],
              item["vendor"], item["quantity"], listed, off, listed - off))  # fmt: skip
        tags.update((product_id, tag) for tag in product["tags"])
    for back in node["refunds"]:
        refund((number, _number(back["id"]), person, _epoch(back["createdAt"]), _cents(back["totalRefundedSet"])))
    for word in node["discountCodes"]:
        code((number, word, person))
    month = datetime.fromisoformat(node["processedAt"])
    cancelled = node["cancelledAt"]
    order((number, person, person, node["email"].strip().lower(), node["name"], placed, placed // 86_400,
           month.year * 12 + month.month - 1, _epoch(node["createdAt"]), _epoch(node["updatedAt"]),
           node["totalPriceSet"]["shopMoney"]["currencyCode"], gross, discount, _cents(node["totalPriceSet"]),
           _cents(node["totalRefundedSet"]), bool(node["discountCodes"]), node["test"],
           _epoch(cancelled) if cancelled else None, node["sourceName"],
           node["displayFinancialStatus"].lower()))  # fmt: skip


def _number(gid: str) -> int:
    return int(gid[gid.rindex("/") + 1 :])


def _epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _cents(bag: Any) -> int:
    return round(float(bag["shopMoney"]["amount"]) * 100)


def _sums(path: Path) -> list[Any]:
    """What both must agree on."""
    connection = sqlite3.connect(path)
    asked = {
        "orders": "customer_id placed_at local_day local_month gross discount total refunded cancelled_at coupon",
        "order_lines": "customer_id placed_at product_id gross discount net quantity",
        "refunds": "customer_id amount refunded_at",
        "order_codes": "customer_id",
        "product_tags": "product_id",
    }
    found = [
        connection.execute(f"SELECT count(*), sum({'), sum('.join(names.split())}) FROM {table}").fetchone()
        for table, names in asked.items()
    ]
    connection.close()
    return found
