"""A child process that runs a sync and kills itself with SIGKILL at the Nth thing it does to its database.

    python killed.py POINT COUNT_FILE START

A point is passed before and after every statement that writes and around every commit. POINT 0 never kills; the number
of points passed is written to COUNT_FILE.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from shop import PinnedClock
from sqlalchemy import Engine, event

from sync.cli.wiring import workspace
from sync.runs import Steps, run

WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "WITH")


class Reaper:
    """Counts points and strikes at its own."""

    def __init__(self, point: int) -> None:
        self.point = point
        self.passed = 0

    def pass_by(self) -> None:
        self.passed += 1
        if self.passed == self.point:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    reaper = Reaper(int(sys.argv[1]))
    counted = Path(sys.argv[2])

    def statement(_conn: Any, _cursor: Any, text: str, *_: Any) -> None:
        if text.lstrip()[:7].upper().startswith(WRITES):
            reaper.pass_by()

    def committing(_conn: Any) -> None:
        reaper.pass_by()

    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "after_cursor_execute", statement)
    event.listen(Engine, "commit", committing)
    everything = Steps(pull=True, derive=True, plan=True, apply=True)
    with workspace(None, online=True, clock=PinnedClock(float(sys.argv[3]))) as work:
        report = run(work, "sync", everything)
    counted.write_text(str(reaper.passed))
    sys.exit(report.exit)


if __name__ == "__main__":
    main()
