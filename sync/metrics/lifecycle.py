"""How long until the next order may be expected, and the one stage that each person is in."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, case
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from sync.metrics.counting import DAY
from sync.metrics.portable import division
from sync.metrics.table import customer_metrics

LOYAL_ORDERS = 3
LOYAL_QUARTERS = 2
LOST_DAYS = 180
AT_RISK, WINBACK, LAPSED = 1.5, 2, 3
"""Beyond so many times the expected days since the last order."""


def expected_days(store_gap: float) -> ColumnElement[Any]:
    """The own median gap of purchase days, shrunk to the store's by the weight of two gaps; NULL without orders."""
    m = customer_metrics.c
    return case((m.number_of_orders > 0, _shrunk(store_gap, m.purchase_days - 1, m.median_days_between_purchase_days)))


def gap_ratio_before_order(store_gap: float) -> ColumnElement[Any]:
    """The latest gap between purchase days against what was expected from those before it."""
    m = customer_metrics.c
    return division(m.last_purchase_gap, _shrunk(store_gap, m.purchase_days - 2, m.earlier_median_gap))


def _shrunk(store_gap: float, gaps: ColumnElement[Any], median: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((gaps > 0, (2.0 * store_gap + gaps * median) / (2.0 + gaps)), else_=store_gap)


def stage(person: ReadOnlyColumnCollection[str, Any], now: int) -> ColumnElement[Any]:
    """The ladder, first match, so exclusive; total, because without orders one is in `consideration` or in `aware`.

    `person` has the personal columns it reads, and `expected`.
    """
    m = person
    days = (now - m.last_order_date) / float(DAY)
    ratio = days / m.expected
    return case(
        (and_(ratio > LAPSED, days >= LOST_DAYS), "lost"),
        (ratio > LAPSED, "lapsed"),
        (ratio > WINBACK, "winback"),
        (ratio > AT_RISK, "at-risk"),
        (and_(m.number_of_orders >= LOYAL_ORDERS, m.active_quarters >= LOYAL_QUARTERS), "loyal"),
        (m.number_of_orders >= 2, "active"),
        (m.number_of_orders == 1, "new"),
        (m.open_carts_last_30d > 0, "consideration"),
        else_="aware",
    )
