"""Kills a sync, or an apply alone, at a chosen point, and compares what the next sync makes of it with a calm run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checks import check_nothing_doubled, check_remote_sides
from kill_rig import KILLED, START, dump
from kill_rig import sync as killed_sync
from shop import PinnedClock, TestShop, open_shop

from connector.base import Clock
from connector.sandbox.world import World
from sync.cli.wiring import workspace
from sync.clock import SystemClock
from sync.runs import RunReport, Steps, run
from sync.segments.catalogue import load

KILLER = Path(__file__).with_name("killed_apply.py")
PEOPLE = 300
DATABASE = "regulars.db"
Make = Callable[[Clock], World]
"""A shop's world by its clock."""

EVERYTHING = Steps(pull=True, derive=True, plan=True, apply=True)


class ShopClock(SystemClock):
    """Stands at the same instant while a shop is set up, so that it is the same shop every time; then it runs."""

    def __init__(self) -> None:
        self.lead: float | None = None

    def now(self) -> float:
        return START if self.lead is None else super().now() - self.lead

    def run(self) -> None:
        self.lead = super().now() - START


def seeded(clock: Clock) -> World:
    """A made-up shop."""
    return World.generate(seed=23, customers=PEOPLE, now=START, clock=clock)


@contextmanager
def untouched(folder: Path, platform: str, make: Make) -> Iterator[TestShop]:
    """The shop, the same every time, served."""
    clock = ShopClock()
    with open_shop(folder / "project", make(clock), platform=platform, clock=clock) as shop:
        for segment in load(("all",), ()):
            shop.mailchimp.audience.automate(f"seg:{segment.key}")
        clock.run()
        yield shop


def step(shop: TestShop, command: str, steps: Steps) -> RunReport:
    """A run in this process at the pinned instant."""
    with workspace(shop.config, online=True, clock=PinnedClock(START)) as work:
        return run(work, command, steps)


def sides(shop: TestShop) -> tuple[Any, ...]:
    """Tags, lists and Mailchimp's tags, ours and others."""
    return shop.our_tags(), shop.other_tags(), shop.lists(), shop.mail_tags()


@dataclass(frozen=True)
class Calm:
    """An undisturbed run: the points it passed, and what it left here and at every side.

    Of an apply alone also its plan, and the database as it was when it was planned.
    """

    platform: str
    make: Make
    points: int
    here: dict[str, list[tuple[Any, ...]]]
    there: tuple[Any, ...]
    plan: str = ""
    database: Path | None = None

    def check(self, shop: TestShop, point: int) -> None:
        """Sync once after the kill, and compare everything."""
        assert step(shop, "sync", EVERYTHING).exit == 0
        found = dump(shop)
        for name, rows in self.here.items():
            assert found[name] == rows, f"{name} after a kill at point {point} of {self.points}"
        assert sides(shop) == self.there, f"remote sides after a kill at point {point} of {self.points}"
        check_nothing_doubled(shop)
        assert shop.mailchimp.joins == [], f"a first fill started an automation after a kill at point {point}"


def calm_sync(folder: Path, platform: str, make: Make = seeded) -> Calm:
    """A first sync."""
    with untouched(folder, platform, make) as shop:
        assert killed_sync(shop, folder / "points") == 0
        check_remote_sides(shop)
        return Calm(platform, make, int((folder / "points").read_text()), dump(shop), sides(shop))


def check_sync_healed(calm: Calm, point: int, folder: Path) -> None:
    """Kill a first sync at the point."""
    with untouched(folder, calm.platform, calm.make) as shop:
        assert killed_sync(shop, folder / "points", point=point) == KILLED
        calm.check(shop, point)


def calm_apply(folder: Path, platform: str, make: Make = seeded) -> Calm:
    """Read and plan, keep the database as it is then, apply, and sync."""
    with untouched(folder, platform, make) as shop:
        plan = step(shop, "plan", Steps(pull=True, derive=True, plan=True)).plan
        assert plan is not None
        assert {its.destination for its in plan.audiences if its.add} == {"klaviyo", "mailchimp", "tags"}
        database = Path(shutil.copy(shop.folder / DATABASE, folder))
        assert _apply(shop, folder / "points", plan.id) == 0
        assert step(shop, "sync", EVERYTHING).exit == 0
        check_remote_sides(shop)
        return Calm(platform, make, int((folder / "points").read_text()), dump(shop), sides(shop), plan.id, database)


def check_apply_healed(calm: Calm, point: int, folder: Path) -> None:
    """Kill the apply of the same plan at the point."""
    assert calm.database is not None
    with untouched(folder, calm.platform, calm.make) as shop:
        shutil.copy(calm.database, shop.folder / DATABASE)
        assert _apply(shop, folder / "points", calm.plan, point=point) == KILLED
        calm.check(shop, point)


def _apply(shop: TestShop, counted: Path, plan: str, *, point: int = 0) -> int:
    """The plan applied in a process that dies at its Nth point (0: lives); its return code."""
    ran = shop.run(prelude=(sys.executable, str(KILLER), str(point), str(counted), str(START), plan))
    assert ran.code in (0, KILLED), ran.err
    return ran.code
