"""A child process that applies a plan and kills itself with SIGKILL at the Nth thing it does to its database or to a
platform.

    python killed_apply.py POINT COUNT_FILE START PLAN

Beside the points of `killed.py` one is passed before and after every request that may change something. POINT 0 never
kills; the number of points passed is written to COUNT_FILE.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "cli"))

import httpx
from killed import WRITES, Reaper
from shop import PinnedClock
from sqlalchemy import Engine, event

from connector import PLATFORMS
from sync.cli.wiring import workspace
from sync.runs import Steps, run


class Watched(httpx.HTTPTransport):
    """Passes a point before a request leaves, and one when it was answered."""

    def __init__(self, reaper: Reaper) -> None:
        super().__init__()
        self._reaper = reaper

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return super().handle_request(request)
        self._reaper.pass_by()
        answer = super().handle_request(request)
        answer.read()
        self._reaper.pass_by()
        return answer


def watch(reaper: Reaper) -> None:
    """Pass the points of the database."""

    def statement(_conn: Any, _cursor: Any, text: str, *_: Any) -> None:
        if text.lstrip()[:7].upper().startswith(WRITES):
            reaper.pass_by()

    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "after_cursor_execute", statement)
    event.listen(Engine, "commit", lambda _conn: reaper.pass_by())


def main() -> None:
    reaper = Reaper(int(sys.argv[1]))
    transports = {name: Watched(reaper) for name in PLATFORMS}
    with workspace(None, online=True, clock=PinnedClock(float(sys.argv[3])), transports=transports) as work:
        watch(reaper)
        report = run(work, "apply", Steps(apply=True, plan_id=sys.argv[4]))
    Path(sys.argv[2]).write_text(str(reaper.passed))
    sys.exit(report.exit)


if __name__ == "__main__":
    main()
