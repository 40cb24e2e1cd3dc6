"""The same shop without sockets and without waiting: `regulars sync` in this process, on a clock that leaps."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from shop import FAST, Ran, TestShop
from sides import mailers, store_side

from connector.http import handler_transport
from connector.sandbox.faults import Faults
from connector.sandbox.world import World
from sync.cli.failures import explain
from sync.cli.sandbox import install, write_project
from sync.cli.steps import finish
from sync.cli.wiring import workspace
from sync.clock import ManualClock
from sync.runs import Steps, run

NOW = 1_795_000_000
EVERYTHING = Steps(pull=True, derive=True, plan=True, apply=True)


@dataclass
class LocalShop(TestShop):
    """A shop whose simulators answer in this process."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    transports: Mapping[str, Any] = field(default_factory=dict)

    def go(self, steps: Steps = EVERYTHING) -> Ran:
        """A run as the command does it: same wiring, same output, same exit code."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                with workspace(self.config, online=True, clock=self.clock, transports=self.transports) as work:
                    report = run(work, "sync", steps)
                finish(report, as_json=True)
            except typer.Exit as ended:
                code = ended.exit_code
            except Exception as error:
                code = explain(error)
        return Ran(code, out.getvalue(), err.getvalue())


@contextmanager
def open_local(folder: Path, *, platform: str = "shopify", seed: int = 5, customers: int = 60) -> Iterator[LocalShop]:
    """A shop of that seed, always at the same moment."""
    clock = ManualClock(NOW)
    world = World.generate(seed=seed, customers=customers, now=NOW, clock=clock)
    faults = Faults()
    installed = install(world, clock=clock, scale=FAST, faults=faults)
    write_project(folder, installed, {}, platform)
    transports = {name: handler_transport(place.simulator) for name, place in installed.items()}
    store = store_side(installed, platform)
    clock.advance(1)
    yield LocalShop(world, store, *mailers(installed), folder, faults, clock=clock, transports=transports)
