"""A rig for each test of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_source import NOW, FakeSource
from rig import Rig

from sync.clock import ManualClock
from sync.store.engine import open_store


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    store = open_store(tmp_path / "shop.db", clock=ManualClock(NOW))
    yield Rig(store, FakeSource())
    store.close()
