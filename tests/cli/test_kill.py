"""A kill at any moment loses nothing: the next plain sync ends where an undisturbed one would have."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from checks import dump
from shop import TestShop, open_shop

from connector.sandbox.world import World
from sync.clock import SystemClock

KILLER = Path(__file__).with_name("killed.py")
POINTS = 6


def remote(shop: TestShop) -> tuple[Any, Any, Any]:
    """Both remote sides."""
    return shop.our_tags(), shop.other_tags(), shop.lists()


def kill_at(shop: TestShop, point: int, counted: Path) -> int:
    """Run a sync that dies at its Nth point (0: lives); its return code."""
    prelude = (sys.executable, str(KILLER), str(point), str(counted))
    ran = shop.run(prelude=prelude)
    assert ran.code in (0, -9), ran.err
    return ran.code


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, Any, Any]]:
    """The moment of the shop, the points of a whole first sync, and what it leaves here and there."""
    folder = tmp_path_factory.mktemp("calm")
    now = int(SystemClock().now())
    with open_shop(folder / "project", world_at(now)) as shop:
        assert kill_at(shop, 0, folder / "points") == 0
        yield now, int((folder / "points").read_text()), dump(shop), remote(shop)


def world_at(now: int) -> World:
    """The same shop every time; its clock goes on."""
    return World.generate(seed=11, customers=300, now=now, clock=SystemClock())


def points(total: int, number: int) -> list[int]:
    """So many points of a run, spread over all of it."""
    rng = Random(20261121)
    width = total / number
    return [max(1, int(width * part + rng.random() * width)) for part in range(number)]


@pytest.mark.parametrize("part", range(POINTS))
def test_a_killed_first_sync_is_healed_by_the_next(
    part: int, undisturbed: tuple[int, int, Any, Any], tmp_path: Path
) -> None:
    """Facts, metrics, membership, ledger and both remote sides equal the undisturbed run's."""
    now, total, calm, outside = undisturbed
    with open_shop(tmp_path / "project", world_at(now)) as shop:
        assert kill_at(shop, points(total, POINTS)[part], tmp_path / "points") == -9
        assert kill_at(shop, 0, tmp_path / "points") == 0
        found = dump(shop)
        for name, rows in calm.items():
            assert found[name] == rows, name
        assert remote(shop) == outside
        shutil.rmtree(tmp_path / "project")
