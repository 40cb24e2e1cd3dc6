"""Metrics of generated shops against the slow reference."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_reference import DAY, Bought, History, Person, counts, metrics
from metrics_rig import BERLIN, NOW, clear, histories, mark, put, read, unequal

from sync.clock import ManualClock
from sync.metrics import MetricSettings, excluded_counts, refresh
from sync.store.engine import Store, open_store

ZONES = st.sampled_from([ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia")])
SWITCHES = st.dictionaries(
    st.sampled_from(["count_unpaid", "count_zero", "count_refunded", "count_cancelled", "count_test"]), st.booleans()
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One database for all examples."""
    opened = open_store(tmp_path_factory.mktemp("metrics") / "regulars.db", clock=ManualClock(NOW))
    yield opened
    opened.close()


@given(history=histories(), zone=ZONES, switches=SWITCHES)
def test_every_column_equals_the_reference(
    store: Store, history: History, zone: ZoneInfo, switches: dict[str, bool]
) -> None:
    """Personal and store-wide columns of everybody, under any switches, in zones with and without summer time."""
    clear(store)
    with store.begin() as connection:
        put(connection, history, zone)
    report = refresh(store, now=NOW, settings=MetricSettings(zone, "EUR", **switches))
    wanted = metrics(history, NOW, zone, switches)
    with store.read() as connection:
        assert unequal(read(connection), wanted) == []
    assert report.full
    assert report.recomputed == len(wanted)


@given(data=st.data())
def test_a_store_with_gaps_enough_measures_its_own(store: Store, data: st.DataObject) -> None:
    """From 30 gaps between purchase days on, expectations lean on the store's median instead of 90 days."""
    steps = data.draw(st.lists(st.integers(0, 40), min_size=29, max_size=45))
    at, orders = NOW - 300 * DAY, []
    for number, step in enumerate(steps):
        at += step * DAY // 6
        orders.append(Bought(number + 1, data.draw(st.sampled_from([10, 20, 30])), min(at, NOW - 1), 100, 0, 100))
    history = History([Person(key, 0) for key in (10, 20, 30, 40)], orders, [])
    clear(store)
    with store.begin() as connection:
        put(connection, history, BERLIN)
    refresh(store, now=NOW, settings=MetricSettings(BERLIN, "EUR"))
    with store.read() as connection:
        assert unequal(read(connection), metrics(history, NOW, BERLIN, {})) == []


@given(history=histories(), switches=SWITCHES)
def test_orders_that_do_not_count_are_counted_by_reason(
    store: Store, history: History, switches: dict[str, bool]
) -> None:
    """Counted orders and excluded ones, each under one reason, make up all orders."""
    clear(store)
    with store.begin() as connection:
        put(connection, history, BERLIN)
        excluded = excluded_counts(connection, MetricSettings(BERLIN, "EUR", **switches))
    counted = sum(order.owner is not None and counts(order, switches) for order in history.orders)
    assert counted + sum(excluded.values()) == len(history.orders)


def test_a_full_run_goes_in_ranges(store: Store) -> None:
    """However small a range, the result is that of one statement over everybody."""
    people = [Person(10 * n, 0) for n in range(1, 8)]
    orders = [Bought(n + 1, 10 * (1 + n % 7), NOW - n * 9 * DAY - 1, 100, 0, 100) for n in range(60)]
    history = History(people, orders, [])
    clear(store)
    with store.begin() as connection:
        put(connection, history, BERLIN)
    report = refresh(store, now=NOW, settings=MetricSettings(BERLIN, "EUR"), chunk=3)
    with store.read() as connection:
        assert unequal(read(connection), metrics(history, NOW, BERLIN, {})) == []
    assert report.recomputed == 7
    with store.begin() as connection:
        mark(connection, {10, 30, 50, 60, 70})
    assert refresh(store, now=NOW, settings=MetricSettings(BERLIN, "EUR"), chunk=3).recomputed == 5


def test_an_unchanged_shop_is_left_alone(store: Store) -> None:
    """A second run at the same instant recomputes nobody and writes no row."""
    clear(store)
    with store.begin() as connection:
        put(connection, History([Person(10, 0)], [Bought(1, 10, NOW - 5 * DAY, 100, 0, 100)], []), BERLIN)
    settings = MetricSettings(BERLIN, "EUR")
    refresh(store, now=NOW, settings=settings)
    again = refresh(store, now=NOW, settings=settings)
    assert (again.recomputed, again.store_wide, again.full) == (0, 0, False)


def test_a_changed_rule_works_everything_out_anew(store: Store) -> None:
    """Another switch, currency or zone is noticed without being told; days of orders follow the zone."""
    clear(store)
    orders = [Bought(1, 10, 1795130000, 100, 0, 100, test=True), Bought(2, 10, 1795130000 - 6 * 3600, 100, 0, 100)]
    history = History([Person(10, 0)], orders, [])
    with store.begin() as connection:
        put(connection, history, BERLIN)
    for zone in (BERLIN, ZoneInfo("Pacific/Apia"), BERLIN):
        for switches in ({}, {"count_test": True}):
            report = refresh(store, now=NOW, settings=MetricSettings(zone, "EUR", **switches))
            assert report.full
            with store.read() as connection:
                assert unequal(read(connection), metrics(history, NOW, zone, switches)) == []
