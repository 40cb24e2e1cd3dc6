"""Which requests a set of label changes takes: the fewest that we know how to find. Pure.

A job costs its POST and one look at least, whatever it carries: up to 100 contacts that change alike, up to 100 labels
each way. One contact costs a request for its additions and one for its removals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TypeVar

from connector.wix.wire_labels import writing

JOB = 2
"""Requests of a job that is done at the first look."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parcel:
    """Contacts that change alike: one job, or single requests where these are no more."""

    contacts: tuple[str, ...]
    adds: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """All labels concerned."""
        return self.adds + self.removes

    @property
    def singly(self) -> bool:
        """True where single requests are no more than a job's: they answer at once, and for each contact."""
        return self._singles <= JOB

    @property
    def calls(self) -> int:
        """Requests, if nothing goes wrong."""
        return min(self._singles, JOB)

    @property
    def _singles(self) -> int:
        return len(self.contacts) * (bool(self.adds) + bool(self.removes))

    def halves(self) -> tuple[Parcel, Parcel]:
        """The same change for the first and the second half."""
        middle = len(self.contacts) // 2
        return replace(self, contacts=self.contacts[:middle]), replace(self, contacts=self.contacts[middle:])

    def without(self, keys: Iterable[str]) -> Parcel:
        """The same without these labels."""
        left_out = set(keys)
        adds, removes = ([key for key in side if key not in left_out] for side in (self.adds, self.removes))
        return replace(self, adds=tuple(adds), removes=tuple(removes))


@dataclass(slots=True)
class Change:
    """What is wanted for one contact."""

    adds: set[str] = field(default_factory=set)
    removes: set[str] = field(default_factory=set)

    def note(self, key: str, *, add: bool) -> None:
        (self.adds if add else self.removes).add(key)


Changes = Mapping[str, Change]


def parcels(changes: Changes) -> list[Parcel]:
    """The cheaper of two ways: all by equal change, or full jobs by equal change and the rest by label.

    Removals come before additions.
    """
    return sorted(min((alike(changes), _mixed(changes)), key=cost), key=_order)


def alike(changes: Changes) -> list[Parcel]:
    """Contacts of equal change together, in the order of their ids."""
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for contact in sorted(changes):
        change = changes[contact]
        groups.setdefault((tuple(sorted(change.adds)), tuple(sorted(change.removes))), []).append(contact)
    most = writing().labels.keys
    return [
        Parcel(contacts, some_adds, some_removes)
        for adds, removes in sorted(groups)
        for contacts in _parts(groups[adds, removes], writing().labels.contacts)
        for some_adds, some_removes in zip_longest(_parts(adds, most), _parts(removes, most), fillvalue=())
    ]


def loads(packed: Iterable[Parcel]) -> Iterator[list[Parcel]]:
    """Parcels that may be under way together: not too many, and no contact in two of them.

    Wix does not say what becomes of a contact that two jobs change at once.
    """
    load: list[Parcel] = []
    busy: set[str] = set()
    for parcel in packed:
        if len(load) == writing().jobs.together or not busy.isdisjoint(parcel.contacts):
            yield load
            load, busy = [], set()
        load.append(parcel)
        busy.update(parcel.contacts)
    if load:
        yield load


def cost(packed: Iterable[Parcel]) -> int:
    """Requests in all."""
    return sum(parcel.calls for parcel in packed)


def _order(parcel: Parcel) -> tuple[bool, bool]:
    return bool(parcel.adds), not parcel.removes


def _by_label(changes: Changes) -> list[Parcel]:
    """Whoever is left over of several labels is served in one request."""
    carrying: dict[tuple[str, bool], list[str]] = {}
    for contact in sorted(changes):
        for add, keys in ((False, changes[contact].removes), (True, changes[contact].adds)):
            for key in keys:
                carrying.setdefault((key, add), []).append(contact)
    packed: list[Parcel] = []
    left: dict[str, Change] = {}
    for key, add in sorted(carrying):
        for part in _parts(carrying[key, add], writing().labels.contacts):
            parcel = Parcel(part, (key,) if add else (), () if add else (key,))
            if not parcel.singly:
                packed.append(parcel)
                continue
            for contact in part:
                left.setdefault(contact, Change()).note(key, add=add)
    return packed + alike(left)


def _mixed(changes: Changes) -> list[Parcel]:
    packed = alike(changes)
    full = [parcel for parcel in packed if len(parcel.contacts) == writing().labels.contacts]
    left: dict[str, Change] = {}
    for parcel in packed:
        if len(parcel.contacts) < writing().labels.contacts:
            for contact in parcel.contacts:
                change = left.setdefault(contact, Change())
                change.adds.update(parcel.adds)
                change.removes.update(parcel.removes)
    return full + _by_label(left)


def _parts(items: Sequence[T], size: int) -> list[tuple[T, ...]]:
    return [tuple(items[start : start + size]) for start in range(0, len(items), size)]
