"""Metrics of a real shop's year equal what an independent program found. REGULARS_PROOF_DATA names the folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from online_retail import instant, load, number, pence, rows

from sync.clock import ManualClock
from sync.metrics import MetricSettings, as_of, refresh
from sync.store.engine import Connection, Store, open_store
from sync.store.migrations import build_indexes

pytestmark = pytest.mark.proof

NOW = 1795219200
UTC = ZoneInfo("UTC")
SETTINGS = MetricSettings(UTC, "GBP")
DAY = 86400

MONEY = {
    "gross_spent": "gross_amount",
    "discounts": "amount_discounted",
    "paid_spent": "amount_paid",
    "refunded": "amount_refunded",
    "net_spent": "amount_spent",
    "open_carts_value": "open_cart_value",
}
EXACT = {
    "orders_count": "number_of_orders",
    "purchase_days": "purchase_days",
    "orders_30d": "orders_last_30d",
    "orders_90d": "orders_last_90d",
    "orders_365d": "orders_last_365d",
    "items_count": "items_purchased",
    "distinct_products": "distinct_products",
    "distinct_categories": "distinct_categories",
    "r_score": "recency_score",
    "f_score": "frequency_score",
    "m_score": "monetary_score",
    "open_carts_count": "open_carts",
    "open_carts_30d": "open_carts_last_30d",
    "open_carts_30d_no_later_order": "open_carts_without_later_order",
    "top_category": "top_category",
}
INSTANTS = {
    "first_order_at": "first_order_date",
    "last_order_at": "last_order_date",
    "last_open_cart_at": "abandoned_checkout_date",
}
FLOATS = {
    "aov": "average_order_value / 100",
    "aov_net": "CAST(amount_spent AS REAL) / number_of_orders / 100",
    "recency_days_exact": f"({NOW} - last_order_date) / {DAY}.0",
    "recency_days": f"({NOW} - last_order_date) / {DAY}",
    "tenure_days": f"({NOW} - first_order_date) / {DAY}",
    "mean_interval_days": "mean_days_between_orders",
    "median_interval_days": "median_days_between_orders",
    "mean_interval_by_day": "mean_days_between_purchase_days",
    "median_interval_by_day": "median_days_between_purchase_days",
    "discount_share_of_spend": "discount_share",
    "discounted_orders_share": "discounted_orders_share",
    "coupon_orders_share": "coupon_orders_share",
    "full_price_orders_share": "full_price_orders_share",
    "refund_rate": "refund_rate",
    "refunded_orders_share": "refunded_orders_share",
    "nov_dec_orders_share": "nov_dec_orders_share",
    "weekend_orders_share": "weekend_orders_share",
    "weekday_orders_share": "1.0 - weekend_orders_share",
    "top_category_share": "top_category_share",
}
LEFT_OUT = {"customer_id", "account_age_days", "full_price_spend_share", "r_ntile", "f_ntile", "m_ntile"}
"""The key; a profile date; and what the vocabulary does not have."""


@pytest.fixture(scope="module")
def folder() -> Path:
    """Where the real shop's tables are."""
    return Path(os.environ["REGULARS_PROOF_DATA"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Store]:
    """The real shop in a store, with metrics as of the expected instant."""
    store = open_store(tmp_path_factory.mktemp("proof") / "regulars.db", clock=ManualClock(NOW))
    with store.begin() as connection:
        load(connection, folder, UTC)
        build_indexes(connection)
    refresh(store, now=NOW, settings=SETTINGS)
    yield store
    store.close()


def close(found: float | None, wanted: str) -> bool:
    """Equal to 1e-9 of the value, or both missing."""
    if found is None or not wanted:
        return found is None and not wanted
    return abs(found - float(wanted)) <= 1e-9 * max(1.0, abs(float(wanted)))


def differences(found: dict[int, tuple[object, ...]], folder: Path) -> list[str]:
    """Every value that is not as expected, as text."""
    wrong = []
    names = [*MONEY, *EXACT, *INSTANTS, *FLOATS]
    for row in rows(folder, "expected_metrics"):
        values = dict(zip(names, found[number(row["customer_id"])], strict=True))
        for name, value in values.items():
            wanted = row[name]
            if name in MONEY:
                same = value == pence(wanted)
            elif name in INSTANTS:
                same = value == instant(wanted)
            elif name in EXACT:
                same = ("" if value is None else str(value)) == wanted
            else:
                assert value is None or isinstance(value, int | float)
                same = close(value, wanted)
            if not same:
                wrong.append(f"{row['customer_id']} {name}: {value}, expected {wanted}")
    return wrong


def metrics(connection: Connection) -> dict[int, tuple[object, ...]]:
    """All compared columns of everybody."""
    columns = ", ".join([*MONEY.values(), *EXACT.values(), *INSTANTS.values(), *FLOATS.values()])
    rows = connection.exec_driver_sql(f"SELECT customer_id, {columns} FROM customer_metrics")
    return {int(key): tuple(rest) for key, *rest in rows}


def test_every_column_is_compared(folder: Path) -> None:
    """No column of the expected table is left out without a reason."""
    names = set(next(rows(folder, "expected_metrics")))
    assert names == LEFT_OUT | set(MONEY) | set(EXACT) | set(INSTANTS) | set(FLOATS)


def test_metrics_equal_the_expected_ones(shop: Store, folder: Path) -> None:
    """Money to the penny, numbers and dates exactly, quotients to 1e-9, for all 4,372 customers."""
    with shop.read() as connection:
        found = metrics(connection)
    assert len(found) == 4372
    assert differences(found, folder) == []


def test_an_earlier_instant_is_found_again_later(shop: Store, folder: Path) -> None:
    """A hundred days on, with metrics of that day, `as_of` still gives the expected values of the earlier one."""
    refresh(shop, now=NOW + 100 * DAY, settings=SETTINGS)
    with shop.read() as connection:
        assert differences(metrics(connection), folder) != []
        as_of(connection, now=NOW, settings=SETTINGS)
        assert differences(metrics(connection), folder) == []
