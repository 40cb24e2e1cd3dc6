"""`regulars demo`: the main job, twice, on a made-up shop inside this process. Nothing leaves the machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from connector import PLATFORMS
from connector.http import handler_transport
from connector.sandbox.changes import happen
from connector.sandbox.world import World
from sync.cli.output import note, show
from sync.cli.picture import chart
from sync.cli.sandbox import install, known_store, make_world, write_project
from sync.cli.summary import run_text
from sync.cli.wiring import DEMO_MARKER, workspace
from sync.clock import ManualClock, SystemClock
from sync.errors import ConfigError
from sync.runs import Steps, Workspace
from sync.runs import run as run_steps
from sync.store import reports

DAY, HOUR = 86_400, 3_600
STAGES = ("new", "active", "loyal", "at-risk", "winback", "lapsed", "lost", "consideration", "aware")
UNUSED = {name: f"http://127.0.0.1:{port}" for port, name in enumerate(PLATFORMS, 9001)}
"""Where `regulars sandbox` would serve: a folder without addresses would send its keys to the real platforms."""
EVERYTHING = Steps(pull=True, derive=True, plan=True, apply=True)


def run(*, customers: int, seed: int, folder: Path, platform: str | None = None) -> None:
    """First sync, a day of the shop's life, second sync; then the picture, and what to do with a real shop."""
    store = known_store(platform)
    _fresh(folder)
    clock = ManualClock(SystemClock().now() - DAY)
    world = make_world(clock, data=None, customers=customers, seed=seed)
    installed = install(world, clock=clock, scale=1.0)
    config = write_project(folder, installed, UNUSED, store)
    transports = {name: handler_transport(place.simulator) for name, place in installed.items()}
    show(
        f"A made-up shop: {len(world.customers):,} customers, {len(world.orders):,} orders, {len(world.carts):,} carts"
    )
    with workspace(config, online=True, clock=clock, transports=transports) as work:
        show("\nFirst sync (waiting for the platforms' rate limits is simulated)\n")
        show(_sync(work))
        changes = a_day_later(world, clock, Random(seed))  # noqa: S311
        show(f"\nA day and {changes} changes later (orders, refunds, carts, merges, consent): second sync\n")
        show(_sync(work))
        show()
        show(picture(work))
        with work.store.read() as connection:
            someone = reports.most_orders(connection, ("at-risk", "winback"))
    show(f"\nEverything is in {folder}. Look around, nothing more is sent:")
    show(f"  regulars segments list --config {folder}")
    if someone is not None:
        show(f"  regulars why {someone} --config {folder}")
    show(f"  regulars status --config {folder}")
    show("\nWith your own shop:")
    show("  regulars init my-shop        asks for the shop and its keys, and checks them")
    show("  regulars sync --dry-run --config my-shop\n" + " " * 31 + "shows every write before it is made")


def _sync(work: Workspace) -> str:
    """One run, told with what it took on this machine."""
    clock = SystemClock()
    began = clock.now()
    report = run_steps(work, "demo", EVERYTHING)
    return run_text(report, here=clock.now() - began)


def a_day_later(world: World, clock: ManualClock, rng: Random) -> int:
    """Let a day pass in which things happen, the last of them an hour ago; returns how many."""
    clock.advance(DAY - HOUR)
    changes = happen(world, rng, max(14, len(world.customers) // 100))
    clock.advance(HOUR)
    return len(changes)


def picture(work: Workspace) -> str:
    """The shop's people by stage, and its other segments."""
    with work.store.read() as connection:
        stages, sizes = reports.stages(connection), reports.sizes(connection)
    people = sum(stages.values())
    others = [(key, size) for key, size in sizes.items() if size and key not in STAGES]
    first = chart("Where your people stand", [(stage, stages.get(stage, 0)) for stage in STAGES], of=people)
    return first + "\n\n" + chart("Other segments", others, of=people)


def _fresh(folder: Path) -> None:
    """An empty folder of our own; one that is not ours is left alone."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / DEMO_MARKER).is_file():
            raise ConfigError(f"{folder}: not empty and not made by the demo; choose another with --folder")
        shutil.rmtree(folder)
        note(f"replacing the earlier demo in {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DEMO_MARKER).touch()
