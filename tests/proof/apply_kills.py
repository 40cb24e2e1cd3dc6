"""Kills nothing but an apply, at a chosen point, and compares what the next sync makes of it with a calm run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checks import check_nothing_doubled, check_remote_sides
from kill_rig import KILLED, START, dump
from shop import PinnedClock, TestShop, open_shop

from connector.sandbox.world import World
from sync.cli.wiring import workspace
from sync.clock import SystemClock
from sync.runs import RunReport, Steps, run

KILLER = Path(__file__).with_name("killed_apply.py")
PEOPLE = 300
DATABASE = "regulars.db"
EVERYTHING = Steps(pull=True, derive=True, plan=True, apply=True)


@dataclass(frozen=True)
class Applied:
    """A shop read and planned (`database`), and an undisturbed apply with a sync behind it: the points the apply passed,
    and what both left here and at every side."""

    platform: str
    database: Path
    plan: str
    ops: int
    points: int
    here: dict[str, list[tuple[Any, ...]]]
    there: tuple[Any, ...]


class ShopClock(SystemClock):
    """Stands at the same instant while a shop is set up, so that it is the same shop every time; then it runs."""

    def __init__(self) -> None:
        self.lead: float | None = None

    def now(self) -> float:
        return START if self.lead is None else super().now() - self.lead

    def run(self) -> None:
        self.lead = super().now() - START


@contextmanager
def seeded(folder: Path, platform: str) -> Iterator[TestShop]:
    """A seeded shop, the same every time, untouched."""
    clock = ShopClock()
    world = World.generate(seed=23, customers=PEOPLE, now=START, clock=clock)
    with open_shop(folder / "project", world, platform=platform, clock=clock) as shop:
        clock.run()
        yield shop


def step(shop: TestShop, command: str, steps: Steps) -> RunReport:
    """A run in this process at the pinned instant."""
    with workspace(shop.config, online=True, clock=PinnedClock(START)) as work:
        return run(work, command, steps)


def apply(shop: TestShop, counted: Path, plan: str, *, point: int = 0) -> int:
    """The plan applied in a process that dies at its Nth point (0: lives); its return code."""
    ran = shop.run(prelude=(sys.executable, str(KILLER), str(point), str(counted), str(START), plan))
    assert ran.code in (0, KILLED), ran.err
    return ran.code


def sides(shop: TestShop) -> tuple[Any, ...]:
    """Tags, lists and Mailchimp's tags, ours and others."""
    return shop.our_tags(), shop.other_tags(), shop.lists(), shop.mail_tags()


def calm_apply(folder: Path, platform: str) -> Applied:
    """Read and plan, keep the database as it is then, go on undisturbed."""
    with seeded(folder, platform) as shop:
        plan = step(shop, "plan", Steps(pull=True, derive=True, plan=True)).plan
        assert plan is not None
        assert plan.guards == ()
        database = shutil.copy(shop.folder / DATABASE, folder)
        assert apply(shop, folder / "points", plan.id) == 0
        assert step(shop, "sync", EVERYTHING).exit == 0
        check_remote_sides(shop)
        ops = sum(its.add + its.remove for its in plan.audiences)
        points = int((folder / "points").read_text())
        return Applied(platform, database, plan.id, ops, points, dump(shop), sides(shop))


def check_apply_healed(calm: Applied, point: int, folder: Path) -> None:
    """Kill at the point, sync once, compare everything."""
    with seeded(folder, calm.platform) as shop:
        shutil.copy(calm.database, shop.folder / DATABASE)
        assert apply(shop, folder / "points", calm.plan, point=point) == KILLED
        assert step(shop, "sync", EVERYTHING).exit == 0
        found = dump(shop)
        for name, rows in calm.here.items():
            assert found[name] == rows, f"{name} after a kill at point {point} of {calm.points}"
        assert sides(shop) == calm.there, f"remote sides after a kill at point {point} of {calm.points}"
        check_nothing_doubled(shop)
