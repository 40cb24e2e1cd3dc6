"""Pulls of a simulated Shopify shop through the real client: after any happenings, the store is as if read anew."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from connector.base import Access, Source
from connector.http import handler_transport
from connector.sandbox.world import World
from connector.shopify import ShopifySettings, platform
from connector.shopify.sandbox import ShopifySandbox
from sync.clock import ManualClock
from sync.pull.pull import PullReport, pull
from sync.store.engine import Store, open_store

NOW = 1_795_000_000
LIVE = {
    "customers": "gone_at IS NULL",
    "customer_tags": "customer_id IN (SELECT id FROM customers WHERE gone_at IS NULL)",
    "orders": "gone_at IS NULL",
    "order_lines": "order_id IN (SELECT id FROM orders WHERE gone_at IS NULL)",
    "order_codes": "order_id IN (SELECT id FROM orders WHERE gone_at IS NULL)",
    "refunds": "order_id IN (SELECT id FROM orders WHERE gone_at IS NULL)",
    "carts": "1",
    "cart_lines": "1",
}


class Town:
    """A generated shop and a source that reads it."""

    def __init__(self, people: int = 60) -> None:
        self.clock = ManualClock(NOW)
        self.world = World.generate(5, people, now=NOW, clock=self.clock)
        self.sandbox = sandbox = ShopifySandbox(self.world, clock=self.clock, bucket=1e9)
        access = Access(
            ShopifySettings(shop=self.world.domain),
            {"REGULARS_SHOPIFY_TOKEN": "shpat_sandbox"},
            self.clock,
            handler_transport(sandbox),
        )
        assert platform.source is not None
        self.source: Source = platform.source(access)

    def open(self, path: Path) -> Store:
        return open_store(path, clock=self.clock)

    def pull(self, store: Store, **options: Any) -> PullReport:
        report = pull(
            self.source, store, run_id=1, now=int(self.clock.now()), zone=None, prefix="seg-", **options
        )  # fmt: skip
        self.clock.advance(60)
        return report

    def happen(self, rng: Random) -> None:
        """One thing of many."""
        world = self.world
        person = rng.choice(list(world.customers.values()))
        other = rng.choice(list(world.customers.values()))
        order = rng.choice(list(world.orders.values()))
        product = rng.choice(list(world.products.values()))
        open_carts = [cart for cart in world.carts.values() if cart.completed_at is None]
        deeds = {
            "order": lambda: world.place_order(person, [(product, 2)]),
            "guest": lambda: world.place_order(None, [(product, 1)], email=(person.email or "no@body.org").upper()),
            "refund": lambda: world.refund(order, amount=min(5, order.total - order.refunded)),
            "cancel": lambda: world.cancel(order),
            "cart": lambda: world.abandon_cart(person, [(product, 1)]),
            "recover": lambda: world.complete_cart(rng.choice(open_carts)) if open_carts else None,
            "merge": lambda: world.merge(person, other) if person is not other else None,
            "delete": lambda: world.delete_customer(person, orphan_orders=True),
            "drop": lambda: world.delete_order(order),
            "address": lambda: world.change_email(person, rng.choice([other.email, f"new{rng.random()}@x.org", None])),
            "tags": lambda: world.add_tags(person, ["vip", "seg-loyal"]),
            "consent": lambda: world.withdraw_consent(person),
        }
        deeds[rng.choice(sorted(deeds))]()
        self.clock.advance(rng.choice([0, 1, 30, 4000]))


def live(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    return {name: sorted(store.query(f"SELECT * FROM {name} WHERE {test}"), key=repr) for name, test in LIVE.items()}


@pytest.mark.parametrize("seed", range(6))
def test_after_any_happenings_the_store_is_as_if_read_anew(tmp_path: Path, seed: int) -> None:
    """Orders, refunds, merges, deletions, guests, addresses, tags: increments add up to a fresh full pull."""
    town, rng = Town(), Random(seed)
    store = town.open(tmp_path / "kept.db")
    town.pull(store)
    for _ in range(3):
        for _ in range(12):
            town.happen(rng)
        town.clock.advance(60)
        town.pull(store)
    anew = town.open(tmp_path / "anew.db")
    town.pull(anew)
    kept, fresh = live(store), live(anew)
    for name in LIVE:
        assert kept[name] == fresh[name], name
    store.close()
    anew.close()


def test_only_those_concerned_are_marked(tmp_path: Path) -> None:
    """A second pull marks nobody; after changes exactly the people concerned, both sides of a merge."""
    town = Town()
    store = town.open(tmp_path / "kept.db")
    town.pull(store)
    with store.begin() as connection:
        connection.exec_driver_sql("DELETE FROM dirty")
    town.pull(store)
    assert store.query("SELECT * FROM dirty") == []
    world = town.world
    buyers = [each for each in world.customers.values() if any(o.customer is each for o in world.orders.values())]
    first, second, third, fourth = buyers[:4]
    product = next(iter(world.products.values()))
    world.place_order(first, [(product, 1)])
    world.merge(second, third)
    world.add_tags(fourth, ["seg-loyal"])
    world.add_tags(fourth, ["Seg-other"])
    town.clock.advance(60)
    report = town.pull(store)
    assert report.sweep.customers_merged == 1
    assert store.query("SELECT id, merged_into FROM customers WHERE gone_at IS NOT NULL") == [
        (second.number, third.number)
    ]
    assert {row[0] for row in store.query("SELECT customer_id FROM dirty")} == {
        first.number, second.number, third.number
    }  # fmt: skip
    store.close()


def test_addresses_refused_for_a_while_are_never_forgotten(tmp_path: Path) -> None:
    """Protected data withdrawn and granted again: nobody loses an address, and in the end all is as if read anew."""
    town = Town()
    store = town.open(tmp_path / "kept.db")
    addresses = "SELECT id, email_key, first_name FROM customers ORDER BY id"
    town.pull(store)
    before = store.query(addresses)
    town.sandbox.protected = False
    for person in town.world.customers.values():
        town.world.touch(person)
    town.world.change_email(next(iter(town.world.customers.values())), "later@x.org")
    town.clock.advance(60)
    assert town.pull(store).partly
    assert store.query(addresses) == before
    town.sandbox.protected = True
    town.clock.advance(3 * 86_400)
    assert not town.pull(store).partly
    anew = town.open(tmp_path / "anew.db")
    town.pull(anew)
    assert live(store) == live(anew)
    store.close()
    anew.close()


def test_a_customer_that_does_not_map_can_still_unsubscribe(tmp_path: Path) -> None:
    """Address and consent are read from a record that does not fit otherwise."""
    town = Town()
    store = town.open(tmp_path / "kept.db")
    town.pull(store)
    first, second = [each for each in town.world.customers.values() if each.email_consent == "SUBSCRIBED"][:2]
    town.world.withdraw_consent(first)
    town.world.touch(second)
    for person in (first, second):
        person.created_at = None  # type: ignore[assignment]
    town.clock.advance(60)
    assert town.pull(store).partly
    statuses = "SELECT email_status FROM customers WHERE id = ?"
    assert store.query(statuses, (first.number,)) == [("UNSUBSCRIBED",)]
    assert store.query(statuses, (second.number,)) == [("SUBSCRIBED",)]
    store.close()
