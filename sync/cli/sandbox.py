"""`regulars sandbox`: the simulated APIs on loopback, and a project folder that uses them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from connector import PLATFORMS, load_platform
from connector.base import Clock
from connector.sandbox.csv_tables import write_ids
from connector.sandbox.faults import Faults
from connector.sandbox.serve import serving
from connector.sandbox.wire import Installed
from connector.sandbox.world import World
from sync.cli.init import DEFAULT_PACKS, render, write_folder
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
        write_project(folder, installed, urls)
        if data is not None:
            write_ids(world, folder / "ids.csv")
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


def write_project(folder: Path, installed: dict[str, Installed], urls: dict[str, str]) -> Path:
    """A ready project folder for these simulators; `urls` may be empty for simulators in this process."""
    store = next(name for name in installed if load_platform(name).source is not None)
    secrets = {key: value for place in installed.values() for key, value in place.secrets.items()}
    text = render(
        platform=store,
        shop=installed[store].settings["shop"],
        api_url=urls.get(store),
        packs=DEFAULT_PACKS,
        tags=True,
        prefix="seg-",
        klaviyo="klaviyo" in installed,
        klaviyo_api_url=urls.get("klaviyo"),
        files=("segments.toml",),
    )
    write_folder(folder, text, secrets)
    own = folder / "segments.toml"
    if not own.exists():
        own.write_text(EXAMPLE, encoding="utf-8")
    return folder / "regulars.toml"
