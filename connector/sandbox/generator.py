"""A believable shop from a seed: people with rhythms, seasons, discounts, returns, guests, carts and oddities.

The same seed, number of customers and `now` give the same shop to the last byte. Everything happens in order of time,
so numbers rise with dates as they do in a real shop.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from random import Random

from connector.base import Clock
from connector.sandbox.catalogue import CATALOGUE, CITIES, CODES, FIRST_NAMES, LAST_NAMES, OWN_TAGS
from connector.sandbox.records import Customer, Line, Order, Product
from connector.sandbox.register import StillClock
from connector.sandbox.world import World

DAY = 86_400
HISTORY = 760 * DAY
LONG_ORDER = 310

# share of people, mean days between two orders (0: none follows the first), share that stopped coming at some time
_KINDS: dict[str, tuple[float, float, float]] = {
    "visitor": (0.08, 0.0, 0.0),
    "once": (0.34, 0.0, 0.0),
    "occasional": (0.28, 110.0, 0.35),
    "regular": (0.18, 45.0, 0.35),
    "loyal": (0.08, 24.0, 0.2),
    "bargain": (0.04, 60.0, 0.25),
}
_CONSENT = (
    ("SUBSCRIBED", 0.56),
    ("NOT_SUBSCRIBED", 0.26),
    ("UNSUBSCRIBED", 0.12),
    ("PENDING", 0.04),
    ("INVALID", 0.02),
)


@dataclass(slots=True)
class _Plan:
    """What is still to happen, by time."""

    world: World
    rng: Random
    start: int
    end: int
    queue: list[tuple[int, int, Callable[[int], object]]] = field(default_factory=list)
    ticket: count[int] = field(default_factory=count)

    def at(self, moment: float, deed: Callable[[int], object]) -> None:
        """Let `deed` happen at `moment`, unless that is after the end."""
        if moment < self.end:
            heapq.heappush(self.queue, (int(moment), next(self.ticket), deed))

    def play(self) -> None:
        """Let everything happen in order."""
        while self.queue:
            moment, _, deed = heapq.heappop(self.queue)
            deed(moment)


def generate(seed: int = 1, customers: int = 300, *, now: int | None = None, clock: Clock | None = None) -> World:
    """See `World.generate`."""
    if clock is None:
        if now is None:
            raise ValueError("a generated world needs `now` or a clock")
        clock = StillClock(now)
    end = int(clock.now()) if now is None else now
    world = World(clock=clock, name="Sandbox Gifts & Coffee")
    rng = Random(seed)
    products = [
        world.add_product(title, price, category=category, vendor=vendor, tags=tags)
        for category, vendor, tags, goods in CATALOGUE
        for title, price in goods
    ]
    plan = _Plan(world, rng, end - HISTORY, end)
    people: list[Customer] = []
    for _ in range(customers):
        _plan_person(plan, products, people)
    _plan_guests(plan, products, people, customers)
    _plan_oddities(plan, products, people)
    plan.play()
    return world


def _instant(rng: Random, moment: float) -> int:
    """The same day at an hour when people shop."""
    day = int(moment) // DAY * DAY
    return day + rng.choices((8, 10, 12, 15, 18, 20, 21), (1, 2, 3, 3, 4, 5, 3))[0] * 3600 + rng.randrange(3600)


def _plan_person(plan: _Plan, products: list[Product], people: list[Customer]) -> None:
    rng = plan.rng
    kind = rng.choices(list(_KINDS), [share for share, *_ in _KINDS.values()])[0]
    _, gap, stops = _KINDS[kind]
    arrival = _instant(rng, rng.uniform(plan.start, plan.end - DAY))
    leaves = rng.uniform(arrival, plan.end) if rng.random() < stops else plan.end
    person: list[Customer] = []

    def arrive(at: int) -> None:
        person.append(_new_customer(plan, at, len(people)))
        people.append(person[0])

    def buy(at: int) -> None:
        _sell(plan, products, person[0], at, bargain=kind == "bargain")

    plan.at(arrival, arrive)
    moment = arrival + rng.uniform(0, 3) * DAY
    rhythm = gap * rng.uniform(0.6, 1.5)
    if kind != "visitor":
        plan.at(max(arrival + 60, _instant(rng, moment)), buy)
    while gap and (moment := moment + max(1.0, rng.gammavariate(4.0, rhythm / 4.0)) * DAY) < leaves:
        plan.at(_instant(rng, moment), buy)
    for year in range(datetime.fromtimestamp(plan.start, UTC).year, datetime.fromtimestamp(plan.end, UTC).year + 1):
        christmas = datetime(year, 11, 15, tzinfo=UTC).timestamp() + rng.uniform(0, 36) * DAY
        if gap and arrival < christmas < leaves and rng.random() < 0.35:
            plan.at(max(arrival + 60, _instant(rng, christmas)), buy)
    if rng.random() < 0.22:
        begun = plan.end - rng.expovariate(1 / 35.0) * DAY
        if begun > arrival:
            plan.at(begun, lambda at: _leave_cart(plan, products, person[0], at))


def _new_customer(plan: _Plan, at: int, index: int) -> Customer:
    rng = plan.rng
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    country, region, city, postcode, language = rng.choice(CITIES)
    email: str | None = f"{first}.{last}{index}@example.{rng.choice(('com', 'org', 'net'))}".lower().replace(" ", "")
    email = str(email).encode("ascii", "ignore").decode()
    if rng.random() < 0.06:
        email = email.upper() if rng.random() < 0.7 else email.replace("@", "+shop@")
    if rng.random() < 0.03:
        email = None
    consent = rng.choices([c for c, _ in _CONSENT], [p for _, p in _CONSENT])[0] if email else "NOT_SUBSCRIBED"
    return plan.world.add_customer(
        email,
        at=at,
        first_name=first if rng.random() > 0.03 else None,
        last_name=last,
        country=country,
        region=region,
        city=city,
        zip=postcode,
        language=language,
        email_consent=consent,
        email_consent_at=at if consent != "NOT_SUBSCRIBED" else None,
        account="ENABLED" if rng.random() < 0.4 else "DISABLED",
        tags=[rng.choice(OWN_TAGS)] if rng.random() < 0.1 else (),
    )


def _basket(plan: _Plan, products: list[Product], *, cart: bool = False, off: float = 0.0) -> list[Line]:
    rng = plan.rng
    chosen = rng.sample(products, rng.choices((1, 2, 3, 4, 6), (4, 4, 3, 2, 1))[0])
    lines = []
    for product in chosen:
        pieces = rng.choices((1, 2, 3, 6), (8, 3, 1, 1))[0]
        cut = int(product.price * pieces * off) if off and rng.random() < 0.6 else 0
        lines.append(plan.world.make_line(product, pieces, off=cut, cart=cart))
    return lines


def _sell(plan: _Plan, products: list[Product], customer: Customer | None, at: int, *, bargain: bool = False,
          email: str | None = None) -> Order:  # fmt: skip
    rng, world = plan.rng, plan.world
    luck = rng.random()
    lines = _basket(plan, products, off=0.2 if luck < (0.5 if bargain else 0.08) else 0.0)
    value = sum(line.gross - line.discount for line in lines)
    code = rng.choice(list(CODES)) if rng.random() < (0.7 if bargain else 0.15) else None
    order = world.place_order(
        customer,
        lines,
        at=at,
        email=email,
        order_off=int(value * CODES[code]) if code else 0,
        codes=(code,) if code else (),
        shipping=0 if value > 5000 else 490,
        source="pos" if rng.random() < 0.05 else "web",
        paid=rng.random() > 0.02,
    )
    fate = rng.random()
    later = at + rng.uniform(1, 14) * DAY
    if fate < 0.05:
        line = rng.choice(order.lines)
        plan.at(later, lambda when: _give_back(world, order, {line.number: 1}, when))
    elif fate < 0.065:
        plan.at(later, lambda when: _give_back(world, order, None, when))
    elif fate < 0.085:
        plan.at(at + 7200, lambda when: world.cancel(order, at=when))
    return order


def _give_back(world: World, order: Order, lines: dict[int, int] | None, at: int) -> None:
    if order.cancelled_at is None and not order.refunds:
        world.refund(order, lines, at=at)


def _leave_cart(
    plan: _Plan, products: list[Product], customer: Customer | None, at: int, email: str | None = None
) -> None:
    if customer is not None and customer.number not in plan.world.customers:
        return
    cart = plan.world.abandon_cart(customer, _basket(plan, products, cart=True), at=at, email=email)
    if plan.rng.random() < 0.35:
        plan.at(at + plan.rng.uniform(0.02, 2) * DAY, lambda when: plan.world.complete_cart(cart, at=when))


def _plan_guests(plan: _Plan, products: list[Product], people: list[Customer], customers: int) -> None:
    rng = plan.rng

    def guest(at: int) -> None:
        known = [person for person in people[-40:] if person.email]
        email = f"guest{rng.randrange(10**6)}@example.com"
        if known and rng.random() < 0.4:
            email = f" {str(rng.choice(known).email).upper()}"
        _sell(plan, products, None, at, email=email)

    for _ in range(max(2, customers // 15)):
        plan.at(_instant(rng, rng.uniform(plan.start + 60 * DAY, plan.end)), guest)
    for _ in range(max(1, customers // 60)):
        begun = plan.end - rng.uniform(0, 60) * DAY
        plan.at(begun, lambda at: _leave_cart(plan, products, None, at))
        plan.at(begun + 60, lambda at: _leave_cart(plan, products, None, at, email=f"cart{at}@example.com"))


def _plan_oddities(plan: _Plan, products: list[Product], people: list[Customer]) -> None:
    """One of each thing that breaks naive readers."""
    world, rng = plan.world, plan.rng
    free = world.add_product("Sample sachet", 0, category="Coffee", vendor="Hausmarke")

    def once(days_ago: float, deed: Callable[[int], object]) -> None:
        plan.at(plan.end - days_ago * DAY, deed)

    def reseller(at: int) -> None:
        buyer = world.add_customer(
            "orders@reseller.example", at=at, first_name="Rita", last_name="Reseller", country="DE",
            tags=("Wholesale",), email_consent="SUBSCRIBED", email_consent_at=at,
        )  # fmt: skip
        world.place_order(buyer, [(products[i % len(products)], 1 + i % 4) for i in range(LONG_ORDER)], at=at)

    def twins(at: int) -> None:
        for address in ("twin@example.com", "Twin@Example.com "):
            twin = world.add_customer(address, at=at, first_name="Toni", country="AT", email_consent="SUBSCRIBED")
            _sell(plan, products, twin, at)

    def doubled(at: int) -> None:
        first = world.add_customer("dora@example.com", at=at, first_name="Dora", country="DE", tags=("Press",))
        second = world.add_customer("dora.double@example.com", at=at, first_name="Dora", tags=("press", "Loyal"))
        for day, person in enumerate((first, second, second), 1):
            plan.at(at + day * DAY, partial(_sell, plan, products, person))
        plan.at(at + 30 * DAY, lambda when: world.merge(second, first, at=when))

    def abroad(at: int) -> None:
        world.place_order(_anybody(people), [(products[0], 1), (products[7], 2)], at=at, currency="USD")

    once(400, reseller)
    once(300, twins)
    once(200, doubled)
    once(120, abroad)
    once(100, lambda at: world.place_order(_anybody(people), [(free, 1)], at=at))
    for days in (33, 34, 90):
        once(days, lambda at: world.place_order(_anybody(people), [(rng.choice(products), 1)], at=at, test=True))


def _anybody(people: list[Customer]) -> Customer | None:
    return people[len(people) // 2] if people else None
