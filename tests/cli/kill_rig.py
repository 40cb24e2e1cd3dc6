"""Kills a sync at a chosen point, and compares what is left here and at all remote sides with a calm run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from checks import check_nothing_doubled, dump
from shop import TestShop, open_shop

from connector.sandbox.world import World
from sync.clock import SystemClock

KILLER = Path(__file__).with_name("killed.py")
KILLED = -9
START = int(SystemClock().now())


@dataclass(frozen=True)
class Calm:
    """An undisturbed first sync: the points it passed, what it left here and there, and on which store platform."""

    points: int
    here: dict[str, list[tuple[Any, ...]]]
    there: tuple[Any, ...]
    platform: str


def remote(shop: TestShop) -> tuple[Any, ...]:
    """All remote sides."""
    return shop.our_tags(), shop.other_tags(), shop.lists(), shop.mail_tags()


def sync(shop: TestShop, counted: Path, *, point: int = 0) -> int:
    """A sync that dies at its Nth point (0: lives); its return code."""
    ran = shop.run(prelude=(sys.executable, str(KILLER), str(point), str(counted), str(START)))
    assert ran.code in (0, KILLED), ran.err
    return ran.code


@contextmanager
def calm_run(folder: Path, make: Callable[[], World], *, platform: str = "shopify") -> Iterator[Calm]:
    """The undisturbed run of a world."""
    with open_shop(folder / "project", make(), platform=platform) as shop:
        assert sync(shop, folder / "points") == 0
        yield Calm(int((folder / "points").read_text()), dump(shop), remote(shop), platform)


def check_healed(calm: Calm, point: int, folder: Path, make: Callable[[], World]) -> None:
    """Kill at the point, sync once more, compare everything."""
    with open_shop(folder / "project", make(), platform=calm.platform) as shop:
        assert sync(shop, folder / "points", point=point) == KILLED
        assert sync(shop, folder / "points") == 0
        found = dump(shop)
        for name, rows in calm.here.items():
            assert found[name] == rows, f"{name} after a kill at point {point}"
        assert remote(shop) == calm.there, f"remote sides after a kill at point {point}"
        check_nothing_doubled(shop)


def spread(total: int, number: int) -> list[int]:
    """So many random points of a run, spread over all of it."""
    rng = Random(20261121)
    width = total / number
    return [max(1, int(width * part + rng.random() * width)) for part in range(number)]
