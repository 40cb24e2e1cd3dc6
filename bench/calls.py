"""The requests of two syncs of one shop, platform by platform and operation by operation, beside the fewest that the
platforms' limits allow; and those of loading and keeping many people, see `calls_members`.

Every store that can be read is synced with itself and all destinations. Where nothing changed one page still has to be
asked for. Requests that no limit bounds (polling a job, reading back what it made, looking for names and flows) are
shown and not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench import calls_klaviyo, calls_mailchimp, calls_members, calls_shopify, calls_wix
from bench.counted import Counted as Counted
from bench.runner import Bench, Result
from bench.sent import Line, row
from connector import stores
from connector.http import handler_transport
from connector.sandbox.world import World
from sync.cli.sandbox import install, make_world, write_project
from sync.cli.wiring import workspace
from sync.clock import ManualClock
from sync.runs import Steps
from sync.runs import run as run_steps

NOW = 1_795_219_200
HOUR = 3_600
EVERYTHING = Steps(pull=True, derive=True, plan=True, apply=True, force=("truncated-history",))


@dataclass(frozen=True, slots=True)
class _Sync:
    """What one sync read, by stream; `world` for the first, when everything is read."""

    label: str
    read: Mapping[str, int]
    world: World | None


def run(bench: Bench) -> Iterator[Result]:
    for store in stores():
        yield from _two_syncs(bench, store)
    yield from calls_members.run(bench)


def _two_syncs(bench: Bench, store: str) -> Iterator[Result]:
    clock = ManualClock(NOW)
    world = make_world(clock, data=bench.data, customers=bench.size(3_000, 600), seed=7)
    installed = install(world, clock=clock, scale=1.0)
    folder = bench.folder / f"calls-{store}"
    folder.mkdir()
    config = write_project(folder, installed, {}, store)
    counted = {name: Counted(place.simulator) for name, place in installed.items()}
    transports = {name: handler_transport(one.handle) for name, one in counted.items()}
    shop = f"{len(world.customers):,} customers, {len(world.orders):,} orders"
    for number, label in enumerate(("first", "second"), start=1):
        with workspace(config, online=True, clock=clock, transports=transports) as work:
            report = run_steps(work, "sync", EVERYTHING)
        assert report.pulled is not None
        read = {each.stream: each.read for each in report.pulled.streams}
        sync = _Sync(label, read, world if number == 1 else None)
        for name, one in counted.items():
            if one.requests:
                what = f"requests to {name} in the {label} sync of a shop at {store}"
                yield row(f"calls {number}", what, shop, one, _lines(name, one, sync))
            one.forget()
        clock.advance(HOUR)


def _lines(name: str, one: Counted, sync: _Sync) -> Sequence[Line]:
    match name:
        case "shopify":
            return [*calls_shopify.reading(one, sync.read, sync.world), *calls_shopify.writing(one)]
        case "wix":
            return [*calls_wix.reading(one, sync.read, sync.world), *calls_wix.writing(one)]
        case "mailchimp":
            return list(calls_mailchimp.writing(one))
        case _:
            return list(calls_klaviyo.writing(one))
