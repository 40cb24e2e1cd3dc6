"""The figures of the whole store: what people are compared with, and `store('name')` in a condition reads.

A score of q is 1 + the number of cuts that the person's value lies beyond. With n buyers, cut k is the value at place
ceil(k n / q) from the worst: beyond it are exactly those with at least k n / q buyers strictly worse than themselves,
so the score is min(q, 1 + floor(q x strictly worse / n)) and equal values share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Insert, Select, and_, delete, func, select

from mappings.vocabulary import load_vocabulary
from sync.metrics.counting import DAY, MetricSettings, counted, customers, has_money, live, orders
from sync.metrics.portable import dialect_insert
from sync.metrics.table import customer_gaps, customer_metrics, store_figures, store_gaps

Figures = dict[str, float | None]

SCALES = (5, 3)
FEWEST_GAPS = 30
GAP_WITHOUT_HISTORY = 90.0


def place(part: int, of: int, number: int) -> int:
    """The nearest rank: the smallest place, counted from 1, that has `part / of` of `number` values up to it."""
    return -(-part * number // of)


def at_places(values: Select[Any], places: Iterable[int]) -> Select[Any]:
    """(place, value) of the one column `value` in ascending order, counted from 1."""
    each = values.subquery("each_value").c.value
    ordered = select(each.label("value"), func.row_number().over(order_by=each).label("place")).subquery("ordered").c
    return select(ordered.place, ordered.value).where(ordered.place.in_(sorted(set(places))))


def measure(connection: Connection, now: int, settings: MetricSettings) -> Figures:
    """Every declared figure, from the personal columns, the counts of gaps and the counted orders."""
    figures: Figures = dict.fromkeys(load_vocabulary().figures)
    m = customer_metrics.c
    gap = m.second_purchase_gap
    counts = select(
        func.count().filter(m.number_of_orders > 0), func.count(gap), func.coalesce(func.sum(m.money_orders), 0)
    ).select_from(customer_metrics)
    buyers, repeaters, money_orders = (int(number) for number in connection.execute(counts).one())
    figures["buyers"] = buyers
    for name, column in (
        ("recency", m.last_order_date),
        ("frequency", m.number_of_orders),
        ("monetary", m.amount_spent),
    ):
        cuts = {(k, q): place(k, q, buyers) for q in SCALES for k in range(1, q)}
        values = _values(connection, column, m.number_of_orders > 0, cuts.values())
        for (k, q), rank in cuts.items():
            value = values.get(rank)
            if value is not None and name == "recency":
                value = (now - value) // DAY
            figures[f"{name}_cut_{k}_of_{q}"] = value
    quarters = _values(connection, gap, gap.is_not(None), [place(1, 4, repeaters), place(3, 4, repeaters)])
    figures["second_order_gap_p25"] = quarters.get(place(1, 4, repeaters))
    figures["second_order_gap_p75"] = quarters.get(place(3, 4, repeaters))
    figures["order_value_p80"] = _order_value(connection, settings, money_orders)
    figures["purchase_day_gaps"], figures["store_gap"] = _store_gap(connection)
    return figures


def keep(connection: Connection, figures: Figures) -> bool:
    """Write the figures down if one of them differs from what is kept."""
    kept: Figures = {row.name: row.value for row in connection.execute(select(store_figures))}
    if kept == figures:
        return False
    connection.execute(delete(store_figures))
    connection.execute(store_figures.insert(), [{"name": name, "value": value} for name, value in figures.items()])
    return True


def count_gaps(dialect: str, covered: ColumnElement[bool], sign: int) -> Insert:
    """Add the scope's gaps to the store's counts, or with sign -1 take them away."""
    g = customer_gaps.c
    rows = select(g.days, (sign * func.sum(g.times)).label("times")).where(covered).group_by(g.days)
    insert = dialect_insert(dialect, store_gaps).from_select(["days", "times"], rows)
    times = store_gaps.c.times + insert.excluded.times
    statement: Insert = insert.on_conflict_do_update(index_elements=["days"], set_={"times": times})
    return statement


def _values(
    connection: Connection, column: ColumnElement[Any], condition: ColumnElement[bool], places: Iterable[int]
) -> dict[int, int]:
    rows = connection.execute(at_places(select(column.label("value")).where(condition), places))
    return {row.place: row.value for row in rows}


def _order_value(connection: Connection, settings: MetricSettings, number: int) -> int | None:
    """The only figure that reads facts: a walk along the index of the `number` order values, down to the place."""
    if not number:
        return None
    someone = orders.c.customer_id.is_not(None)
    gone = select(customers.c.id).where(~live())
    which = and_(someone, counted(settings), has_money(settings), orders.c.customer_id.not_in(gone))
    by_value = select(orders.c.total).where(which).order_by(orders.c.total.desc())
    return int(connection.execute(by_value.offset(number - place(4, 5, number)).limit(1)).scalar_one())


def _store_gap(connection: Connection) -> tuple[int, float]:
    g = store_gaps.c
    rows: Sequence[Any] = connection.execute(select(g.days, g.times).where(g.times > 0).order_by(g.days)).all()
    number = sum(int(row.times) for row in rows)
    if number < FEWEST_GAPS:
        return number, GAP_WITHOUT_HISTORY
    middle, seen, found = ((number + 1) // 2, number // 2 + 1), 0, []
    for row in rows:
        found += [row.days for rank in middle if seen < rank <= seen + row.times]
        seen += row.times
    return number, sum(found) / 2.0
