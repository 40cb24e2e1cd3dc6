"""The catalogue's own tests: people who must be in a segment and people who must be out, asked through the real SQL.

A person is a table of attribute values (money in its own unit, dates as days before now) and, for the functions, of
facts:

    {number_of_orders = 2, order_gap_ratio = 1.2, carts = [{hours = 5, total = 80, lines = [{category = "Tea"}]}],
     events = [{name = "email.clicked", days = 3, campaign = "Spring"}]}

What is not given is 0 where the vocabulary says so and NULL elsewhere. `tests.crowd` are further people whom nobody
asks about (`people = 40` repeats one), `tests.store` the store's figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, StaticPool, Table, create_engine, insert

from mappings.money import exponent
from mappings.vocabulary import Attribute, load_vocabulary
from sync.metrics.counting import DAY, MetricSettings
from sync.metrics.table import ZEROES, customer_metrics, store_figures
from sync.segments import compile as compiling
from sync.segments.catalogue import Segment
from sync.store.tables import SQLModel

NOW = 1_795_262_400
SETTINGS = MetricSettings(zone=ZoneInfo("UTC"), currency="EUR")
_tables = SQLModel.metadata.tables
_PROFILE = {
    "customer_added_date": "created_at",
    "customer_language": "language",
    "email_subscription_status": "email_status",
    "email_subscribed_date": "email_status_at",
    "sms_subscription_status": "sms_status",
}
_FACTS = ("orders", "carts", "events", "customer_tags", "customer_countries", "customer_email_domain")
_HIDDEN = frozenset(("people", *_FACTS))


@dataclass(frozen=True, slots=True)
class CheckReport:
    """How many segments were compiled, how many people asked, and what did not come out as written."""

    segments: int
    people: int
    failures: tuple[str, ...]


class Fixture:
    """People and their facts in a store of their own."""

    def __init__(self, conn: Connection, now: int = NOW, settings: MetricSettings = SETTINGS) -> None:
        self.conn = conn
        self.now = now
        self.settings = settings
        self._ids = count(1)
        self._unit = 10 ** exponent(settings.currency)

    def clear(self) -> None:
        """Everybody out."""
        for table in reversed(SQLModel.metadata.sorted_tables):
            self.conn.execute(table.delete())

    def figures(self, values: Mapping[str, float]) -> None:
        """The store's figures."""
        figures = load_vocabulary().figures
        for name, value in values.items():
            scaled = value * self._unit if figures[name].money else value
            self.conn.execute(insert(store_figures).values(name=name, value=scaled))

    def person(self, values: Mapping[str, Any]) -> int:
        """One more person; returns the id."""
        person = next(self._ids)
        metrics: dict[str, Any] = dict.fromkeys(ZEROES, 0)
        address = f"p{person}@{values.get('customer_email_domain', 'example.com')}"
        profile: dict[str, Any] = {"id": person, "email": address, "email_key": address}
        for name, value in self._ordered(values):
            if name not in _HIDDEN:
                self._set(load_vocabulary().attributes[name], value, metrics, profile)
        if "customer_countries" in values:
            profile["country"] = values["customer_countries"][0]
        self._insert("customers", profile)
        self.conn.execute(insert(customer_metrics).values(customer_id=person, **metrics))
        for tag in values.get("customer_tags", ()):
            self._insert("customer_tags", {"customer_id": person, "tag": tag, "ours": False})
        for order in values.get("orders", ()):
            self._order(person, order)
        for cart in values.get("carts", ()):
            self._cart(person, cart)
        for event in values.get("events", ()):
            told = {"name": event["name"], "campaign": event.get("campaign"), "at": self._ago(event.get("days", 0))}
            self._insert("events", {"id": next(self._ids), "customer_id": person, **told})
        return person

    def _ordered(self, values: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Ratios last: they are set through the days and the expectation that stand beside them."""
        return sorted(values.items(), key=lambda item: item[0] == "order_gap_ratio")

    def _set(self, one: Attribute, value: Any, metrics: dict[str, Any], profile: dict[str, Any]) -> None:
        if one.name == "order_gap_ratio":
            since = metrics.get("last_order_date")
            expected = metrics.get("expected_days_between_orders")
            if since is not None and expected is None:
                metrics["expected_days_between_orders"] = (self.now - since) / DAY / value
                return
            metrics["expected_days_between_orders"] = expected or 30.0
            metrics["last_order_date"] = self._ago((expected or 30.0) * value)
        elif one.layer == "age":
            metrics[one.of or ""] = self._ago(value)
        elif one.name in _PROFILE:
            profile[_PROFILE[one.name]] = self._ago(value) if one.kind == "date" else value
        elif one.kind == "date":
            metrics[one.name] = self._ago(value)
        elif one.money:
            metrics[one.name] = round(value * self._unit)
        else:
            metrics[one.name] = value

    def _ago(self, days: float) -> int:
        return self.now - round(days * DAY)

    def _order(self, person: int, order: Mapping[str, Any]) -> None:
        number, placed = next(self._ids), self._ago(order.get("days", 0))
        total = round(order.get("total", 0) * self._unit)
        self._insert(
            "orders",
            {
                "id": number,
                "customer_id": person,
                "name": f"#{number}",
                "placed_at": placed,
                "local_day": placed // DAY,
                "currency": self.settings.currency,
                "total": total,
                "gross": total,
                "discount": round(order.get("discount", 0) * self._unit),
                "channel": order.get("channel"),
            },
        )
        if order.get("first", False):
            first = customer_metrics.update().where(customer_metrics.c.customer_id == person)
            self.conn.execute(first.values(first_order_id=number))
        for code in order.get("codes", ()):
            self._insert("order_codes", {"order_id": number, "code": code, "customer_id": person})
        for line in order.get("lines", ()):
            self._line("order_lines", {"order_id": number, "placed_at": placed}, person, line, "net")

    def _cart(self, person: int, cart: Mapping[str, Any]) -> None:
        number = next(self._ids)
        created = self.now - round(cart.get("hours", 0) * 3600)
        done = created + 600 if cart.get("completed", False) else None
        self._insert(
            "carts",
            {
                "id": number,
                "customer_id": person,
                "created_at": created,
                "updated_at": created,
                "completed_at": done,
                "currency": self.settings.currency,
                "total": round(cart.get("total", 0) * self._unit),
            },
        )
        for line in cart.get("lines", ()):
            self._line("cart_lines", {"cart_id": number}, person, line, "gross")

    def _line(self, table: str, parent: Mapping[str, Any], person: int, line: Mapping[str, Any], money: str) -> None:
        number = next(self._ids)
        own = {name: line.get(name) for name in ("title", "category", "brand")}
        product = line.get("product", number)
        values = {"id": number, "customer_id": person, "product_id": product, "quantity": line.get("quantity", 1)}
        self._insert(table, {**parent, **values, **own, money: round(line.get("amount", 0) * self._unit)})
        for tag in line.get("tags", ()):
            self._insert("product_tags", {"product_id": product, "tag": tag})

    def _insert(self, table: str, values: Mapping[str, Any]) -> None:
        target: Table = _tables[table]
        self.conn.execute(insert(target).values(**values))


def check(segments: Sequence[Segment]) -> CheckReport:
    """Compile every segment and ask its people. Entries that name what is not kept yet are compiled only."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    rules = {segment.key: segment.rule for segment in segments if segment.rule}
    asked, failures = 0, []
    try:
        with engine.begin() as conn:
            SQLModel.metadata.create_all(conn)
            compiling.prepare(conn)
            fixture = Fixture(conn)
            for segment in segments:
                if segment.rule is None:
                    continue
                fixture.clear()
                outcome = list(_ask(fixture, segment, compiling.moment(NOW, SETTINGS, rules)))
                asked += len(outcome)
                failures += [failure for failure in outcome if failure]
    finally:
        engine.dispose()
    return CheckReport(len(segments), asked, tuple(failures))


def _ask(fixture: Fixture, segment: Segment, at: compiling.Moment) -> Iterator[str]:
    """One text per person: empty, or what is wrong."""
    assert segment.rule is not None
    people: dict[int, tuple[str, int]] = {}
    fixture.figures(segment.tests.get("store", {}))
    for person in segment.tests.get("crowd", ()):
        for _ in range(person.get("people", 1)):
            fixture.person(person)
    for side in ("in", "out"):
        for number, person in enumerate(segment.tests.get(side, ()), start=1):
            people[fixture.person(person)] = (side, number)
    found = _ids(fixture.conn.execute(compiling.members(segment.rule, at)).scalars())
    for person, (side, number) in people.items():
        wrong = (person in found) != (side == "in")
        where = "out of" if side == "in" else "in"
        yield f"{segment.origin.head()}: person {number} of tests.{side} is {where} the segment" if wrong else ""


def _ids(rows: Iterable[Any]) -> set[int]:
    return {int(row) for row in rows}
