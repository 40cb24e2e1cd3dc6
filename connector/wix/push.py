"""One batch of label changes, from ops to receipts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from connector.base import Audience, Call, Clock, Op, Receipt
from connector.errors import BadReply
from connector.wix import wire_labels as wire
from connector.wix.judge import PLATFORM, NotFound, Refused
from connector.wix.parcels import Change, Parcel, alike
from connector.wix.wire_labels import writing

NO_CONTACT = "the person has no contact id of Wix"
ABSENT = "the contact does not exist in Wix (any more)"
MERGED = "the contact was merged into another one; the next pull says into which"

_CONFLICT = 409
_UNKNOWN_CONTACT = "CONTACT_NOT_FOUND"


class Push:
    """The work of one push; to be used once.

    Everything in it may be repeated: labels are sets. `ask` sends a call and parses its answer. `stalled` tells
    afterwards that there were jobs and none came to an end.
    """

    def __init__(self, ask: Callable[[Call], Mapping[str, Any]], clock: Clock, ops: Sequence[Op]) -> None:
        self._ask = ask
        self._clock = clock
        self._ops = ops
        self._wanted: dict[tuple[str, str, bool], list[Op]] = {}
        for op in ops:
            self._wanted.setdefault((contact_of(op), key_of(op.audience), op.action == "add"), []).append(op)
        self._receipts: dict[int, Receipt] = {}
        self._jobs: deque[tuple[str, Parcel]] = deque()
        self._exists: dict[str, bool] = {}
        self._doubtful: list[tuple[Parcel, Refused]] = []
        self._accepted = False
        self.stalled = False
        self._isolate = writing().jobs.isolate
        self._reads = writing().jobs.reads

    def run(self) -> list[Receipt]:
        """One receipt per op, in their order. All jobs are begun before the first is asked after.

        Who changes alike goes together: a batch holds no contact in two parcels, so that nothing else could be fewer.
        """
        for op in self._ops:
            if not contact_of(op):
                self._receipts[op.id] = Receipt(op.id, "refused", NO_CONTACT)
        for parcel in alike(changes_of(self._ops)):
            self._send(parcel)
        self._follow()
        for parcel, error in self._doubtful:
            alone = self._accepted or len(self._doubtful) == 1
            self._settle(parcel, "refused" if alone else "retry", str(error))
        return [self._receipts[op.id] for op in self._ops]

    def _send(self, parcel: Parcel) -> None:
        if parcel.singly:
            for contact in parcel.contacts:
                if parcel.removes:
                    self._send_one(Parcel((contact,), removes=parcel.removes))
                if parcel.adds:
                    self._send_one(Parcel((contact,), adds=parcel.adds))
            return
        call = wire.change_labels(parcel.contacts, parcel.adds, parcel.removes)
        try:
            body = self._ask(call)
        except Refused as error:
            self._blame(parcel, error)
            return
        self._accepted = True
        self._jobs.append((wire.job_id(call.operation, body), parcel))

    def _send_one(self, parcel: Parcel) -> None:
        """One contact, one direction."""
        (contact,) = parcel.contacts
        try:
            if parcel.adds:
                self._ask(wire.label_contact(contact, parcel.adds))
            else:
                self._ask(wire.unlabel_contact(contact, parcel.removes))
        except Refused as error:
            self._blame(parcel, error)
            return
        self._accepted = True
        self._settle(parcel, "done")

    def _blame(self, parcel: Parcel, error: Refused) -> None:
        """Find what a refused request was refused for: a contact, a label that is gone, or one of many contacts."""
        if error.status == _CONFLICT:
            self._settle(parcel, "retry", str(error))
        elif error.code == _UNKNOWN_CONTACT and len(parcel.contacts) == 1:
            self._settle_absent(parcel, ABSENT)
        elif gone := self._gone(parcel):
            self._lose(parcel, gone)
            rest = parcel.without(gone)
            if rest.keys:
                self._send(rest)
        elif len(parcel.contacts) == 1:
            self._doubtful.append((parcel, error))
        elif self._isolate <= 0:
            self._settle(parcel, "retry", str(error))
        else:
            self._isolate -= 1
            for half in parcel.halves():
                self._send(half)

    def _follow(self) -> None:
        """Ask after the jobs until all are done or patience ends. What is stuck is sent again on a later run.

        Jobs are taken to be done in their order: one that is not done ends this round of looks, and goes to the end.
        """
        times = writing().jobs
        begun = len(self._jobs)
        deadline = self._clock.now() + times.patience
        wait = times.first_wait
        while self._jobs:
            left = deadline - self._clock.now()
            if left <= 0:
                break
            self._clock.sleep(min(wait, left))
            wait = min(wait * 2, times.longest_wait)
            last = self._clock.now() >= deadline
            for _ in range(len(self._jobs)):
                job_id, parcel = self._jobs.popleft()
                if not self._settled(job_id, parcel):
                    self._jobs.append((job_id, parcel))
                    if not last:
                        break
        self.stalled = begun > 0 and len(self._jobs) == begun
        for job_id, parcel in self._jobs:
            self._settle(parcel, "retry", f"job {job_id} was not finished after {times.patience:.0f} s")

    def _settled(self, job_id: str, parcel: Parcel) -> bool:
        """One look at a job; True when its people have their receipts."""
        call = wire.get_job(job_id)
        try:
            job = wire.job_of(call.operation, self._ask(call))
        except Refused as error:
            self._settle(parcel, "retry", str(error))
            return True
        if not job.complete:
            return False
        if job.total > len(parcel.contacts):
            text = (
                f"job {job_id} was to touch {len(parcel.contacts)} contacts and found {job.total}; nothing more is sent"
            )
            raise BadReply(PLATFORM, call.operation, f"{text}; look at the labels in your dashboard")
        if job.failed or job.succeeded < len(parcel.contacts):
            self._read_back(parcel, f"job {job_id} was done for {job.succeeded} of {len(parcel.contacts)} contacts")
        else:
            self._settle(parcel, "done")
        return True

    def _read_back(self, parcel: Parcel, told: str) -> None:
        """What became of each contact. The index may lag: whoever it does not show as wanted is read alone."""
        call = wire.labels_by_contact(parcel.contacts)
        try:
            held = wire.held(self._ask(call))
        except Refused:
            held = {}
        unsure: list[Parcel] = []
        for contact in parcel.contacts:
            mine = replace(parcel, contacts=(contact,))
            if contact in held and not _missing(mine, held[contact]):
                self._settle(mine, "done")
            else:
                unsure.append(mine)
        gone = self._gone(parcel) if unsure else []
        for mine in unsure:
            self._lose(mine, gone)
            rest = mine.without(gone)
            if rest.keys:
                self._read_one(rest, told)

    def _read_one(self, parcel: Parcel, told: str) -> None:
        (contact,) = parcel.contacts
        if self._reads <= 0:
            self._settle(parcel, "retry", told)
            return
        self._reads -= 1
        call = wire.get_contact(contact)
        try:
            found = wire.found(call.operation, self._ask(call))
        except Refused as error:
            if error.code == _UNKNOWN_CONTACT:
                self._settle_absent(parcel, ABSENT)
            else:
                self._settle(parcel, "retry", str(error))
            return
        if found.id != contact:
            self._settle_absent(parcel, MERGED)
            return
        missing = _missing(parcel, found.labels)
        self._settle(parcel.without(missing), "done")
        self._settle(parcel.without(set(parcel.keys) - missing), "retry", told)

    def _gone(self, parcel: Parcel) -> list[str]:
        """The labels that have been deleted by hand. Wix refuses calls that name one, and does not say how."""
        return [key for key in parcel.keys if not self._is_there(key)]

    def _is_there(self, key: str) -> bool:
        if key not in self._exists:
            try:
                self._ask(wire.get_label(key))
            except NotFound:
                self._exists[key] = False
            else:
                self._exists[key] = True
        return self._exists[key]

    def _lose(self, parcel: Parcel, keys: Iterable[str]) -> None:
        for key in keys:
            for contact in parcel.contacts:
                for op in (*self._wanted.get((contact, key, True), ()), *self._wanted.get((contact, key, False), ())):
                    reason = f"label {op.audience.name!r} ({key}) no longer exists in Wix and is made anew"
                    self._receipts[op.id] = Receipt(op.id, "retry", reason, gone=True)

    def _settle_absent(self, parcel: Parcel, reason: str) -> None:
        """Nobody carries nothing: what was to be taken off is done."""
        self._settle(parcel.without(parcel.adds), "done")
        self._settle(parcel.without(parcel.removes), "refused", reason)

    def _settle(self, parcel: Parcel, outcome: Any, reason: str | None = None) -> None:
        for contact in parcel.contacts:
            for keys, add in ((parcel.adds, True), (parcel.removes, False)):
                for key in keys:
                    for op in self._wanted[contact, key, add]:
                        self._receipts[op.id] = Receipt(op.id, outcome, reason)


def contact_of(op: Op) -> str:
    """The contact's id; empty where the person has none that Wix could know."""
    return op.person.id.lower() if wire.is_guid(op.person.id) else ""


def key_of(audience: Audience) -> str:
    """The label's key. Raises ValueError where there is none yet."""
    if not audience.remote_id:
        raise ValueError(f"label {audience.name!r} has no key yet")
    return audience.remote_id


def changes_of(ops: Iterable[Op]) -> dict[str, Change]:
    """What is wanted for each contact."""
    changes: dict[str, Change] = {}
    for op in ops:
        if contact := contact_of(op):
            changes.setdefault(contact, Change()).note(key_of(op.audience), add=op.action == "add")
    return changes


def _missing(parcel: Parcel, held: frozenset[str]) -> set[str]:
    """Labels that are not as wanted."""
    return (set(parcel.adds) - held) | (set(parcel.removes) & held)
