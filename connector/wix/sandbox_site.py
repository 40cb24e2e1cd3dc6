"""A Wix site over a world: contacts with their labels and revisions, orders, checkouts, and the indexes behind queries.

What is read by id is current; `index` follows `lag` seconds later. Changes of labels are Wix's own and do not reach the
world; the world's tags appear as labels of the owner's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from connector.base import Clock
from connector.sandbox.records import Cart, Customer, Order
from connector.sandbox.world import World
from connector.wix import sandbox_checkouts as checkouts
from connector.wix import sandbox_contact as contacts
from connector.wix.sandbox_contact import BUYER_LABEL, Activity, Contact, State
from connector.wix.sandbox_index import Entry, Lagging, Listing
from connector.wix.sandbox_orders import Orders
from connector.wix.sandbox_pages import Cursors
from connector.wix.sandbox_route import refused

MAX_KEY = 80


@dataclass(slots=True)
class Label:
    """A label. Its key never changes, whatever it is called."""

    number: int
    key: str
    display_name: str
    created: int
    updated: int
    namespace: str = "custom"
    kind: str = "USER_DEFINED"


@dataclass(slots=True)
class Campaign:
    """An e-mail campaign that was sent, and when which contact (by number) opened it or clicked in it."""

    id: str
    title: str
    sent_at: int
    sent_to: list[int] = field(default_factory=list)
    opened: dict[int, int] = field(default_factory=dict)
    clicked: dict[int, int] = field(default_factory=dict)


class Site:
    """One site. `label_writes` counts changed contacts by action, `trash` holds deleted ones with when they went.

    `visits` are the times somebody was seen on the site, by contact number; `consent_writes` what anybody asked to be
    written about consent, which should stay empty.
    """

    def __init__(
        self, world: World, *, clock: Clock, site_id: str, lag: float, label_quota: int = 1000, moved: bool = True
    ) -> None:
        self.world = world
        self.clock = clock
        self.id = site_id
        self.label_quota = label_quota
        self.index = Lagging(clock, lag)
        self.cursors = Cursors()
        self.orders = Orders(world, moved=moved)
        self.labels: dict[str, Label] = {}
        self.label_writes: Counter[str] = Counter()
        self.states: dict[int, State] = {}
        self.trash: dict[str, tuple[float, Contact]] = {}
        self.visits: dict[int, list[int]] = {}
        self.catalogue_version = "v1"
        self.products: tuple[tuple[int, int], Listing] | None = None
        self.campaigns: list[Campaign] = []
        self.consent_writes: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}
        self._label_numbers = count(1)
        self._tag_keys: dict[str, str] = {}
        self.index.fill("label", {})
        self._system_label(BUYER_LABEL, "Customers")
        self._system_label("contacts.contacted-me", "Contacted Me")
        for customer in world.customers.values():
            self._meet(customer)
        self.index.fill("label", {label.number: label_entry(label) for label in self.labels.values()})
        self.index.fill("contact", {number: self._entry(each) for number, each in world.customers.items()})
        self._fill_sales()
        world.watchers.append(self._changed)

    def _fill_sales(self) -> None:
        world, orders = self.world, self.orders
        orders.checkouts = {cart.order: cart.number for cart in world.carts.values() if cart.order is not None}
        self.index.fill("order", {n: at for n, order in world.orders.items() if (at := orders.entry(order))})
        self.index.fill("cart", {n: at for n, cart in world.carts.items() if (at := checkouts.entry(world, cart))})

    # orders

    def mark(self, order: Order, *, status: str | None = None, archived: bool | None = None) -> None:
        """Give an order a status of Wix's own (PENDING, REJECTED, INITIALIZED), or put it into the archive."""
        if status is not None:
            self.orders.statuses[order.number] = status
        if archived is not None:
            (self.orders.archived.add if archived else self.orders.archived.discard)(order.number)
        self.world.touch(order)

    # contacts

    def contact(self, number: int) -> Contact:
        """A living contact as it is now."""
        return self._snapshot(self.world.customers[number])

    def find(self, contact_id: str) -> tuple[Contact, bool]:
        """The contact behind an id, and whether the id was merged into it. 404 for any other."""
        number = self._numbers.get(contact_id, -1)
        merged = number in self.world.merged
        while number in self.world.merged:
            number = self.world.merged[number]
        if number not in self.world.customers:
            raise refused(404, "CONTACT_NOT_FOUND", "Contact not found")
        return self.contact(number), merged

    def relabel(self, number: int, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> bool:
        """Change a contact's labels; only a difference moves its revision and its date. True if there was one."""
        state = self.states[number]
        before = tuple(state.labels)
        state.labels.update(dict.fromkeys(add))
        for key in remove:
            state.labels.pop(key, None)
        if tuple(state.labels) == before:
            return False
        self.label_writes["contact"] += 1
        self._bump(number)
        return True

    def visit(self, customer: Customer, at: int) -> None:
        """Somebody known looked at the site. It shows as last activity and does not change the contact's date."""
        self.visits.setdefault(customer.number, []).append(at)
        self._reindex(customer.number)

    def numbered(self, contact_id: str) -> int | None:
        """The number behind an id, also of a contact that is gone."""
        return self._numbers.get(contact_id)

    # labels

    def add_label(self, display_name: str) -> Label:
        """A new label of the owner's namespace, with a key nobody has."""
        slug = re.sub(r"[^a-z0-9]+", "-", display_name.casefold()).strip("-")[: MAX_KEY - 20] or "label"
        key = f"custom.{slug}"
        for suffix in count(1):
            if key not in self.labels:
                break
            key = f"custom.{slug}-{suffix}"
        now = self.world.now()
        label = self.labels[key] = Label(next(self._label_numbers), key, display_name, now, now)
        self.index.put("label", label.number, label_entry(label))
        return label

    def rename_label(self, label: Label, display_name: str) -> None:
        """Call it something else; its key stays."""
        label.display_name = display_name
        label.updated = self.world.now()
        self.index.put("label", label.number, label_entry(label))

    def delete_label(self, label: Label) -> None:
        """Remove a label, from every contact too."""
        del self.labels[label.key]
        self.index.put("label", label.number, None)
        for number, state in self.states.items():
            if label.key in state.labels and number in self.world.customers:
                self.relabel(number, remove=[label.key])

    # following the world

    def _changed(self, kind: str, record: Customer | Order | Cart, gone: bool) -> None:
        if isinstance(record, Customer):
            self._customer_changed(record, gone)
            return
        if isinstance(record, Order):
            self.index.put("order", record.number, None if gone else self.orders.entry(record))
        else:
            self._cart_changed(record, gone)
        owner = record.customer
        if owner is not None and owner.number in self.world.customers:
            if isinstance(record, Order):
                self.states[owner.number].labels.setdefault(BUYER_LABEL)
            self._reindex(owner.number)

    def _cart_changed(self, cart: Cart, gone: bool) -> None:
        """An order made from a cart shares its checkout, which is known only once the order is there."""
        self.index.put("cart", cart.number, None if gone else checkouts.entry(self.world, cart))
        if cart.order is not None:
            self.orders.checkouts[cart.order] = cart.number

    def _customer_changed(self, customer: Customer, gone: bool) -> None:
        number = customer.number
        if not gone:
            if number in self.states:
                self.states[number].revision += 1
            self._meet(customer)
            self._reindex(number)
            return
        survivor = self.world.merged.get(number)
        if survivor is None:
            self.trash[customer.guid] = (self.clock.now(), self._snapshot(customer))
        else:
            self.states[survivor].labels.update(self.states[number].labels)
        self.index.put("contact", number, None)

    def _meet(self, customer: Customer) -> None:
        """Take a contact in, and the world's tags as its labels."""
        self._numbers[customer.guid] = customer.number
        state = self.states.setdefault(customer.number, State())
        keys = {self._tag_key(tag) for tag in customer.tags.values()} if customer.tags or state.by_tag else set()
        for key in state.by_tag - keys:
            state.labels.pop(key, None)
        state.labels.update(dict.fromkeys(sorted(keys)))
        state.by_tag = keys
        if self.world.orders_of(customer):
            state.labels.setdefault(BUYER_LABEL)

    def _tag_key(self, tag: str) -> str:
        key = self._tag_keys.get(tag.casefold())
        if key is None or key not in self.labels:
            key = self._tag_keys[tag.casefold()] = self.add_label(tag).key
        return key

    def _bump(self, number: int) -> None:
        state = self.states[number]
        state.revision += 1
        state.updated = self.world.now()
        self._reindex(number)

    def _reindex(self, number: int) -> None:
        self.index.put("contact", number, self._entry(self.world.customers[number]))

    def _entry(self, customer: Customer) -> Entry:
        return contacts.entry(self._snapshot(customer))

    def _snapshot(self, customer: Customer) -> Contact:
        return contacts.snapshot(customer, self.states[customer.number], max(self.activities(customer)))

    def activities(self, customer: Customer) -> list[Activity]:
        """All that was noted of somebody; a contact shows the latest only."""
        world = self.world
        return contacts.activities(
            customer, world.orders_of(customer), world.carts_of(customer), self.visits.get(customer.number, ())
        )

    def _system_label(self, key: str, display_name: str) -> None:
        number = next(self._label_numbers)
        self.labels[key] = Label(number, key, display_name, 0, 0, "contacts", "SYSTEM")


def label_entry(label: Label) -> Entry:
    """What a label is found by; the document is the label as it was."""
    values = {
        "id": label.key,
        "key": label.key,
        "displayName": label.display_name,
        "createdDate": label.created,
        "updatedDate": label.updated,
        "namespace": label.namespace,
        "labelType": label.kind,
    }
    copy = Label(label.number, label.key, label.display_name, label.created, label.updated, label.namespace, label.kind)
    return Entry(values, copy)
