"""Carts that were not completed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, ColumnElement, case, cast, func, or_, select

from sync.metrics.counting import DAY, Instant, MetricSettings, Scope, carts, has_money, is_open
from sync.metrics.family import Family
from sync.metrics.table import BIG

WINDOW = 30


def carts_family(scope: Scope, now: Instant, settings: MetricSettings, order_totals: CTE) -> Family:
    """Open carts, those of the last 30 x 24 hours, and of these the ones that no counted order followed."""
    cart, last = carts.c, order_totals.c.last_order_date
    recent = cart.created_at >= now - WINDOW * DAY
    unanswered = or_(last.is_(None), last <= cart.created_at)
    money: ColumnElement[Any] = func.sum(cart.total).filter(has_money(settings, carts))
    open_carts = (
        select(
            cart.customer_id,
            func.count().label("open_carts"),
            cast(func.coalesce(money, 0), BIG).label("open_cart_value"),
            func.max(cart.created_at).label("abandoned_checkout_date"),
            func.count().filter(recent).label("open_carts_last_30d"),
            func.count().filter(recent, unanswered).label("open_carts_without_later_order"),
            func.min(case((recent, cart.created_at + (WINDOW * DAY + 1)))).label("next_change"),
        )
        .select_from(carts.outerjoin(order_totals, order_totals.c.customer_id == cart.customer_id))
        .where(scope.covers(cart.customer_id), is_open())
        .group_by(cart.customer_id)
        .cte("cart_totals")
        .prefix_with("MATERIALIZED")
    )
    names = ("open_carts", "open_cart_value", "abandoned_checkout_date", "open_carts_last_30d")
    columns = {name: open_carts.c[name] for name in (*names, "open_carts_without_later_order")}
    return Family((open_carts,), columns)
