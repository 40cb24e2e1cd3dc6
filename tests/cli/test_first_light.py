"""The whole way, in a process of its own against both simulators: what is pushed is what the rules say, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from checks import check_remote_sides
from shop import TestShop, open_shop

from connector.sandbox.world import World

CHANGED_BY_TIME = 1


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[TestShop]:
    """A seeded shop of about 300 people."""
    with open_shop(tmp_path / "project") as made:
        yield made


def test_a_first_sync_puts_everybody_where_the_rules_say(shop: TestShop) -> None:
    """Tags = membership, lists = consented and unsuppressed membership, other tags untouched."""
    before = shop.other_tags()
    report = shop.sync()
    assert {its["stream"] for its in report["streams"]} == {"customers", "orders", "carts"}
    assert sum(its["quarantined"] for its in report["streams"]) == 0
    assert shop.our_tags(), "somebody is tagged"
    assert any(shop.lists().values()), "somebody is on a list"
    check_remote_sides(shop)
    assert shop.other_tags() == before


def test_a_second_sync_writes_nothing_and_recomputes_nobody(shop: TestShop) -> None:
    """No write anywhere, no personal metrics but time-driven ones, calls for windows and counts only."""
    shop.sync()
    writes, calls = shop.writes, shop.requests()
    report = shop.sync()
    assert shop.writes == writes
    assert report["metrics"]["recomputed"] <= CHANGED_BY_TIME
    assert all(its["new"] == its["changed"] == 0 for its in report["streams"])
    assert all(its["added"] == its["removed"] == 0 for its in report["destinations"])
    pages = sum(its["calls"] for its in report["streams"])
    assert shop.requests() - calls <= pages + 9


def fifty_changes(world: World, rng: Random) -> set[int]:
    """Orders, refunds, cancellations, a merge, a deletion, consent withdrawn, carts recovered; who was touched."""
    people = [world.customers[number] for number in sorted(world.customers)]
    buyers = [person for person in people if world.orders_of(person)]
    idle = [p for p in people if not world.orders_of(p) and not world.carts_of(p) and len(world.by_email(p.email)) == 1]
    products = [world.products[number] for number in sorted(world.products)]
    touched = set()
    for person in rng.sample(people, 20):
        world.place_order(person, [(rng.choice(products), rng.randint(1, 3))])
        touched.add(person.number)
    orders = [order for number in sorted(world.orders) if (order := world.orders[number]).customer and order.total > 0]
    whole = [order for order in orders if not order.refunds and order.cancelled_at is None and not order.test]
    for order in rng.sample(whole, 16):
        person = order.customer
        assert person is not None
        if rng.random() < 0.5:
            world.refund(order)
        else:
            world.cancel(order)
        touched.add(person.number)
    loser, survivor = rng.sample([p for p in buyers if p.number not in touched], 2)
    world.merge(loser, survivor)
    touched |= {loser.number, survivor.number}
    gone = rng.choice([person for person in idle if person.number not in touched])
    world.delete_customer(gone)
    touched.add(gone.number)
    consenting = [p for p in people if p.email_consent == "SUBSCRIBED" and p.number in world.customers]
    for person in rng.sample(consenting, 8):
        world.withdraw_consent(person)
        touched.add(person.number)
    carts = [world.carts[number] for number in sorted(world.carts)]
    for cart in [cart for cart in carts if cart.completed_at is None and cart.customer][:4]:
        assert cart.customer is not None
        world.complete_cart(cart)
        touched.add(cart.customer.number)
    return touched


METRICS = "SELECT * FROM customer_metrics ORDER BY customer_id"
MEMBERSHIP = "SELECT segment, customer_id FROM membership ORDER BY 1, 2"
LEDGER = "SELECT destination, segment, customer_id FROM ledger ORDER BY 1, 2, 3"


def test_changes_move_only_the_people_they_touch_and_equal_a_fresh_run(shop: TestShop, tmp_path: Path) -> None:
    """After 50 changes personal columns move for the touched alone, and everything equals a run from nothing."""
    from mappings.vocabulary import load_vocabulary

    shop.sync()
    personal = [name for name, its in load_vocabulary().attributes.items() if its.layer == "personal"]
    known = {row[1] for row in shop.query("PRAGMA table_info(customer_metrics)")}
    columns = ", ".join(name for name in personal if name in known)
    before = {row[0]: row[1:] for row in shop.query(f"SELECT customer_id, {columns} FROM customer_metrics")}
    touched = fifty_changes(shop.world, Random(3))
    let_the_index_catch_up(shop)
    shop.sync("--force", "mass-add", "--force", "mass-remove")
    after = {row[0]: row[1:] for row in shop.query(f"SELECT customer_id, {columns} FROM customer_metrics")}
    moved = {person for person in before.keys() | after.keys() if before.get(person) != after.get(person)}
    assert moved
    assert moved <= touched
    check_remote_sides(shop)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    for name in ("regulars.toml", ".env", "segments.toml"):
        (fresh / name).write_bytes((shop.folder / name).read_bytes())
    twin = TestShop(shop.world, shop.shopify, shop.klaviyo, fresh, shop.faults)
    for command in ("pull", "derive"):
        assert twin.run(command).code == 0
    for sql in (f"SELECT customer_id, {columns} FROM customer_metrics ORDER BY 1", MEMBERSHIP):
        assert twin.query(sql) == shop.query(sql)


def let_the_index_catch_up(shop: TestShop) -> None:
    """Changes show in filtered lists a moment later."""
    shop.world.clock.sleep(1.5)
