"""How long work tells how far it is. The CLI draws it; everything else stays silent."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called as work goes on; `total` is None while it is not known."""

    def update(self, task: str, done: int, total: int | None = None) -> None:
        """`done` of `total` units of `task`."""


class Silent:
    """No progress shown."""

    def update(self, task: str, done: int, total: int | None = None) -> None:
        return None
