"""The export of customers, read back as another program would."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from metrics_reference import DAY, Bought, History, Person
from metrics_rig import BERLIN, NOW, put

from sync.clock import ManualClock
from sync.metrics import MetricSettings, as_of, refresh
from sync.metrics.export import export_customers
from sync.store.engine import Store, open_store

SETTINGS = MetricSettings(BERLIN, "EUR")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Two customers who are there, one of them a buyer, and one who is gone."""
    opened = open_store(tmp_path / "regulars.db", clock=ManualClock(NOW))
    people = [Person(10, NOW - 9 * DAY), Person(20, 0, gone=NOW - 1), Person(30, 1_700_000_000)]
    bought = [Bought(n, 30, NOW - n * DAY, 1000, 0, total) for n, total in ((1, 1000), (2, 250), (3, 1))]
    with opened.begin() as connection:
        put(connection, History(people, bought, []), BERLIN)
        connection.exec_driver_sql(
            "INSERT INTO customer_tags (customer_id, tag) VALUES (10, 'b, \"c\"'), (10, 'a'), (20, 'x'), (30, 'd')"
        )
    refresh(opened, now=NOW, settings=SETTINGS)
    yield opened
    opened.close()


def written(store: Store, **options: Any) -> str:
    """The export as text."""
    out = io.StringIO()
    with store.read() as connection:
        export_customers(connection, out, now=NOW, currency="EUR", **options)
    return out.getvalue()


def test_csv_has_one_row_for_each_customer_who_is_there(store: Store) -> None:
    """Money with the currency's decimals, instants in UTC, lists joined, missing values empty."""
    rows = list(csv.DictReader(io.StringIO(written(store, format="csv"))))
    assert [row["customer_id"] for row in rows] == ["10", "30"]
    first, buyer = rows
    assert first["customer_tags"] == 'a|b, "c"'
    assert (first["amount_spent"], first["average_order_value"], first["last_order_date"]) == ("0.00", "", "")
    assert buyer["customer_added_date"] == "2023-11-14T22:13:20Z"
    assert buyer["amount_spent"] == "12.51"
    assert float(buyer["average_order_value"]) == pytest.approx(12.51 / 3, rel=1e-15)
    assert float(buyer["days_since_last_order"]) == 1.0
    assert buyer["lifecycle_stage"] == "active"
    assert "probability_alive" not in buyer
    assert "first_order_id" not in buyer


def test_json_lines_keep_types(store: Store) -> None:
    """Numbers are numbers, lists are arrays, missing is null; the same columns as CSV."""
    text = written(store, format="jsonl")
    first, buyer = (json.loads(line) for line in text.splitlines())
    assert first["customer_tags"] == ["a", 'b, "c"']
    assert first["last_order_date"] is None
    assert (buyer["customer_id"], buyer["amount_spent"], buyer["number_of_orders"]) == ("30", 12.51, 3)
    assert '"gross_amount":30.00' in text
    assert list(first) == next(csv.reader(io.StringIO(written(store, format="csv"))))


def test_some_customers_only(store: Store) -> None:
    """Lists stay with their customer when others are left out."""
    [row] = csv.DictReader(io.StringIO(written(store, format="csv", ids={30})))
    assert (row["customer_id"], row["customer_tags"]) == ("30", "d")


def test_an_earlier_instant_is_exported_from_the_same_names(store: Store) -> None:
    """After `as_of` the export shows that day: who was not there yet is missing, who has gone since is there."""
    out = io.StringIO()
    with store.read() as connection:
        as_of(connection, now=NOW - 10 * DAY, settings=SETTINGS)
        number = export_customers(connection, out, format="csv", now=NOW - 10 * DAY, currency="EUR")
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert number == 2
    assert [(row["customer_id"], row["number_of_orders"], row["lifecycle_stage"]) for row in rows] == [
        ("20", "0", "aware"),
        ("30", "0", "aware"),
    ]


def test_a_currency_without_decimals(store: Store) -> None:
    """Yen have no minor unit."""
    out = io.StringIO()
    with store.read() as connection:
        export_customers(connection, out, format="csv", now=NOW, currency="JPY")
    assert list(csv.DictReader(io.StringIO(out.getvalue())))[1]["amount_spent"] == "1251"


def test_what_was_never_read_is_missing_and_not_nought(store: Store) -> None:
    """A count over a source that no run has read is not known, and so empty."""
    read = frozenset({"customers", "orders"})
    _, buyer = csv.DictReader(io.StringIO(written(store, format="csv", sources_read=read)))
    assert (buyer["number_of_orders"], buyer["open_carts"], buyer["distinct_categories"]) == ("3", "", "")
    _, buyer = csv.DictReader(io.StringIO(written(store, format="csv", sources_read=read | {"carts", "products"})))
    assert (buyer["open_carts"], buyer["distinct_categories"]) == ("0", "0")
