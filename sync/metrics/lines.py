"""What was bought: quantities, different products, and the category and brand that most money went to.

Lines know their customer but not whether their order counts; the few orders that do not are looked up.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, case, cast, func, or_, select

from sync.metrics.counting import MetricSettings, Scope, counted, has_money, order_lines, orders
from sync.metrics.family import Family
from sync.metrics.portable import by_code_point, division
from sync.metrics.table import BIG


def lines_family(scope: Scope, settings: MetricSettings) -> Family:
    """Sums over the lines of counted orders; the value of a line is its net in the shop's currency."""
    others = _other_orders(scope, settings)
    sums = _sums(scope, others)
    category = _top(scope, others, order_lines.c.category)
    brand = _top(scope, others, order_lines.c.brand)
    return Family(
        (sums, category, brand),
        {
            "items_purchased": sums.c.items_purchased,
            "distinct_products": sums.c.distinct_products,
            "distinct_categories": sums.c.distinct_categories,
            "distinct_brands": sums.c.distinct_brands,
            "top_category": category.c.entry,
            "top_category_share": division(category.c.value, sums.c.value),
            "top_brand": brand.c.entry,
            "top_brand_share": division(brand.c.value, sums.c.value),
        },
    )


def _other_orders(scope: Scope, settings: MetricSettings) -> CTE:
    """The few orders of which not everything counts."""
    counts, money = counted(settings), has_money(settings)
    return (
        select(orders.c.id, counts.label("counts"), money.label("has_money"))
        .where(scope.covers(orders.c.customer_id), or_(~counts, ~money))
        .cte("other_orders")
        .prefix_with("MATERIALIZED")
    )


def _bought(scope: Scope, others: CTE) -> ColumnElement[bool]:
    line = order_lines.c
    return scope.covers(line.customer_id) & line.order_id.not_in(select(others.c.id).where(~others.c.counts))


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
        )
        .where(_bought(scope, others))
        .group_by(line.customer_id)
        .cte("line_sums")
        .prefix_with("MATERIALIZED")
    )


def _top(scope: Scope, others: CTE, entry: ColumnElement[Any]) -> CTE:
    line, name = order_lines.c, str(entry.key)
    values: Select[Any] = (
        select(line.customer_id, entry.label("entry"), _value(others).label("value"))
        .where(_bought(scope, others), entry.is_not(None))
        .group_by(line.customer_id, entry)
    )
    each = values.subquery(f"values_by_{name}").c
    first = func.row_number().over(
        partition_by=each.customer_id, order_by=(each.value.desc(), by_code_point(each.entry))
    )
    ranked = select(each.customer_id, each.entry, each.value, first.label("place")).subquery(f"ranked_by_{name}").c
    # One row each already: the grouping tells SQLite so. Without it the join reads all of them for every customer.
    return (
        select(ranked.customer_id, func.min(ranked.entry).label("entry"), func.min(ranked.value).label("value"))
        .where(ranked.place < 2)
        .group_by(ranked.customer_id)
        .cte(f"top_{name}")
        .prefix_with("MATERIALIZED")
    )
