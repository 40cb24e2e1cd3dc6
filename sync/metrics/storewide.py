"""The store-wide layer: what moves for others when one person buys. One pass over the personal columns."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, Update, or_, select, update

from sync.metrics.figures import GAP_WITHOUT_HISTORY, Figures
from sync.metrics.lifecycle import expected_days, gap_ratio_before_order, stage
from sync.metrics.scores import classic_group, klaviyo_group, score, shopify_group
from sync.metrics.table import STORE, customer_metrics


def store_rows(figures: Figures, now: int) -> Select[Any]:
    """customer_id and every store-wide column, as they are to be."""
    gap = float(figures["store_gap"] or GAP_WITHOUT_HISTORY)
    first = (
        select(
            customer_metrics.c.customer_id,
            customer_metrics.c.last_order_date,
            *(
                score(kind, scale, figures, now).label(f"{kind[0]}{scale}")
                for kind in ("recency", "frequency", "monetary")
                for scale in (5, 3)
            ),
            expected_days(gap).label("expected"),
            gap_ratio_before_order(gap).label("before"),
            *(customer_metrics.c[name] for name in ("number_of_orders", "active_quarters", "open_carts_last_30d")),
        )
        .cte("scored")
        .prefix_with("MATERIALIZED")
    )
    s = first.c
    columns = {
        "recency_score": s.r5,
        "frequency_score": s.f5,
        "monetary_score": s.m5,
        "rfm_group": shopify_group(s.r5, s.f5, s.m5),
        "rfm_group_klaviyo": klaviyo_group(s.r3, s.f3, s.m3),
        "rfm_group_classic": classic_group(s.r5, s.f5, s.m5),
        "expected_days_between_orders": s.expected,
        "last_gap_ratio_before_order": s.before,
        "lifecycle_stage": stage(s, now),
    }
    return select(s.customer_id, *(columns[name].label(name) for name in STORE))


def write_store(figures: Figures, now: int) -> Update:
    """Rows that differ, and no others. Its row count is how many people moved."""
    wanted = store_rows(figures, now).subquery("wanted")
    differs = or_(*(customer_metrics.c[name].is_distinct_from(wanted.c[name]) for name in STORE))
    return (
        update(customer_metrics)
        .values({customer_metrics.c[name]: wanted.c[name] for name in STORE})
        .where(customer_metrics.c.customer_id == wanted.c.customer_id, differs)
    )
