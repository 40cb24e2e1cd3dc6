"""Replies put in the place of a simulator's, for one case."""

from __future__ import annotations

from collections.abc import Callable

from connector.base import Reply
from connector.sandbox.wire import Drop, Request

Instead = Callable[[Request], Reply | Drop | None]


def times(count: int, reply: Reply | Drop, method: str = "", path: str = "") -> Instead:
    """`reply` to the first `count` requests of that method whose path contains `path`."""
    left = [count]

    def script(request: Request) -> Reply | Drop | None:
        if left[0] and method in ("", request.method) and path in request.path:
            left[0] -= 1
            return reply
        return None

    return script
