"""What every plan needs, whatever it wants: destinations that answer, an estimate, a seal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from connector.base import Destination
from connector.errors import BadReply, Unavailable
from sync.push import plan_value
from sync.push.plan_value import Plan
from sync.store import plans, queue
from sync.store.diff import Counts
from sync.store.engine import Store


class At(Protocol):
    """Work that belongs to one destination."""

    @property
    def destination(self) -> Destination: ...


Site = TypeVar("Site", bound=At)


def reaching(sites: Sequence[Site], unreachable: dict[str, str], work: Callable[[Site], None]) -> list[Site]:
    """Do the work at every site that answers; who does not is noted in `unreachable` and left out of the rest."""
    reached = []
    for site in sites:
        if site.destination.name in unreachable:
            continue
        try:
            work(site)
        except (Unavailable, BadReply) as error:
            unreachable[site.destination.name] = str(error)
        else:
            reached.append(site)
    return reached


def estimate(store: Store, destinations: Iterable[Destination], plan: Plan) -> tuple[int, float]:
    """Calls, and seconds one destination after the other. Reads `plan_op`."""
    calls, seconds = 0, 0.0
    fields = {its.destination: its.people for its in plan.fields}
    for destination in destinations:
        free = [its for its in plan.audiences if its.destination == destination.name and not its.held]
        sending = [its.segment for its in free if its.ops]
        if sending:
            with store.read() as conn:
                adds, removes = queue.planned_people(conn, destination, sending)
                quiet = queue.hushed(conn, destination.name, sending)
            its_calls, its_seconds = destination.estimate(adds, removes, quiet)
            calls, seconds = calls + its_calls, seconds + its_seconds
        if destination.name in fields:
            its_calls, its_seconds = destination.estimate_fields(fields[destination.name])
            calls, seconds = calls + its_calls, seconds + its_seconds
        calls += sum(1 for its in free if its.renamed_from)
        calls += sum(1 for its in free if its.keyed and its.remote_id is None and its.add)
    return calls, seconds


def seal(
    store: Store,
    plan: Plan,
    destinations: Iterable[Destination],
    fingerprint: tuple[list[Any], list[Any]],
    counts: Iterable[tuple[str, str, Counts]],
) -> Plan:
    """The plan with its estimate, what it was decided on (`ledger.fingerprint`) and its id; kept, as the last one."""
    calls, seconds = estimate(store, destinations, plan)
    members, owned = fingerprint
    plan = replace(
        plan,
        calls_estimated=calls,
        seconds_estimated=seconds,
        members=plan_value.digest(members),
        owned=plan_value.digest(owned),
        ops=plan_value.digest([(destination, key, its.digest) for destination, key, its in counts]),
    )
    plan = replace(plan, id=plan_value.identify(plan))
    with store.begin() as conn:
        plans.keep(conn, plan)
    return plan
