"""One batch of list changes, from ops to receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from connector.base import Audience, Batch, Call, Clock, Op, Profile, Receipt, Reply
from connector.klaviyo import wire_imports, wire_lists
from connector.klaviyo.imports import Import
from connector.klaviyo.isolate import Isolation
from connector.klaviyo.limits import limits
from connector.klaviyo.wire import Refused, document
from connector.klaviyo.wire_profiles import key, plausible

REMOVE, ADD, IMPORT = "remove", "add", "import"


class _ListGone(Exception):
    """The list has been deleted."""


class Push:
    """Sends batches. `pages` follows a call through all its pages; `lookup` finds profiles by address."""

    def __init__(
        self,
        send: Callable[[Call], Reply],
        pages: Callable[[Call], Iterator[Mapping[str, Any]]],
        lookup: Callable[[Sequence[str]], Iterator[Sequence[Profile]]],
        clock: Clock,
    ) -> None:
        self._send = send
        self._pages = pages
        self._lookup = lookup
        self._clock = clock
        self._there: set[str] = set()
        self._receipts: dict[int, Receipt] = {}

    def push(self, batch: Batch) -> list[Receipt]:
        """One receipt per op, in their order."""
        self._there = set()
        self._receipts = {}
        if batch.kind == REMOVE:
            self._remove(batch.ops)
        else:
            self._add(batch.ops)
        return [self._receipts[op.id] for op in batch.ops]

    def _add(self, ops: Sequence[Op]) -> None:
        """Strangers get a profile first. Someone whose profile is gone (deleted, or merged into another) is asked for
        by address."""
        ids = {op.id: op.person.remote_id for op in ops if op.person.remote_id is not None}
        ids |= self._import([op for op in ops if op.id not in ids])
        stale = self._change(ops, ids, add=True)
        found = self._found(stale)
        for op_id, profile in found.items():
            if not profile.mailable:
                self._settle(Receipt(op_id, "refused", profile.reason, profile.remote_id))
        again = {op_id: profile.remote_id for op_id, profile in found.items() if profile.mailable}
        again |= self._import([op for op in stale if op.id not in found])
        for op in self._change(stale, again, add=True):
            self._settle(Receipt(op.id, "retry", "the profile is found by its address, but not by its id"))

    def _remove(self, ops: Sequence[Op]) -> None:
        """Someone without a profile is no member: nothing is left to do. Who was merged is one under another id."""
        known = {op.id: op.person.remote_id for op in ops if op.person.remote_id is not None}
        rest = [*self._change(ops, known, add=False), *(op for op in ops if op.id not in known)]
        found = self._found(rest)
        for op in self._change(rest, {op_id: its.remote_id for op_id, its in found.items()}, add=False):
            self._settle(Receipt(op.id, "done"))
        for op in rest:
            if op.id not in found:
                self._settle(Receipt(op.id, "done"))

    def _settle(self, receipt: Receipt) -> None:
        self._receipts[receipt.op] = receipt

    def _import(self, ops: Sequence[Op]) -> dict[int, str]:
        """New profiles by op; who gets none gets the receipts."""
        addresses: dict[str, list[Op]] = {}
        for op in ops:
            if op.person.email and plausible(op.person.email.strip()):
                addresses.setdefault(key(op.person.email), []).append(op)
            else:
                self._settle(Receipt(op.id, "refused", "no usable e-mail address"))
        bulk = Import(self._send, self._pages, self._lookup, self._clock)
        bulk.run(list(addresses))
        for address, reason in bulk.refused.items():
            for op in addresses[address]:
                self._settle(Receipt(op.id, "refused", reason))
        for address, reason in bulk.waiting.items():
            for op in addresses[address]:
                self._settle(Receipt(op.id, "retry", reason))
        return {op.id: profile_id for address, profile_id in bulk.landed.items() for op in addresses[address]}

    def _change(self, ops: Iterable[Op], ids: Mapping[int, str], *, add: bool) -> list[Op]:
        """Move the profiles of the ops that have one, list by list; returns those whose profile does not exist."""
        lists: dict[str, list[Op]] = {}
        for op in ops:
            if op.id in ids:
                lists.setdefault(list_of(op.audience), []).append(op)
        stale: list[Op] = []
        for list_id, group in lists.items():
            try:
                stale += self._change_one(list_id, group, ids, add=add)
            except _ListGone:
                name = group[0].audience.name
                reason = f"list {name!r} ({list_id}) no longer exists in Klaviyo and is made anew"
                for op in group:
                    self._settle(Receipt(op.id, "retry", reason, gone=True))
        return stale

    def _change_one(self, list_id: str, ops: Sequence[Op], ids: Mapping[int, str], *, add: bool) -> list[Op]:
        """One list, a thousand profiles a call."""

        def send(profile_ids: Sequence[str]) -> None:
            self._guarded(list_id, wire_lists.change_members(list_id, profile_ids, add=add))

        size = limits().writes.relationship
        profiles = list(dict.fromkeys(ids[op.id] for op in ops))
        absent: set[str] = set()
        refused: dict[str, str] = {}
        waiting: dict[str, str] = {}
        for start in range(0, len(profiles), size):
            isolation = Isolation(send, limits().writes.isolate)
            isolation.run(profiles[start : start + size])
            waiting |= isolation.waiting
            for profile_id, error in isolation.refused.items():
                if error.status == 404:
                    absent.add(profile_id)
                else:
                    refused[profile_id] = isolation.reason(profile_id)
        for op in ops:
            profile_id = ids[op.id]
            if profile_id in waiting:
                self._settle(Receipt(op.id, "retry", waiting[profile_id]))
            elif profile_id in refused:
                self._settle(Receipt(op.id, "refused", refused[profile_id]))
            elif profile_id not in absent:
                self._settle(Receipt(op.id, "done", remote_id=profile_id))
        return [op for op in ops if ids[op.id] in absent]

    def _guarded(self, list_id: str, call: Call) -> Reply:
        """Send; a refusal that names no row may mean that the list is gone, which Klaviyo says in several ways."""
        try:
            return self._send(call)
        except Refused as error:
            if error.status in (400, 404) and list_id not in self._there and not wire_imports.rows_named(error.errors):
                request = wire_lists.list_with_id(list_id)
                if not document(request.operation, self._send(request))["data"]:
                    raise _ListGone from error
                self._there.add(list_id)
            raise

    def _found(self, ops: Iterable[Op]) -> dict[int, Profile]:
        """Profiles by op, as their addresses find them now."""
        by_address: dict[str, list[int]] = {}
        for op in ops:
            if op.person.email:
                by_address.setdefault(op.person.email, []).append(op.id)
        profiles = (profile for page in self._lookup(list(by_address)) for profile in page)
        return {op_id: profile for profile in profiles for op_id in by_address[profile.email]}


def list_of(audience: Audience) -> str:
    """The list's id. Raises ValueError where there is none yet."""
    if audience.remote_id is None:
        raise ValueError(f"list {audience.name!r} has no id yet")
    return audience.remote_id
