"""`regulars reach`: how many of a segment each destination gets, and who is lost on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from connector.errors import PlatformError
from sync.cli.output import cut, note, show, show_json, table, width
from sync.cli.segments import find
from sync.cli.wiring import is_demo, workspace
from sync.clock import local
from sync.push import identities
from sync.push.accounts import claim
from sync.push.audiences import kind
from sync.push.guards import people
from sync.push.reach import Lost, Reach, reach
from sync.runs import Workspace, metric_settings
from sync.segments.catalogue import Segment
from sync.store.lock import RunLock

SHOWN = 10
STEPS = {
    "matched": "in the segment",
    "has_email": "with an address of their own",
    "not_held_out": "not held out",
    "consented": "subscribed in the store",
    "not_suppressed": "not unsubscribed or suppressed there",
    "known_there": "known there",
    "accepted": "accepted",
}
REASONS = {
    "no_email": "no address",
    "not_subscribed": "not subscribed",
    "suppressed": "suppressed there",
    "not_in_audience": "not in the audience",
    "refused": "refused",
    "holdout": "held out",
}


def run(*, key: str, config: Path | None, who: bool, as_json: bool) -> None:
    """Ask the destinations whom they know, then count. One that does not answer is counted as it was last seen."""
    offline = is_demo(config)
    with workspace(config, online=True, transports={} if offline else None) as work:
        segment = find(work, key)
        if not offline:
            with RunLock(work.store.path, work.clock, "reach"):
                _ask(work, segment)
        with work.store.read() as connection:
            found = [reach(connection, destination, segment.key) for destination in work.destinations]
            names = [its.name if its.limits.by_email else f"{kind(its)}s" for its in work.destinations]
            zone = metric_settings(work.project, connection).zone
    if as_json:
        show_json({"segment": key, "destinations": [_json(its, lost if who else None) for its, lost in found]})
        return
    show(f"{segment.key} ({segment.name})")
    for name, (its, lost) in zip(names, found, strict=True):
        asked = f", as of {local(its.asked_at, zone)}" if its.asked_at else ""
        show(f"\n{name}{asked}")
        _show(its)
        if who:
            _show_who(lost)


def _ask(work: Workspace, segment: Segment) -> None:
    now = int(work.clock.now())
    for destination in work.destinations:
        try:
            claim(work.store, [destination])
            identities.refresh(work.store, destination, now, work.progress)
            identities.look_up(work.store, destination, [segment.key], now, work.progress, everybody=True)
        except PlatformError as error:
            note(f"{error}; counted as last seen")


def _show(its: Reach) -> None:
    before = None
    for step, left in its.steps:
        gone = f"  − {before - left:,}" if before is not None and before != left else ""
        show(f"  {left:>9,}  {STEPS[step]}{gone}")
        before = left
    if its.doubled:
        show(f"{'':13}{its.doubled:,} share the address of an earlier member, who gets it once")
    if its.strangers:
        show(f"{'':13}{its.strangers:,} of them are new there and come with the next push")
    if its.members != its.accepted:
        show(f"{'':13}{its.members:,} are in the audience now")
    if its.disagreements:
        number = len(its.disagreements)
        show(f"  Consent differs for {people(number)}:")
        rows = [(each.customer_id, each.store, each.destination) for each in its.disagreements[:SHOWN]]
        show(_indented(table(("customer", "in the store", "there"), rows)))
        if number > SHOWN:
            show(f"    and {number - SHOWN:,} more (--json names all)")
        show("    Both sides stay as they are: mend it where the person said so last.")


def _show_who(lost: tuple[Lost, ...]) -> None:
    if not lost:
        show("  Nobody is left out.")
        return
    rows = [(each.customer_id, REASONS[each.reason], each.detail or "") for each in lost]
    show(_indented(table(("customer", "left out", "because"), rows, fit=True)))


def _indented(text: str) -> str:
    return "\n".join(cut(f"    {line}", width()) for line in text.splitlines())


def _json(its: Reach, lost: tuple[Lost, ...] | None) -> dict[str, Any]:
    found = its.to_json()
    if lost is not None:
        found["who"] = [
            {"customer_id": each.customer_id, "reason": each.reason, "detail": each.detail} for each in lost
        ]
    return found
