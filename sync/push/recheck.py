"""A plan that was shown, held against the present before it is applied: a plan is a promise for a day at most."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from connector.base import Destination
from connector.errors import BadReply, PlatformError, Unavailable
from sync.errors import Held
from sync.push import guards, identities
from sync.push.guards import Facts, Guard
from sync.push.plan import Wish, read_ages, stale
from sync.push.plan_value import AudiencePlan, Plan
from sync.store import state
from sync.store.engine import Connection, Store


def recheck(
    plan: Plan,
    segments: Sequence[Wish],
    destinations: Sequence[Destination],
    store: Store,
    *,
    now: int,
    accept: Sequence[str] = (),
    silent: Collection[str] = (),
) -> tuple[Plan, dict[str, PlatformError]]:
    """The plan with what has become stale held, and the destinations that did not answer.

    Raises Held for a plan that is too old, or that a later pull has overtaken. What destinations say of people's
    standing is read again, so that `apply` drops additions that they forbid by now; `silent` ones are not asked.
    """
    with store.read() as conn:
        _refuse(conn, plan, now)
        read_at = read_ages(conn)
    failed: dict[str, PlatformError] = {}
    for destination in destinations:
        if destination.name not in silent and destination.name not in dict(plan.unreachable):
            try:
                identities.refresh(store, destination, now)
            except (Unavailable, BadReply) as error:
                failed[destination.name] = error
    passes = guards.parse_force(accept)
    wishes = {its.key: its for its in segments}
    sites = {its.name: its for its in destinations}
    audiences, holding = [], []
    timed = plan.undoes is None
    for its in plan.audiences:
        wish = wishes.get(its.segment)
        site = sites.get(its.destination)
        guard = _stale(its, stale(wish, site, read_at, now), now) if timed and wish and site and not its.held else None
        if guard and not _passed(plan, guard) and not guards.is_passed(guard, passes):
            holding.append(guard)
            its = replace(its, held=True)
        audiences.append(its)
    return replace(plan, audiences=tuple(audiences), guards=(*plan.guards, *holding)), failed


def _refuse(conn: Connection, plan: Plan, now: int) -> None:
    age = now - plan.now
    if age > guards.FRESH_SECONDS:
        hours = f"{age // 3600} h old, more than {guards.FRESH_SECONDS // 3600} h"
        raise Held(f"plan {plan.id} is {hours}; run `{plan.again}` again")
    read = [stream for stream, at in sorted(state.completed(conn).items()) if at is not None and at > plan.now]
    if plan.undoes is None and (read or state.any_dirty(conn)):
        what = f"{' and '.join(read)} were" if read else "more was"
        raise Held(
            f"plan {plan.id} is stale: {what} read since it was made; run `regulars derive` and `regulars plan` again"
        )


def _stale(its: AudiencePlan, found: tuple[tuple[str, int | None], ...], now: int) -> Guard | None:
    facts = Facts(its.destination, its.segment, its.name, add=its.add, remove=its.remove, stale=found)
    return next((guard for guard in guards.check(facts, now) if guard.guard == guards.STALE_SOURCE), None)


def _passed(plan: Plan, guard: Guard) -> bool:
    """True when the plan was made with this guard passed."""
    key = (guard.guard, guard.destination, guard.segment)
    return any((its.guard, its.destination, its.segment) == key for its in plan.passed)
