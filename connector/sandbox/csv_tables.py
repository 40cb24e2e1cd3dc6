"""A real shop's tables as a world: customers, orders, order_lines, refunds and carts as csv.gz (or csv).

`COLUMNS` names what is read; other columns, answer keys among them, never reach a simulator. An empty field is missing,
times are UTC, numbers follow the order of the rows, `lines` of a cart is a JSON list.
"""

from __future__ import annotations

import csv
import gc
import gzip
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from sys import intern
from typing import Any

import orjson

from connector.base import Clock
from connector.sandbox.money import to_minor
from connector.sandbox.records import (
    Allocation,
    Cart,
    Customer,
    Line,
    Order,
    Product,
    Refund,
    RefundLine,
    email_key,
)
from connector.sandbox.register import StillClock
from connector.sandbox.world import World

Row = list[str]

COLUMNS = {
    "customers": "customer_id email first_name country created_at accepts_marketing",
    "orders": "order_id customer_id email created_at updated_at currency discount_codes cancelled_at test",
    "order_lines": "order_id line_no product_id title category brand quantity unit_price discount",
    "refunds": "order_id line_no credit_note refunded_at quantity amount",
    "carts": "cart_id customer_id email created_at updated_at completed_at completed_order_id lines",
}


class BadTable(ValueError):
    """A table that is missing or cannot be read; the text names the file."""


def load(folder: Path, *, clock: Clock | None = None, now: int | None = None) -> World:
    """The world of a folder of tables: zone UTC, the currency of most orders, every cart kept.

    Without a clock the world stands still at `now` (default: the day after the newest change).
    """
    orders = list(_rows(folder, "orders"))
    currency = Counter(row[5] for row in orders).most_common(1)[0][0] if orders else "EUR"
    if clock is None:
        newest = max((_instant(row[4]) for row in orders), default=0)
        clock = StillClock(now if now is not None else newest + 86_400)
    world = World(clock=clock, name=folder.name, currency=currency, zone="UTC")
    with _without_gc():
        _Loader(world, folder, currency).run(orders)
    return world


def write_ids(world: World, path: Path, stores: Mapping[str, Callable[[str, int], str]]) -> None:
    """ids.csv: of every record the id in the tables, and the id by which each of the stores shows it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(("kind", "source_id", *stores))
        for kind, numbers in world.source_ids.items():
            out.writerows(
                (kind, source, *(record_id(kind, number) for record_id in stores.values()))
                for source, number in numbers.items()
            )


class _Loader:
    def __init__(self, world: World, folder: Path, currency: str) -> None:
        self.world = world
        self.folder = folder
        self.currency = currency
        self.minor: Callable[[str], int] = cache(lambda text: to_minor(text, currency))
        self.ids: dict[str, dict[str, int]] = {"customer": {}, "order": {}, "cart": {}, "product": {}}
        self.products: dict[str, Product] = {}
        world.source_ids = self.ids

    def run(self, orders: list[Row]) -> None:
        self.customers()
        lines = self.lines()
        refunds = self.refunds()
        for row in orders:
            self.order(row, lines.get(row[0], []), refunds.get(row[0], []))
        self.carts()

    def customers(self) -> None:
        for source, email, first_name, country, created, accepts in _rows(self.folder, "customers"):
            at = _instant(created)
            subscribed = accepts == "true"
            customer = self.world.add_customer(
                email or None,
                at=at,
                first_name=first_name or None,
                country=country or None,
                email_consent="SUBSCRIBED" if subscribed else "NOT_SUBSCRIBED",
                email_consent_at=at if subscribed else None,
            )
            self.ids["customer"][source] = customer.number

    def product(self, source: str, title: str, category: str, brand: str, price: int) -> Product:
        """The product of this id, made at its first sight."""
        known = self.products.get(source)
        if known is None:
            known = self.products[source] = self.world.add_product(
                title, price, category=intern(category) or None, vendor=intern(brand) or None, sku=source
            )
            self.ids["product"][source] = known.number
        elif known.category is None and category:
            known.category = intern(category)
        return known

    def lines(self) -> dict[str, list[tuple[str, Line]]]:
        """Lines by order, with their line_no."""
        found: dict[str, list[tuple[str, Line]]] = defaultdict(list)
        minor, number = self.minor, self.world.new_number
        shared: dict[int, tuple[Allocation, ...]] = {0: ()}
        for order, line_no, source, title, category, brand, quantity, price, discount in _rows(
            self.folder, "order_lines"
        ):
            unit, off = minor(price), minor(discount)
            product = self.products.get(source)
            if product is None or product.category is None:
                product = self.product(source, title, category, brand, unit)
            if off not in shared:
                shared[off] = (Allocation(off),)
            found[order].append((line_no, Line(number("line"), product, int(quantity), unit, shared[off])))
        return found

    def refunds(self) -> dict[str, list[Row]]:
        """Refund rows by order."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in _rows(self.folder, "refunds"):
            found[row[0]].append(row)
        return found

    def order(self, row: Row, lines: list[tuple[str, Line]], refunds: list[Row]) -> None:
        source, owner, email, created, updated, currency, codes, cancelled, test = row
        at = _instant(created)
        customer = self.customer(owner)
        order = Order(
            number=self.world.new_number("order"),
            name=f"#{source}",
            customer=customer,
            email=email or None,
            created_at=at,
            processed_at=at,
            updated_at=_instant(updated),
            currency=intern(currency),
            lines=tuple(line for _, line in lines),
            codes=tuple(code for code in codes.replace("|", ";").split(";") if code),
            cancelled_at=_instant(cancelled) if cancelled else None,
            cancel_reason="CUSTOMER" if cancelled else None,
            test=test == "true",
            accepts_marketing=customer is not None and customer.email_consent == "SUBSCRIBED",
            language=customer.language if customer else None,
            country=customer.country if customer else None,
        )
        notes: dict[tuple[str, str], list[RefundLine]] = defaultdict(list)
        by_line = {line_no: line.number for line_no, line in lines}
        for _, line_no, note, refunded, quantity, amount in refunds:
            notes[refunded, note].append(RefundLine(by_line[line_no], int(quantity), self.minor(amount)))
        for (refunded, note), parts in sorted(notes.items()):
            total = sum(part.amount for part in parts)
            number = self.world.new_number("refund")
            order.refunds.append(Refund(number, _instant(refunded), total, tuple(parts), note))
        self.ids["order"][source] = order.number
        self.world.put_order(order)

    def carts(self) -> None:
        for source, owner, email, created, updated, completed, order, lines in _rows(self.folder, "carts"):
            customer = self.customer(owner)
            if customer is None and email_key(email):
                customer = next(iter(self.world.by_email(email)), None)
            cart = Cart(
                number=self.world.new_number("cart"),
                customer=customer,
                email=email or None,
                created_at=_instant(created),
                updated_at=_instant(updated),
                currency=self.currency,
                lines=tuple(self.cart_line(line) for line in orjson.loads(lines)),
                completed_at=_instant(completed) if completed else None,
                order=self.ids["order"].get(order),
                country=customer.country if customer else None,
            )
            self.ids["cart"][source] = cart.number
            self.world.put_cart(cart)

    def cart_line(self, line: Mapping[str, Any]) -> Line:
        price = self.minor(str(line["unit_price"]))
        product = self.product(line["product_id"], line["title"], "", "", price)
        return Line(self.world.new_number("cart_line"), product, int(line["quantity"]), price)

    def customer(self, source: str) -> Customer | None:
        return self.world.customers[self.ids["customer"][source]] if source else None


@cache
def _instant(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _rows(folder: Path, table: str) -> Iterator[Row]:
    """The columns we read of a table, row by row."""
    columns = COLUMNS[table].split()
    path = folder / f"{table}.csv.gz"
    if not path.exists():
        path = folder / f"{table}.csv"
    if not path.exists():
        raise BadTable(f"{folder}: no {table}.csv.gz")
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if missing := [column for column in columns if column not in header]:
            raise BadTable(f"{path}: no column {missing[0]!r}")
        places = [header.index(column) for column in columns]
        for row in reader:
            yield [row[place] for place in places]


@contextmanager
def _without_gc() -> Iterator[None]:
    """A million long-lived tuples need no collecting while they are made."""
    active = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if active:
            gc.enable()
            gc.freeze()
