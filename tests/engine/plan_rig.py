"""A shop's store with segments and destinations, without a source: membership is written as `derive` would leave it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_destination import Killed

from connector.base import Destination, Shop
from sync.clock import ManualClock
from sync.push.apply import apply
from sync.push.plan import Plan, make_plan
from sync.push.recheck import recheck
from sync.push.report import ApplyReport
from sync.store.engine import Connection, Store, open_store
from sync.store.plans import load

NOW = 1_790_000_000


@dataclass(frozen=True)
class Wish:
    """A segment, as far as planning asks."""

    key: str
    name: str = ""
    push: tuple[str, ...] | None = None
    turnover: str | None = None
    rule_hash: str = "r1"
    sources: frozenset[str] = frozenset({"customers", "orders"})


class DyingStore(Store):
    """Counts write transactions, and dies before or after one of them commits."""

    dies_at: int | None = None
    after = False
    commits = 0

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        with super().begin() as conn:
            yield conn
            self.commits += 1
            if self.dies_at == self.commits and not self.after:
                raise Killed
        if self.dies_at == self.commits and self.after:
            raise Killed


@dataclass
class PlanRig:
    """One shop."""

    path: Path
    wishes: list[Wish] = field(default_factory=list)
    destinations: list[Destination] = field(default_factory=list)
    now: int = NOW
    run: int = 0

    def __post_init__(self) -> None:
        self.clock = ManualClock(self.now)
        self.store = self.open()
        self.read(self.now)

    def open(self) -> DyingStore:
        """Open the same file anew, as the next process would."""
        open_store(self.path, clock=self.clock).close()
        return DyingStore(self.path, self.clock)

    def reopen(self) -> None:
        self.store.close()
        self.store = self.open()

    def sql(self, text: str, rows: Any = ()) -> None:
        with self.store.begin() as conn:
            conn.exec_driver_sql(text, rows)
        self.store.commits -= 1

    def rows(self, text: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return self.store.query(text, parameters)

    def read(self, at: int, *streams: str) -> None:
        """All streams (or these) were read to their end at this moment."""
        for stream in streams or ("customers", "orders", "carts"):
            self.sql("INSERT OR REPLACE INTO stream_state (stream, completed_at) VALUES (?, ?)", (stream, at))
        self.evaluated(max(at, self.now))

    def evaluated(self, at: int) -> None:
        """All segments were evaluated for this moment."""
        self.sql("INSERT OR REPLACE INTO meta (key, value) VALUES ('evaluated', ?)", (str(at),))

    def people(self, numbers: Iterable[int], **facts: Any) -> None:
        """Customers as the store has them now; without other facts subscribed, each with an address."""
        for number in numbers:
            row = {
                "id": number,
                "created_at": number,
                "updated_at": number,
                "email_key": f"p{number}@example.com",
                "email_status": "SUBSCRIBED",
                **facts,
            }
            row["email"] = row["email_key"]
            self.sql(
                f"INSERT OR REPLACE INTO customers ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
                tuple(row.values()),
            )

    def change(self, number: int, **facts: Any) -> None:
        self.sql(
            f"UPDATE customers SET {', '.join(f'{name} = ?' for name in facts)} WHERE id = ?", (*facts.values(), number)
        )

    def segment(self, wish: Wish, members: Iterable[int], missing: str | None = None) -> None:
        """Configure and evaluate a segment."""
        self.wishes = [its for its in self.wishes if its.key != wish.key] + [wish]
        self.sql("DELETE FROM membership WHERE segment = ?", (wish.key,))
        rows = [(wish.key, number, self.now, self.run) for number in members]
        if rows:
            self.sql("INSERT INTO membership (segment, customer_id, since, run_id) VALUES (?, ?, ?, ?)", rows)
        self.sql(
            "INSERT OR REPLACE INTO segment_state (key, name, rule_hash, bit, size, missing) VALUES (?, ?, ?, ?, ?, ?)",
            (wish.key, wish.name, wish.rule_hash, 0, len(rows), missing),
        )

    def plan(self, *force: str, adopt: bool = False, accept: Sequence[str] = (), shop: Shop | None = None) -> Plan:
        self.run += 1
        return make_plan(
            self.store,
            self.wishes,
            self.destinations,
            now=self.now,
            run_id=self.run,
            force=force,
            adopt=adopt,
            accept=accept,
            shop=shop,
        )

    def apply(self, plan: Plan, **more: Any) -> ApplyReport:
        return apply(plan, self.destinations, self.store, now=self.now, clock=self.clock, **more)

    def apply_shown(self, plan: Plan, *accept: str) -> tuple[Plan, ApplyReport]:
        """As `apply PLAN` does: the plan is held against the present first."""
        kept = load(self.store, plan.id)
        rechecked, failed = recheck(kept, self.wishes, self.destinations, self.store, now=self.now, accept=accept)
        report = apply(rechecked, self.destinations, self.store, now=self.now, clock=self.clock, checked=failed or None)
        return rechecked, report

    def later(self, hours: float) -> None:
        """Time passes for everybody."""
        self.now += int(hours * 3600)
        self.clock.advance(int(hours * 3600))

    def sync(self, *force: str, adopt: bool = False) -> ApplyReport:
        return self.apply(self.plan(*force, adopt=adopt))

    def ledger(self, destination: str) -> dict[str, list[int]]:
        """Customers per segment, as acknowledged."""
        found: dict[str, list[int]] = {}
        for segment, number in self.rows(
            "SELECT segment, customer_id FROM ledger WHERE destination = ? ORDER BY 1, 2", (destination,)
        ):
            found.setdefault(segment, []).append(number)
        return found
