"""A source on a small simulated Wix site, its rows as dictionaries."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from wix_rig import Rig

from connector.base import Cursor, Page
from connector.wix import limits as module
from connector.wix.connection import connect
from connector.wix.source import WixSource

STREAMS = {stream.name: stream for stream in WixSource.streams}


class Reader:
    """A source on a rig, its rows as dictionaries."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.source = WixSource(connect(rig.access(requests_per_minute=10_000)))

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


def small_pages(monkeypatch: pytest.MonkeyPatch, **sizes: int) -> None:
    """Make pages so small that a few records fill several."""
    whole = module.limits()
    small = whole.model_copy(update={"pages": whole.pages.model_copy(update=sizes)})
    for name in ("wire", "wire_contacts", "wire_catalogue", "catalogue", "contacts"):
        monkeypatch.setattr(f"connector.wix.{name}.limits", lambda: small)
