"""One batch of list changes, from ops to receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from connector.base import Batch, Call, Clock, Op, Profile, Receipt, Reply
from connector.klaviyo import wire_imports, wire_lists
from connector.klaviyo.isolate import Isolation
from connector.klaviyo.limits import limits
from connector.klaviyo.wire import Refused, document
from connector.klaviyo.wire_profiles import key, plausible

Outcome = Literal["done", "refused", "retry"]

REMOVE, ADD, IMPORT = "remove", "add", "import"


class _ListGone(Exception):
    """The list of the batch has been deleted."""


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
        self._there = False

    def push(self, batch: Batch) -> list[Receipt]:
        """One receipt per op, in their order."""
        if not batch.ops:
            return []
        audience = batch.ops[0].audience
        if audience.remote_id is None:
            raise ValueError(f"list {audience.name!r} has no id yet")
        self._there = False
        do = {REMOVE: self._remove, ADD: self._add, IMPORT: self._import}[batch.kind]
        try:
            found = {receipt.op: receipt for receipt in do(audience.remote_id, batch.ops)}
        except _ListGone:
            reason = f"list {audience.name!r} ({audience.remote_id}) no longer exists in Klaviyo and is made anew"
            found = {op.id: Receipt(op.id, "retry", reason, gone=True) for op in batch.ops}
        return [found[op.id] for op in batch.ops]

    def _add(self, list_id: str, ops: Sequence[Op]) -> Iterator[Receipt]:
        """Someone whose profile is gone (deleted, or merged into another) is asked for by address."""
        receipts, stale = self._change(list_id, {op.id: op.person.remote_id or "" for op in ops}, add=True)
        yield from receipts
        found = self._found(op for op in ops if op.id in stale)
        unknown = [op for op in ops if op.id in stale and op.id not in found]
        for op_id, profile in found.items():
            if not profile.mailable:
                yield Receipt(op_id, "refused", profile.reason, profile.remote_id)
        again = {op_id: profile.remote_id for op_id, profile in found.items() if profile.mailable}
        receipts, stale = self._change(list_id, again, add=True)
        yield from receipts
        for op_id in stale:
            yield Receipt(op_id, "retry", "the profile is found by its address, but not by its id")
        yield from self._import(list_id, unknown)

    def _remove(self, list_id: str, ops: Sequence[Op]) -> Iterator[Receipt]:
        """Someone without a profile is no member: nothing is left to do. Who was merged is one under another id."""
        known = {op.id: op.person.remote_id for op in ops if op.person.remote_id is not None}
        receipts, stale = self._change(list_id, known, add=False)
        yield from receipts
        rest = [op for op in ops if op.id in stale or op.id not in known]
        found = self._found(rest)
        receipts, stale = self._change(list_id, {each: its.remote_id for each, its in found.items()}, add=False)
        yield from receipts
        for op in rest:
            if op.id in stale or op.id not in found:
                yield Receipt(op.id, "done")

    def _change(self, list_id: str, profiles: Mapping[int, str], *, add: bool) -> tuple[list[Receipt], set[int]]:
        """Receipts, and the ops whose profile does not exist: these have none."""

        def send(profile_ids: Sequence[str]) -> None:
            self._guarded(list_id, wire_lists.change_members(list_id, profile_ids, add=add))

        isolation = Isolation(send, limits().writes.isolate)
        isolation.run(list(dict.fromkeys(profiles.values())))
        receipts = []
        stale = set()
        for op_id, profile_id in profiles.items():
            if profile_id in isolation.waiting:
                receipts.append(Receipt(op_id, "retry", isolation.waiting[profile_id]))
            elif profile_id not in isolation.refused:
                receipts.append(Receipt(op_id, "done", remote_id=profile_id))
            elif isolation.refused[profile_id].status == 404:
                stale.add(op_id)
            else:
                receipts.append(Receipt(op_id, "refused", isolation.reason(profile_id)))
        return receipts, stale

    def _import(self, list_id: str, ops: Sequence[Op]) -> Iterator[Receipt]:
        addresses: dict[str, list[Op]] = {}
        for op in ops:
            if op.person.email and plausible(op.person.email.strip()):
                addresses.setdefault(key(op.person.email), []).append(op)
            else:
                yield Receipt(op.id, "refused", "no usable e-mail address")

        def send(group: Sequence[str]) -> str:
            call = wire_imports.create_job(list_id, group)
            return wire_lists.created_id(call.operation, self._guarded(list_id, call))

        isolation = Isolation(send, limits().writes.isolate)
        isolation.run(list(addresses))
        outcomes: dict[str, tuple[Outcome, str | None, str | None]] = {}
        for group, job_id in isolation.accepted:
            outcomes.update(self._await(job_id, group))
        for address, those in addresses.items():
            if address in isolation.refused:
                outcome: tuple[Outcome, str | None, str | None] = ("refused", isolation.reason(address), None)
            elif address in isolation.waiting:
                outcome = ("retry", isolation.waiting[address], None)
            else:
                outcome = outcomes[address]
            for op in those:
                yield Receipt(op.id, *outcome)

    def _guarded(self, list_id: str, call: Call) -> Reply:
        """Send; a refusal that names no row may mean that the list is gone, which Klaviyo says in several ways."""
        try:
            return self._send(call)
        except Refused as error:
            if error.status in (400, 404) and not self._there and not wire_imports.rows_named(error.errors):
                request = wire_lists.list_with_id(list_id)
                if not document(request.operation, self._send(request))["data"]:
                    raise _ListGone from error
                self._there = True
            raise

    def _await(self, job_id: str, group: Sequence[str]) -> dict[str, tuple[Outcome, str | None, str | None]]:
        """What became of each address. A job that is not finished in time is imported again by a later run."""
        state = self._finished(job_id)
        if state is None:
            text = f"import {job_id} not finished after {limits().job.patience:.0f} s"
            return dict.fromkeys(group, ("retry", text, None))
        if state.status == "cancelled":
            return dict.fromkeys(group, ("retry", f"import {job_id} was cancelled in Klaviyo", None))
        failed, stray = self._failures(job_id, group)
        if stray is None and state.failed > len(failed):
            stray = f"import {job_id} counts {state.failed} failures and names {len(failed)}"
        landed = self._landed(job_id)
        missing = [address for address in group if address not in landed and address not in failed]
        landed |= {key(profile.email): profile.remote_id for page in self._lookup(missing) for profile in page}
        outcomes: dict[str, tuple[Outcome, str | None, str | None]] = {}
        for address in group:
            if address in failed:
                outcomes[address] = ("refused", failed[address], None)
            elif address in landed or not stray:
                outcomes[address] = ("done", None, landed.get(address))
            else:
                outcomes[address] = ("retry", stray, None)
        return outcomes

    def _finished(self, job_id: str) -> wire_imports.JobState | None:
        job = limits().job
        deadline = self._clock.now() + job.patience
        wait = job.first_wait
        while True:
            self._clock.sleep(wait)
            call = wire_imports.get_job(job_id)
            state = wire_imports.state(document(call.operation, self._send(call)))
            if state.status in ("complete", "cancelled"):
                return state
            if self._clock.now() >= deadline:
                return None
            wait = min(wait * 2, job.longest_wait)

    def _failures(self, job_id: str, group: Sequence[str]) -> tuple[dict[str, str], str | None]:
        """Reason by address, and the reason of a failure that names nobody of the group."""
        members = set(group)
        failed: dict[str, str] = {}
        stray = None
        for body in self._pages(wire_imports.import_errors(job_id)):
            for failure in wire_imports.failures(body):
                address = key(failure.email) if failure.email else None
                if address is None and failure.index is not None and failure.index < len(group):
                    address = group[failure.index]
                if address in members:
                    failed[address] = failure.reason
                else:
                    stray = failure.reason
        return failed, stray

    def _landed(self, job_id: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for body in self._pages(wire_imports.imported(job_id)):
            for item in body["data"]:
                if address := item["attributes"].get("email"):
                    found[key(address)] = item["id"]
        return found

    def _found(self, ops: Iterable[Op]) -> dict[int, Profile]:
        """Profiles by op, as their addresses find them now."""
        by_address: dict[str, list[int]] = {}
        for op in ops:
            if op.person.email:
                by_address.setdefault(op.person.email, []).append(op.id)
        profiles = (profile for page in self._lookup(list(by_address)) for profile in page)
        return {op_id: profile for profile in profiles for op_id in by_address[profile.email]}
