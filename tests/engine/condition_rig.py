"""Conditions and customers made by Hypothesis.

Money is in halves and instants in steps of 45 minutes, so that binary fractions are exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from sqlalchemy import Connection, insert

from sync.metrics.counting import MetricSettings
from sync.metrics.table import ZEROES, customer_metrics, store_figures
from sync.segments import tree as t
from sync.store.tables import SQLModel

STEP = 2700
ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "America/New_York")
TEXTS = ("Tea", "tea", "O'Brien", "Ärger", "")
EMAILS = ("email.opened", "email.clicked", "email.received", "email.bounced", "email.unsubscribed")
NAMES = ("FORM_SUBMITTED", "form_submitted", "Email.opened", "emailing")
CODES = ("WELCOME", "welcome", "X''1")
STATUSES = ("SUBSCRIBED", "UNSUBSCRIBED", "PENDING")
TABLES = (
    "customers",
    "customer_metrics",
    "customer_tags",
    "orders",
    "order_codes",
    "order_lines",
    "carts",
    "events",
    "store_figures",
    "membership",
    "membership_event",
    "membership_mask",
    "segment_state",
)


@dataclass
class Order:
    placed: int
    total: int
    discount: int
    channel: str | None
    codes: list[str]
    counts: bool
    currency: str
    lines: list[dict[str, Any]]


@dataclass
class Cart:
    created: int
    total: int
    open: bool


@dataclass
class Event:
    at: int
    name: str | None
    campaign: str | None


@dataclass
class Person:
    values: dict[str, Any]
    tags: list[str]
    orders: list[Order]
    carts: list[Cart]
    events: list[Event] = field(default_factory=list)


@dataclass
class World:
    now: int
    zone: ZoneInfo
    people: list[Person]
    figures: dict[str, float]
    segments: dict[str, t.Condition] = field(default_factory=dict)

    @property
    def settings(self) -> MetricSettings:
        return MetricSettings(zone=self.zone, currency="EUR")


def _ago(now: int) -> st.SearchStrategy[int]:
    return st.integers(0, 3000).map(lambda steps: now - steps * STEP)


def _orders(now: int) -> st.SearchStrategy[Order]:
    line = st.fixed_dictionaries(
        {
            "product": st.integers(1, 4),
            "category": st.sampled_from((*TEXTS, None)),
            "quantity": st.integers(1, 3),
            "net": st.integers(0, 6).map(lambda halves: halves * 50),
        }
    )
    return st.builds(
        Order,
        placed=_ago(now),
        total=st.integers(0, 8).map(lambda halves: halves * 50),
        discount=st.sampled_from((0, 0, 50)),
        channel=st.sampled_from(("web", "pos", None)),
        codes=st.lists(st.sampled_from(CODES), max_size=2, unique=True),
        counts=st.sampled_from((True, True, True, False)),
        currency=st.sampled_from(("EUR", "EUR", "EUR", "USD")),
        lines=st.lists(line, max_size=2),
    )


def _values(now: int) -> st.SearchStrategy[dict[str, Any]]:
    halves = st.integers(0, 8).map(lambda number: number * 50)
    return st.fixed_dictionaries(
        {
            "number_of_orders": st.integers(0, 4),
            "orders_last_30d": st.integers(0, 2),
            "amount_spent": halves,
            "average_order_value": st.none() | halves.map(float),
            "discount_share": st.none() | st.sampled_from((0.0, 0.25, 0.5, 1.0)),
            "first_order_date": st.none() | _ago(now),
            "last_order_date": st.none() | _ago(now),
            "expected_days_between_orders": st.none() | st.sampled_from((16.0, 30.0, 30.5)),
            "top_category": st.none() | st.sampled_from(TEXTS),
            "email_subscription_status": st.none() | st.sampled_from(STATUSES),
            "customer_email_domain": st.sampled_from((None, "example.com", "Example.COM", "shop.test")),
            "customer_added_date": st.none() | _ago(now),
        }
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    now = 1_500_000_000 // 900 * 900 + draw(st.integers(0, 500_000)) * 900
    people = st.builds(
        Person,
        values=_values(now),
        tags=st.lists(st.sampled_from(("VIP", "vip", "Ärger", "b2b")), max_size=2, unique=True),
        orders=st.lists(_orders(now), max_size=3),
        carts=st.lists(
            st.builds(
                Cart,
                created=_ago(now),
                total=st.integers(0, 8).map(lambda halves: halves * 50),
                open=st.sampled_from((True, True, False)),
            ),
            max_size=2,
        ),
        events=st.lists(
            st.builds(
                Event,
                at=_ago(now),
                name=st.sampled_from((*EMAILS, *NAMES, None)),
                campaign=st.sampled_from((*TEXTS, None)),
            ),
            max_size=4,
        ),
    )
    return World(
        now=now,
        zone=ZoneInfo(draw(st.sampled_from(ZONES))),
        people=draw(st.lists(people, min_size=1, max_size=5)),
        figures={"order_value_p80": 200.0, "store_gap": 30.0},
    )


def fill(conn: Connection, world: World) -> None:
    """The people as rows; ids are their places from 1."""
    tables = SQLModel.metadata.tables
    for name in TABLES:
        conn.execute(tables[name].delete())
    number = 0
    for person_id, person in enumerate(world.people, start=1):
        values = person.values
        domain = values["customer_email_domain"]
        profile = {
            "id": person_id,
            "email_key": None if domain is None else f"p{person_id}@{domain}",
            "email_status": values["email_subscription_status"],
            "created_at": values["customer_added_date"],
        }
        conn.execute(insert(tables["customers"]).values(**profile))
        metrics = dict.fromkeys(ZEROES, 0) | {name: v for name, v in values.items() if name in customer_metrics.c}
        conn.execute(insert(customer_metrics).values(customer_id=person_id, **metrics))
        for tag in person.tags:
            conn.execute(insert(tables["customer_tags"]).values(customer_id=person_id, tag=tag, ours=False))
        conn.execute(insert(tables["customer_tags"]).values(customer_id=person_id, tag="seg-own", ours=True))
        for order in person.orders:
            number += 1
            _fill_order(conn, number, person_id, order)
        for cart in person.carts:
            number += 1
            done = None if cart.open else cart.created + 60
            row = {"id": number, "customer_id": person_id, "created_at": cart.created, "completed_at": done}
            conn.execute(insert(tables["carts"]).values(**row, total=cart.total, currency="EUR"))
        for event in person.events:
            number += 1
            row = {"id": number, "customer_id": person_id, "at": event.at, "name": event.name}
            conn.execute(insert(tables["events"]).values(**row, campaign=event.campaign))
    for name, value in world.figures.items():
        conn.execute(insert(store_figures).values(name=name, value=value))


def _fill_order(conn: Connection, number: int, person_id: int, order: Order) -> None:
    tables = SQLModel.metadata.tables
    conn.execute(
        insert(tables["orders"]).values(
            id=number,
            customer_id=person_id,
            placed_at=order.placed,
            total=order.total,
            discount=order.discount,
            channel=order.channel,
            currency=order.currency,
            cancelled_at=None if order.counts else order.placed,
        )
    )
    for code in order.codes:
        conn.execute(insert(tables["order_codes"]).values(order_id=number, code=code, customer_id=person_id))
    for place, line in enumerate(order.lines):
        conn.execute(
            insert(tables["order_lines"]).values(
                order_id=number,
                id=number * 10 + place,
                customer_id=person_id,
                placed_at=order.placed,
                product_id=line["product"],
                category=line["category"],
                quantity=line["quantity"],
                net=line["net"],
            )
        )


OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
NUMBERS = ("number_of_orders", "orders_last_30d", "amount_spent", "average_order_value", "discount_share")
AGES = ("days_since_last_order", "order_gap_ratio")
DATES = ("first_order_date", "last_order_date", "customer_added_date")


def _number() -> st.SearchStrategy[t.Number]:
    return st.integers(-2, 12).map(lambda halves: t.Number(Decimal(halves) / 2))


def _day(world: World) -> st.SearchStrategy[Any]:
    today = datetime.fromtimestamp(world.now, world.zone).date()
    fixed = st.integers(-100, 2).map(lambda days: t.Day(today + timedelta(days=days)))
    units = (("d", 95), ("w", 13), ("m", 4), ("y", 1))
    relative = st.one_of(*(st.builds(t.Relative, st.integers(-most, 2), st.just(unit)) for unit, most in units))
    return fixed | relative


def _linear() -> st.SearchStrategy[Any]:
    leaf = st.sampled_from([t.Attribute(name) for name in NUMBERS]) | _number()
    return st.recursive(leaf, lambda below: st.builds(t.Arithmetic, st.sampled_from("+-*"), below, below), max_leaves=3)


def _numeric() -> st.SearchStrategy[Any]:
    others = [t.Attribute(name) for name in AGES]
    others += [t.Percentile("number_of_orders"), t.Percentile("amount_spent"), t.Figure("order_value_p80")]
    quotient = st.builds(t.Arithmetic, st.just("/"), _linear(), _linear())
    return st.one_of(_linear(), st.sampled_from(others), quotient)


def _numeric_tests(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    limit = _number() | st.integers(0, 100).map(lambda number: t.Number(Decimal(number)))
    return st.one_of(
        st.builds(t.Compare, st.sampled_from(OPERATORS), value, limit),
        st.builds(t.Between, value, limit, limit),
        st.builds(t.In, value, st.lists(limit, min_size=1, max_size=3).map(tuple)),
    )


def _date_tests(value: st.SearchStrategy[Any], day: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(t.Compare, st.sampled_from(OPERATORS), value, day),
        st.builds(t.Between, value, day, day),
        st.builds(t.In, value, st.lists(day, min_size=1, max_size=2).map(tuple)),
    )


def _text_tests(name: str, options: tuple[str, ...]) -> st.SearchStrategy[Any]:
    text = st.sampled_from(options).map(t.Text)
    value = st.just(t.Attribute(name))
    return st.one_of(
        st.builds(t.Compare, st.sampled_from(("=", "!=")), value, text),
        st.builds(t.In, value, st.lists(text, min_size=1, max_size=2).map(tuple)),
    )


def _negatable(tests: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return tests | st.builds(t.Not, tests)


def _matches(world: World) -> st.SearchStrategy[Any]:
    day = _day(world)

    def argument(name: str) -> st.SearchStrategy[Any]:
        return st.just(t.Attribute(name))

    codes = st.sampled_from(CODES)
    has_code = st.builds(t.Contains, argument("discount_code"), codes)
    is_code = st.builds(t.Compare, st.sampled_from(("=", "!=")), argument("discount_code"), codes.map(t.Text))
    placed = st.one_of(
        _date_tests(argument("date"), day),
        _numeric_tests(argument("amount")),
        _numeric_tests(argument("count")),
        _numeric_tests(argument("sum_amount")),
        _text_tests("channel", ("web", "pos")),
        has_code,
        is_code,
        st.builds(t.Compare, st.just("="), argument("discounted"), st.booleans().map(t.Truth)),
    )
    bought = st.one_of(
        _date_tests(argument("date"), day),
        _numeric_tests(argument("amount")),
        _numeric_tests(argument("quantity")),
        _numeric_tests(argument("count")),
        _numeric_tests(argument("sum_quantity")),
        _text_tests("category", TEXTS),
        st.builds(t.Contains, argument("category"), st.sampled_from(("e", "T", "Är"))),
        st.builds(
            t.Compare,
            st.sampled_from(("=", "!=")),
            argument("id"),
            st.integers(1, 4).map(lambda number: t.Number(Decimal(number))),
        ),
    )
    left = st.one_of(
        _date_tests(argument("date"), day),
        _numeric_tests(argument("amount")),
        _numeric_tests(argument("count")),
        _numeric_tests(argument("age_hours")),
        st.builds(t.Compare, st.just("="), argument("later_order"), st.booleans().map(t.Truth)),
    )
    common = (_date_tests(argument("date"), day), _numeric_tests(argument("count")))
    mailed = st.one_of(*common, _text_tests("campaign", TEXTS))
    happened = st.one_of(
        *common,
        _text_tests("name", (*NAMES, "email.opened")),
        st.builds(t.Contains, argument("name"), st.sampled_from(("form", "email."))),
    )
    kinds = [("orders_placed", placed), ("products_purchased", bought), ("checkouts_abandoned", left)]
    kinds += [("events", happened), *((name, mailed) for name in EMAILS)]
    return st.one_of(
        *(
            st.builds(t.Matches, st.just(name), st.lists(_negatable(tests), max_size=3).map(tuple))
            for name, tests in kinds
        )
    )


def conditions(world: World, segments: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    """Well-typed conditions of any shape over the attributes of the world's people."""
    day = _day(world)
    dates = st.sampled_from([t.Attribute(name) for name in DATES])
    tags = st.sampled_from(("VIP", "ärger", "seg-own", "none"))
    known = [*DATES, *NUMBERS, *AGES, "top_category", "customer_tags"]
    tests = [
        _numeric_tests(_numeric()),
        _date_tests(dates, day),
        st.builds(t.Compare, st.sampled_from(OPERATORS), dates, dates),
        st.builds(t.Compare, st.just("="), st.builds(t.Anniversary, st.sampled_from(DATES)), day),
        _text_tests("top_category", TEXTS),
        _text_tests("email_subscription_status", STATUSES),
        _text_tests("customer_email_domain", ("example.com", "EXAMPLE.com", "other.test")),
        st.builds(t.Contains, st.just(t.Attribute("customer_tags")), tags),
        st.builds(t.IsNull, st.sampled_from(known).map(t.Attribute)),
        _matches(world),
    ]
    if segments:
        tests.append(st.builds(t.InSegment, st.sampled_from(segments)))
    many = [2, 3]

    def joined(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        parts = st.sampled_from(many).flatmap(lambda size: st.tuples(*[below] * size))
        return st.one_of(st.builds(t.And, parts), st.builds(t.Or, parts), st.builds(t.Not, below))

    return st.recursive(st.one_of(*tests), joined, max_leaves=5)
