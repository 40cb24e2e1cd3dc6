"""The lists a simulated shop can page through: sorted keys per record, as they are and as the search index has them.

The index follows changes with a delay (some 10 s were seen), so a filtered list can miss what an object already shows;
reading by id is always current.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from connector.sandbox.records import Cart, Customer, Order
from connector.sandbox.world import World
from connector.shopify.sandbox_objects import financial_status
from connector.shopify.sandbox_search import Search, Values

Record = Customer | Order | Cart
Key = tuple[int, int]

FILTERS = {
    "customer": {
        "id": "id", "updated_at": "day", "customer_date": "day", "tag": "tag", "tag_not": "tag_not", "email": "text",
        "accepts_marketing": "bool", "state": "text", "country": "text", "orders_count": "number",
        "first_name": "text", "last_name": "text",
    },
    "order": {
        "id": "id", "updated_at": "time", "created_at": "time", "processed_at": "time", "customer_id": "id",
        "test": "bool", "financial_status": "text", "name": "text", "email": "text", "source_name": "text",
        "discount_code": "text", "tag": "tag", "tag_not": "tag_not", "status": "text",
    },
    "cart": {
        "id": "id", "updated_at": "time", "created_at": "time", "status": "text", "recovery_state": "text",
        "email_state": "text",
    },
}  # fmt: skip
COUNT_FILTERS = {**FILTERS, "customer": {"id": "id", "created_at": "time", "updated_at": "day"}}
SORTS = {
    "customer": {"ID": "id", "CREATED_AT": "created_at", "UPDATED_AT": "updated_at", "RELEVANCE": "id"},
    "order": {
        "ID": "id", "CREATED_AT": "created_at", "UPDATED_AT": "updated_at", "PROCESSED_AT": "processed_at",
        "RELEVANCE": "id",
    },
    "cart": {"ID": "id", "CHECKOUT_ID": "id", "CREATED_AT": "created_at", "RELEVANCE": "id"},
}  # fmt: skip


def customer_values(world: World, customer: Customer) -> Values:
    """What customers can be filtered and sorted by."""
    return {
        "id": customer.number,
        "created_at": customer.created_at,
        "customer_date": customer.created_at,
        "updated_at": customer.updated_at,
        "tag": frozenset(customer.tags),
        "email": customer.email,
        "accepts_marketing": str(customer.email_consent == "SUBSCRIBED"),
        "state": customer.account,
        "country": customer.country,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "orders_count": len(world.orders_of(customer)),
        "text": f"{customer.first_name} {customer.last_name} {customer.email}".casefold(),
    }


def order_values(world: World, order: Order) -> Values:
    """What orders can be filtered and sorted by."""
    return {
        "id": order.number,
        "created_at": order.created_at,
        "processed_at": order.processed_at,
        "updated_at": order.updated_at,
        "customer_id": order.customer.number if order.customer else None,
        "test": str(order.test),
        "financial_status": financial_status(order).lower(),
        "status": "cancelled" if order.cancelled_at else "open",
        "name": order.name,
        "email": order.email,
        "source_name": order.source,
        "discount_code": order.codes[0] if order.codes else None,
        "tag": frozenset(),
        "text": f"{order.name} {order.email}".casefold(),
    }


def cart_values(world: World, cart: Cart) -> Values:
    """What abandoned checkouts can be filtered and sorted by."""
    return {
        "id": cart.number,
        "created_at": cart.created_at,
        "updated_at": cart.updated_at,
        "status": "closed" if cart.completed_at else "open",
        "recovery_state": "recovered" if cart.completed_at else "not_recovered",
        "email_state": "not_sent",
        "text": "",
    }


VALUES: dict[str, Callable[[World, Any], Values]] = {
    "customer": customer_values,
    "order": order_values,
    "cart": cart_values,
}


class Listing:
    """The records of one kind in every order they can be sorted by."""

    def __init__(self, kind: str, entries: Iterable[Values]) -> None:
        self.kind = kind
        self.entries = {values["id"]: values for values in entries}
        self._sorted: dict[str, list[Key]] = {}

    def put(self, number: int, values: Values | None) -> None:
        """Replace what is known of a record; None removes it."""
        old = self.entries.pop(number, None)
        for name, keys in self._sorted.items():
            if old is not None:
                del keys[bisect_left(keys, (old[name], number))]
            if values is not None:
                insort(keys, (values[name], number))
        if values is not None:
            self.entries[number] = values

    def walk(self, sort: str, search: Search | None, after: Key | None, *, reverse: bool = False) -> Iterator[Key]:
        """Keys behind `after` that match, in order."""
        keys = self._keys(sort, search)
        if reverse:
            stop = bisect_left(keys, after) if after is not None else len(keys)
            order: Iterable[int] = range(stop - 1, -1, -1)
        else:
            start = bisect_right(keys, after) if after is not None else 0
            if search is not None and sort in search.lower:
                start = max(start, bisect_left(keys, (search.lower[sort], -1)))
            order = range(start, len(keys))
        entries = self.entries
        for at in order:
            key = keys[at]
            if search is None or search.matches(entries[key[1]]):
                yield key

    def _keys(self, sort: str, search: Search | None) -> list[Key]:
        if search is not None and "id" in search.equal:
            entry = self.entries.get(search.equal["id"])
            return [(entry[sort], entry["id"])] if entry is not None else []
        keys = self._sorted.get(sort)
        if keys is None:
            keys = self._sorted[sort] = sorted((values[sort], number) for number, values in self.entries.items())
        return keys


class Lists:
    """All listings of a world, kept up to date by watching it: `live` at once, `indexed` after `lag` seconds."""

    def __init__(self, world: World, *, lag: float) -> None:
        self._world = world
        self._lag = lag
        tables: dict[str, Iterable[Record]] = {
            "customer": world.customers.values(),
            "order": world.orders.values(),
            "cart": world.carts.values(),
        }
        self._live: dict[str, Listing] = {}
        self._indexed: dict[str, Listing] = {}
        self._waiting: deque[tuple[float, str, int, Values | None]] = deque()
        for kind, records in tables.items():
            self._live[kind] = Listing(kind, [VALUES[kind](world, record) for record in records])
            self._indexed[kind] = Listing(kind, self._live[kind].entries.values())
        world.watchers.append(self._changed)

    def live(self, kind: str) -> Listing:
        """The records as they are."""
        return self._live[kind]

    def indexed(self, kind: str) -> Listing:
        """The records as the search index has them now."""
        now = self._world.clock.now()
        while self._waiting and self._waiting[0][0] <= now:
            _, changed, number, values = self._waiting.popleft()
            self._indexed[changed].put(number, values)
        return self._indexed[kind]

    def _changed(self, kind: str, record: Record, gone: bool) -> None:
        values = None if gone else VALUES[kind](self._world, record)
        self._live[kind].put(record.number, values)
        self._waiting.append((self._world.clock.now() + self._lag, kind, record.number, values))
