"""What was bought: quantities, different products, and the category and brand that most money went to.

Lines know their customer but not whether their order counts; the few orders that do not are looked up. What a person
spent most on is asked person by person: so SQLite reads the index in its order and sorts a handful of sums at a time,
where ranking everybody's would sort them all at once.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, ColumnElement, and_, case, cast, func, or_, select

from sync.metrics.counting import MetricSettings, Scope, counted, has_money, order_lines, orders
from sync.metrics.family import Family
from sync.metrics.portable import by_code_point, division
from sync.metrics.table import BIG


def lines_family(scope: Scope, settings: MetricSettings) -> Family:
    """Sums over the lines of counted orders; the value of a line is its net in the shop's currency."""
    others = _other_orders(scope, settings)
    lines = _tops(_sums(scope, others), others)
    part = lines.c
    return Family(
        (lines,),
        {name: part[name] for name in ("items_purchased", "distinct_products", "distinct_categories")}
        | {
            "distinct_brands": part.distinct_brands,
            "top_category": part.top_category,
            "top_category_share": division(
                _spent_on(order_lines.c.category, part.top_category, lines, others), part.value
            ),
            "top_brand": part.top_brand,
            "top_brand_share": division(_spent_on(order_lines.c.brand, part.top_brand, lines, others), part.value),
        },
    )


def _other_orders(scope: Scope, settings: MetricSettings) -> CTE:
    """The few orders of which not everything counts."""
    counts, money = counted(settings), has_money(settings)
    return (
        select(orders.c.id, orders.c.customer_id, counts.label("counts"), money.label("has_money"))
        .where(scope.covers(orders.c.customer_id), or_(~counts, ~money))
        .cte("other_orders")
        .prefix_with("MATERIALIZED")
    )


def _bought(others: CTE) -> ColumnElement[bool]:
    return order_lines.c.order_id.not_in(select(others.c.id).where(~others.c.counts))


def _theirs(sums: CTE, others: CTE) -> ColumnElement[bool]:
    """The same of one person. Who has no such orders is spared looking up each."""
    return or_(~sums.c.has_others, _bought(others))


def _value(others: CTE) -> ColumnElement[Any]:
    line = order_lines.c
    foreign = select(others.c.id).where(~others.c.has_money)
    return cast(func.sum(case((line.order_id.in_(foreign), 0), else_=line.net)), BIG)


def _sums(scope: Scope, others: CTE) -> CTE:
    line = order_lines.c
    return (
        select(
            line.customer_id,
            cast(func.sum(line.quantity), BIG).label("items_purchased"),
            func.count(line.product_id.distinct()).label("distinct_products"),
            func.count(line.category.distinct()).label("distinct_categories"),
            func.count(line.brand.distinct()).label("distinct_brands"),
            _value(others).label("value"),
            line.customer_id.in_(select(others.c.customer_id)).label("has_others"),
        )
        .where(scope.covers(line.customer_id), _bought(others))
        .group_by(line.customer_id)
        .cte("line_sums")
        .prefix_with("MATERIALIZED")
    )


def _tops(sums: CTE, others: CTE) -> CTE:
    """The sums, and beside them the entries that most was spent on; of equal ones the first by code point."""

    def top(entry: ColumnElement[Any]) -> ColumnElement[Any]:
        return (
            select(entry)
            .where(order_lines.c.customer_id == sums.c.customer_id, _theirs(sums, others), entry.is_not(None))
            .group_by(entry)
            .order_by(_value(others).desc(), by_code_point(entry))
            .limit(1)
            .correlate(sums)
            .scalar_subquery()
        )

    category, brand = order_lines.c.category, order_lines.c.brand
    return (
        select(*sums.c, top(category).label("top_category"), top(brand).label("top_brand"))
        .cte("line_totals")
        .prefix_with("MATERIALIZED")
    )


def _spent_on(column: ColumnElement[Any], entry: ColumnElement[Any], lines: CTE, others: CTE) -> ColumnElement[Any]:
    mine = and_(order_lines.c.customer_id == lines.c.customer_id, column == entry)
    return select(_value(others)).where(mine, _theirs(lines, others)).correlate(lines).scalar_subquery()
