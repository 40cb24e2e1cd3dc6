"""Writes the schema of a new database to tests/engine/schemas/vN.sql: once for each version, at its release."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sync.clock import SystemClock
from sync.store.engine import open_store
from sync.store.migrations import STEPS

TARGET = Path(__file__).parents[1] / "tests" / "engine" / "schemas" / f"v{len(STEPS) + 1}.sql"


def main() -> None:
    """Make a database and write down its tables and indexes."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "new.db", clock=SystemClock())
        rows = store.query("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC, name")
        store.close()
    TARGET.write_text("".join(f"{row[0].strip()};\n" for row in rows))


if __name__ == "__main__":
    main()
