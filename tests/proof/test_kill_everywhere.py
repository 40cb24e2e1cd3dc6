"""Thirty kills spread over pull, derive and apply of a seeded shop, and one in the middle of the real one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kill_rig import Calm, calm_run, check_healed, spread

from connector.sandbox.world import World
from sync.clock import SystemClock

pytestmark = pytest.mark.proof

POINTS = 30

Case = tuple[Calm, Callable[[], World]]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """A seeded shop of about 300 people."""
    now = int(SystemClock().now())

    def make() -> World:
        return World.generate(seed=23, customers=300, now=now, clock=SystemClock())

    with calm_run(tmp_path_factory.mktemp("calm"), make) as calm:
        yield calm, make


@pytest.mark.parametrize("part", range(POINTS))
def test_thirty_kills_are_healed(part: int, seeded: Case, tmp_path: Path) -> None:
    """Everything equals the undisturbed run."""
    calm, make = seeded
    check_healed(calm, spread(calm.points, POINTS)[part], tmp_path, make)


def test_the_real_shop_survives_a_kill(tmp_path: Path) -> None:
    """Killed half-way through its first sync, the real shop ends where it would have."""
    data = Path(os.environ["REGULARS_PROOF_DATA"])

    def make() -> World:
        return World.from_csv(data, clock=SystemClock())

    (tmp_path / "calm").mkdir()
    (tmp_path / "killed").mkdir()
    with calm_run(tmp_path / "calm", make) as calm:
        check_healed(calm, calm.points // 2, tmp_path / "killed", make)
