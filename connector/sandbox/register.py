"""The books of a shop: its records by number, person, address and GUID, its timeline, and who watches it change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Literal

from connector.base import Clock
from connector.sandbox.records import Cart, Customer, Event, Order, Product, email_key

Kind = Literal["customer", "order", "cart"]
Watcher = Callable[[Kind, "Customer | Order | Cart", bool], None]

FIRST_NUMBERS = {
    "customer": 7_100_000_000_001,
    "order": 5_800_000_000_001,
    "cart": 31_000_000_000_001,
    "product": 8_200_000_000_001,
    "line": 14_500_000_000_001,
    "cart_line": 41_500_000_000_001,
    "refund": 910_000_000_001,
    "event": 320_000_000_000_001,
}


class StillClock:
    """Time that stands at `at` until somebody sets it."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += max(0.0, seconds)


class Register:
    """The books. `denied` names permissions its simulators withhold; `retention_days` purges old carts."""

    def __init__(
        self,
        *,
        clock: Clock,
        name: str = "Sandbox Shop",
        domain: str = "sandbox-shop.myshopify.com",
        currency: str = "EUR",
        zone: str = "Europe/Berlin",
        denied: Iterable[str] = (),
        retention_days: int | None = None,
    ) -> None:
        self.clock = clock
        self.name = name
        self.domain = domain
        self.currency = currency
        self.zone = zone
        self.denied = set(denied)
        self.retention_days = retention_days
        self.customers: dict[int, Customer] = {}
        self.orders: dict[int, Order] = {}
        self.carts: dict[int, Cart] = {}
        self.products: dict[int, Product] = {}
        self.events: list[Event] = []
        self.merged: dict[int, int] = {}
        self.watchers: list[Watcher] = []
        self.catalogue = 0
        self.source_ids: dict[str, dict[str, int]] = {}
        self._numbers = {kind: count(first) for kind, first in FIRST_NUMBERS.items()}
        self._order_names = count(1001)
        self._orders_of: dict[int, list[Order]] = {}
        self._carts_of: dict[int, list[Cart]] = {}
        self._by_email: dict[str, list[Customer]] = {}
        self._by_guid: dict[str, dict[str, int]] = {}

    def now(self) -> int:
        """The world's time in whole seconds."""
        return int(self.clock.now())

    def orders_of(self, customer: Customer | int) -> Sequence[Order]:
        """Orders that belong to this person, in the order they were recorded."""
        return self._orders_of.get(customer if isinstance(customer, int) else customer.number, ())

    def carts_of(self, customer: Customer | int) -> Sequence[Cart]:
        """Carts that belong to this person."""
        return self._carts_of.get(customer if isinstance(customer, int) else customer.number, ())

    def by_email(self, email: str | None) -> Sequence[Customer]:
        """Everybody with this address, whatever its case."""
        return self._by_email.get(email_key(email) or "", ())

    def by_guid(self, kind: Kind, guid: str) -> Customer | Order | Cart | None:
        """The live record with this GUID."""
        records: Mapping[int, Customer | Order | Cart] = self._table(kind)
        known = self._by_guid.get(kind)
        if known is None or (guid not in known and len(known) != len(records)):
            known = self._by_guid[kind] = {record.guid: number for number, record in records.items()}
        return records.get(known.get(guid, -1))

    def new_number(self, kind: str) -> int:
        """The next free number of its kind."""
        return next(self._numbers[kind])

    def touch(self, record: Customer | Order | Cart, *, at: int | None = None) -> None:
        """Stamp a record as changed and tell the watchers. Call it after editing a record by hand."""
        record.updated_at = self.now() if at is None else at
        self._tell(record)

    def put_order(self, order: Order) -> None:
        """Record an order made elsewhere (a loader's)."""
        self.orders[order.number] = order
        if order.customer is not None:
            self._orders_of.setdefault(order.customer.number, []).append(order)
        self._tell(order)

    def put_cart(self, cart: Cart) -> None:
        """Record a cart made elsewhere (a loader's)."""
        self.carts[cart.number] = cart
        if cart.customer is not None:
            self._carts_of.setdefault(cart.customer.number, []).append(cart)
        self._tell(cart)

    def _table(self, kind: Kind) -> Mapping[int, Customer | Order | Cart]:
        return {"customer": self.customers, "order": self.orders, "cart": self.carts}[kind]  # type: ignore[return-value]

    def _enrol(self, customer: Customer) -> None:
        if key := email_key(customer.email):
            self._by_email.setdefault(key, []).append(customer)

    def _dismiss(self, customer: Customer) -> None:
        if key := email_key(customer.email):
            self._by_email[key].remove(customer)

    def _remove(self, customer: Customer, at: int, into: int | None = None) -> None:
        del self.customers[customer.number]
        self._dismiss(customer)
        action = "destroy" if into is None else "merge"
        self.events.append(Event(self.new_number("event"), at, "customer", action, customer.number, into))
        self._tell(customer, gone=True)

    def _tell(self, record: Customer | Order | Cart, gone: bool = False) -> None:
        if self.watchers:
            kind: Kind = (
                "customer" if isinstance(record, Customer) else "order" if isinstance(record, Order) else "cart"
            )
            for watcher in self.watchers:
                watcher(kind, record, gone)
