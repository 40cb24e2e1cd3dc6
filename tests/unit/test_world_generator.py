"""The generated shop is the same for the same seed, and has everything that breaks naive readers."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from connector.sandbox.records import email_key
from connector.sandbox.world import StillClock, World

NOW = 1_795_000_000


@pytest.fixture(scope="module")
def world() -> World:
    return World.generate(seed=5, customers=300, now=NOW)


def snapshot(world: World) -> list[str]:
    """Everything a simulator could serve."""
    return [repr(record) for table in (world.customers, world.orders, world.carts) for record in table.values()]


def test_a_seed_decides_everything(world: World) -> None:
    """Same arguments, same shop; another seed, another shop."""
    assert snapshot(World.generate(seed=5, customers=300, clock=StillClock(NOW))) == snapshot(world)
    assert snapshot(World.generate(seed=6, customers=300, now=NOW)) != snapshot(world)


def test_a_world_needs_a_time() -> None:
    """Without clock and now there is no history to end."""
    with pytest.raises(ValueError, match="needs `now` or a clock"):
        World.generate(seed=1)


def test_nothing_happens_in_the_future_or_out_of_order(world: World) -> None:
    """All dates lie before `now`; numbers rise with dates; nobody buys before they exist."""
    for table in (world.customers, world.orders, world.carts):
        created = [record.created_at for record in table.values()]
        assert created == sorted(created)
        assert all(r.created_at <= r.updated_at < NOW for r in table.values())
    assert all(o.customer.created_at <= o.created_at for o in world.orders.values() if o.customer)


def test_people_differ_in_how_often_they_buy(world: World) -> None:
    """Some never, many once, some often."""
    orders = Counter(min(len(world.orders_of(person)), 8) for person in world.customers.values())
    assert orders[0] > 5
    assert orders[1] > 60
    assert sum(orders[n] for n in (2, 3, 4)) > 30
    assert orders[8] > 15


def test_there_is_one_of_everything_that_surprises(world: World) -> None:
    """Discounts of both kinds, refunds, cancellations, tests, guests, foreign money, zero, and a very long order."""
    orders = list(world.orders.values())
    allocations = [a for o in orders for line in o.lines for a in line.allocations]
    assert {(a.across, a.code is not None) for a in allocations} == {(True, True), (False, False)}
    assert any(o.refunds and o.refunded < o.total for o in orders)
    assert any(o.refunds and o.refunded == o.total for o in orders)
    assert any(o.cancelled_at for o in orders)
    assert sum(o.test for o in orders) == 3
    assert {o.currency for o in orders} == {"EUR", "USD"}
    assert any(o.total == 0 for o in orders)
    assert max(len(o.lines) for o in orders) > 250
    guests = [o for o in orders if o.customer is None]
    assert any(world.by_email(o.email) for o in guests)
    assert any(not world.by_email(o.email) for o in guests)


def test_people_have_consents_countries_and_doubles(world: World) -> None:
    """All states of consent, no address, one address twice in different case, a merge in the past."""
    people = list(world.customers.values())
    assert {p.email_consent for p in people} == {"SUBSCRIBED", "NOT_SUBSCRIBED", "UNSUBSCRIBED", "PENDING", "INVALID"}
    assert any(p.email is None for p in people)
    shared = Counter(email_key(p.email) for p in people if p.email)
    assert [key for key, n in shared.items() if n > 1] == ["twin@example.com"]
    assert len(world.merged) == 1
    assert len({p.country for p in people}) > 4
    assert any(p.tags for p in people)


def test_carts_are_open_completed_and_anonymous(world: World) -> None:
    """Known people's carts stay open or are bought; some carts carry an address only, some nothing."""
    kinds = {(c.completed_at is not None, c.customer is not None) for c in world.carts.values()}
    assert kinds >= {(False, False), (False, True), (True, True)}
    assert {c.email is None for c in world.carts.values() if c.customer is None} == {True, False}
    assert all(world.orders[c.order].created_at == c.completed_at for c in world.carts.values() if c.order)


def test_more_is_sold_before_christmas() -> None:
    """November and December stand out from the months around them."""
    world = World.generate(seed=2, customers=1500, now=NOW)
    months = Counter(datetime.fromtimestamp(o.created_at, UTC).strftime("%Y-%m") for o in world.orders.values())
    assert months["2025-11"] + months["2025-12"] > 1.15 * (months["2025-09"] + months["2025-10"])
    assert months["2025-11"] + months["2025-12"] > months["2026-01"] + months["2026-02"]


@pytest.mark.parametrize("customers", [0, 1, 7])
def test_small_shops_work(customers: int) -> None:
    """However few people there are."""
    assert len(World.generate(seed=3, customers=customers, now=NOW).customers) >= customers
