"""Whom of the shop's people an e-mail destination knows, kept so that a run without news makes no call per person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from connector.base import Destination
from sync.progress import Progress, Silent
from sync.push.consent import LIVE, reason_sql
from sync.store import ledger, state
from sync.store.engine import Store

OVERLAP = 3600
"""Seconds asked for again: a change may take a while to show in the destination's own filters."""
GROUP = 1000
"""Addresses per step; each step is kept before the next begins."""


def refresh(store: Store, destination: Destination, now: int, progress: Progress | None = None) -> None:
    """Read whose standing changed since the last time. The mark moves once all is kept, and only if there was any.

    The first time everybody of a scanned destination is read; of them only the shop's own people are kept.
    """
    if not destination.limits.by_email:
        return
    key = f"identity:{destination.name}"
    with store.read() as conn:
        mark = state.get_meta(conn, key)
    if mark is None:
        if destination.limits.scanned:
            _scan(store, destination, now, progress or Silent())
        with store.begin() as conn:
            if destination.limits.scanned:
                ledger.learn_strangers(conn, destination.name, now)
            state.set_meta(conn, key, now)
        return
    news = False
    for profiles in destination.changed(int(mark) - OVERLAP):
        news = news or bool(profiles)
        with store.begin() as conn:
            ledger.relearn(conn, destination.name, profiles, now)
    if news:
        with store.begin() as conn:
            state.set_meta(conn, key, now)


def _scan(store: Store, destination: Destination, now: int, progress: Progress) -> None:
    """Page by page. One that is broken off is begun anew: what it learnt is learnt again."""
    read = 0
    for profiles in destination.changed(None):
        with store.begin() as conn:
            ledger.relearn(conn, destination.name, profiles, now)
        read += len(profiles)
        progress.update(f"{destination.name}: reading who is there", read)


def look_up(
    store: Store,
    destination: Destination,
    segments: Sequence[str],
    now: int,
    progress: Progress,
    *,
    everybody: bool = False,
) -> None:
    """Ask for the members of these segments who may be written to and were never asked for; `everybody` with an
    address, whether or not they may.

    Where everybody was read once, these are people who have come to the shop since, or have a new address.
    """
    if not destination.limits.by_email:
        return
    unasked = replace(destination.limits, existing_only=False, consent=destination.limits.consent and not everybody)
    with store.read() as conn:
        rows = conn.exec_driver_sql(
            "SELECT DISTINCT c.email_key FROM membership m JOIN customers c ON c.id = m.customer_id "
            "LEFT JOIN identity i ON i.destination = ? AND i.email_key = c.email_key "
            f"WHERE m.segment IN (SELECT value FROM json_each(?)) AND {LIVE} AND i.email_key IS NULL "
            f"AND ({reason_sql(unasked)}) IS NULL ORDER BY c.email_key",
            (destination.name, ledger.listed(segments)),
        ).all()
    _ask(store, destination, [row[0] for row in rows], now, progress)


def look_up_all(store: Store, destination: Destination, now: int, progress: Progress) -> bool:
    """Ask for everybody of the shop who was never asked for; True if there was anybody."""
    with store.read() as conn:
        rows = conn.exec_driver_sql(
            "SELECT DISTINCT c.email_key FROM customers c LEFT JOIN identity i ON i.destination = ? "
            f"AND i.email_key = c.email_key WHERE {LIVE} AND c.email_key <> '' AND i.email_key IS NULL ORDER BY 1",
            (destination.name,),
        ).all()
    _ask(store, destination, [row[0] for row in rows], now, progress)
    return bool(rows)


def look_up_sent(store: Store, destination: Destination, now: int, progress: Progress) -> None:
    """Ask again for people of ours who were put there by their address, and have not shown up under an id yet."""
    with store.read() as conn:
        rows = conn.exec_driver_sql(
            "SELECT DISTINCT email_key FROM ledger WHERE destination = ? AND remote_id IS NULL AND email_key <> '' "
            "ORDER BY 1",
            (destination.name,),
        ).all()
    _ask(store, destination, [row[0] for row in rows], now, progress)


def _ask(store: Store, destination: Destination, emails: Sequence[str], now: int, progress: Progress) -> None:
    for start in range(0, len(emails), GROUP):
        asked = emails[start : start + GROUP]
        found = [profile for profiles in destination.lookup(asked) for profile in profiles]
        with store.begin() as conn:
            ledger.learn(conn, destination.name, asked, found, now)
        progress.update(f"{destination.name}: looking people up", start + len(asked), len(emails))
