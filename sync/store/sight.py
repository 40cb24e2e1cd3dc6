"""What the key could not see when a stream was read: orders too old, fields refused.

Reading goes by changes, so what was hidden then would stay missing when the key sees more: the stream is read whole
again, once, and until that is done the history counts as truncated and the fields as withheld.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from sync.store import state
from sync.store.engine import Connection

_DAY = 86_400
CONSENT = "consent"
"""Stands among the streams for what guards know of its age."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Of one stream. `oldest` is the first instant visible to the last read that came to its end, None = all; `begun`
    the one of the range now under way.

    `columns` were refused since the stream was last read whole, and `since` is the last read that still saw them;
    `again` are those refused in the whole read now under way, None = none is.
    """

    oldest: int | None = None
    begun: int | None = None
    columns: tuple[str, ...] = ()
    since: int | None = None
    again: tuple[str, ...] | None = None


def load(connection: Connection, stream: str) -> Sight:
    """What is known of the stream's sight; a store from before it was noted has the shop's."""
    found = state.get_meta(connection, f"sight:{stream}")
    if found is None:
        shop = state.get_meta(connection, "shop", {}) if stream == "orders" else {}
        return Sight(shop.get("oldest_order"), shop.get("oldest_order"))
    again = found["again"]
    return Sight(**found | {"columns": tuple(found["columns"]), "again": None if again is None else tuple(again)})


def save(connection: Connection, stream: str, sight: Sight) -> None:
    """Belongs into the transaction that stores what it speaks of."""
    state.set_meta(connection, f"sight:{stream}", asdict(sight))


def note(connection: Connection, progress: state.Progress, refused: Iterable[str]) -> None:
    """These columns were refused in a page of the stream."""
    names = set(refused)
    if not names:
        return
    sight = load(connection, progress.stream)
    again = None if sight.again is None else tuple(sorted({*sight.again, *names}))
    since = sight.since if sight.columns else progress.completed_at
    save(
        connection,
        progress.stream,
        replace(sight, columns=tuple(sorted({*sight.columns, *names})), since=since, again=again),
    )


def begin(connection: Connection, progress: state.Progress, visible: int | None, *, regained: bool, full: bool) -> bool:
    """Note what a read can see; True = everything has to be read, because it sees more than what is stored.

    A range left open goes on only if it began with no less in sight; a whole read that goes on stays whole.
    """
    sight = load(connection, progress.stream)
    open_range = progress.page_token is not None
    rereading = open_range and progress.since is None and sight.again is not None
    more = sees_further(visible, sight.begun) if open_range else False
    if not rereading and progress.completed_at is not None:
        more = more or regained or sees_further(visible, sight.oldest)
    whole = full or more
    if whole or not open_range:
        entire = whole or progress.high_water is None
        save(connection, progress.stream, replace(sight, begun=visible, again=() if entire else None))
    if whole:
        state.save(connection, replace(progress, page_token=None, since=None, until=None, seen=None))
    return whole


def end(connection: Connection, stream: str, visible: int | None) -> None:
    """The stream has been read to its end."""
    sight = load(connection, stream)
    columns = sight.columns if sight.again is None else sight.again
    ended = replace(sight, oldest=visible, begun=visible, columns=columns, again=None)
    save(connection, stream, ended if columns else replace(ended, since=None))


def hidden(connection: Connection, visible: int | None) -> int | None:
    """Where the stored history of orders begins although the key sees further; None where it does not."""
    progress, sight = state.load(connection, "orders"), load(connection, "orders")
    if progress.completed_at is not None and sees_further(visible, sight.oldest):
        return sight.oldest
    return sight.begun if progress.page_token is not None and sees_further(visible, sight.begun) else None


def consent_read(connection: Connection) -> dict[str, int | None]:
    """When the state of consent was last read, under `CONSENT`, where it is refused now; else nothing."""
    sight = load(connection, "customers")
    return {CONSENT: sight.since} if "email_status" in sight.columns else {}


def sees_further(visible: int | None, before: int | None) -> bool:
    """True when history from `visible` on is more than history from `before` on, by more than clocks differ."""
    return before is not None and (visible is None or visible < before - _DAY)
