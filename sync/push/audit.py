"""What hands and other apps changed in our audiences, and what our own books make of it. Writes to no destination."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from connector.base import Audience, Destination
from connector.errors import BadReply, BadRequest, Unavailable
from sync.errors import UsageError
from sync.progress import Progress
from sync.push import audiences, consent, identities
from sync.store import audience as audience_rows
from sync.store import drift, ledger, withdrawn
from sync.store.audience import Kept
from sync.store.drift import Drift
from sync.store.engine import Connection, Store

ADOPT: Final = "adopt"
REVERT: Final = "revert"
IGNORE: Final = "ignore"

THERE: Final = "there"
RENAMED: Final = "renamed"
GONE: Final = "gone"


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of additions and removals that were not ours."""

    additions: str = IGNORE
    removals: str = REVERT


@dataclass(frozen=True, slots=True)
class Choices:
    """The choice for every audience, and for some segments another."""

    additions: Mapping[str | None, str] = field(default_factory=dict)
    removals: Mapping[str | None, str] = field(default_factory=dict)

    def of(self, segment: str) -> Choice:
        """What holds for one segment."""
        return Choice(_of(self.additions, segment, IGNORE), _of(self.removals, segment, REVERT))


def _of(choices: Mapping[str | None, str], segment: str, default: str) -> str:
    return choices.get(segment, choices.get(None, default))


def parse(additions: Sequence[str], removals: Sequence[str], keys: Collection[str]) -> Choices:
    """`adopt`, `revert` or `ignore`, with `:SEGMENT` for one segment alone. Raises UsageError."""
    return Choices(_parse("--additions", additions, keys), _parse("--removals", removals, keys))


def _parse(flag: str, values: Sequence[str], keys: Collection[str]) -> dict[str | None, str]:
    found: dict[str | None, str] = {}
    for value in values:
        choice, colon, segment = value.partition(":")
        if choice not in (ADOPT, REVERT, IGNORE):
            raise UsageError(f"{flag} {value}: it is {ADOPT}, {REVERT} or {IGNORE}, with :SEGMENT for one segment")
        if colon and segment not in keys:
            near = get_close_matches(segment, keys, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"{flag} {value}: no audience of a segment {segment!r}{hint}")
        key = segment if colon else None
        if found.get(key, choice) != choice:
            raise UsageError(f"{flag} {value}: {found[key]} was said before; say one of them")
        found[key] = choice
    return found


@dataclass(frozen=True, slots=True)
class AudienceAudit:
    """One audience. `state`: there, renamed (by hand: it is known by its id) or gone; `back` and `out` are whom the
    next sync will put there again, and take out, because of what was chosen."""

    destination: str
    segment: str
    name: str
    kind: str
    state: str
    choice: Choice
    found: Drift
    back: int = 0
    out: int = 0

    @property
    def differs(self) -> bool:
        """True where others have changed something."""
        return bool(self.state != THERE or self.found.added or self.found.removed or self.found.nobodies)

    def to_json(self) -> dict[str, Any]:
        """The stable machine form."""
        found = self.found
        return {
            "destination": self.destination,
            "segment": self.segment,
            "name": self.name,
            "state": self.state,
            "members": found.members,
            "ours": found.ours,
            "added": len(found.added) + found.nobodies,
            "removed": len(found.removed),
            "young": found.young,
            "choice": {"additions": self.choice.additions, "removals": self.choice.removals},
            "people": {"added": [its.id for its in found.added], "removed": [its.id for its in found.removed]},
            "not_customers": found.nobodies,
            "put_back": self.back,
            "taken_out": self.out,
        }


@dataclass(frozen=True, slots=True)
class Audit:
    """Every audience of ours that could be read. `unreachable` names destinations that did not answer."""

    audiences: tuple[AudienceAudit, ...]
    unreachable: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The stable machine form (`audit --json`)."""
        return {
            "audiences": [its.to_json() for its in self.audiences],
            "unreachable": [{"destination": name, "error": error} for name, error in self.unreachable],
        }


def audit(
    store: Store,
    destinations: Sequence[Destination],
    choices: Choices,
    *,
    now: Callable[[], float],
    run_id: int,
    progress: Progress,
    silent: Mapping[str, str] | None = None,
) -> Audit:
    """Read every audience of ours, compare, and do in the ledger what was chosen.

    A destination that stops in the midst of it is left out from there on and named.
    """
    found: list[AudienceAudit] = []
    unreachable = dict(silent or {})
    for destination in destinations:
        if destination.name in unreachable:
            continue
        try:
            _Auditor(store, destination, choices, now, run_id, progress).audit(found)
        except (Unavailable, BadReply) as error:
            unreachable[destination.name] = str(error)
    return Audit(tuple(found), tuple(sorted(unreachable.items())))


class _Auditor:
    """One destination's part."""

    def __init__(
        self,
        store: Store,
        destination: Destination,
        choices: Choices,
        now: Callable[[], float],
        run_id: int,
        progress: Progress,
    ) -> None:
        self._store = store
        self._destination = destination
        self._choices = choices
        self._now = now
        self._run_id = run_id
        self._progress = progress

    def audit(self, found: list[AudienceAudit]) -> None:
        """Audience by audience; each is settled before the next is read."""
        name, limits = self._destination.name, self._destination.limits
        with self._store.read() as conn:
            kept = [its for its in audience_rows.kept(conn, name).values() if its.remote_id is not None]
        if not kept:
            return
        moment = int(self._now())
        identities.refresh(self._store, self._destination, moment, self._progress)
        if limits.by_email:
            identities.look_up_sent(self._store, self._destination, moment, self._progress)
        with self._store.begin() as conn:
            ledger.follow_people(conn, name, by_email=limits.by_email)
        named = self._destination.find([its.name for its in kept]) if limits.keyed else {}
        for number, its in enumerate(kept):
            self._progress.update(f"{name}: reading audiences", number, len(kept))
            called_so = not limits.keyed or its.remote_id in named.get(its.name, ())
            found.append(self._one(its, called_so))
        self._progress.update(f"{name}: reading audiences", len(kept), len(kept))

    def _one(self, its: Kept, called_so: bool) -> AudienceAudit:
        choice = self._choices.of(its.segment.partition(audience_rows.REPLACED)[0])
        there = self._read(its, called_so)
        state = THERE if called_so else RENAMED
        if there is None or (not called_so and not there.members and there.removed):
            state, there = GONE, there or self._nothing_of(its)
        back = out = 0
        if state == GONE:
            back = there.ours
            with self._store.begin() as conn:
                carried = not self._destination.limits.by_email
                audience_rows.lose(conn, its.destination, its.segment, carried=carried)
        else:
            back, out = self._settle(its, choice, there)
        kind = audiences.kind(self._destination)
        return AudienceAudit(its.destination, its.segment, its.name, kind, state, choice, there, back, out)

    def _read(self, its: Kept, called_so: bool) -> Drift | None:
        """None where it cannot be read and nothing has its name: it was deleted."""
        audience = Audience(its.segment, its.name, its.remote_id)
        by_email = self._destination.limits.by_email
        with self._store.read() as conn:
            drift.start(conn)
            try:
                drift.see(conn, self._destination.members(audience), by_email=by_email)
                found = self._compare(conn, its)
                if by_email and drift.unknown(conn):
                    conn.rollback()
                    if identities.look_up_all(self._store, self._destination, int(self._now()), self._progress):
                        found = self._compare(conn, its)
            except BadRequest:
                if called_so:
                    raise
                return None
            finally:
                drift.finish(conn)
        return found

    def _compare(self, conn: Connection, its: Kept) -> Drift:
        consent.prepare(conn, self._destination)
        consent.double(conn, its.segment)
        by_email = self._destination.limits.by_email
        found = drift.compare(conn, its.destination, its.segment, int(self._now()), by_email=by_email)
        consent.drop(conn)
        return found

    def _nothing_of(self, its: Kept) -> Drift:
        with self._store.read() as conn:
            ours = ledger.sizes(conn, its.destination).get(its.segment, 0)
        return Drift(0, ours, (), (), 0, 0)

    def _settle(self, its: Kept, choice: Choice, found: Drift) -> tuple[int, int]:
        """Do what was chosen, in one transaction. Returns whom the next sync puts back, and takes out."""
        now, where = int(self._now()), (its.destination, its.segment)
        back = out = 0
        with self._store.begin() as conn:
            if choice.removals != IGNORE:
                again = choice.removals == REVERT
                withdrawn.note(conn, *where, [each.customer_id for each in found.removed], now, again=again)
                back = sum(each.wanted for each in found.removed) if again else 0
            if choice.additions != IGNORE:
                taken = [each for each in found.added if each.wanted or choice.additions == REVERT]
                drift.take_over(conn, *where, taken, self._run_id, now)
                out = sum(not each.wanted for each in taken)
        return back, out
