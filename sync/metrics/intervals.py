"""Gaps between consecutive orders, and between purchase days.

Orders follow each other by (placed_at, id). A median is the mean of the middle two; with one gap or two it is the mean,
so only people with more have their gaps ranked.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, ColumnElement, Integer, Select, case, cast, func, select
from sqlalchemy.sql.selectable import Subquery

from sync.metrics.counting import DAY, MetricSettings, Scope, counted, customers, live, orders
from sync.metrics.family import Family
from sync.metrics.table import customer_gaps


def steps(scope: Scope, settings: MetricSettings) -> CTE:
    """Each counted order beside the one before it."""
    o = orders.c
    return (
        select(
            o.customer_id,
            o.id,
            o.placed_at,
            o.local_day,
            func.lag(o.placed_at).over(partition_by=o.customer_id, order_by=(o.placed_at, o.id)).label("earlier_at"),
            func.lag(o.local_day).over(partition_by=o.customer_id, order_by=(o.placed_at, o.id)).label("earlier_day"),
        )
        .where(scope.covers(o.customer_id), counted(settings))
        .cte("steps")
        .prefix_with("MATERIALIZED")
    )


def day_gaps(scope: Scope, settings: MetricSettings) -> Select[tuple[int, int, int]]:
    """(customer_id, days, times): what `customer_gaps` holds for live customers."""
    o = orders.c
    earlier = func.lag(o.local_day).over(partition_by=o.customer_id, order_by=(o.placed_at, o.id))
    step = (
        select(o.customer_id, o.local_day, earlier.label("earlier_day"))
        .where(scope.covers(o.customer_id), counted(settings))
        .subquery("day_steps")
        .c
    )
    days = step.local_day - step.earlier_day
    gone = select(customers.c.id).where(scope.covers(customers.c.id), ~live())
    return (
        select(step.customer_id, days.label("days"), func.count().label("times"))
        .where(step.local_day > step.earlier_day, step.customer_id.not_in(gone))
        .group_by(step.customer_id, days)
        .order_by(step.customer_id, days)
    )


def intervals_family(scope: Scope, settings: MetricSettings, order_totals: CTE) -> Family:
    """Medians, the ends of the chain of purchase days, the first order."""
    step = steps(scope, settings)
    chain = _chain(step)
    order_median, day_median = _order_medians(step, order_totals), _day_medians(scope, chain)
    t, c, d = order_totals.c, chain.c, day_median.c
    few = case(
        (t.number_of_orders >= 2, (t.last_order_date - t.first_order_date) / ((t.number_of_orders - 1) * float(DAY)))
    )
    return Family(
        (chain, order_median, day_median),
        {
            "first_order_id": c.first_order_id,
            "median_days_between_orders": func.coalesce(order_median.c.median, few),
            "median_days_between_purchase_days": d.median,
            "second_purchase_gap": c.second_day - c.first_day,
            "last_purchase_gap": c.last_gap,
            "earlier_median_gap": d.earlier_median,
        },
    )


def _chain(step: CTE) -> CTE:
    """First and last purchase days. The one before the last is the latest from which an order led to a later day."""
    s = step.c
    later = s.local_day > s.earlier_day
    return (
        select(
            s.customer_id,
            func.max(s.id).filter(s.earlier_at.is_(None)).label("first_order_id"),
            func.min(s.local_day).label("first_day"),
            func.min(s.local_day).filter(later).label("second_day"),
            (func.max(s.local_day) - func.max(s.earlier_day).filter(later)).label("last_gap"),
            func.count().filter(later).label("gaps"),
        )
        .group_by(s.customer_id)
        .cte("chain")
        .prefix_with("MATERIALIZED")
    )


def _order_medians(step: CTE, order_totals: CTE) -> CTE:
    s, t = step.c, order_totals.c
    gap = s.placed_at - s.earlier_at
    ranked = (
        select(
            s.customer_id,
            gap.label("gap"),
            (t.number_of_orders - 1).label("gaps"),
            func.row_number().over(partition_by=s.customer_id, order_by=gap).label("place"),
        )
        .join_from(step, order_totals, t.customer_id == s.customer_id)
        .where(t.number_of_orders > 3, s.earlier_at.is_not(None))
        .subquery("ranked_gaps")
    )
    r = ranked.c
    median = (func.min(r.gap) + func.max(r.gap)) / (2.0 * DAY)
    middle = r.place.in_(((r.gaps + 1) // 2, r.gaps // 2 + 1))
    return (
        select(r.customer_id, median.label("median"))
        .where(middle)
        .group_by(r.customer_id)
        .cte("order_medians")
        .prefix_with("MATERIALIZED")
    )


def _day_medians(scope: Scope, chain: CTE) -> CTE:
    """Medians from the counts of equal gaps: of all, and of all but the last one, taken out where it stands."""
    rows = _running(scope, chain).c

    def median(upto: ColumnElement[int], gaps: ColumnElement[int]) -> ColumnElement[Any]:
        low = func.min(rows.days).filter(gaps > 0, upto >= (gaps + 1) // 2)
        high = func.min(rows.days).filter(upto >= gaps // 2 + 1)
        return (low + high) / 2.0

    return (
        select(
            rows.customer_id,
            median(rows.upto, rows.gaps).label("median"),
            median(rows.upto_earlier, rows.earlier_gaps).label("earlier_median"),
        )
        .group_by(rows.customer_id)
        .cte("day_medians")
        .prefix_with("MATERIALIZED")
    )


def _running(scope: Scope, chain: CTE) -> Subquery:
    g, c = customer_gaps.c, chain.c
    upto = cast(func.sum(g.times).over(partition_by=g.customer_id, order_by=g.days), Integer)
    return (
        select(
            g.customer_id,
            g.days,
            upto.label("upto"),
            (upto - case((g.days >= c.last_gap, 1), else_=0)).label("upto_earlier"),
            c.gaps,
            (c.gaps - 1).label("earlier_gaps"),
        )
        .join_from(customer_gaps, chain, c.customer_id == g.customer_id)
        .where(scope.covers(g.customer_id))
        .subquery("running_gaps")
    )
