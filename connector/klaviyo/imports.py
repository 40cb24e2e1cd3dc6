"""Making profiles for people whom Klaviyo does not know, by bulk import, and learning the profiles' ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector.base import Call, Clock, Profile, Reply
from connector.klaviyo import wire_imports, wire_lists
from connector.klaviyo.isolate import Isolation
from connector.klaviyo.limits import limits
from connector.klaviyo.wire import document
from connector.klaviyo.wire_profiles import by_address, key, profile_of, rows


@dataclass
class Import:
    """One import of many people, in as many jobs as it takes.

    The jobs name no list: membership follows by the ids, so that somebody who joins several lists is imported once.
    `pages` follows a call through all its pages; `lookup` finds profiles by address.
    """

    send: Callable[[Call], Reply]
    pages: Callable[[Call], Iterator[Mapping[str, Any]]]
    lookup: Callable[[Sequence[str]], Iterator[Sequence[Profile]]]
    clock: Clock
    landed: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)

    def run(self, addresses: Sequence[str]) -> None:
        """Every address (in the form of `key`) ends in exactly one of `landed` (by its profile's id), `refused` and
        `waiting`.

        All jobs are begun before the first is asked after. One that is not finished in time leaves its people
        waiting: importing them again is harmless.
        """
        jobs: dict[str, Sequence[str]] = {}
        for group in wire_imports.groups(addresses):
            isolation = Isolation(self._create, limits().writes.isolate)
            isolation.run(group)
            self.refused |= {address: isolation.reason(address) for address in isolation.refused}
            self.waiting |= isolation.waiting
            jobs |= {job_id: part for part, job_id in isolation.accepted}
        states = self._finished(jobs)
        for job_id, imported in jobs.items():
            state = states.get(job_id)
            if state is None:
                text = f"import {job_id} not finished after {limits().job.patience:.0f} s"
                self.waiting |= dict.fromkeys(imported, text)
            elif state.status == "cancelled":
                self.waiting |= dict.fromkeys(imported, f"import {job_id} was cancelled in Klaviyo")
            else:
                self._read_back(job_id, imported, state.failed)

    def _create(self, group: Sequence[str]) -> str:
        call = wire_imports.create_job(group)
        return wire_lists.created_id(call.operation, self.send(call))

    def _finished(self, jobs: Iterable[str]) -> dict[str, wire_imports.JobState]:
        """The jobs that came to an end while we waited."""
        job = limits().job
        deadline = self.clock.now() + job.patience
        wait = job.first_wait
        ended: dict[str, wire_imports.JobState] = {}
        pending = list(jobs)
        while pending and self.clock.now() < deadline:
            self.clock.sleep(wait)
            for job_id in pending:
                call = wire_imports.get_job(job_id)
                state = wire_imports.state(document(call.operation, self.send(call)))
                if state.status in ("complete", "cancelled"):
                    ended[job_id] = state
            pending = [job_id for job_id in pending if job_id not in ended]
            wait = min(wait * 2, job.longest_wait)
        return ended

    def _read_back(self, job_id: str, group: Sequence[str], failures: int) -> None:
        """What became of each address of a complete job."""
        failed, stray = self._failures(job_id, group)
        if stray is None and failures > len(failed):
            stray = f"import {job_id} counts {failures} failures and names {len(failed)}"
        landed = self._landed(job_id)
        missing = [address for address in group if address not in landed and address not in failed]
        landed |= {key(profile.email): profile for page in self.lookup(missing) for profile in page}
        for address in group:
            profile = landed.get(address)
            if address in failed:
                self.refused[address] = failed[address]
            elif profile is None:
                self.waiting[address] = stray or f"import {job_id} is complete, but the profile does not show yet"
            elif not profile.mailable:
                self.refused[address] = profile.reason or "not mailable"
            else:
                self.landed[address] = profile.remote_id

    def _failures(self, job_id: str, group: Sequence[str]) -> tuple[dict[str, str], str | None]:
        """Reason by address, and the reason of a failure that names nobody of the group."""
        members = set(group)
        failed: dict[str, str] = {}
        stray = None
        for body in self.pages(wire_imports.import_errors(job_id)):
            for failure in wire_imports.failures(body):
                address = key(failure.email) if failure.email else None
                if address is None and failure.index is not None and failure.index < len(group):
                    address = group[failure.index]
                if address in members:
                    failed[address] = failure.reason
                else:
                    stray = failure.reason
        return failed, stray

    def _landed(self, job_id: str) -> dict[str, Profile]:
        """By present address: somebody imported under a former one is not among them."""
        found = [row for body in self.pages(wire_imports.imported(job_id)) for row in rows(body)]
        return {address: profile_of(address, row) for address, row in by_address(found).items()}
