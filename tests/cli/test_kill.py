"""A kill at any moment loses nothing: the next plain sync ends where an undisturbed one would have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kill_rig import Calm, calm_run, check_healed, spread

from connector.sandbox.world import World
from sync.clock import SystemClock

POINTS = 5

Case = tuple[Calm, Callable[[], World]]


@pytest.fixture(scope="module", params=[("shopify", 100), ("wix", 50)], ids=["shopify", "wix"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """A seeded shop, and its undisturbed first sync."""
    platform, customers = request.param
    now = int(SystemClock().now())

    def make() -> World:
        return World.generate(seed=11, customers=customers, now=now, clock=SystemClock())

    with calm_run(tmp_path_factory.mktemp("calm"), make, platform=platform) as calm:
        yield calm, make


@pytest.mark.parametrize("part", range(POINTS))
def test_a_killed_first_sync_is_healed_by_the_next(part: int, case: Case, tmp_path: Path) -> None:
    """Facts, metrics, membership, ledger and all remote sides equal the undisturbed run's."""
    calm, make = case
    check_healed(calm, spread(calm.points, POINTS)[part], tmp_path, make)
