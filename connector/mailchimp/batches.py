"""Many writes to single members: a few one by one, more in batches that Mailchimp works off by itself.

Nothing of a batch under way is kept between runs: all its operations may run twice, and the next run sends anew what it
has no answer for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from connector.base import Call, Clock, Reply
from connector.errors import BadReply, PlatformError
from connector.mailchimp import wire_batches, wire_tags
from connector.mailchimp.limits import limits
from connector.mailchimp.paging import page_of
from connector.mailchimp.wire import NotFound, Refused, document
from connector.mailchimp.wire_batches import Answer, Expired, State
from connector.mailchimp.wire_members import Operation

SKEW = 300.0
"""Seconds by which this machine's clock may be ahead of Mailchimp's."""

PAUSES = (5.0, 15.0, 45.0)
"""Seconds before something whose making was not answered is looked for."""

_FETCHES = 3
"""Addresses of results that are tried: each lives for minutes only."""


@dataclass(slots=True)
class _Job:
    """A batch under way. `prefix` begins its operations' ids, so that nobody else's results are taken for ours."""

    prefix: str
    places: Sequence[int]
    done: int = 0


@dataclass
class Batches:
    """`once` sends with a single try; `fetch` gets a signed address without the key."""

    send: Callable[[Call], Reply]
    once: Callable[[Call], Reply]
    fetch: Callable[[str], bytes]
    clock: Clock
    _serial: int = field(default=0, init=False)

    def run(self, operations: Sequence[Operation]) -> list[Answer | str]:
        """What became of each; a text says why that is not known yet. Raises where nothing at all got an answer."""
        found: dict[int, Answer] = {}
        many = len(operations) > limits().writes.alone
        lacking, error = self._together(operations, found) if many else self._alone(operations, found)
        if error is not None and not found:
            raise error
        return [found.get(place) or lacking.get(place, "no answer") for place in range(len(operations))]

    def _alone(
        self, operations: Sequence[Operation], found: dict[int, Answer]
    ) -> tuple[dict[int, str], PlatformError | None]:
        for place, operation in enumerate(operations):
            try:
                reply = self.send(operation.alone())
            except Refused as error:
                found[place] = Answer(error.problem.status, error.problem, {})
            except PlatformError as error:
                if error.definite:
                    raise
                return dict.fromkeys(range(place, len(operations)), str(error)), error
            else:
                found[place] = Answer(reply.status, None, _object(reply.body))
        return {}, None

    def _together(
        self, operations: Sequence[Operation], found: dict[int, Answer]
    ) -> tuple[dict[int, str], PlatformError | None]:
        """Several batches at once. Trouble ends the sending, not the waiting for what is under way."""
        most = limits().writes
        queue = [
            range(start, min(start + most.batch, len(operations))) for start in range(0, len(operations), most.batch)
        ]
        queue.reverse()
        jobs: dict[str, _Job] = {}
        lacking: dict[int, str] = {}
        trouble: PlatformError | None = None
        waiting = _Waiting(self.clock)
        while queue or jobs:
            try:
                while queue and len(jobs) < most.in_flight:
                    job_id, job = self._begin(queue[-1], operations, jobs)
                    queue.pop()
                    jobs[job_id] = job
                    waiting.progress()
                finished = self._finished(jobs, waiting)
            except PlatformError as error:
                if error.definite:
                    raise
                trouble = error
                lacking |= {place: str(error) for places in queue for place in places}
                if not queue:
                    return lacking | _left(jobs, str(error)), trouble
                queue.clear()
                continue
            for state in finished:
                lacking |= self._collect(state, jobs.pop(state.id), found)
            if waiting.over():
                text = f"a batch is not finished after {limits().job.patience:.0f} s without progress"
                return lacking | _left(jobs, text) | {place: text for places in queue for place in places}, trouble
        return lacking, trouble

    def _begin(self, places: range, operations: Sequence[Operation], jobs: Mapping[str, _Job]) -> tuple[str, _Job]:
        """Begin a batch. When no answer comes, it is looked for before it is sent again, to spare the double work."""
        self._serial += 1
        since = self.clock.now() - SKEW
        job = _Job(f"{self.clock.now():.0f}.{self._serial}", places)
        request = wire_batches.post_batch([(f"{job.prefix}.{place}", operations[place]) for place in places])
        for pause in (*PAUSES, None):
            try:
                return wire_tags.created_id(request.operation, self.once(request)), job
            except PlatformError as error:
                if error.definite or pause is None:
                    raise
            self.clock.sleep(pause)
            begun = [
                state.id
                for state in self._listed()
                if state.submitted >= since and state.total == len(places) and state.id not in jobs
            ]
            if len(begun) == 1:
                return begun[0], job
        raise AssertionError("the last try returns or raises")

    def _listed(self) -> list[State]:
        request = wire_batches.get_batches()
        body = document(request.operation, self.send(page_of(request)), "batches")
        return [wire_batches.state(item) for item in body["batches"]]

    def _state(self, job_id: str) -> State:
        request = wire_batches.get_batch(job_id)
        return wire_batches.state(document(request.operation, self.send(request), "id", "status"))

    def _finished(self, jobs: dict[str, _Job], waiting: _Waiting) -> list[State]:
        """Wait, then look once: one call for a single batch, one for many."""
        waiting.wait()
        listed = {state.id: state for state in self._listed()} if len(jobs) > 1 else {}
        finished = []
        for job_id, job in jobs.items():
            try:
                state = listed.get(job_id) or self._state(job_id)
            except NotFound:
                state = State(job_id, wire_batches.FINISHED, 0, 0, 0.0, "")
            if state.done > job.done or state.status == wire_batches.FINISHED:
                job.done = state.done
                waiting.progress()
            if state.status == wire_batches.FINISHED:
                finished.append(state)
        return finished

    def _collect(self, state: State, job: _Job, found: dict[int, Answer]) -> dict[int, str]:
        """Read the results; returns the reasons of those that have none."""
        why = f"batch {state.id} carries no result for this person"
        results: Mapping[str, Answer] = {}
        for attempt in range(_FETCHES):
            try:
                url = self._state(state.id).url if attempt else state.url
                if url:
                    results = wire_batches.answers(self.fetch(url))
                    break
                why = f"batch {state.id} is finished without results"
            except (Expired, BadReply, NotFound) as error:
                why = str(error)
            except PlatformError as error:
                if error.definite:
                    raise
                why = str(error)
                break
        for place in job.places:
            answer = results.get(f"{job.prefix}.{place}")
            if answer is not None:
                found[place] = answer
        return {place: why for place in job.places if place not in found}


class _Waiting:
    """The pauses between two looks. They grow to their limit: batches in line keep Mailchimp busy meanwhile."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moved = clock.now()
        self._pause = limits().job.first_wait

    def wait(self) -> None:
        self._clock.sleep(self._pause)
        self._pause = min(2 * self._pause, limits().job.longest_wait)

    def progress(self) -> None:
        """Something has moved: patience begins anew."""
        self._moved = self._clock.now()

    def over(self) -> bool:
        return self._clock.now() - self._moved > limits().job.patience


def _left(jobs: Mapping[str, _Job], why: str) -> dict[int, str]:
    return {place: why for job in jobs.values() for place in job.places}


def _object(body: bytes) -> Mapping[str, Any]:
    parsed = orjson.loads(body) if body else {}
    return parsed if isinstance(parsed, dict) else {}


def calls(operations: int) -> tuple[int, float]:
    """Calls and seconds that so many operations usually take: per batch its start, two looks and its results."""
    writes, pace = limits().writes, limits().pace
    if operations <= writes.alone:
        return operations, operations * pace.call
    batches = -(-operations // writes.batch)
    waves = -(-batches // writes.in_flight)
    return 2 * batches + 2 * waves, waves * pace.batch + 2 * batches * pace.call
