"""Bare requests to the simulated Klaviyo account."""

from __future__ import annotations

from typing import Any

import orjson

from connector.base import Reply
from connector.klaviyo.sandbox import KlaviyoSandbox
from connector.sandbox.wire import Request
from sync.clock import ManualClock

MEDIA = "application/vnd.api+json"
NOW = 1_795_000_020


class Caller:
    """Sends bare requests."""

    def __init__(self, **options: Any) -> None:
        self.clock = ManualClock(NOW)
        self.sandbox = KlaviyoSandbox(clock=self.clock, **options)
        self.account = self.sandbox.account

    def send(
        self, method: str, path: str, *query: tuple[str, str], body: object = None, **headers: str | None
    ) -> Reply:
        sent: dict[str, str | None] = {
            "authorization": f"Klaviyo-API-Key {self.sandbox.api_key}",
            "revision": "2026-10-15",
            "accept": MEDIA,
            "host": "a.klaviyo.com",
            **({} if body is None else {"content-type": MEDIA}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        kept = {name: value for name, value in sent.items() if value is not None}
        return self.sandbox.handle(Request(method, path, query, kept, b"" if body is None else orjson.dumps(body)))


def document(reply: Reply) -> Any:
    return orjson.loads(reply.body)
