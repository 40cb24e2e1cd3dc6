"""`regulars sandbox`: the simulated APIs on loopback, and a project folder that uses them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from connector import PLATFORMS, destinations, stores
from connector.base import Clock
from connector.sandbox.csv_tables import write_ids
from connector.sandbox.faults import Faults
from connector.sandbox.serve import serving
from connector.sandbox.wire import Installed
from connector.sandbox.world import World
from sync.cli.init import DEFAULT_PACKS, Sections, render, write_folder
from sync.cli.output import note, show
from sync.cli.wiring import DEMO_MARKER
from sync.clock import SystemClock
from sync.errors import ConfigError, UsageError

EXAMPLE = """# Your own segments. Uncomment this one, then: regulars segments check
#
# [segment.lapsed-vip]
# name  = "Lapsed VIPs"
# where = "number_of_orders >= 3 AND amount_spent >= 500 AND last_order_date < -60d"
"""


def run(
    *,
    platform: str | None,
    data: Path | None,
    folder: Path,
    port_base: int,
    customers: int,
    seed: int,
    time_scale: float,
    deny: list[str],
    retention_days: int | None,
    faults: Path | None,
) -> None:
    """Serve until interrupted."""
    if time_scale <= 0:
        raise UsageError("sandbox: --time-scale must be above 0")
    store = known_store(platform)
    clock = SystemClock()
    note("setting up the shop ...")
    world = make_world(clock, data=data, customers=customers, seed=seed)
    world.denied |= set(deny)
    world.retention_days = retention_days
    script = Faults.read(faults) if faults is not None else None
    installed = install(world, clock=clock, scale=time_scale, faults=script)
    with serving([place.simulator for place in installed.values()], port_base=port_base) as servers:
        urls = {name: server.url for name, server in zip(installed, servers, strict=True)}
        (folder / DEMO_MARKER).unlink(missing_ok=True)
        write_project(folder, installed, urls, store)
        if data is not None:
            shown = {name: place.record_id for name, place in installed.items() if place.record_id is not None}
            write_ids(world, folder / "ids.csv", shown)
        for name, url in urls.items():
            show(f"{name:<10} {url}")
        show(f"{len(world.customers):,} customers, {len(world.orders):,} orders, {len(world.carts):,} checkouts")
        show(f"ready: regulars sync --config {folder / 'regulars.toml'}      (Ctrl-C ends the sandbox)")
        try:
            while True:
                clock.sleep(3600)
        except KeyboardInterrupt:
            note("sandbox ended")


def make_world(clock: Clock, *, data: Path | None, customers: int, seed: int) -> World:
    """A shop from tables, or a made-up one."""
    if data is None:
        return World.generate(seed=seed, customers=customers, now=int(clock.now()), clock=clock)
    if not (data / "orders.csv.gz").is_file():
        raise ConfigError(f"{data}: no orders.csv.gz there; --data names a folder of a shop's tables")
    return World.from_csv(data, clock=clock)


def install(world: World, *, clock: Clock, scale: float, faults: Faults | None = None) -> dict[str, Installed]:
    """Every platform's simulator over the one world, by platform name."""
    made: dict[str, Installed] = {}
    for name in PLATFORMS:
        module = import_module(f"connector.{name}.sandbox_install")
        made[name] = module.install(world, clock=clock, scale=scale, faults=faults)
    return made


def write_project(
    folder: Path, installed: dict[str, Installed], urls: dict[str, str], platform: str | None = None
) -> Path:
    """A ready project folder for these simulators; `urls` may be empty for simulators in this process.

    The store is the platform named, else the first. Keys of the other stores are written too, so that changing
    `[store]` is all it takes to read another.
    """
    store = platform or stores()[0]
    sections: Sections = {
        "store": {"platform": store, **section(installed, store, urls)},
        "segments": {"packs": DEFAULT_PACKS, "files": ("segments.toml",)},
        "tags": {"enabled": True, "prefix": "seg-"},
    }
    for name in destinations():
        sections[name] = {"enabled": True, **section(installed, name, urls)}
    write_folder(folder, render(sections), {k: v for place in installed.values() for k, v in place.secrets.items()})
    own = folder / "segments.toml"
    if not own.exists():
        own.write_text(EXAMPLE, encoding="utf-8")
    return folder / "regulars.toml"


def section(installed: dict[str, Installed], name: str, urls: dict[str, str]) -> dict[str, Any]:
    """What a platform's section says of its simulator."""
    return {**installed[name].settings, **({"api_url": urls[name]} if name in urls else {})}


def known_store(name: str | None) -> str:
    """A store's platform, by default the first. Raises UsageError."""
    if name is not None and name not in stores():
        raise UsageError(f"--platform {name}: no such store; there are {', '.join(stores())}")
    return name or stores()[0]
