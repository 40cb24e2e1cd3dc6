"""A day in a shop's life: changes of every kind, by script, each saying whose facts it moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from connector.sandbox.records import Customer, Order
from connector.sandbox.world import World

HOUR = 3600


@dataclass(frozen=True, slots=True)
class Change:
    """What happened, and the numbers of the people whose orders, carts, tags or profile it changed."""

    kind: str
    people: frozenset[int]


def happen(world: World, rng: Random, changes: int = 50, *, first: int = 0) -> list[Change]:
    """So many changes at the world's present time, all kinds in turn from the `first` on.

    A kind that finds nobody makes room for the next; fewer changes come only where no kind finds anybody.
    """
    done: list[Change] = []
    kinds = list(KINDS)
    turn = first
    idle = 0
    while len(done) < changes and idle < len(kinds):
        kind = kinds[turn % len(kinds)]
        people = KINDS[kind](world, rng)
        turn += 1
        idle = idle + 1 if people is None else 0
        if people is not None:
            done.append(Change(kind, frozenset(people)))
    return done


People = set[int] | None


def _somebody(world: World, rng: Random, fits: Callable[[Customer], bool] = lambda person: True) -> Customer | None:
    found = [person for person in world.customers.values() if fits(person)]
    return rng.choice(found) if found else None


def _some_order(world: World, rng: Random, fits: Callable[[Order], bool]) -> Order | None:
    found = [order for order in world.orders.values() if order.customer is not None and fits(order)]
    return rng.choice(found) if found else None


def _owner(order: Order) -> set[int]:
    return {order.customer.number} if order.customer is not None else set()


def _sharing(world: World, person: Customer) -> set[int]:
    """The person and all with the same address: who of them owns a guest's orders depends on all of them."""
    return {person.number, *(other.number for other in world.by_email(person.email))}


def _buy(world: World, rng: Random) -> People:
    person = _somebody(world, rng)
    if person is None:
        return None
    goods = rng.sample(list(world.products.values()), min(3, len(world.products)))
    world.place_order(person, [(product, rng.randint(1, 3)) for product in goods], currency=world.currency)
    return {person.number}


def _buy_reduced(world: World, rng: Random) -> People:
    person = _somebody(world, rng, lambda p: bool(world.orders_of(p)))
    goods = [product for product in world.products.values() if product.price >= 100]
    if person is None or not goods:
        return None
    product = rng.choice(goods)
    world.place_order(person, [(product, 2)], order_off=product.price // 5, codes=("COMEBACK",))
    return {person.number}


def _refund(world: World, rng: Random) -> People:
    order = _some_order(world, rng, lambda o: not o.refunds and not o.cancelled_at and o.total > 0)
    if order is None:
        return None
    world.refund(order, {order.lines[0].number: 1})
    return _owner(order)


def _cancel(world: World, rng: Random) -> People:
    order = _some_order(world, rng, lambda o: not o.cancelled_at and not o.test)
    if order is None:
        return None
    world.cancel(order)
    return _owner(order)


def _edit(world: World, rng: Random) -> People:
    order = _some_order(world, rng, lambda o: not o.refunds and not o.cancelled_at and len(o.lines) > 1)
    if order is None:
        return None
    world.edit_order(order, order.lines[1:])
    return _owner(order)


def _merge(world: World, rng: Random) -> People:
    loser = _somebody(world, rng, lambda p: bool(world.orders_of(p)))
    survivor = _somebody(world, rng, lambda p: p is not loser)
    if loser is None or survivor is None:
        return None
    people = {survivor.number, *_sharing(world, loser)}
    world.merge(loser, survivor)
    return people


def _delete(world: World, rng: Random) -> People:
    person = _somebody(world, rng, lambda p: not world.orders_of(p))
    if person is None:
        return None
    people = _sharing(world, person)
    world.delete_customer(person)
    return people


def _withdraw(world: World, rng: Random) -> People:
    person = _somebody(world, rng, lambda p: p.email_consent == "SUBSCRIBED")
    if person is None:
        return None
    world.withdraw_consent(person)
    return {person.number}


def _consent(world: World, rng: Random) -> People:
    person = _somebody(world, rng, lambda p: p.email is not None and p.email_consent != "SUBSCRIBED")
    if person is None:
        return None
    world.give_consent(person)
    return {person.number}


def _abandon(world: World, rng: Random) -> People:
    person = _somebody(world, rng)
    if person is None or not world.products:
        return None
    world.abandon_cart(person, [(rng.choice(list(world.products.values())), 1)])
    return {person.number}


def _recover(world: World, rng: Random) -> People:
    open_ = [
        cart for cart in world.carts.values() if cart.customer is not None and not cart.completed_at and cart.lines
    ]
    if not open_:
        return None
    cart = rng.choice(open_)
    world.complete_cart(cart)
    return {cart.customer.number} if cart.customer is not None else set()


def _tag(world: World, rng: Random) -> People:
    person = _somebody(world, rng)
    if person is None:
        return None
    world.add_tags(person, [f"by hand {rng.randrange(1000)}"])
    return {person.number}


def _newcomer(world: World, rng: Random) -> People:
    person = world.add_customer(
        f"new{world.new_number('event')}@example.com", first_name="New", country="DE", email_consent="SUBSCRIBED"
    )
    return {person.number}


def _guest(world: World, rng: Random) -> People:
    person = _somebody(world, rng, lambda p: len(world.by_email(p.email)) == 1)
    if person is None or not world.products:
        return None
    world.place_order(None, [(rng.choice(list(world.products.values())), 1)], email=str(person.email).upper())
    return {person.number}


KINDS: dict[str, Callable[[World, Random], People]] = {
    "order": _buy,
    "refund": _refund,
    "cancellation": _cancel,
    "reduced order": _buy_reduced,
    "cart": _abandon,
    "recovered cart": _recover,
    "consent withdrawn": _withdraw,
    "consent given": _consent,
    "guest order": _guest,
    "edited order": _edit,
    "tag by hand": _tag,
    "merge": _merge,
    "deletion": _delete,
    "newcomer": _newcomer,
}
