"""Takes back what one run wrote: the opposite of its acknowledged changes, as a plan like any other.

Who was moved by a later run is left alone, and who was taken out comes back only where consent allows it today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from connector.base import Audience, Destination
from sync.errors import UsageError
from sync.progress import Progress
from sync.push import audiences, consent, guards, identities
from sync.push.guards import Facts, Guard
from sync.push.plan import Wish, check_force, config_digest
from sync.push.plan_value import AudiencePlan, Plan
from sync.push.sealing import reaching, seal
from sync.store import audience as audience_rows
from sync.store import diff, ledger, plans, queue, reverse
from sync.store.audience import Kept
from sync.store.diff import Counts
from sync.store.engine import Connection, Store
from sync.store.reverse import Reversal

WRITING = ("sync", "apply", "undo")
"""Commands whose runs write to destinations."""


@dataclass(slots=True)
class _Site:
    """One destination on the way to its part of the plan."""

    destination: Destination
    kept: dict[str, Kept] = field(default_factory=dict)
    found: dict[str, Reversal] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    flows: dict[str, tuple[str, ...]] = field(default_factory=dict)


def plan_undo(
    store: Store,
    segments: Sequence[Wish],
    destinations: Sequence[Destination],
    *,
    target: int,
    now: int,
    run_id: int,
    force: Sequence[str] = (),
    accept: Sequence[str] = (),
    silent: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Plan:
    """The opposite of what the run `target` wrote, and keep the plan. Raises UsageError where it wrote nothing.

    `force`, `accept` and `silent` are as for `make_plan`.
    """
    forced = guards.parse_force(force)
    with store.read() as conn:
        written = undoable(conn, target)
        mark = _mark(store, conn, target)
        check_force(forced, [*(its.key for its in segments), *(key for _, key in audience_rows.kept(conn))])
    sites = [_Site(each) for each in destinations if each.name in written]
    unreachable = {name: error for name, error in (silent or {}).items() if name in written}

    reached = reaching(sites, unreachable, lambda site: identities.refresh(store, site.destination, now, progress))
    with store.begin() as conn:
        _reverse(conn, reached, target)
        fingerprint = ledger.fingerprint(conn)
    reached = reaching(reached, unreachable, _ask_flows)
    wishes = {its.key: its for its in segments}
    passes = (*forced, *guards.parse_force(accept))
    plan = replace(
        _assemble(reached, wishes, passes, Plan(now, run_id, (), undoes=target, mark=mark)),
        unreachable=tuple(sorted(unreachable.items())),
        disabled=tuple((name, number) for name, number in sorted(written.items()) if name not in _names(destinations)),
        config=config_digest(segments, destinations),
    )
    counts = [(site.destination.name, key, its) for site in reached for key, its in site.counts.items()]
    return seal(store, plan, [site.destination for site in reached], fingerprint, counts)


def undoable(conn: Connection, target: int) -> dict[str, int]:
    """Acknowledged changes of the run by destination. Raises UsageError where there are none."""
    row = conn.exec_driver_sql("SELECT command FROM sync_run WHERE id = ?", (target,)).first()
    if row is None:
        raise UsageError(f"no run {target}; `regulars status` lists the last ones")
    written = reverse.written(conn, target)
    if not written:
        why = "wrote nothing that was acknowledged" if row[0] in WRITING else f"was a {row[0]} and wrote nothing"
        raise UsageError(f"run {target} {why}, so there is nothing to take back; `regulars status` lists the last runs")
    return written


def _mark(store: Store, conn: Connection, target: int) -> int | None:
    """What audiences shall remember: the run that was taken back, or nothing where taking back is taken back."""
    depth, run = 1, target
    while (before := _undone_by(store, conn, run)) is not None and before < run:
        depth, run = depth + 1, before
    return target if depth % 2 else None


def _undone_by(store: Store, conn: Connection, run: int) -> int | None:
    """The run that this one took back, if that is all it did; always an earlier one."""
    found = {plans.load(store, each).undoes for each in reverse.plans_of(conn, run)}
    return min(number for number in found if number is not None) if found and None not in found else None


def _names(destinations: Sequence[Destination]) -> set[str]:
    return {each.name for each in destinations}


def _reverse(conn: Connection, sites: Sequence[_Site], target: int) -> None:
    """Fill `plan_op` and the counts. All of it local."""
    for site in sites:
        ledger.follow_people(conn, site.destination.name, by_email=site.destination.limits.by_email)
    diff.start(conn)
    reverse.start(conn, target)
    for site in sites:
        consent.prepare(conn, site.destination)
        reverse.reverse(conn, site.destination.name, target)
        consent.drop(conn)
    counts = diff.counts(conn)
    found = reverse.tally(conn, [site.destination.name for site in sites])
    for site in sites:
        name = site.destination.name
        sizes = ledger.sizes(conn, name)
        site.kept = {segment: its for (_, segment), its in audience_rows.kept(conn, name).items()}
        site.found = {segment: its for (at, segment), its in found.items() if at == name}
        site.counts = {
            segment: replace(counts.get((name, segment), Counts()), before=sizes.get(segment, 0))
            for segment in site.found
        }
    queue.keep_plan_ops(conn, {site.destination.name: site.destination.limits.by_email for site in sites})
    reverse.finish(conn)
    diff.finish(conn)


def _ask_flows(site: _Site) -> None:
    """Name the live flows of audiences that people come back to."""
    for segment, its in site.counts.items():
        kept = site.kept.get(segment)
        if its.add and kept and kept.remote_id is not None and site.destination.limits.keyed:
            audience = Audience(segment, kept.name, kept.remote_id)
            site.flows[segment] = tuple(site.destination.live_flows(audience))


def _assemble(
    sites: Sequence[_Site], wishes: Mapping[str, Wish], passes: Sequence[tuple[str, str | None]], plan: Plan
) -> Plan:
    """Pure: what is taken back, to audiences, guards and what passed them."""
    planned: list[AudiencePlan] = []
    holding: list[Guard] = []
    passed: list[Guard] = []
    for site in sites:
        for segment in site.found:
            audience = _audience(site, segment, wishes)
            tripped = guards.check(_facts(site, audience, wishes.get(segment), plan), plan.now)
            held = [guard for guard in tripped if not guards.is_passed(guard, passes)]
            holding += held
            passed += [guard for guard in tripped if guard not in held]
            planned.append(replace(audience, held=bool(held)))
    return replace(plan, audiences=tuple(planned), guards=tuple(holding), passed=tuple(passed))


def _audience(site: _Site, segment: str, wishes: Mapping[str, Wish]) -> AudiencePlan:
    counts, found = site.counts[segment], site.found[segment]
    kept = site.kept.get(segment) or Kept(site.destination.name, segment, segment)
    return AudiencePlan(
        destination=site.destination.name,
        segment=segment,
        name=kept.name,
        matched=found.changed,
        size=counts.before + counts.add - counts.remove,
        before=counts.before,
        add=counts.add,
        remove=counts.remove,
        skipped=found.skipped,
        remote_id=kept.remote_id,
        flows=site.flows.get(segment, ()),
        retired=segment not in wishes,
        kind=audiences.kind(site.destination),
        keyed=site.destination.limits.keyed,
        consent=site.destination.limits.consent,
    )


def _facts(site: _Site, its: AudiencePlan, wish: Wish | None, plan: Plan) -> Facts:
    kept = site.kept.get(its.segment)
    return Facts(
        destination=its.destination,
        segment=its.segment,
        name=its.name,
        before=its.before,
        size=its.size,
        matched=its.size,
        add=its.add,
        remove=its.remove,
        left=its.remove,
        waiting=site.counts[its.segment].waiting,
        adopted=kept is not None and kept.adopted,
        filled=kept is not None and kept.filled_at is not None,
        changeable=wish is not None and wish.turnover == "expected",
        flows=its.flows,
        undoes=plan.undoes,
    )
