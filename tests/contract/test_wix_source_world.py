"""A generated shop through Wix's API into a store: what is stored is what the shop has, run after run."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from wix_rig import NOW, Rig
from wix_source_rig import Reader

from connector.sandbox.changes import happen
from connector.sandbox.world import World
from connector.wix.sandbox_checkouts import serves
from mappings.keys import key
from sync.clock import ManualClock
from sync.pull.pull import PullReport, pull
from sync.store.engine import Store, open_store

ORDERS = (
    "SELECT count(*), sum(total), sum(refunded), sum(discount), sum(gross), sum(cancelled_at IS NOT NULL) "
    "FROM orders WHERE gone_at IS NULL"
)
REFUNDS = "SELECT sum(amount) FROM refunds r JOIN orders o ON o.id = r.order_id WHERE o.gone_at IS NULL"
LINES = "SELECT DISTINCT product_id, category FROM order_lines WHERE product_id IS NOT NULL"
PEOPLE = "SELECT id, email_key FROM customers WHERE gone_at IS NULL AND merged_into IS NULL"
OPEN = "SELECT id FROM carts c WHERE completed_at IS NULL AND checkout_key NOT IN (SELECT checkout_key FROM orders)"


def test_the_store_is_the_shop(tmp_path: Path) -> None:
    """After the first run, after nothing happened, and after much did."""
    clock = ManualClock(NOW)
    world = World.generate(seed=7, customers=150, clock=clock)
    rig = Rig(world=world, per_minute=100_000, activity_log=True).open()
    with closing(open_store(tmp_path / "wix.db", clock=clock)) as store:
        _run(rig, store, 1)
        _agree(rig, store)
        clock.advance(3600)
        quiet = _run(rig, store, 2)
        assert sum(its.new + its.changed + its.quarantined for its in quiet.streams) == 0
        for run in (3, 4):
            happen(world, Random(run), 40, first=run * 100)
            clock.advance(1200)
            _run(rig, store, run)
            _agree(rig, store)


def _run(rig: Rig, store: Store, run: int) -> PullReport:
    source = Reader(rig, requests_per_minute=100_000).source
    return pull(source, store, run_id=run, now=int(rig.clock.now()), zone=ZoneInfo("UTC"), prefix="seg-")


def _agree(rig: Rig, store: Store) -> None:
    world = rig.world
    orders = [each for each in world.orders.values() if rig.site.orders.serves(each)]
    (sums,) = store.query(ORDERS)
    assert tuple(sums) == (
        len(orders),
        sum(each.total for each in orders),
        sum(each.refunded for each in orders),
        sum(each.discount for each in orders),
        sum(each.gross for each in orders),
        sum(each.cancelled_at is not None for each in orders),
    )
    (refunds,) = store.query(REFUNDS)
    assert refunds[0] == sums[2]
    assert {tuple(row) for row in store.query(PEOPLE)} == {
        (key(each.guid), (each.email or "").strip().lower() or None) for each in world.customers.values()
    }
    carts = {key(each.guid) for each in world.carts.values() if serves(each) and each.completed_at is None}
    assert {row[0] for row in store.query(OPEN)} == carts
    products = {key(each.guid): each.category for each in world.products.values()}
    assert {row[0]: row[1] for row in store.query(LINES)}.items() <= products.items()
