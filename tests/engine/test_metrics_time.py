"""Metrics as facts change and time goes by: partial runs, earlier instants."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_reference import DAY, Basket, Bought, Deed, History, Person, before, metrics
from metrics_rig import (
    BERLIN,
    NOW,
    carts,
    clear,
    deeds,
    everything,
    histories,
    instants,
    mark,
    orders,
    put,
    read,
    unequal,
)

from sync.clock import ManualClock
from sync.metrics import MetricSettings, as_of, refresh
from sync.store.engine import Store, open_store

SETTINGS = MetricSettings(BERLIN, "EUR")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One database for all examples."""
    opened = open_store(tmp_path_factory.mktemp("metrics") / "regulars.db", clock=ManualClock(NOW))
    yield opened
    opened.close()


def change(data: st.DataObject, history: History) -> set[int]:
    """Something happens in the shop; returns whom it touches, as the store would mark them."""
    owners: list[int | None] = [*(person.id for person in history.people), None]
    kind = data.draw(st.sampled_from(["order", "cancel", "cart", "complete", "gone", "back", "person", "deed"]))
    touched: set[int | None] = set()
    if kind == "order":
        history.orders.append(data.draw(orders(1000 + len(history.orders), owners)))
        key = history.orders[-1].checkout
        touched = {history.orders[-1].owner, *(c.owner for c in history.carts if key is not None and c.checkout == key)}
    elif kind == "deed":
        owner, at = data.draw(st.sampled_from(owners)), data.draw(instants)
        history.deeds.append(Deed(1000 + len(history.deeds), owner, at, data.draw(deeds)))
        touched = {owner}
    elif kind == "cancel" and history.orders:
        order = data.draw(st.sampled_from(history.orders))
        order.cancelled = NOW - 1
        touched = {order.owner}
    elif kind == "cart":
        history.carts.append(data.draw(carts(1000 + len(history.carts), owners)))
        touched = {history.carts[-1].owner}
    elif kind == "complete" and history.carts:
        cart = data.draw(st.sampled_from(history.carts))
        cart.completed = NOW - 1
        touched = {cart.owner}
    elif kind in ("gone", "back"):
        person = data.draw(st.sampled_from(history.people))
        person.gone = NOW - 1 if kind == "gone" else None
        touched = {person.id}
    elif kind == "person":
        history.people.append(Person(1000 + len(history.people), NOW - 1))
        touched = {history.people[-1].id}
    return {key for key in touched if key is not None}


@given(history=histories(), data=st.data())
def test_partial_runs_end_where_a_full_run_does(store: Store, history: History, data: st.DataObject) -> None:
    """After any changes and steps of time, every derived row, hidden columns too, is that of a fresh full run."""
    clear(store)
    with store.begin() as connection:
        put(connection, history, BERLIN)
    now = NOW
    refresh(store, now=now, settings=SETTINGS)
    for _ in range(data.draw(st.integers(1, 3))):
        history = deepcopy(history)
        touched = set[int]().union(*(change(data, history) for _ in range(data.draw(st.integers(0, 3)))))
        now += data.draw(st.sampled_from([0, 1, DAY, 29 * DAY, 30 * DAY, 91 * DAY]))
        with store.begin() as connection:
            put(connection, history, BERLIN)
            mark(connection, touched)
        report = refresh(store, now=now, settings=SETTINGS)
        assert not report.full
    with store.read() as connection:
        partial = everything(connection)
        assert unequal(read(connection), metrics(history, now, BERLIN, {})) == []
    refresh(store, now=now, settings=SETTINGS, full=True)
    with store.read() as connection:
        assert everything(connection) == partial


@given(history=histories(people=3, most_orders=8))
def test_the_next_evaluation_is_the_next_change(store: Store, history: History) -> None:
    """Until `next_eval_at` time alone changes no windowed column; without one, it never does."""
    clear(store)
    with store.begin() as connection:
        put(connection, history, BERLIN)
    refresh(store, now=NOW, settings=SETTINGS)
    with store.read() as connection:
        due = dict(connection.exec_driver_sql("SELECT customer_id, next_eval_at FROM customer_metrics").all())
    windows = (
        "orders_last_30d", "orders_last_90d", "orders_last_365d", "spent_last_90d", "spent_last_365d",
        "spent_prior_90d", "purchase_days_last_365d", "open_carts_last_30d", "open_carts_without_later_order",
        "email_clicks_last_90d", "email_received_last_90d",
    )  # fmt: skip
    today = metrics(history, NOW, BERLIN, {})
    for key, instant in due.items():
        if instant is None:
            later = metrics(history, NOW + 3000 * DAY, BERLIN, {})[key]
            assert [later[name] for name in windows] == [today[key][name] for name in windows]
            continue
        just_before = metrics(history, instant - 1, BERLIN, {})[key]
        assert [just_before[name] for name in windows] == [today[key][name] for name in windows]


@given(history=histories(), now=instants)
def test_an_earlier_instant_is_the_shop_as_it_was(store: Store, history: History, now: int) -> None:
    """On full data, `as_of` gives what a copy frozen then would have given, and changes nothing in the database."""
    clear(store)
    with store.begin() as connection:
        put(connection, history, BERLIN)
    refresh(store, now=NOW, settings=SETTINGS)
    with store.read() as connection:
        stored = everything(connection)
    with store.read() as connection:
        as_of(connection, now=now, settings=SETTINGS)
        assert unequal(read(connection), metrics(before(history, now), now, BERLIN, {})) == []
    with store.read() as connection:
        assert everything(connection) == stored


def test_no_history_is_said_of_what_is_only_as_last_read(store: Store) -> None:
    """Consent, tags and places are named; orders and the date of the record are not."""
    with store.read() as connection:
        names = as_of(connection, now=NOW, settings=SETTINGS)
    assert {"customer_tags", "email_subscription_status", "customer_countries"} <= set(names)
    assert not {"customer_added_date", "number_of_orders"} & set(names)


def test_a_run_killed_between_ranges_is_taken_up(store: Store) -> None:
    """A full run that stops half-way is not taken for done: the next one goes over everybody again."""
    clear(store)
    bought = [Bought(n + 1, 10 * (1 + n % 6), NOW - n * DAY - 1, 100, 0, 100) for n in range(40)]
    history = History([Person(10 * n, 0) for n in range(1, 7)], bought, [Basket(1, 10, NOW - DAY, 500)])
    with store.begin() as connection:
        put(connection, history, BERLIN)

    class Killed(Exception):
        """The process ends here."""

    class Stops:
        def update(self, task: str, done: int, total: int | None = None) -> None:
            raise Killed(task)

    with pytest.raises(Killed):
        refresh(store, now=NOW, settings=SETTINGS, progress=Stops(), chunk=2)
    assert store.query("SELECT count(*) FROM customer_metrics") == [(2,)]
    report = refresh(store, now=NOW, settings=SETTINGS)
    assert (report.full, report.recomputed) == (True, 6)
    with store.read() as connection:
        assert unequal(read(connection), metrics(history, NOW, BERLIN, {})) == []
