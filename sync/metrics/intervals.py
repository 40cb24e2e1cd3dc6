"""Gaps between consecutive orders, and between purchase days.

Orders follow each other by (placed_at, id). A median is the mean of the middle two; with one gap or two it is the mean,
so only people with more have their gaps ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, ColumnElement, Integer, Select, case, cast, func, select
from sqlalchemy.sql.selectable import Subquery

from sync.metrics.counting import DAY, MetricSettings, Scope, counted, customers, live, orders
from sync.metrics.family import Family
from sync.metrics.table import customer_gaps


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
    ends = _ends(settings, order_totals)
    day_median = _day_medians(scope, ends)
    t, e, d = order_totals.c, ends.c, day_median.c
    few = case(
        (t.number_of_orders >= 2, (t.last_order_date - t.first_order_date) / ((t.number_of_orders - 1) * float(DAY)))
    )
    return Family(
        (ends, day_median),
        {
            "first_order_id": e.first_order_id,
            "median_days_between_orders": func.coalesce(e.order_median, few),
            "median_days_between_purchase_days": d.median,
            "second_purchase_gap": e.second_day - t.first_day,
            "last_purchase_gap": e.last_gap,
            "earlier_median_gap": d.earlier_median,
        },
    )


def _ends(settings: MetricSettings, order_totals: CTE) -> CTE:
    """What lies next to the first and the last purchase day; asked person by person, so read off the index."""
    o, t = orders.c, order_totals.c
    forward, backward = (o.placed_at, o.id), (o.placed_at.desc(), o.id.desc())

    def nearest(column: ColumnElement[Any], order: Sequence[Any], *where: ColumnElement[bool]) -> ColumnElement[Any]:
        mine = select(column).where(o.customer_id == t.customer_id, counted(settings), *where)
        return mine.order_by(*order).limit(1).correlate(order_totals).scalar_subquery()

    return (
        select(
            t.customer_id,
            nearest(o.id, forward).label("first_order_id"),
            nearest(o.local_day, forward, o.local_day > t.first_day).label("second_day"),
            (t.last_day - nearest(o.local_day, backward, o.local_day < t.last_day)).label("last_gap"),
            (t.purchase_days - 1).label("gaps"),
            case((t.number_of_orders > 3, _order_median(settings, order_totals))).label("order_median"),
        )
        .cte("ends")
        .prefix_with("MATERIALIZED")
    )


def _order_median(settings: MetricSettings, order_totals: CTE) -> ColumnElement[Any]:
    o, t = orders.c, order_totals.c
    gap = (o.placed_at - func.lag(o.placed_at).over(order_by=(o.placed_at, o.id))).label("gap")
    each = select(gap).where(o.customer_id == t.customer_id, counted(settings)).correlate(order_totals).subquery().c.gap
    place = func.row_number().over(order_by=each).label("place")
    ranked = select(each, place).where(each.is_not(None)).subquery().c
    gaps = t.number_of_orders - 1
    return (
        select((func.min(ranked.gap) + func.max(ranked.gap)) / (2.0 * DAY))
        .where(ranked.place.in_(((gaps + 1) // 2, gaps // 2 + 1)))
        .correlate(order_totals)
        .scalar_subquery()
    )


def _day_medians(scope: Scope, ends: CTE) -> CTE:
    """Medians from the counts of equal gaps: of all, and of all but the last one, taken out where it stands."""
    rows = _running(scope, ends).c

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


def _running(scope: Scope, ends: CTE) -> Subquery:
    g, c = customer_gaps.c, ends.c
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
        .join_from(customer_gaps, ends, c.customer_id == g.customer_id)
        .where(scope.covers(g.customer_id))
        .subquery("running_gaps")
    )
