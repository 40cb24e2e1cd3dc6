"""Contact labels: the write-back to the site. A label is known by its key for ever, whatever it is called."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from connector.base import Audience, Batch, Call, Finding, Limits, Op, Person, Profile, Receipt, WithoutFields
from connector.errors import BadReply, BadRequest, ScopeError, Unavailable
from connector.wix import wire_labels as wire
from connector.wix.connection import Connection
from connector.wix.judge import PLATFORM, NotFound, Refused
from connector.wix.limits import limits
from connector.wix.parcels import Change, Parcel, cost, loads, parcels
from connector.wix.push import Push, changes_of, contact_of, key_of
from connector.wix.wire_labels import writing

_SKEW = 300.0
"""Seconds by which this machine's clock may be ahead of Wix's."""

_QUOTA = "LABELS_QUOTA_REACHED"
_PERMISSIONS = (
    ("Manage Contact Labels", "SCOPE.DC-CONTACTS.MANAGE-LABELS", "labels cannot be found, made or renamed"),
    ("Manage Contacts", "SCOPE.DC-CONTACTS.MANAGE-CONTACTS", "nobody can be labelled"),
)


class LabelQuota(BadRequest):
    """The site holds as many labels as it may."""

    exit_code = 1


class WixLabels(WithoutFields):
    """Labels on the contacts of one site."""

    name = "tags"
    platform = PLATFORM

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix
        self._calls = 0
        self._stalled = False
        self.limits = Limits(consent=False, by_email=False, name_length=writing().labels.name, keyed=True)

    @property
    def calls(self) -> int:
        """Requests sent for labels so far."""
        return self._calls

    def check(self) -> None:
        """One read of one label, and of a job that cannot exist: both permissions, before any label is made."""
        self._stalled = False
        self._ask(wire.any_label())
        with suppress(Refused):
            self._ask(wire.get_job(wire.NOBODY))

    def account(self) -> str:
        """The site."""
        return self._connection.site_id

    def doctor(self) -> list[Finding]:
        """Both permissions, each tried without changing anything: the second by asking for a job that cannot exist."""
        probes = (wire.any_label(), wire.get_job(wire.NOBODY))
        return [self._may(probe, *told) for probe, told in zip(probes, _PERMISSIONS, strict=True)]

    def audience_name(self, key: str, name: str) -> str:
        """Prefix and key: the name in the dashboard says whose label it is."""
        return self._prefix + key

    def lookup(self, emails: Sequence[str]) -> Iterator[Sequence[Profile]]:
        """Nothing: people are known by their contact's id."""
        return iter(())

    def changed(self, since: int | None) -> Iterator[Sequence[Profile]]:
        """Nothing: labels ignore consent."""
        return iter(())

    def find(self, names: Sequence[str], *, made: tuple[int, int] | None = None) -> Mapping[str, Sequence[str]]:
        """Keys by name, () where no label carries it. After renaming by hand several may carry one name."""
        since, until = (made[0] - _SKEW, made[1] + _SKEW) if made else (None, None)
        found: dict[str, list[str]] = {name: [] for name in names}
        wanted = list(found)
        for start in range(0, len(wanted), limits().pages.ids):
            page = self._ask(wire.labels_named(wanted[start : start + limits().pages.ids]))
            for label in wire.labels_of(page):
                fits = since is None or until is None or (label.created is not None and since <= label.created <= until)
                if label.name in found and fits:
                    found[label.name].append(label.key)
        return found

    def create(self, audience: Audience) -> str:
        """The key of a new label. Wix gives the one of this name where there is one: somebody else's, if it is older
        than the request."""
        request = wire.find_or_create(audience.name)
        since = self._connection.clock.now() - _SKEW
        try:
            label = wire.label_of(request.operation, self._ask(request))
        except Refused as error:
            if error.code == _QUOTA:
                raise _quota(audience, error) from error
            raise
        if label.namespace != wire.NAMESPACE:
            text = f"label {audience.name!r} is one of Wix's own ({label.key}); choose another [tags] prefix"
            raise BadRequest(PLATFORM, request.operation, text)
        if label.created is not None and label.created < since:
            text = f"a label {audience.name!r} is there already and not ours ({label.key}), and no second one can be"
            raise BadRequest(PLATFORM, request.operation, f"{text}; rename it in the dashboard")
        return label.key

    def rename(self, audience: Audience) -> None:
        """A label that is gone has no name to change: its next push tells, and it is made anew under this one."""
        with suppress(NotFound):
            self._ask(wire.rename_label(key_of(audience), audience.name))

    def live_flows(self, audience: Audience) -> Sequence[str]:
        """Not to be seen: automations have no public list."""
        return ()

    def estimate(
        self,
        adds: Mapping[str, Sequence[Person]],
        removes: Mapping[str, Sequence[Person]],
        quiet: Collection[str] = (),
    ) -> tuple[int, float]:
        """Calls, and seconds with a fresh minute; jobs are taken to be done at the first look."""
        changes: dict[str, Change] = {}
        for segments, add in ((adds, True), (removes, False)):
            for segment, people in segments.items():
                for person in people:
                    if wire.is_guid(person.id):
                        changes.setdefault(person.id.lower(), Change()).note(segment, add=add)
        packed = parcels(changes)
        calls = cost(packed)
        waits = sum(any(not parcel.singly for parcel in load) for load in loads(packed)) * writing().jobs.first_wait
        return calls, max(0, calls - 1) // self._per_minute() * limits().window.seconds + waits

    def batches(self, ops: Iterable[Op]) -> Iterator[Batch]:
        """What may run side by side.

        Where a label is to be taken off and put on again, taking it off is a batch of its own before all others.
        """
        given = list(ops)
        coming = {_place(op) for op in given if op.action == "add"}
        before = [op for op in given if op.action == "remove" and contact_of(op) and _place(op) in coming]
        first = {op.id for op in before}
        for part in (before, [op for op in given if op.id not in first]):
            yield from _batches(part)

    def push(self, batch: Batch) -> list[Receipt]:
        """Every push may be repeated: labels are sets. Where jobs never end, one push waits for that and no other."""
        if self._stalled:
            text = f"no bulk job came to an end within {writing().jobs.patience:.0f} s; run again later"
            raise Unavailable(PLATFORM, "GetBulkJob", text)
        push = Push(self._ask, self._connection.clock, batch.ops)
        receipts = push.run()
        self._stalled = push.stalled
        return receipts

    def members(self, audience: Audience) -> Iterator[str]:
        """Contacts that carry the label, as the index has it: what was written seconds ago may be missing.

        Pages by the date of creation, never by an offset over a moving set; only inside one instant there is no other.
        """
        since: str | None = None
        offset = 0
        seen: set[str] = set()
        while True:
            call = wire.contacts_labelled(key_of(audience), since=since, offset=offset)
            page = list(wire.members(self._ask(call)))
            yield from (each.id for each in page if each.id not in seen)
            if len(page) < limits().pages.contacts:
                return
            last = page[-1].created
            if not last:
                raise BadReply(PLATFORM, call.operation, f"contact {page[-1].id} has no createdDate to page by")
            if last == since:
                offset += len(page)
                seen.update(each.id for each in page)
            else:
                since, offset = last, 0
                seen = {each.id for each in page if each.created == last}

    def _ask(self, call: Call) -> dict[str, Any]:
        before = self._connection.client.calls
        try:
            return self._connection.read(call)
        finally:
            self._calls += self._connection.client.calls - before

    def _may(self, probe: Call, permission: str, scope: str, blocked: str) -> Finding:
        try:
            self._ask(probe)
        except ScopeError as error:
            text = f"the key lacks {permission!r}, so {blocked} ({error.asked})"
            return Finding("error", PLATFORM, text, f"grant {permission!r} ({scope}) to the key (or app)")
        except Refused:
            pass
        return Finding("ok", PLATFORM, f"the key has {permission!r}")

    def _per_minute(self) -> int:
        """Requests that our own budget allows in one window."""
        budget = self._connection.client.budget.snapshot(self._connection.clock.now())
        return int(budget[""]["limit"])


def _batches(ops: Sequence[Op]) -> Iterator[Batch]:
    """People without a usable id come last: their receipts need no request."""
    wanted: dict[tuple[str, str, str], list[Op]] = {}
    for op in ops:
        wanted.setdefault((*_place(op), op.action), []).append(op)
    for load in loads(parcels(changes_of(ops))):
        yield Batch(tuple(op for parcel in load for op in _ops(parcel, wanted)))
    nobody = tuple(op for op in ops if not contact_of(op))
    if nobody:
        yield Batch(nobody)


def _ops(parcel: Parcel, wanted: Mapping[tuple[str, str, str], Sequence[Op]]) -> Iterator[Op]:
    for contact in parcel.contacts:
        for action, keys in (("remove", parcel.removes), ("add", parcel.adds)):
            for key in keys:
                yield from wanted[contact, key, action]


def _place(op: Op) -> tuple[str, str]:
    return contact_of(op), key_of(op.audience)


def _quota(audience: Audience, error: Refused) -> LabelQuota:
    total, quota = (error.data.get(name, "?") for name in ("labelsCurrentTotal", "labelsQuota"))
    text = (
        f"label {audience.name!r} cannot be made: the site holds {total} labels of {quota}; "
        "delete labels that you no longer need in the dashboard, or push fewer segments"
    )
    return LabelQuota(PLATFORM, error.operation, text, error.request_id)
