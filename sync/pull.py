"""All streams of a source into the store, then what vanished there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from connector.base import Shop, Source, Stream
from sync.errors import StoreError, UsageError
from sync.extract import Intake, StreamReport, run_stream
from sync.progress import Progress, Silent
from sync.store import identity, state
from sync.store.engine import Store
from sync.store.migrations import build_indexes
from sync.store.settle import settle
from sync.sweep import SWEPT, Sweep, SweepReport

_ORDER = ("customers", "orders", "carts")


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull came to. `unowned` counts the orders and carts that belong to nobody."""

    shop: Shop
    zone: str
    streams: tuple[StreamReport, ...]
    sweep: SweepReport
    unowned: identity.Unowned


def pull(
    source: Source,
    store: Store,
    *,
    run_id: int,
    now: int,
    zone: ZoneInfo | None,
    prefix: str,
    only: Collection[str] | None = None,
    full: bool = False,
    progress: Progress | None = None,
) -> PullReport:
    """Read every stream (those in `only`) from its mark, everything if `full`. Without a zone the shop's own counts."""
    progress = progress or Silent()
    streams = _selected(source, only)
    shop = source.shop()
    zone = zone or ZoneInfo(shop.zone)
    _claim(store, source, shop)
    settle(store, zone=zone, prefix=prefix)
    reports = []
    for stream in streams:
        reports.append(
            run_stream(
                source, stream, store, run_id=run_id, now=now, zone=zone, prefix=prefix, progress=progress, full=full
            )
        )
        with store.begin() as connection:
            build_indexes(connection, source.columns(stream))
    intakes = {
        stream.name: Intake(source, stream, run_id=run_id, now=now, zone=zone, prefix=prefix)
        for stream in source.streams
    }
    sweep = Sweep(source, store, intakes, now=now, oldest=shop.oldest_order, progress=progress)
    names = [stream.name for stream in streams if stream.name in SWEPT]
    swept = sweep.run(names, force=full) if names else sweep.report
    with store.read() as connection:
        unowned = identity.unowned(connection)
    return PullReport(shop, zone.key, tuple(reports), swept, unowned)


def _selected(source: Source, only: Collection[str] | None) -> list[Stream]:
    """Customers first: orders and carts look for their owners among them."""
    known = {stream.name: stream for stream in source.streams}
    strange = sorted(set(only or ()) - known.keys())
    if strange:
        raise UsageError(f"no stream {strange[0]!r} at {source.platform}; known: {', '.join(known)}")
    order = [name for name in _ORDER if name in known] + [name for name in known if name not in _ORDER]
    return [known[name] for name in order if only is None or name in only]


def _claim(store: Store, source: Source, shop: Shop) -> None:
    """A database belongs to one shop, the first that it read."""
    with store.begin() as connection:
        owner = state.get_meta(connection, "shop")
        if owner is not None and (owner["platform"], owner["id"]) != (source.platform, shop.id):
            raise StoreError(
                f"{store.path}: holds the {owner['platform']} shop {owner['name']} ({owner['id']}), "
                f"not {source.platform} {shop.name} ({shop.id}); name another file in [database] url"
            )
        state.set_meta(
            connection,
            "shop",
            {
                "platform": source.platform,
                "id": shop.id,
                "name": shop.name,
                "currency": shop.currency,
                "zone": shop.zone,
                "oldest_order": shop.oldest_order,
                "truncated": shop.truncated,
            },
        )
