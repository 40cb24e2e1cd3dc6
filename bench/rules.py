"""Target 8: thirty rules and their changes in one pass, beside a scan and beside two queries a rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from bench.facts import DAY, NOW, SETTINGS, shop
from bench.runner import Bench, Result, Timing, alternate, at_least, at_most
from mappings.vocabulary import load_vocabulary
from sync.metrics.table import customer_metrics
from sync.segments import compile as compiling
from sync.segments.catalogue import Segment, load
from sync.segments.evaluate import evaluate
from sync.store.engine import Store

RULES = 30
SCAN = "SELECT sum(number_of_orders), {} FROM customer_metrics NOT INDEXED"
"""As far into the rows as the rules look; SQLite skips what lies behind the last column asked for."""

READ = frozenset({"customers", "orders", "carts"})


class _UndoneError(Exception):
    """Ends a transaction without its writes."""


def run(bench: Bench) -> Iterator[Result]:
    store = shop(bench)
    every = [one for one in load(["all"]) if not one.blocked and one.sources <= READ]
    plain = _chosen(every)
    later = NOW + DAY
    _settle(store, every)
    best = alternate(
        bench.rounds,
        rules=lambda: partial(_evaluate, store, plain, later),
        catalogue=lambda: partial(_evaluate, store, every, later),
        pairs=lambda: partial(_pairs, store, plain, later),
        scan=lambda: partial(store.query, SCAN.format("max(lifecycle_stage)")),
        shallow=lambda: partial(store.query, SCAN.format("sum(amount_spent)")),
    )
    changes = _evaluate(store, plain, later)
    assert changes == _pairs(store, plain, later), "the two ways disagree"
    yield _beside_scan(best, len(plain), changes, len(every))
    yield at_least(
        "8b", f"{len(plain)} rules with their changes, speed beside two queries a rule", 5,
        best["pairs"].cpu / best["rules"].cpu,
        f"two queries a rule {best['pairs']}; wall-clock ratio {best['pairs'].wall / best['rules'].wall:.1f}x",
    )  # fmt: skip


def _beside_scan(best: dict[str, Timing], rules: int, changes: int, catalogue: int) -> Result:
    scan = best["scan"].cpu
    figures = (
        f"{changes:,} changes; scan, difference and writing {best['rules']}, one scan of the metrics {best['scan']}; "
        f"beside a scan of early columns only ({best['shallow']}) {best['rules'].cpu / best['shallow'].cpu:.1f}x\n"
        f"the whole catalogue of {catalogue}, with conditions on lines, percentiles and lists, {best['catalogue']}: "
        f"{best['catalogue'].cpu / scan:.1f}x"
    )
    what = f"{rules} rules with their changes beside one scan of the metrics"
    return at_most("8a", what, 8, best["rules"].cpu / scan, figures)


def _chosen(segments: Sequence[Segment]) -> list[Segment]:
    """The first thirty that need nothing but the metrics, and no rule that is not among them."""
    chosen: dict[str, Segment] = {}
    for one in segments:
        if len(chosen) < RULES and _is_plain(one) and one.deps <= chosen.keys():
            chosen[one.key] = one
    return list(chosen.values())


def _is_plain(segment: Segment) -> bool:
    """Reads stored metrics and dates only: no facts, no ranks, no profile."""
    attributes = load_vocabulary().attributes
    stored = all(name in customer_metrics.c or attributes[name].layer == "age" for name in segment.reads)
    return stored and "MATCHES" not in segment.where and "percentile" not in segment.where.lower()


def _settle(store: Store, segments: Sequence[Segment]) -> None:
    with store.begin() as connection:
        evaluate(connection, segments, now=NOW, settings=SETTINGS, run_id=1, sources_read=READ)


def _evaluate(store: Store, segments: Sequence[Segment], now: int) -> int:
    """The product's way, undone afterwards so that each round finds the same."""
    moved = 0
    try:
        with store.begin() as connection:
            moved = evaluate(connection, segments, now=now, settings=SETTINGS, run_id=2, sources_read=READ).moved
            raise _UndoneError
    except _UndoneError:
        return moved


def _pairs(store: Store, segments: Sequence[Segment], now: int) -> int:
    """Who enters and who leaves, asked of each rule by itself; nothing is written."""
    rules = {one.key: one.rule for one in segments if one.rule}
    moved = 0
    with store.read() as connection:
        compiling.prepare(connection)
        for key, rule in rules.items():
            sql = compiling.compile(rule, load_vocabulary(), now, SETTINGS, rules)
            held = "SELECT customer_id FROM membership WHERE segment = :segment"
            for one in (f"{sql.text} EXCEPT {held}", f"{held} EXCEPT {sql.text}"):
                moved += len(connection.exec_driver_sql(one, {**sql.params, "segment": key}).all())
    return moved
