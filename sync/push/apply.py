"""From a plan to acknowledged writes: ops into the outbox, batches out, op and ledger together on each receipt.

A run may die anywhere. What was sent and not heard of is sent again: every push is idempotent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from connector.base import Audience, Batch, Clock, Destination, Op, Receipt
from connector.errors import AuthError, PlatformError, ScopeError, Unavailable
from sync.errors import Held
from sync.progress import Progress, Silent
from sync.push import outbox
from sync.push.fields import Writer
from sync.push.guards import UNKNOWN_LEDGER
from sync.push.opening import Opening
from sync.push.plan_value import AudiencePlan, Plan, digest
from sync.push.report import ApplyReport, DestinationReport
from sync.store import audience as audience_rows
from sync.store import ledger, plans, queue
from sync.store.engine import Connection, Store

CHUNK = 25_000
"""Ops held in memory at a time: people new to a destination go out together with all the lists they join, so that a
larger chunk makes fewer imports and fuller calls. An op takes about a kilobyte."""


def check_keys(destinations: Sequence[Destination]) -> dict[str, PlatformError]:
    """Prove every key before anything is written anywhere; returns who did not answer.

    Raises AuthError or ScopeError for a refused key.
    """
    silent: dict[str, PlatformError] = {}
    for destination in destinations:
        try:
            destination.check()
        except Unavailable as error:
            silent[destination.name] = error
    return silent


def apply(
    plan: Plan,
    destinations: Sequence[Destination],
    store: Store,
    *,
    now: int,
    clock: Clock,
    progress: Progress | None = None,
    run_id: int | None = None,
    config: str | None = None,
    checked: Mapping[str, PlatformError] | None = None,
) -> ApplyReport:
    """Send what the plan says and no guard holds. Raises Held for a stale plan, AuthError for a refused key.

    `config` is the present `config_digest`; `checked` is what `check_keys` returned if it ran already in this run.
    A destination that stops is reported, its ops stay queued, and the others go on.
    """
    with store.read() as conn:
        resumed = _resumable(conn, plan, config)
    reports = {each.name: DestinationReport(each.name, calls=-each.calls) for each in destinations}
    sites = {each.name: each for each in destinations if each.name not in dict(plan.unreachable)}
    if plan.changes or resumed:
        silent = check_keys(destinations) if checked is None else checked
        for name, error in silent.items():
            if name in sites:
                del sites[name]
                reports[name].error = error
        run = plan.run if run_id is None else run_id
        if not resumed:
            _queue(store, plan, sites, run, now)
        senders = [
            _Sender(plan, destination, store, reports[name], run, now, clock, progress or Silent())
            for name, destination in sites.items()
        ]
        for sender in senders:
            sender.open()
        for sender in senders:
            sender.send()
    else:
        _note(store, plan)
    _close(store, plan, reports, sites, now)
    for destination in destinations:
        reports[destination.name].calls += destination.calls
    return ApplyReport(plan.id, tuple(reports[each.name] for each in destinations))


def _resumable(conn: Connection, plan: Plan, config: str | None) -> bool:
    """True when the plan is on its way already; raises Held when the world has moved under it."""
    members, owned = (digest(its) for its in ledger.fingerprint(conn))
    moved = [
        name
        for name, before, after in (
            ("the configuration", plan.config, config or plan.config),
            ("segment membership", plan.members, members),
        )
        if before != after and plan.undoes is None
    ]
    under_way = plans.is_queued(conn, plan.id) or (plan.undoes is not None and queue.any_open(conn, plan.id))
    if owned != plan.owned and not under_way:
        moved.append("the ledger")
    if moved:
        raise Held(
            f"plan {plan.id} is stale: {' and '.join(moved)} changed since it was made; run `{plan.again}` again"
        )
    if under_way and not (plans.is_last(conn, plan.id) and owned == plan.owned and not queue.any_open(conn, plan.id)):
        return True
    if not plans.is_last(conn, plan.id):
        raise Held(f"plan {plan.id} was replaced by a later one; run `{plan.again}` again")
    return False


def _queue(store: Store, plan: Plan, reached: Mapping[str, Destination], run_id: int, now: int) -> None:
    """Everything that is decided now, in one transaction: what we keep, what we take over, what goes out."""
    free = [its for its in plan.audiences if not its.held and its.destination in reached]
    apart = {(its.destination, its.segment) for its in plan.passed if its.guard == UNKNOWN_LEDGER}
    with store.begin() as conn:
        ledger.make_adoptable(conn)
        kept = audience_rows.kept(conn)
        for its in free:
            if its.adopt and not reached[its.destination].limits.by_email:
                ledger.adoptable(conn, its.destination, its.segment, its.name, its.remote_id)
            before = kept.get((its.destination, its.segment))
            after = _kept(plan, its, before)
            if its.keyed and (its.destination, its.segment) in apart:
                after = replace(after, apart=True)
            if after != before and (its.work or before is not None):
                audience_rows.keep(conn, after)
        ledger.adopt(conn, run_id, now)
        released = {name: [its.segment for its in free if its.destination == name and its.ops] for name in reached}
        begun = [its.id for its in plans.undoing(conn)]
        queue.enqueue(conn, plan.id, run_id, released, now, begun, _paused(plan, free, kept))
        plans.queued(conn, plan.id)


def _paused(plan: Plan, free: Sequence[AudiencePlan], kept: Collection[tuple[str, str]]) -> dict[str, list[str]]:
    """Audiences of which this plan decides nothing, by destination: what waits for them is not outdated."""
    if plan.undoes is None:
        silent = {(at, segment) for at, segment in kept if segment in dict(plan.unavailable)}
        others = silent | {(its.destination, its.segment) for its in plan.audiences if its.held}
    else:
        others = set(kept)
    paused: dict[str, list[str]] = {}
    for at, segment in sorted(others - {(its.destination, its.segment) for its in free}):
        paused.setdefault(at, []).append(segment)
    return paused


def _note(store: Store, plan: Plan) -> None:
    """Keep what is decided of audiences that have nothing to write."""
    with store.begin() as conn:
        kept = audience_rows.kept(conn)
        for its in plan.audiences:
            before = kept.get((its.destination, its.segment))
            if before is not None and not its.held and _kept(plan, its, before) != before:
                audience_rows.keep(conn, _kept(plan, its, before))


def _kept(plan: Plan, its: AudiencePlan, before: audience_rows.Kept | None) -> audience_rows.Kept:
    """The row of an audience as it is once its ops are queued. A list keeps its old name until it has been renamed.

    A changed condition counts as accepted with the first people whom it moves and no guard holds, not before. That a
    run was taken back is forgotten when people are moved again, or nobody is to be moved any more.
    """
    kept = before or audience_rows.Kept(its.destination, its.segment, its.name)
    if plan.undoes is not None:
        return replace(kept, undone=plan.mark) if its.ops else kept
    if not its.ops or its.add or its.remove > its.lost:
        kept = replace(kept, undone=None)
    if its.closing:
        return kept
    return replace(
        kept,
        name=kept.name if its.renamed_from or (kept.creating_since and not its.remote_id) else its.name,
        remote_id=kept.remote_id or its.remote_id,
        adopted=kept.adopted or its.adopt,
        rule_hash=its.rule_hash if kept.rule_hash is None or its.add or its.remove else kept.rule_hash,
        retired=False,
        creating_since=None if its.remote_id else kept.creating_since,
    )


def _close(
    store: Store, plan: Plan, reports: Mapping[str, DestinationReport], reached: Collection[str], now: int
) -> None:
    """Note first fills that are complete and audiences that are empty; count what is left."""
    with store.begin() as conn:
        for name, report in reports.items():
            report.unfinished = queue.unsettled(conn, plan.id, name) + report.fields_left
            mine = [its for its in plan.audiences if its.destination == name and not its.held and name in reached]
            begun = [its.segment for its in mine if (its.ops or its.before) and not its.closing]
            audience_rows.filled(conn, name, begun, now)
            audience_rows.forget_replaced(conn, name)
        for name, _ in plan.unreachable:
            if name in reports:
                reports[name].error = reports[name].error or _silence(dict(plan.unreachable)[name])
        if not any(report.unfinished or report.error for report in reports.values()):
            plans.applied(conn, plan.id, now)


def _silence(told: str) -> Unavailable:
    """The error again that the plan keeps as a line."""
    platform, operation, text = told.split(": ", 2)
    return Unavailable(platform, operation, text)


class _Sender:
    """One destination's part of a plan."""

    def __init__(
        self,
        plan: Plan,
        destination: Destination,
        store: Store,
        report: DestinationReport,
        run_id: int,
        now: int,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._plan = plan
        self._destination = destination
        self._store = store
        self._report = report
        self._run_id = run_id
        self._clock = clock
        self._progress = progress
        self._sent = 0
        self._fields = Writer(store, destination, report, clock, now)
        self._audiences: Mapping[str, Audience] = {}

    def open(self) -> None:
        """Make the audiences ready. A key that may not do this stops the run before members are sent anywhere."""
        opening = Opening(self._plan, self._destination, self._store, self._clock)
        with self._stopping():
            self._audiences = opening.open()
        self._report.reasons.update(opening.reasons)

    def send(self) -> None:
        """Send until nothing is left or the destination stops. A refused key stops the whole run.

        Fields go first, so that what joining starts finds them; people who are made by joining get theirs behind it.
        """
        self._write_fields()
        with self._stopping():
            for batch in self._batches(self._audiences):
                self._send(batch)
        if self._report.added and not self._destination.limits.existing_only:
            self._write_fields()

    def _write_fields(self) -> None:
        """What stops this does not keep members from being sent."""
        if self._destination.fields and self._plan.undoes is None:
            with self._stopping():
                self._fields.write()

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        try:
            yield
        except (AuthError, ScopeError):
            raise
        except PlatformError as error:
            self._report.error = error

    def _batches(self, audiences: Mapping[str, Audience]) -> Iterator[Batch]:
        after = 0
        while True:
            with self._store.read() as conn:
                read = queue.waiting(conn, self._plan.id, self._destination, audiences, after, CHUNK)
            if not read:
                return
            ready = list(queue.ready(read, full=len(read) == CHUNK))
            after = ready[-1].op.id
            yield from self._destination.batches([queued.op for queued in ready])

    def _send(self, batch: Batch) -> None:
        with self._store.begin() as conn:
            going, dropped = queue.claim(conn, self._destination, [op.id for op in batch.ops], self._moment())
        self._report.dropped += dropped
        ops = tuple(op for op in batch.ops if op.id in going)
        if ops:
            receipts = {its.op: its for its in self._destination.push(replace(batch, ops=ops))}
            answered = [(op, receipts.get(op.id) or Receipt(op.id, "retry", "no answer for this person")) for op in ops]
            with self._store.begin() as conn:
                standing = queue.settle(conn, self._destination, answered, self._run_id, self._moment())
                for segment in {op.audience.segment for op, its in answered if its.gone}:
                    carried = not self._destination.limits.by_email
                    audience_rows.lose(conn, self._destination.name, segment, carried=carried)
            self._count([(op, receipt) for op, receipt in answered if op.id not in standing])
        self._sent += len(batch.ops)
        self._progress.update(f"{self._destination.name}: writing", self._sent)

    def _count(self, answered: Sequence[tuple[Op, Receipt]]) -> None:
        for op, receipt in answered:
            if receipt.outcome == outbox.DONE:
                if op.action == "add":
                    self._report.added += 1
                else:
                    self._report.removed += 1
            else:
                self._report.refused += receipt.outcome == outbox.REFUSED
                self._report.reasons[receipt.reason or receipt.outcome] += 1

    def _moment(self) -> int:
        return int(self._clock.now())
