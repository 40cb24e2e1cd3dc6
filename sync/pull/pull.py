"""All streams of a source into the store, then what vanished there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypedDict
from zoneinfo import ZoneInfo

from connector.base import Shop, Source, Stream
from connector.errors import ScopeError
from sync.errors import StoreError, UsageError
from sync.progress import Progress, Silent
from sync.pull.extract import Intake, StreamReport, run_stream
from sync.pull.sweep import SWEPT, Sweep, SweepReport
from sync.store import identity, sight, state
from sync.store.engine import Connection, Store
from sync.store.migrations import build_indexes
from sync.store.settle import settle

_ORDER = ("customers", "products", "orders", "carts")


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull came to. `unowned` counts the orders and carts that belong to nobody.

    `shop` is as its stored orders are: truncated until all that the key may see has been read. `notes` name what could
    not be read, `partly` is set when some of that is new.
    """

    shop: Shop
    zone: str
    streams: tuple[StreamReport, ...]
    sweep: SweepReport
    unowned: identity.Unowned
    notes: tuple[str, ...] = ()
    partly: bool = False


class _Kept(TypedDict):
    """How records are kept, whichever way they come."""

    run_id: int
    now: int
    zone: ZoneInfo
    prefix: str


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
    hidden = _withheld(store, streams)
    settle(store, zone=zone, prefix=prefix)
    kept: _Kept = {"run_id": run_id, "now": now, "zone": zone, "prefix": prefix}
    reports = []
    refused: dict[str, ScopeError] = {}
    for stream in streams:
        visible = shop.oldest_order if stream.name == "orders" else None
        try:
            report = run_stream(source, stream, store, **kept, progress=progress, full=full, visible=visible)
        except ScopeError as error:
            if not stream.optional:
                raise
            refused[stream.name] = error
        else:
            reports.append(report)
            with store.begin() as connection:
                build_indexes(connection, source.columns(stream))
    with store.begin() as connection:
        left_out = _left_out(connection, streams, refused)
        unreadable = state.unreadable(connection)
        if only is None:
            build_indexes(connection)
    readable = [stream for stream in source.streams if stream.name not in unreadable]
    intakes = {stream.name: Intake(source, stream, **kept) for stream in readable}
    sweep = Sweep(source, store, intakes, now=now, oldest=shop.oldest_order, progress=progress)
    names = [stream.name for stream in streams if stream.name in SWEPT and stream.name in intakes]
    swept = sweep.run(names, force=full) if names else sweep.report
    if any(its.new or its.changed for its in reports):
        swept = sweep.strangers()
    with store.read() as connection:
        unowned = identity.unowned(connection)
    known = _claim(store, source, shop)
    notes, partly = _concerns(source.platform, reports, hidden, _withheld(store, streams))
    notes = (*(_without(name, error) for name, error in refused.items()), *notes)
    return PullReport(known, zone.key, tuple(reports), swept, unowned, notes, partly or left_out)


def _selected(source: Source, only: Collection[str] | None) -> list[Stream]:
    """Customers first: what comes later looks for its owners among them. Then what lines say of products."""
    known = {stream.name: stream for stream in source.streams}
    strange = sorted(set(only or ()) - known.keys())
    if strange:
        raise UsageError(f"no stream {strange[0]!r} at {source.platform}; known: {', '.join(known)}")
    order = [name for name in _ORDER if name in known] + [name for name in known if name not in _ORDER]
    return [known[name] for name in order if only is None or name in only]


def _claim(store: Store, source: Source, shop: Shop) -> Shop:
    """A database belongs to one shop, the first that it read. Returns the shop as far as its orders are stored."""
    with store.begin() as connection:
        owner = state.get_meta(connection, "shop")
        if owner is not None and (owner["platform"], owner["id"]) != (source.platform, shop.id):
            raise StoreError(
                f"{store.path}: holds the {owner['platform']} shop {owner['name']} ({owner['id']}), "
                f"not {source.platform} {shop.name} ({shop.id}); name another file in [database] url"
            )
        hidden = sight.hidden(connection, shop.oldest_order)
        if hidden is not None:
            day = datetime.fromtimestamp(hidden, UTC).date().isoformat()
            text = f"orders before {day} may be read now and have not been; run `regulars pull`"
            shop = replace(shop, oldest_order=hidden, truncated=text)
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
                "notes": list(shop.notes),
            },
        )
        state.expect(connection, [stream.name for stream in source.streams])
    return shop


def _left_out(connection: Connection, streams: Sequence[Stream], refused: Mapping[str, ScopeError]) -> bool:
    """Note which of the streams may not be read and why; True when one of them could be read before, or is new."""
    before = state.unreadable(connection)
    tried = {stream.name for stream in streams}
    kept = {name: why for name, why in before.items() if name not in tried}
    state.set_unreadable(connection, kept | {name: _why(error) for name, error in refused.items()})
    return not refused.keys() <= before.keys()


def _why(error: ScopeError) -> str:
    """The error without the request's id, which is another each time."""
    return f"{error.platform}: {error.operation}: {error.text}"


def _without(stream: str, error: ScopeError) -> str:
    return (
        f"{error}; so {stream} were left out: what is stored of them stays as it was, and segments that read them are "
        "unavailable where they were never read"
    )


def _withheld(store: Store, streams: Sequence[Stream]) -> dict[str, tuple[str, ...]]:
    with store.read() as connection:
        return {stream.name: sight.load(connection, stream.name).columns for stream in streams}


def _concerns(
    platform: str,
    reports: Sequence[StreamReport],
    before: Mapping[str, Sequence[str]],
    after: Mapping[str, Sequence[str]],
) -> tuple[tuple[str, ...], bool]:
    """A line for each stream whose fields are refused or whose records newly went to quarantine; is any of it new?"""
    notes: list[str] = []
    partly = False
    for its in reports:
        refused = [name for name in after[its.stream] if name != "email_key" or its.stream != "customers"]
        if refused:
            notes.append(
                f"{platform}: {its.stream}: access to {', '.join(refused)} is refused, so what was known of them stays "
                "as it was and nothing new is learnt; `regulars doctor` says what to grant"
            )
            partly = partly or not set(after[its.stream]) <= set(before[its.stream])
        if its.aside:
            first = its.aside[0]
            number = len(its.aside)
            notes.append(
                f"{platform}: {its.stream}: {number:,} {'record' if number == 1 else 'records'} could not be read, "
                f"for example {first.record_id} ({first.reason}), and stay as they were; `regulars status` lists them"
            )
            partly = True
    return tuple(notes), partly
