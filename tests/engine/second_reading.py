"""The language read a second time, in plain Python.

It shares nothing with the compiler but the tree: three-valued logic by hand, days by comparing calendar dates, numbers
as fractions.
"""

from __future__ import annotations

import calendar
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from condition_rig import DATES, Person, World

from sync.segments import tree as t

DAY = 86400


def truth(node: t.Condition, person: Person, world: World) -> bool | None:
    """True, false or unknown, straight from the text of the specification."""
    return Reader(world, person).truth(node)


class Reader:
    def __init__(self, world: World, person: Person, event: dict[str, Any] | None = None) -> None:
        self.world = world
        self.person = person
        self.event = event

    def truth(self, node: t.Condition) -> bool | None:
        match node:
            case t.And(parts):
                truths = [self.truth(part) for part in parts]
                return False if False in truths else None if None in truths else True
            case t.Or(parts):
                truths = [self.truth(part) for part in parts]
                return True if True in truths else None if None in truths else False
            case t.Not(part):
                inner = self.truth(part)
                return None if inner is None else not inner
            case t.InSegment(key):
                return Reader(self.world, self.person).truth(self.world.segments[key]) is True
            case t.Matches():
                return self._matches(node)
            case t.Contains(value, text):
                return self._contains(value, text)
            case t.IsNull(value):
                found = self.value(value)
                return found is None or found == []
            case t.Compare(operator, left, right):
                return self._compare(operator, left, right)
            case t.Between(value, low, high):
                return self.truth(t.And((t.Compare(">=", value, low), t.Compare("<=", value, high))))
            case t.In(value, options):
                return self.truth(t.Or(tuple(t.Compare("=", value, option) for option in options)))
        raise AssertionError(node)

    def _contains(self, value: t.Value, text: str) -> bool | None:
        held = self.value(value)
        if held is None:
            return None
        if isinstance(value, t.Attribute) and value.name == "customer_tags":
            return any(tag.lower() == text.lower() for tag in held)
        return text in held

    def _compare(self, operator: str, left: t.Value, right: t.Value) -> bool | None:
        a = self.value(left)
        if isinstance(left, t.Anniversary):
            wanted = self.day(right)
            if a is None:
                return None
            own = datetime.fromtimestamp(a, self.world.zone).date()
            same = (own.month, own.day) == (wanted.month, wanted.day)
            leap = (own.month, own.day) == (2, 29) and (wanted.month, wanted.day) == (2, 28)
            return same or (leap and not calendar.isleap(wanted.year))
        if isinstance(a, list):
            return (right.value in a) == (operator == "=")
        b: Any
        if isinstance(right, t.Day | t.Relative):
            a = None if a is None else datetime.fromtimestamp(a, self.world.zone).date()
            b = self.day(right)
        else:
            b = self.value(right)
        if a is None or b is None:
            return None
        if isinstance(left, t.Attribute) and left.name == "customer_email_domain":
            a, b = a.lower(), b.lower()
        return {"=": a == b, "!=": a != b}[operator] if operator in ("=", "!=") else _ordered(operator, a, b)

    def day(self, node: Any) -> date:
        if isinstance(node, t.Day):
            return node.value
        today = datetime.fromtimestamp(self.world.now, self.world.zone).date()
        if node.unit in "dw":
            return today + timedelta(days=node.amount * (7 if node.unit == "w" else 1))
        year, month = today.year, today.month
        for _ in range(abs(node.amount) * (12 if node.unit == "y" else 1)):
            month += 1 if node.amount > 0 else -1
            if month in (0, 13):
                year, month = (year - 1, 12) if month == 0 else (year + 1, 1)
        day = today.day
        while True:
            try:
                return date(year, month, day)
            except ValueError:
                day -= 1

    def value(self, node: t.Value) -> Any:
        match node:
            case t.Number(value):
                return Fraction(value)
            case t.Text(value) | t.Truth(value):
                return value
            case t.Attribute(name):
                return self.event[name] if self.event is not None else self._own(name)
            case t.Anniversary(name):
                return self._own(name)
            case t.Figure(name):
                return Fraction(self.world.figures[name]) / 100
            case t.Percentile(name):
                return self._percentile(name)
            case t.Arithmetic(operator, left, right):
                a, b = self.value(left), self.value(right)
                if a is None or b is None or (operator == "/" and not b):
                    return None
                return {"+": a + b, "-": a - b, "*": a * b}[operator] if operator != "/" else a / b
        raise AssertionError(node)

    def _own(self, name: str) -> Any:
        values = self.person.values
        if name == "customer_tags":
            return self.person.tags
        last = values["last_order_date"]
        days = None if last is None else Fraction(self.world.now - last, DAY)
        if name == "days_since_last_order":
            return days
        if name == "order_gap_ratio":
            expected = values["expected_days_between_orders"]
            return None if days is None or expected is None else days / Fraction(expected)
        found = values[name]
        if found is None or isinstance(found, str) or name in DATES:
            return found
        return Fraction(found) / (100 if name in ("amount_spent", "average_order_value") else 1)

    def _percentile(self, name: str) -> Fraction | None:
        buyers = [one.values[name] for one in self.world.people if one.values["number_of_orders"] > 0]
        if self.person.values["number_of_orders"] == 0:
            return None
        own = self.person.values[name]
        return Fraction(100 * sum(value <= own for value in buyers), len(buyers))

    def _matches(self, node: t.Matches) -> bool:
        aggregates = ("count", "sum_amount", "sum_quantity")
        tests = [(argument, _about(argument)) for argument in node.arguments]
        events = [
            event
            for event in self._events(node.function)
            if all(
                Reader(self.world, self.person, event).truth(test) is True
                for test, name in tests
                if name not in aggregates
            )
        ]
        if not any(name in aggregates for _, name in tests):
            return bool(events)
        sums = {
            "count": Fraction(len(events)),
            "sum_amount": sum((event.get("amount") or Fraction(0) for event in events), Fraction(0)),
            "sum_quantity": sum((event.get("quantity", Fraction(0)) for event in events), Fraction(0)),
        }
        return all(
            Reader(self.world, self.person, sums).truth(test) is True for test, name in tests if name in aggregates
        )

    def _events(self, function: str) -> list[dict[str, Any]]:
        named = [(one.name, {"date": one.at, "name": one.name, "campaign": one.campaign}) for one in self.person.events]
        if function == "events":
            return [event for name, event in named if name is not None and not name.startswith("email.")]
        if function.startswith("email."):
            return [event for name, event in named if name == function]
        found: list[dict[str, Any]] = getattr(self, f"_{function}")()
        return found

    def _orders_placed(self) -> list[dict[str, Any]]:
        return [
            {
                "date": order.placed,
                "amount": _money(order.total, order.currency),
                "channel": order.channel,
                "discount_code": order.codes,
                "discounted": order.discount > 0,
            }
            for order in self.person.orders
            if order.counts
        ]

    def _products_purchased(self) -> list[dict[str, Any]]:
        return [
            {
                "date": order.placed,
                "id": line["product"],
                "category": line["category"],
                "quantity": Fraction(line["quantity"]),
                "amount": _money(line["net"], order.currency),
            }
            for order in self.person.orders
            if order.counts
            for line in order.lines
        ]

    def _checkouts_abandoned(self) -> list[dict[str, Any]]:
        placed = [order.placed for order in self.person.orders if order.counts]
        return [
            {
                "date": cart.created,
                "amount": _money(cart.total, "EUR"),
                "age_hours": Fraction(self.world.now - cart.created, 3600),
                "later_order": any(instant > cart.created for instant in placed),
            }
            for cart in self.person.carts
            if cart.open
        ]


def _about(argument: t.Condition) -> str:
    inner = argument.part if isinstance(argument, t.Not) else argument
    return t.children(inner)[0].name  # type: ignore[union-attr]


def _money(minor: int, currency: str) -> Fraction | None:
    return Fraction(minor, 100) if currency == "EUR" else None


def _ordered(operator: str, a: Any, b: Any) -> bool:
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator])
