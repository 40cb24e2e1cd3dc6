"""Numbers, money, dates, windows and shares of a customer's counted orders.

A window of N days holds the orders of the last N x 24 hours, its lower bound included. Days, months and weekdays are
the store zone's, kept on each order.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, ColumnElement, and_, case, cast, func, select

from sync.metrics.counting import DAY, Instant, MetricSettings, Scope, counted, has_money, orders
from sync.metrics.family import Family
from sync.metrics.portable import division
from sync.metrics.table import BIG

WINDOWS = (30, 90, 180, 365)


def totals(scope: Scope, now: Instant, settings: MetricSettings) -> CTE:
    """One row per customer with a counted order."""
    o, money = orders.c, has_money(settings)
    spent = o.total - o.refunded

    def since(days: int) -> ColumnElement[bool]:
        return o.placed_at >= now - days * DAY

    def total(value: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ColumnElement[Any]:
        return cast(func.coalesce(func.sum(value).filter(and_(money, *conditions)), 0), BIG)

    def number(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.count().filter(condition)

    return (
        select(
            o.customer_id,
            func.count().label("number_of_orders"),
            number(money).label("money_orders"),
            total(o.gross).label("gross_amount"),
            total(o.discount).label("amount_discounted"),
            total(o.total).label("amount_paid"),
            total(o.refunded).label("amount_refunded"),
            func.min(o.placed_at).label("first_order_date"),
            func.max(o.placed_at).label("last_order_date"),
            func.count(o.local_day.distinct()).label("purchase_days"),
            func.min(o.local_day).label("first_day"),
            func.max(o.local_day).label("last_day"),
            func.count(o.local_day.distinct()).filter(since(365)).label("purchase_days_last_365d"),
            func.count((o.local_month // 3).distinct()).label("active_quarters"),
            *(number(since(days)).label(f"orders_last_{days}d") for days in (30, 90, 365)),
            *(total(spent, since(days)).label(f"spent_last_{days}d") for days in (90, 365)),
            total(spent, since(180), o.placed_at < now - 90 * DAY).label("spent_prior_90d"),
            number(o.discount > 0).label("discounted_orders"),
            number(o.coupon.is_(True)).label("coupon_orders"),
            number(o.refunded > 0).label("refunded_orders"),
            number((o.local_month % 12).in_((10, 11))).label("nov_dec_orders"),
            number((o.local_day + 3) % 7 >= 5).label("weekend_orders"),
            func.min(_next_change(o.placed_at, now)).label("next_change"),
        )
        .where(scope.covers(o.customer_id), counted(settings))
        .group_by(o.customer_id)
        .cte("order_totals")
        .prefix_with("MATERIALIZED")
    )


def _next_change(placed_at: ColumnElement[int], now: Instant) -> ColumnElement[Any]:
    """The first second at which the order is no longer in the narrowest window that still holds it."""
    return case(*((placed_at >= now - days * DAY, placed_at + (days * DAY + 1)) for days in WINDOWS))


def orders_family(order_totals: CTE) -> Family:
    """Everything that one pass over the orders gives."""
    t = order_totals.c
    kept = {
        name: t[name]
        for name in (
            "number_of_orders", "money_orders", "gross_amount", "amount_discounted", "amount_paid", "amount_refunded",
            "first_order_date", "last_order_date", "purchase_days", "purchase_days_last_365d", "active_quarters",
            "orders_last_30d", "orders_last_90d", "orders_last_365d",
            "spent_last_90d", "spent_last_365d", "spent_prior_90d",
        )
    }  # fmt: skip
    gaps, day_gaps = t.number_of_orders - 1, t.purchase_days - 1
    return Family(
        (order_totals,),
        kept
        | {
            "amount_spent": t.amount_paid - t.amount_refunded,
            "average_order_value": division(t.amount_paid, t.money_orders),
            "mean_days_between_orders": division(t.last_order_date - t.first_order_date, gaps * DAY),
            "mean_days_between_purchase_days": division(t.last_day - t.first_day, day_gaps),
            "discount_share": division(t.amount_discounted, t.gross_amount),
            "discounted_orders_share": division(t.discounted_orders, t.number_of_orders),
            "full_price_orders_share": 1.0 - division(t.discounted_orders, t.number_of_orders),
            "coupon_orders_share": division(t.coupon_orders, t.number_of_orders),
            "refund_rate": division(t.amount_refunded, t.amount_paid),
            "refunded_orders_share": division(t.refunded_orders, t.number_of_orders),
            "nov_dec_orders_share": division(t.nov_dec_orders, t.number_of_orders),
            "weekend_orders_share": division(t.weekend_orders, t.number_of_orders),
        },
    )
