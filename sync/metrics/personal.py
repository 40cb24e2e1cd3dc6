"""The personal layer: one statement whose scope and `now` are parameters: all people, a few, or an earlier day."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Delete, FromClause, Insert, Select, and_, case, delete, func, or_, select

from sync.metrics.carts import carts_family
from sync.metrics.counting import Instant, MetricSettings, Scope, customers, live
from sync.metrics.emails import emails_family
from sync.metrics.former import fresh
from sync.metrics.intervals import day_gaps, intervals_family
from sync.metrics.lines import lines_family
from sync.metrics.orders import orders_family, totals
from sync.metrics.table import PERSONAL, ZEROES, customer_gaps, customer_metrics


def personal_rows(scope: Scope, now: Instant, settings: MetricSettings) -> Select[Any]:
    """One row per live customer of the scope: customer_id and every personal column."""
    order_totals = totals(scope, now, settings)
    carts = carts_family(scope, now, settings, order_totals)
    emails = emails_family(scope, now)
    families = [
        orders_family(order_totals),
        intervals_family(scope, settings, order_totals),
        lines_family(scope, settings),
        carts,
        emails,
    ]
    sooner = _sooner(order_totals.c.next_change, carts.parts[0].c.next_change)
    columns: dict[str, ColumnElement[Any]] = {"next_eval_at": _sooner(sooner, emails.parts[0].c.next_change)}
    joined: FromClause = customers
    for family in families:
        columns.update(family.columns)
        for part in family.parts:
            joined = joined.outerjoin(part, part.c.customer_id == customers.c.id)
    values = [func.coalesce(columns[name], 0) if name in ZEROES else columns[name] for name in PERSONAL]
    return (
        select(
            customers.c.id.label("customer_id"),
            *(value.label(name) for name, value in zip(PERSONAL, values, strict=True)),
        )
        .select_from(joined)
        .where(live(), scope.covers(customers.c.id))
    )


def _sooner(a: ColumnElement[Any], b: ColumnElement[Any]) -> ColumnElement[Any]:
    """The earlier second at which time alone changes the row. Scalar minimum has another name in every database."""
    return case((or_(b.is_(None), a <= b), a), else_=b)


def write_personal(dialect: str, scope: Scope, now: Instant, settings: MetricSettings) -> list[Delete | Insert]:
    """The scope's gaps; the end of the rows of people who are gone; and `fresh` as the scope's rows are to be.

    To be run in this order.
    """
    here = select(customers.c.id).where(live(), scope.covers(customers.c.id))
    metrics, gaps = customer_metrics.c.customer_id, customer_gaps.c.customer_id
    return [
        delete(customer_gaps).where(scope.covers(gaps)),
        customer_gaps.insert().from_select(["customer_id", "days", "times"], day_gaps(scope, settings)),
        delete(customer_metrics).where(and_(scope.covers(metrics), metrics.not_in(here))),
        fresh.insert().from_select(["customer_id", *PERSONAL], personal_rows(scope, now, settings)),
    ]
