"""Which orders count, and whose: the rule of the shop and the scope of one statement."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, FromClause, Table, and_, bindparam, func, literal, not_, select

from sync.store.tables import SQLModel

_tables = SQLModel.metadata.tables
customers: Table = _tables["customers"]
orders: Table = _tables["orders"]
order_lines: Table = _tables["order_lines"]
carts: Table = _tables["carts"]
activity: Table = _tables["events"]
dirty: Table = _tables["dirty"]

DAY = 86400
NEVER_COUNTED = ("voided", "expired", "declined", "rejected")

Instant = int | ColumnElement[int]
NOW = bindparam("now", type_=BigInteger())
"""Stands for the instant in a statement that is built once and run at many."""


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """The shop's zone and currency, and which orders count beside the undisputed ones."""

    zone: ZoneInfo
    currency: str
    count_unpaid: bool = True
    count_zero: bool = True
    count_refunded: bool = True
    count_cancelled: bool = False
    count_test: bool = False

    def text(self) -> str:
        """All of it as one line: when it changes, every metric is to be worked out anew."""
        switches = (self.count_unpaid, self.count_zero, self.count_refunded, self.count_cancelled, self.count_test)
        return " ".join([self.zone.key, self.currency, *(str(int(switch)) for switch in switches)])


@dataclass(frozen=True, slots=True)
class Scope:
    """The customers a statement works on: ids in the half-open range (after, upto], or only the dirty ones of them."""

    after: Instant | None = None
    upto: Instant | None = None
    dirty: bool = False

    def shape(self) -> Scope:
        """The like of it with names for its bounds: one statement serves all ranges."""
        return _shape(self.after is not None, self.upto is not None, self.dirty)

    def bounds(self) -> dict[str, Any]:
        """What the names of its shape stand for."""
        return {name: value for name, value in (("after", self.after), ("upto", self.upto)) if value is not None}

    def covers(self, customer_id: ColumnElement[Any]) -> ColumnElement[bool]:
        if self.dirty:
            return customer_id.in_(select(dirty.c.customer_id).where(self._range(dirty.c.customer_id)))
        return self._range(customer_id)

    def _range(self, customer_id: ColumnElement[Any]) -> ColumnElement[bool]:
        if self.after is None and self.upto is None:
            return customer_id.is_not(None)
        bounds = []
        if self.after is not None:
            bounds.append(customer_id > self.after)
        if self.upto is not None:
            bounds.append(customer_id <= self.upto)
        return and_(*bounds)


@lru_cache
def _shape(after: bool, upto: bool, dirty_only: bool) -> Scope:
    return Scope(
        bindparam("after", type_=BigInteger()) if after else None,
        bindparam("upto", type_=BigInteger()) if upto else None,
        dirty_only,
    )


def live(people: FromClause = customers) -> ColumnElement[bool]:
    """A person who is there: neither deleted at the platform nor merged into another."""
    return and_(people.c.gone_at.is_(None), people.c.merged_into.is_(None))


def exclusions(settings: MetricSettings) -> list[tuple[str, ColumnElement[bool]]]:
    """Why an order does not count, in the order in which a reason is given. No condition is ever NULL."""
    o = orders.c
    status = func.coalesce(o.status, "")
    reasons: list[tuple[str, ColumnElement[bool]]] = [
        ("gone", o.gone_at.is_not(None)),
        ("undated", o.placed_at.is_(None)),
    ]
    if not settings.count_test:
        reasons.append(("test", o.test.is_not(False)))
    if not settings.count_cancelled:
        reasons.append(("cancelled", o.cancelled_at.is_not(None)))
    reasons += [(word, status == word) for word in NEVER_COUNTED]
    if not settings.count_unpaid:
        reasons.append(("unpaid", status == "unpaid"))
    if not settings.count_zero:
        reasons.append(("zero", o.total == 0))
    if not settings.count_refunded:
        reasons.append(("refunded", and_(o.total > 0, o.refunded >= o.total)))
    return reasons


@lru_cache(maxsize=8)
def counted(settings: MetricSettings) -> ColumnElement[bool]:
    """An order that counts, whoever it belongs to."""
    words = [*NEVER_COUNTED, *([] if settings.count_unpaid else ["unpaid"])]
    rest = [condition for reason, condition in exclusions(settings) if reason not in words]
    return and_(*(not_(condition) for condition in rest), func.coalesce(orders.c.status, "").not_in(words))


@lru_cache
def is_open() -> ColumnElement[bool]:
    """A cart that is still there and that nobody completed, neither by the platform's word nor by an order."""
    bought = orders.alias("bought")
    same = and_(bought.c.checkout_key == carts.c.checkout_key, bought.c.gone_at.is_(None))
    ordered = select(literal(1)).select_from(bought).where(same).correlate(carts).exists()
    return and_(carts.c.completed_at.is_(None), carts.c.gone_at.is_(None), not_(ordered))


@lru_cache(maxsize=8)
def has_money(settings: MetricSettings, facts: Table = orders) -> ColumnElement[bool]:
    """In the shop's currency. Money in another one is in no sum."""
    return func.coalesce(facts.c.currency, settings.currency) == settings.currency
