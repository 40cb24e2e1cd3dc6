"""Segments as values of one array on each profile: an op is a value into it or out of it, a person a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from connector.base import Audience, Call, Op, Profile, Receipt, Reply
from connector.errors import Unavailable
from connector.klaviyo import wire_profiles, wire_properties
from connector.klaviyo.wire import NotFound, Refused, document
from connector.klaviyo.wire_profiles import key, plausible, profile_of


@dataclass
class Properties:
    """Writes the array called `name`; `value` is what stands in it for an audience.

    People who have no profile get one only by an addition. `pages` follows a call through all its pages; `lookup` finds
    profiles by address.
    """

    name: str
    value: Callable[[Audience], str]
    send: Callable[[Call], Reply]
    pages: Callable[[Call], Iterator[Mapping[str, Any]]]
    lookup: Callable[[Sequence[str]], Iterator[Sequence[Profile]]]
    _receipts: dict[int, Receipt] = field(default_factory=dict)
    _refused: dict[int, Refused] = field(default_factory=dict)
    _written: set[int] = field(default_factory=set)

    def push(self, ops: Sequence[Op]) -> list[Receipt]:
        """One receipt per op, in their order. Where everybody is refused the fault is not theirs: they wait."""
        self._receipts, self._refused, self._written = {}, {}, set()
        with self._breaking_off(ops):
            self._write_all(ops)
        if len(set(self._refused.values())) > 1 and not self._written:
            for op_id, error in self._refused.items():
                self._settle(Receipt(op_id, "retry", error.text))
        return [self._receipts[op.id] for op in ops]

    def _write_all(self, ops: Sequence[Op]) -> None:
        known: dict[str, list[Op]] = {}
        unknown: list[Op] = []
        for op in ops:
            if op.person.remote_id is None:
                unknown.append(op)
            else:
                known.setdefault(op.person.remote_id, []).append(op)
        for profile_id, those in known.items():
            if not self._change(profile_id, those):
                unknown += those
        self._by_address(unknown)

    def follow(self, ops: Sequence[Op], receipts: Sequence[Receipt]) -> list[Receipt]:
        """The same, for ops that are done elsewhere: these are done when they are done here too, and wait otherwise."""
        self._receipts, self._refused, self._written = {its.op: its for its in receipts}, {}, set()
        moved: dict[str, list[Op]] = {}
        for op, receipt in zip(ops, receipts, strict=True):
            if receipt.outcome == "done" and receipt.remote_id is not None:
                moved.setdefault(receipt.remote_id, []).append(op)
        waiting = [op for those in moved.values() for op in those]
        with self._breaking_off(waiting):
            for profile_id, those in moved.items():
                if not self._change(profile_id, those):
                    self._wait(those, f"profile {profile_id} is gone; the person is looked for again")
        for op_id, error in self._refused.items():
            self._receipts[op_id] = Receipt(op_id, "retry", f"the property is refused: {error.text}")
        return [self._receipts[op.id] for op in ops]

    def members(self, audience: Audience) -> Iterator[str]:
        """Whoever has the value now. Properties cannot be searched: everybody is read."""
        value = self.value(audience)
        for body in self.pages(wire_properties.every_profile()):
            for item in body["data"]:
                if value in wire_properties.values_of(item, self.name):
                    yield item["id"]

    @contextmanager
    def _breaking_off(self, ops: Sequence[Op]) -> Iterator[None]:
        """When the platform falls silent, what was written before counts; what was not waits. Raises Unavailable where
        nothing was written."""
        try:
            yield
        except Unavailable as error:
            if not self._written:
                raise
            settled = self._written | self._refused.keys()
            self._wait([op for op in ops if op.id not in settled], error.text)

    def _by_address(self, ops: Iterable[Op]) -> None:
        """People without a known profile, or whose profile is gone: deleted, or merged into another."""
        groups: dict[str, list[Op]] = {}
        for op in ops:
            if op.person.email and plausible(op.person.email.strip()):
                groups.setdefault(key(op.person.email), []).append(op)
            elif op.action == "remove":
                self._settle(Receipt(op.id, "done"))
            else:
                self._settle(Receipt(op.id, "refused", "no usable e-mail address"))
        found = {profile.email: profile for page in self.lookup(list(groups)) for profile in page}
        for address, those in groups.items():
            if address in found:
                self._found(found[address], those)
            else:
                self._make(address, those)

    def _found(self, profile: Profile, ops: Sequence[Op]) -> None:
        """Who may not be mailed gets nothing, but can lose what is there."""
        going = [op for op in ops if op.action == "remove" or profile.mailable]
        for op in ops:
            if op not in going:
                self._settle(Receipt(op.id, "refused", profile.reason or "not mailable", profile.remote_id))
        if going and not self._change(profile.remote_id, going):
            self._wait(going, "the profile is found by its address, but not by its id")

    def _make(self, address: str, ops: Sequence[Op]) -> None:
        """Nobody is made in order to be removed."""
        joining = [op for op in ops if op.action == "add"]
        for op in ops:
            if op.action == "remove":
                self._settle(Receipt(op.id, "done"))
        if not joining:
            return
        request = wire_properties.import_profile(address, self.name, self._values(joining))
        try:
            body = document(request.operation, self.send(request))
        except Refused as error:
            self._duplicate(error, address, joining)
            return
        (row,) = wire_profiles.rows({"data": [body["data"]]})
        if row.mailable:
            self._done(joining, row.id)
            return
        # Somebody was there after all: a profile that showed late, or has opted out in this very second.
        with suppress(Refused):
            self._write(row.id, (), self._values(joining))
        for op in joining:
            self._settle(Receipt(op.id, "refused", row.reason or "not mailable", row.id))

    def _duplicate(self, error: Refused, address: str, ops: Sequence[Op]) -> None:
        """A conflict names the profile that is in the way: the person's own."""
        other = next((each.profile for each in error.errors if each.profile), None)
        if error.status != 409 or other is None:
            self._refuse(ops, error)
            return
        rows = [row for body in self.pages(wire_profiles.profiles_with([other])) for row in wire_profiles.rows(body)]
        if rows:
            self._found(profile_of(address, rows[0]), ops)
        else:
            self._wait(ops, f"profile {other} holds the address and does not show yet")

    def _change(self, profile_id: str, ops: Sequence[Op]) -> bool:
        """False when there is no such profile. Two records of one person may want both: then the value stays."""
        joining = self._values(op for op in ops if op.action == "add")
        leaving = [value for value in self._values(op for op in ops if op.action == "remove") if value not in joining]
        try:
            self._write(profile_id, joining, leaving)
        except NotFound:
            return False
        except Refused as error:
            self._refuse(ops, error)
            return True
        self._done(ops, profile_id)
        return True

    def _write(self, profile_id: str, joining: Sequence[str], leaving: Sequence[str]) -> None:
        """Nothing says whether a repeated append makes a second value, and whether one unappend takes both: what the
        answer still shows is taken out again."""
        shown = -1
        while joining or leaving:
            request = wire_properties.change_profile(profile_id, self.name, joining, leaving)
            item = document(request.operation, self.send(request))["data"]
            left = [value for value in wire_properties.values_of(item, self.name) if value in leaving]
            if len(left) == shown:
                return
            joining, leaving, shown = (), sorted(set(left)), len(left)

    def _values(self, ops: Iterable[Op]) -> list[str]:
        return list(dict.fromkeys(self.value(op.audience) for op in ops))

    def _done(self, ops: Iterable[Op], profile_id: str) -> None:
        for op in ops:
            self._written.add(op.id)
            self._settle(Receipt(op.id, "done", remote_id=profile_id))

    def _wait(self, ops: Iterable[Op], reason: str) -> None:
        for op in ops:
            self._settle(Receipt(op.id, "retry", reason))

    def _refuse(self, ops: Iterable[Op], error: Refused) -> None:
        for op in ops:
            self._refused[op.id] = error
            self._settle(Receipt(op.id, "refused", error.text))

    def _settle(self, receipt: Receipt) -> None:
        self._receipts[receipt.op] = receipt
