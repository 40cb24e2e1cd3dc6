"""Every destination says whose it is, so that a ledger is never applied to another account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from destinations import everywhere, opened
from destinations_rig import Place


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Place]:
    yield from opened(request.param, tmp_path, caplog)


@everywhere()
def test_whose_ledger_it_is_costs_no_call(place: Place) -> None:
    """The check of the key tells the account, and it is the same each time."""
    place.destination.check()
    calls = place.destination.calls
    account = place.destination.account()
    assert account
    assert place.destination.calls == calls
    place.destination.check()
    assert place.destination.account() == account
