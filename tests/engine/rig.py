"""A store and a fake shop, and the questions tests ask of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fake_source import NOW, FakeSource

from connector.base import Stream
from sync.clock import ManualClock
from sync.pull.extract import StreamReport, run_stream
from sync.pull.pull import PullReport, pull
from sync.store.engine import Store, open_store

UTC = ZoneInfo("UTC")
FACTS = (
    "customers", "customer_tags", "orders", "order_lines", "order_codes",
    "refunds", "carts", "cart_lines", "product_tags", "products", "events",
)  # fmt: skip


class Rig:
    """Runs streams and pulls at `now`, which only tests move."""

    def __init__(self, store: Store, source: FakeSource) -> None:
        self.store = store
        self.source = source
        self.now = NOW
        self.prefix = "seg-"
        self.zone = UTC

    def stream(self, name: str, **options: Any) -> StreamReport:
        return run_stream(self.source, self.of(name), self.store, run_id=1, now=self.now, zone=self.zone,
                          prefix=self.prefix, **options)  # fmt: skip

    def pull(self, **options: Any) -> PullReport:
        return pull(self.source, self.store, run_id=1, now=self.now, zone=self.zone, prefix=self.prefix, **options)

    def of(self, name: str) -> Stream:
        return next(stream for stream in self.source.streams if stream.name == name)

    def facts(self) -> dict[str, list[tuple[Any, ...]]]:
        """Sorted rows of every table of facts."""
        return {name: sorted(self.store.query(f"SELECT * FROM {name}"), key=repr) for name in FACTS}

    def dirty(self) -> set[int]:
        return {row[0] for row in self.store.query("SELECT customer_id FROM dirty")}

    def clean(self) -> None:
        with self.store.begin() as connection:
            connection.exec_driver_sql("DELETE FROM dirty")

    def one(self, sql: str) -> Any:
        rows = self.store.query(sql)
        assert len(rows) == 1, rows
        return rows[0] if len(rows[0]) > 1 else rows[0][0]


def fresh(folder: Path, source: FakeSource, name: str = "t.db") -> closing[Any]:
    """A new rig whose store is closed at the end of `with`."""
    rig = Rig(open_store(folder / name, clock=ManualClock(NOW)), source)
    rig.close = rig.store.close  # type: ignore[attr-defined]
    return closing(rig)
