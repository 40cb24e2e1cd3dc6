"""Targets 6, 7 and 9: metrics of all people beside two scans; of a few; and who is due by time alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bench.facts import DAY, NOW, SETTINGS, shop
from bench.runner import Bench, Result, Timed, Timing, alternate, at_least, at_most, seconds
from sync.metrics import refresh
from sync.metrics.counting import Scope
from sync.metrics.derive import recompute
from sync.store.engine import Store

SCANS = ("SELECT sum(total), sum(discount) FROM orders", "SELECT sum(net), sum(quantity) FROM order_lines")
REPEATS = 20


def run(bench: Bench) -> Iterator[Result]:
    store = shop(bench)
    full = _full(bench, store)
    yield _beside_scans(store, full)
    yield from _few(bench, store, full["full"])
    yield _due(bench, store)


def _full(bench: Bench, store: Store) -> dict[str, Timing]:
    def scan(*hints: str) -> None:
        for sql in SCANS:
            store.query(" ".join([sql, *hints]))

    return alternate(
        bench.rounds,
        full=lambda: partial(refresh, store, now=NOW, settings=SETTINGS, full=True),
        scans=lambda: partial(scan, "NOT INDEXED"),
        covered=lambda: scan,
    )


def _beside_scans(store: Store, best: dict[str, Timing]) -> Result:
    counts = ", ".join(
        f"{store.query(f'SELECT count(*) FROM {name}')[0][0]:,} {name}"
        for name in ("customers", "orders", "order_lines")
    )
    figures = (
        f"{counts}; full derivation {best['full']}, two scans of the tables {best['scans']}\n"
        f"beside two scans of the covering indexes ({best['covered']}) {best['full'].cpu / best['covered'].cpu:.1f}x"
    )
    return at_most("6", "full derivation beside two plain scans", 8, best["full"].cpu / best["scans"].cpu, figures)


def _few(bench: Bench, store: Store, full: Timing) -> Iterator[Result]:
    people = store.query("SELECT count(*) FROM customers")[0][0]
    for label, share, limit in (("7a", 0.001, 0.3), ("7b", 0.01, 2.5)):
        number = int(people * share)
        marked = partial(_mark, store, number)

        def layer() -> None:
            with store.begin() as connection:
                recompute(connection, Scope(dirty=True), NOW, SETTINGS)

        def whole() -> None:
            refresh(store, now=NOW, settings=SETTINGS)

        best = alternate(bench.rounds, layer=_after(marked, layer), whole=_after(marked, whole), idle=lambda: whole)
        figures = (
            f"{number:,} of {people:,} people: their own metrics {best['layer']}; with the store-wide pass over all, "
            f"which every run makes, {best['whole']}; that pass alone {best['idle']}\n"
            f"beside the full derivation {full}; whole run {100 * best['whole'].cpu / full.cpu:.2g} %"
        )
        what = f"{100 * share:g} % of people changed: their metrics beside a full derivation"
        yield at_most(label, what, limit, 100 * best["layer"].cpu / full.cpu, figures, " %")


def _after(prepare: Callable[[], None], run: Callable[[], None]) -> Callable[[], Timed]:
    def prepared() -> Timed:
        prepare()
        return run

    return prepared


def _mark(store: Store, number: int) -> None:
    """Every so-manieth customer, so that large and small ones are among them."""
    with store.begin() as connection:
        connection.exec_driver_sql(
            "INSERT OR IGNORE INTO dirty (customer_id) "
            "SELECT id FROM customers WHERE id % (SELECT count(*) / ? FROM customers) = 1",
            (number,),
        )


def _due(bench: Bench, store: Store) -> Result:
    """Repeated within one view, because the answer takes less than a clock can tell."""
    with store.read() as connection:

        def ask(hint: str, times: int) -> Any:
            sql = f"SELECT count(*) FROM customer_metrics {hint} WHERE next_eval_at <= ?"
            for _ in range(times):
                found = connection.exec_driver_sql(sql, (NOW + DAY,)).scalar_one()
            return found

        due = ask("", 1)
        best = alternate(
            bench.rounds, ours=lambda: partial(ask, "", REPEATS), scan=lambda: partial(ask, "NOT INDEXED", REPEATS)
        )
    ours, scan = best["ours"].wall / REPEATS, best["scan"].wall / REPEATS
    figures = (
        f"{due:,} people due within a day: by next_eval_at {seconds(ours)}, by a scan of the metrics {seconds(scan)}"
    )
    return at_least("9", "people due by time, speed beside a scan of everybody", 100, scan / ours, figures)
