"""The statements themselves: other databases, indexes, attributes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from metrics_reference import DAY, Basket, Bought, History, Person
from metrics_rig import BERLIN, NOW, put
from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from mappings.vocabulary import load_vocabulary
from sync.clock import ManualClock
from sync.metrics import MetricSettings, refresh
from sync.metrics.attributes import base, expression, is_available, list_contains, list_entries, percentile
from sync.metrics.counting import Scope, customers, live
from sync.metrics.figures import count_gaps
from sync.metrics.former import write_changed
from sync.metrics.personal import write_personal
from sync.metrics.storewide import write_store
from sync.metrics.table import customer_gaps
from sync.store.engine import Store, open_store
from sync.store.migrations import build_indexes

SETTINGS = MetricSettings(BERLIN, "EUR")
ATTRIBUTES = load_vocabulary().attributes
FIGURES = dict.fromkeys(load_vocabulary().figures, 7.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Four people: three with orders, one with a cart; addresses, tags and a code."""
    opened = open_store(tmp_path / "regulars.db", clock=ManualClock(NOW))
    spent = {10: [100, 300], 20: [400], 30: [900]}
    bought = [
        Bought(100 * owner + n, owner, NOW - (n + 1) * 10 * DAY, total, 0, total)
        for owner, totals in spent.items()
        for n, total in enumerate(totals)
    ]
    people = [Person(key, NOW - 500 * DAY) for key in (10, 20, 30, 40)]
    with opened.begin() as connection:
        build_indexes(connection)
        put(connection, History(people, bought, [Basket(1, 40, NOW - DAY, 500)]), BERLIN)
        for sql in (
            "UPDATE customers SET email_key = 'ann@example.org', country = 'DE', region = 'DE-BE' WHERE id = 10",
            "UPDATE customers SET email_status = 'SUBSCRIBED', email_status_at = 5 WHERE id = 10",
            "UPDATE customers SET email_status = 'UNSUBSCRIBED', email_status_at = 5 WHERE id = 20",
            "INSERT INTO customer_tags (customer_id, tag, ours) VALUES (10, 'Wholesale', 0), (10, 'seg-loyal', 1)",
            "INSERT INTO order_codes (order_id, code, customer_id) VALUES (1001, 'HELLO', 10), (1000, 'AGAIN', 10)",
        ):
            connection.exec_driver_sql(sql)
    refresh(opened, now=NOW, settings=SETTINGS)
    yield opened
    opened.close()


def values(store: Store, name: str) -> list[object]:
    """The attribute of the four people."""
    with store.read() as connection:
        wanted = select(expression(name, now=NOW)).select_from(base()).where(live()).order_by(customers.c.id)
        return list(connection.execute(wanted).scalars())


def holders(store: Store, name: str, text: str) -> list[int]:
    """Whose list attribute contains the text."""
    with store.read() as connection:
        return list(connection.execute(select(customers.c.id).where(list_contains(name, text))).scalars())


@pytest.mark.parametrize("scope", [Scope(), Scope(dirty=True), Scope(1, 20)], ids=["all", "dirty", "range"])
def test_statements_compile_for_postgresql(scope: Scope) -> None:
    """Both layers, full, partial and in ranges: no function that only SQLite has."""
    statements = [
        *write_personal("postgresql", scope, NOW, SETTINGS),
        *write_changed("postgresql", NOW, keep_new=scope.dirty),
        write_store(FIGURES, NOW),
        count_gaps("postgresql", scope.covers(customer_gaps.c.customer_id), -1),
    ]
    for statement in statements:
        text = str(statement.compile(dialect=postgresql.dialect()))
        assert "instr(" not in text
        assert "?" not in text


def test_attributes_compile_for_postgresql() -> None:
    """Every scalar and list of the vocabulary; ties of text go by code point there too."""
    for name, one in ATTRIBUTES.items():
        if one.kind != "list":
            str(select(expression(name, now=NOW)).select_from(base()).compile(dialect=postgresql.dialect()))
        elif is_available(name):
            str(select(customers.c.id).where(list_contains(name, "x")).compile(dialect=postgresql.dialect()))
            str(list_entries(name).compile(dialect=postgresql.dialect()))
    rows = write_personal("postgresql", Scope(), NOW, SETTINGS)[-1].compile(dialect=postgresql.dialect())
    assert 'COLLATE "C"' in str(rows)


def test_what_has_no_data_yet_is_declared_and_nobodys(store: Store) -> None:
    """Attributes of sources that are not read are NULL for everybody, and say which source they wait for."""
    waiting = [one for one in ATTRIBUTES.values() if not is_available(one.name)]
    assert {"holiday_orders_share", "engagement_score", "clv_tier"} <= {one.name for one in waiting}
    for one in waiting:
        assert one.source not in {"customers", "orders", "carts"}
        if one.kind != "list":
            assert values(store, one.name) == [None] * 4


def test_ages_are_exact_and_stored_nowhere(store: Store) -> None:
    """Days are fractions between the instant and the pinned now; the ratio is days over what is expected."""
    assert values(store, "days_since_last_order") == [10.0, 10.0, 10.0, None]
    with store.read() as connection:
        later = select(expression("days_since_last_order", now=NOW + DAY // 2)).select_from(base()).limit(1)
        assert connection.execute(later).scalar() == 10.5
    assert values(store, "order_gap_ratio")[1:] == [10 / 90, 10 / 90, None]


def test_percentiles_are_over_buyers_and_ties_share_them(store: Store) -> None:
    """100 x the share of buyers with at most the own value; who never bought has none."""
    assert values(store, "amount_spent_percentile") == [pytest.approx(200 / 3), pytest.approx(200 / 3), 100.0, None]
    with store.read() as connection:
        twice = select(percentile("number_of_orders", now=NOW)).select_from(base()).order_by(customers.c.id)
        assert connection.execute(twice).scalars().all() == [
            100.0,
            pytest.approx(200 / 3),
            pytest.approx(200 / 3),
            None,
        ]


def test_profiles_are_read_from_the_record(store: Store) -> None:
    """The domain is what follows the @; the date of consent only stands while there is consent."""
    assert values(store, "customer_email_domain") == ["example.org", None, None, None]
    assert values(store, "email_subscribed_date") == [5, None, None, None]


def test_lists_contain_their_entries(store: Store) -> None:
    """Tags without letter case and without our own; places as written; codes of the first order only."""
    assert holders(store, "customer_tags", "WHOLESALE") == [10]
    assert holders(store, "customer_tags", "seg-loyal") == []
    assert holders(store, "customer_regions", "DE-BE") == [10]
    assert holders(store, "customer_countries", "de") == []
    assert holders(store, "first_order_discount_codes", "HELLO") == [10]
    assert holders(store, "first_order_discount_codes", "AGAIN") == []


def test_the_personal_layer_reads_indexes_only(store: Store) -> None:
    """Facts come from covering indexes in the order in which they are grouped; no table of facts is looked into."""
    with store.read() as connection:
        statement = write_personal("sqlite", Scope(0, 20_000), NOW, SETTINGS)[-1]
        compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]
    facts = [step for step in plan if any(f" {table} " in f"{step} " for table in ("orders", "order_lines", "carts"))]
    assert facts
    assert [step for step in facts if "COVERING INDEX" not in step] == []


def test_people_due_by_time_are_found_by_an_index(store: Store) -> None:
    """Nobody else is looked at."""
    sql = "EXPLAIN QUERY PLAN SELECT customer_id FROM customer_metrics WHERE next_eval_at <= 5"
    [row] = store.query(sql)
    assert "COVERING INDEX ix_customer_metrics_next_eval_at" in row[3]
