"""The command starts light."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("sqlalchemy", "sqlmodel", "httpx", "pydantic", "rich", "orjson")


def test_help_imports_nothing_heavy() -> None:
    """The command line's names and options are there before any database, network or model library is."""
    ask = f"import sys, sync.cli.main; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True)
    assert found.stdout.split() == []
