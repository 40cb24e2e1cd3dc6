"""Kills a sync at a chosen point, and compares what is left here and at both remote sides with a calm run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from shop import TestShop, open_shop

from connector.sandbox.world import World
from sync.clock import SystemClock

KILLER = Path(__file__).with_name("killed.py")
KILLED = -9
START = int(SystemClock().now())
TOUCHED = ("updated_at", "digest")
DUMPS = {
    "tags": "SELECT customer_id, tag FROM customer_tags WHERE NOT ours ORDER BY 1, 2",
    "orders": "SELECT * FROM orders ORDER BY id",
    "lines": "SELECT * FROM order_lines ORDER BY order_id, id",
    "refunds": "SELECT * FROM refunds ORDER BY order_id, id",
    "codes": "SELECT * FROM order_codes ORDER BY 1, 2",
    "carts": "SELECT * FROM carts ORDER BY id",
    "cart lines": "SELECT * FROM cart_lines ORDER BY cart_id, id",
    "metrics": "SELECT * FROM customer_metrics ORDER BY customer_id",
    "membership": "SELECT segment, customer_id FROM membership ORDER BY 1, 2",
    "ledger": "SELECT destination, segment, customer_id FROM ledger ORDER BY 1, 2, 3",
}


@dataclass(frozen=True)
class Calm:
    """An undisturbed first sync: the points it passed, and what it left here and there."""

    points: int
    here: dict[str, list[tuple[Any, ...]]]
    there: tuple[Any, Any, Any]


def dump(shop: TestShop) -> dict[str, list[tuple[Any, ...]]]:
    """Facts, metrics, membership and ledger, sorted. What our own tags move at a customer is left out."""
    names = [row[1] for row in shop.query("PRAGMA table_info(customers)") if row[1] not in TOUCHED]
    sql = {"customers": f"SELECT {', '.join(names)} FROM customers ORDER BY id", **DUMPS}
    return {name: shop.query(text) for name, text in sql.items()}


def remote(shop: TestShop) -> tuple[Any, Any, Any]:
    """Both remote sides."""
    return shop.our_tags(), shop.other_tags(), shop.lists()


def sync(shop: TestShop, counted: Path, *, point: int = 0) -> int:
    """A sync that dies at its Nth point (0: lives); its return code."""
    ran = shop.run(prelude=(sys.executable, str(KILLER), str(point), str(counted), str(START)))
    assert ran.code in (0, KILLED), ran.err
    return ran.code


@contextmanager
def calm_run(folder: Path, make: Callable[[], World]) -> Iterator[Calm]:
    """The undisturbed run of a world."""
    with open_shop(folder / "project", make()) as shop:
        assert sync(shop, folder / "points") == 0
        yield Calm(int((folder / "points").read_text()), dump(shop), remote(shop))


def check_healed(calm: Calm, point: int, folder: Path, make: Callable[[], World]) -> None:
    """Kill at the point, sync once more, compare everything."""
    with open_shop(folder / "project", make()) as shop:
        assert sync(shop, folder / "points", point=point) == KILLED
        assert sync(shop, folder / "points") == 0
        found = dump(shop)
        for name, rows in calm.here.items():
            assert found[name] == rows, f"{name} after a kill at point {point}"
        assert remote(shop) == calm.there, f"remote sides after a kill at point {point}"


def spread(total: int, number: int) -> list[int]:
    """So many random points of a run, spread over all of it."""
    rng = Random(20261121)
    width = total / number
    return [max(1, int(width * part + rng.random() * width)) for part in range(number)]
