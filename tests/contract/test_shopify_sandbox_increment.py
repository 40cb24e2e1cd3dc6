"""Reading a living shop in windows loses nothing: source, client, index lag and changes between pages together."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from connector.base import Access, Cursor, Source, Stream
from connector.http import handler_transport
from connector.sandbox.changes import KINDS
from connector.sandbox.faults import Faults
from connector.sandbox.world import World
from connector.shopify import platform
from connector.shopify.sandbox import ShopifySandbox
from sync.clock import ManualClock

NOW = 1_795_000_000
SILENT = ("merge", "deletion")  # show in no date of change; the sweep by ids finds them


def open_source(simulator: ShopifySandbox, clock: ManualClock) -> Source:
    settings = platform.settings(shop=simulator.world.domain)
    access = Access(settings, {"REGULARS_SHOPIFY_TOKEN": "shpat_sandbox"}, clock, handler_transport(simulator))
    assert platform.source is not None
    return platform.source(access)


def read(source: Source, stream: Stream, since: int | None, kept: dict[int, Mapping[str, Any]]) -> None:
    """One pull into `kept`, newer versions winning."""
    for page in source.pages(stream, Cursor(high_water=since)):
        for record in page.records:
            known = kept.get(number(record))
            if known is None or known["updatedAt"] <= record["updatedAt"]:
                kept[number(record)] = record


def number(record: Mapping[str, Any]) -> int:
    return int(str(record["id"]).rsplit("/", 1)[-1])


@pytest.mark.parametrize("seed", range(3))
def test_windows_join_to_what_a_fresh_read_shows(seed: int) -> None:
    """Changes come between any two pages and runs; after a quiet moment the windows hold what the shop holds."""
    clock = ManualClock(NOW)
    world = World.generate(seed=seed, customers=300, clock=clock)
    rng = Random(seed)
    faults = Faults()
    simulator = ShopifySandbox(world, faults=faults)

    def unrest() -> None:
        clock.advance(rng.uniform(0, 4))
        kind = rng.choice([kind for kind in KINDS if kind not in SILENT])
        KINDS[kind](world, rng)

    for nth in range(1, 80):
        faults.after("Page", unrest, nth=nth)
    source = open_source(simulator, clock)
    kept: dict[str, dict[int, Mapping[str, Any]]] = {stream.name: {} for stream in source.streams}
    mark: int | None = None
    for pause in (5, 700, 86_400, 3, 60):
        start = int(clock.now())
        for stream in source.streams:
            read(source, stream, mark, kept[stream.name])
        mark = start
        clock.advance(pause)
    faults.script.clear()
    fresh = open_source(simulator, clock)
    for stream in source.streams:
        read(source, stream, mark, kept[stream.name])
        whole: dict[int, Mapping[str, Any]] = {}
        read(fresh, stream, None, whole)
        assert kept[stream.name] == whole
    assert (len(whole), len(kept["orders"])) == (len(world.carts), len(world.orders))
