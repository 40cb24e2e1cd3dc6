"""Random kills spread over the first sync and over the apply of a seeded shop at every store platform, and one in the
middle of the real shop's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest
from kill_rig import spread

from connector import stores
from connector.base import Clock
from connector.sandbox.world import World
from tests.proof.kills import Calm, calm_apply, calm_sync, check_apply_healed, check_sync_healed

pytestmark = pytest.mark.proof

SYNCS = {"shopify": 30, "wix": 10}
APPLIES = dict.fromkeys(stores(), 30)


Calms = Callable[[str], Calm]


def parts(kills: Mapping[str, int]) -> pytest.MarkDecorator:
    """So many kills by platform."""
    return pytest.mark.parametrize(("platform", "part"), [(name, its) for name in kills for its in range(kills[name])])


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Calms:
    """A seeded shop of about 300 people after an undisturbed first sync, by platform."""
    return cache(lambda platform: calm_sync(tmp_path_factory.mktemp("calm"), platform))


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Calms:
    """The same shop after its first plan was applied undisturbed, by platform."""
    return cache(lambda platform: calm_apply(tmp_path_factory.mktemp("calm"), platform))


@parts(SYNCS)
def test_a_killed_sync_is_healed(platform: str, part: int, synced: Calms, tmp_path: Path) -> None:
    """Wherever in reading, deriving or writing: everything equals the undisturbed run."""
    calm = synced(platform)
    check_sync_healed(calm, spread(calm.points, SYNCS[platform])[part], tmp_path)


@parts(APPLIES)
def test_a_killed_apply_is_healed(platform: str, part: int, applied: Calms, tmp_path: Path) -> None:
    """Wherever in writing, also between a request and its answer: everything equals the undisturbed run."""
    calm = applied(platform)
    check_apply_healed(calm, spread(calm.points, APPLIES[platform])[part], tmp_path)


def test_the_real_shop_survives_a_kill(tmp_path: Path) -> None:
    """Killed half-way through its first sync, the real shop ends where it would have."""

    def make(clock: Clock) -> World:
        return World.from_csv(Path(os.environ["REGULARS_PROOF_DATA"]), clock=clock)

    (tmp_path / "calm").mkdir()
    (tmp_path / "killed").mkdir()
    calm = calm_sync(tmp_path / "calm", "shopify", make)
    check_sync_healed(calm, calm.points // 2, tmp_path / "killed")
