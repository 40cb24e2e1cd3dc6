"""What every test may rely on."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("suite", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own REGULARS_* variables never reach a test."""
    import os

    for name in [name for name in os.environ if name.startswith("REGULARS_") and name != "REGULARS_PROOF_DATA"]:
        monkeypatch.delenv(name)
