"""Which tag, label or list stands for a segment: ours, still to be made, somebody's of the same name, or retired.

Where audiences are keyed (lists, labels) one is known by its id: a new name renames it. A tag is known by its name: a
new name is another tag, and the old one is taken off again. An audience that no configured segment is pushed to stays
as it is until `retire`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from connector import PLATFORMS, load_platform
from connector.base import Destination
from sync.errors import SegmentError, UsageError
from sync.push.guards import people
from sync.store import audience as rows
from sync.store import ledger
from sync.store.audience import Kept
from sync.store.engine import Connection, Store

_SHOWN: Final = 3

CREATION: Final = 15 * 60
"""Seconds within which a list that was asked for has been made, or never will be: all tries and waits are over."""


def kind(destination: Destination) -> str:
    """What an audience is called at the destination: for wording alone, what may be done with it is in its limits."""
    if not destination.limits.keyed:
        return "tag" if not destination.limits.by_email else "property"
    if destination.platform in PLATFORMS:
        return load_platform(destination.platform).audience_kind
    return "list" if destination.limits.by_email else "label"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a segment's members go. `remote_id` None: to be created when the first member comes.

    `adopt`: it stood there before us and is taken over. `unclaimed` says what stands there and is not taken over.
    `closing`: everybody of ours is to leave it.
    """

    destination: str
    segment: str
    name: str
    remote_id: str | None = None
    kept: Kept | None = None
    adopt: bool = False
    renamed_from: str | None = None
    unclaimed: str | None = None
    closing: bool = False

    @property
    def successor(self) -> str | None:
        """The segment whose audience has another name now, where this is the one it had before."""
        replaced = self.kept is not None and self.kept.replaced
        return self.segment.partition(rows.REPLACED)[0] if replaced else None

    @property
    def adopted(self) -> bool:
        """True when it stood there before us."""
        return self.adopt or (self.kept is not None and self.kept.adopted)


def names(destination: Destination, wanted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The audience's name per segment key. Raises SegmentError where two share one, or one is too long."""
    named: dict[str, str] = {}
    users: dict[str, str] = {}
    for key, name in wanted:
        called = destination.audience_name(key, name)
        if len(called) > destination.limits.name_length:
            raise SegmentError(
                f"segment {key!r}: its name at {destination.name} would have {len(called)} characters, "
                f"{destination.limits.name_length} are allowed: {called!r}; shorten the name or the prefix"
            )
        other = users.setdefault(called.casefold(), key)
        if other != key:
            raise SegmentError(
                f"segments {other!r} and {key!r} would both be {called!r} at {destination.name}; give one another name"
            )
        named[key] = called
    return named


def sought(kept: Mapping[tuple[str, str], Kept], destination: str, named: Mapping[str, str]) -> list[str]:
    """Names to look for at the destination: of audiences that have no id yet."""
    asked: list[str] = []
    for key, name in named.items():
        its = kept.get((destination, key))
        if its is None or its.remote_id is None:
            asked.append(name)
    return sorted(asked)


def unheard(destination: Destination, kept: Iterable[Kept]) -> dict[str, Sequence[str]]:
    """By segment, the lists or labels that appeared under its name while we had asked for one and heard nothing.

    Any other of that name is somebody else's, however alike.
    """
    found: dict[str, Sequence[str]] = {}
    for its in kept:
        if its.remote_id is None and its.creating_since is not None:
            span = (its.creating_since, its.creating_since + CREATION)
            found[its.segment] = tuple(destination.find([its.name], made=span).get(its.name, ()))
    return found


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands at a destination. `found` are audiences by name, `made` by segment those that can only be ours.

    `carriers` are people by the tag that they had when they were last read, in lower case.
    """

    found: Mapping[str, Sequence[str]] = field(default_factory=dict)
    made: Mapping[str, Sequence[str]] = field(default_factory=dict)
    carriers: Mapping[str, int] = field(default_factory=dict)


def place_keyed(
    destination: Destination, key: str, name: str, kept: Kept | None, seen: Seen, strays: str | None, adopt: bool
) -> Place:
    """A list or label of this name; `strays` tells of others, where we remember none at all."""
    at, noun = destination.name, kind(destination)
    made = seen.made.get(key, ())
    if kept is not None and kept.remote_id is not None:
        return Place(at, key, name, kept.remote_id, kept, renamed_from=_renamed(kept, name))
    if kept is not None and len(made) == 1:
        return Place(at, key, name, made[0], kept, renamed_from=_renamed(kept, name))
    ids = tuple(seen.found.get(name, ()))
    if kept is not None and ((kept.apart and not adopt) or not ids):
        return Place(at, key, name, None, kept)
    if not ids:
        carriers = seen.carriers.get(name.lower(), 0)
        unclaimed = f'{people(carriers)} had the {noun} "{name}" when last read, and none is called so there'
        return Place(at, key, name, unclaimed=unclaimed if carriers else None if adopt else strays)
    if len(ids) > 1:
        text = f'{len(ids)} {noun}s are called "{name}" there; rename all but one of them'
        return Place(at, key, name, None, kept, unclaimed=text)
    if adopt:
        return Place(at, key, name, ids[0], kept, adopt=True)
    return Place(at, key, name, None, kept, unclaimed=f'a {noun} "{name}" exists there and is not in our ledger')


def place_tag(
    destination: str, key: str, name: str, kept: Kept | None, carriers: int, strays: str | None, adopt: bool
) -> Place:
    """A tag of this name, which `carriers` people have; `strays` tells of others, where we remember none at all."""
    if kept is not None:
        return Place(destination, key, name, name, kept)
    if adopt:
        return Place(destination, key, name, name, None, adopt=bool(carriers))
    unclaimed = f'the tag "{name}" is on {people(carriers)} and not in our ledger' if carriers else strays
    return Place(destination, key, name, name, None, unclaimed=unclaimed)


def strays(kept: Collection[Kept], carriers: Mapping[str, int], names: Iterable[str]) -> str | None:
    """Tags of our prefix that belong to no segment, where no audience of ours is known: another database made them."""
    found = sorted(carriers.keys() - {name.lower() for name in names})
    if kept or not found:
        return None
    shown = ", ".join(f'"{tag}" ({people(carriers[tag])})' for tag in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return f"our ledger is empty, but tags of our prefix belong to no segment: {shown}{more}"


def settle_names(conn: Connection, destination: str, named: Mapping[str, str]) -> None:
    """Set tags aside whose segment has another name now, and take up those that have their old one again."""
    for (_, segment), its in rows.kept(conn, destination).items():
        name = named.get(segment)
        if name is None or name.casefold() == its.name.casefold():
            continue
        rows.leave(conn, its)
        rows.come_back(conn, destination, segment, name)


def look(store: Store, destination: Destination, named: Mapping[str, str]) -> Seen:
    """What stands there under our names."""
    if not destination.limits.keyed:
        with store.begin() as conn:
            settle_names(conn, destination.name, named)
    carriers: dict[str, int] = {}
    with store.read() as conn:
        peopled = {key: name for key, name in named.items() if ledger.has_members(conn, key)}
        kept = rows.kept(conn, destination.name)
        if not destination.limits.by_email and _unkept(conn, destination.name, named):
            carriers = ledger.tagged(conn)
    if not destination.limits.keyed:
        return Seen(carriers=carriers)
    asked = sought(kept, destination.name, peopled)
    found = destination.find(asked) if asked else {}
    made = unheard(destination, [its for its in kept.values() if its.segment in named])
    return Seen(found, made, carriers)


def _unkept(conn: Connection, destination: str, named: Mapping[str, str]) -> bool:
    kept = rows.kept(conn, destination)
    return any((destination, key) not in kept for key in named)


def place(
    conn: Connection,
    destination: Destination,
    named: Mapping[str, str],
    seen: Seen,
    every: Iterable[str],
    adopt: bool,
) -> list[Place]:
    """One place per segment, in their order. `every` name is one that the configuration gives, ready or not."""
    kept = rows.kept(conn, destination.name)
    stray = strays(kept.values(), seen.carriers, every)
    placed = []
    for key, name in named.items():
        its = kept.get((destination.name, key))
        if destination.limits.keyed:
            placed.append(place_keyed(destination, key, name, its, seen, stray, adopt))
        else:
            carriers = seen.carriers.get(name.lower(), 0)
            placed.append(place_tag(destination.name, key, name, its, carriers, stray, adopt))
    return placed


def others(conn: Connection, destination: str, configured: Collection[str]) -> list[Place]:
    """Audiences of ours to which no configured segment is pushed any more."""
    return [
        Place(destination, segment, its.name, its.remote_id, its, closing=its.retired or its.replaced)
        for (_, segment), its in rows.kept(conn, destination).items()
        if segment not in configured
    ]


def retire(store: Store, key: str, *, pushed: Collection[str] = ()) -> list[Kept]:
    """Have the next plan take everybody out of the audiences of a segment; returns them.

    `pushed` names destinations to which the segment is still pushed: their audiences stay. Raises UsageError when none
    is left.
    """
    with store.begin() as conn:
        kept = rows.kept(conn)
        of_segment = [its for (_, segment), its in kept.items() if segment == key]
        if not of_segment:
            known = sorted({segment for _, segment in kept if rows.REPLACED not in segment})
            raise UsageError(f"no audience of a segment {key!r}; there are {', '.join(known) or 'none yet'}")
        retired = [replace(its, retired=True) for its in of_segment if its.destination not in pushed]
        if not retired:
            raise UsageError(
                f"segment {key!r} is still configured; take it out of the packs, the files or its push first"
            )
        for its in retired:
            rows.keep(conn, its)
    return retired


def _renamed(kept: Kept, name: str) -> str | None:
    return kept.name if kept.name != name else None
