"""One small shop on loopback per module, and fresh project folders of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import TestShop, open_shop


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestShop]:
    """A small shop for all tests of a module."""
    with open_shop(tmp_path_factory.mktemp("served") / "project", customers=40) as shop:
        yield shop


@pytest.fixture
def shop(served: TestShop, tmp_path: Path) -> Iterator[TestShop]:
    """A fresh project folder of it, without a database."""
    yield served.copied_to(tmp_path / "project")
    served.faults.script.clear()
    served.world.denied.clear()


@pytest.fixture
def unwritten(served: TestShop) -> Iterator[None]:
    """Neither side is asked to change anything while this lasts."""
    before = served.writes
    yield
    assert served.writes == before
