"""A source on a small simulated Wix site, its rows as dictionaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from wix_rig import DAY, NOW, Rig

from connector.base import Cursor, Page, Reply
from connector.http import handler_transport
from connector.sandbox.wire import Request
from connector.wix import limits as module
from connector.wix.connection import connect
from connector.wix.source import WixSource
from sync.clock import ManualClock

STREAMS = {stream.name: stream for stream in WixSource.streams}


class Reader:
    """A source on a rig, its rows as dictionaries."""

    def __init__(
        self, rig: Rig, handle: Callable[[Request], Reply] | None = None, *, requests_per_minute: int = 10_000
    ) -> None:
        self.rig = rig
        access = rig.access(requests_per_minute=requests_per_minute)
        self.source = WixSource(connect(replace(access, transport=handler_transport(handle or rig.handle))))

    def pages(self, stream: str, since: int | None = None, token: str | None = None) -> list[Page]:
        return list(self.source.pages(STREAMS[stream], Cursor(since, token)))

    def rows(self, stream: str, since: int | None = None, table: str | None = None) -> list[dict[str, Any]]:
        """Rows of the stream's own table, or of another of its tables."""
        return self.mapped(stream, self.pages(stream, since), table)

    def mapped(self, stream: str, pages: list[Page], table: str | None = None) -> list[dict[str, Any]]:
        table = table or STREAMS[stream].table or stream
        columns = self.source.columns(STREAMS[stream])[table]
        to_rows = self.source.to_rows(STREAMS[stream])
        return [
            dict(zip(columns, row, strict=True))
            for page in pages
            for record in page.records
            for row in to_rows(record)[table]
        ]

    def sent(self) -> Counter[str]:
        """Operations asked of the site so far."""
        return self.rig.api.operations


def reader(rig: Rig) -> Reader:
    rig.api.minute.limit = 10_000
    return Reader(rig)


def shop(**options: Any) -> Rig:
    """A site with somebody who bought and left a checkout."""
    rig = Rig(check=False, **options)
    ana = rig.person(tags=["VIP"], email_consent="SUBSCRIBED", email_consent_at=NOW - DAY)
    rig.order(ana)
    rig.world.abandon_cart(ana, [(rig.mug, 1)])
    return rig.open()


def clock(rig: Rig) -> ManualClock:
    """Time that moves when told to."""
    assert isinstance(rig.clock, ManualClock)
    return rig.clock


def small_pages(monkeypatch: pytest.MonkeyPatch, **sizes: int) -> None:
    """Make pages so small that a few records fill several."""
    whole = module.limits()
    small = whole.model_copy(update={"pages": whole.pages.model_copy(update=sizes)})
    for name in ("wire", "wire_contacts", "wire_catalogue", "catalogue", "contacts", "orders"):
        monkeypatch.setattr(f"connector.wix.{name}.limits", lambda: small)
