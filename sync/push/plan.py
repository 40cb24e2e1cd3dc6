"""From wanted membership to a frozen plan. Reads the store and asks destinations; writes nothing outside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Protocol

from connector.base import Audience, Destination, Shop
from sync.errors import UsageError
from sync.metrics.fields import check_fields
from sync.progress import Progress, Silent
from sync.push import audiences, consent, fields, guards, identities, plan_value
from sync.push.audiences import Place
from sync.push.consent import Waterfall
from sync.push.guards import Facts, Guard
from sync.push.plan_value import BEHIND, AudiencePlan, FieldPlan, Plan
from sync.push.sealing import reaching, seal
from sync.store import audience as audience_rows
from sync.store import diff, ledger, queue, sight, state, withdrawn
from sync.store.diff import Counts
from sync.store.engine import Connection, Store

__all__ = ["Plan", "Wish", "config_digest", "make_plan", "read_ages", "stale"]


class Wish(Protocol):
    """What planning asks of a segment."""

    @property
    def key(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def push(self) -> Sequence[str] | None: ...
    @property
    def turnover(self) -> str | None: ...
    @property
    def rule_hash(self) -> str: ...
    @property
    def sources(self) -> Collection[str]: ...


@dataclass(slots=True)
class _Site:
    """One destination on the way to its part of the plan."""

    destination: Destination
    named: dict[str, str]
    placed: list[Place] = field(default_factory=list)
    others: list[Place] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    flows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    waterfalls: dict[str, Waterfall] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)
    stranded: dict[str, int] = field(default_factory=dict)
    fields: FieldPlan | None = None
    undoing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Scene:
    """What holds for every audience."""

    now: int
    wishes: Mapping[str, Wish]
    read_at: Mapping[str, int | None]
    oldest_order: int | None
    passes: tuple[tuple[str, str | None], ...]


def make_plan(
    store: Store,
    segments: Sequence[Wish],
    destinations: Sequence[Destination],
    *,
    now: int,
    run_id: int,
    force: Sequence[str] = (),
    accept: Sequence[str] = (),
    adopt: bool = False,
    shop: Shop | None = None,
    silent: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Compare what is wanted with what is acknowledged, and keep the plan.

    `force` are the run's `--force GUARD[:SEGMENT]`, `accept` the standing ones; `shop` tells whether its history is
    truncated. A destination that does not answer is left out and named, one of `silent` (with what it said) is not
    even asked; a refused key stops everything.
    """
    forced = guards.parse_force(force)
    check_force(forced, [its.key for its in segments])
    for each in destinations:
        check_fields(each.fields, each.name)
    passes = (*forced, *guards.parse_force(accept))
    with store.read() as conn:
        missing = _missing(conn, segments, now)
        read_at = read_ages(conn)
    ready = [segment for segment in segments if segment.key not in missing]
    scene = _Scene(now, {its.key: its for its in segments}, read_at, shop.oldest_order if shop else None, passes)
    sites = [_Site(each, audiences.names(each, _pushed(segments, each))) for each in destinations]
    unreachable = dict(silent or {})
    progress = progress or Silent()

    keys = {its.key for its in ready}
    reached = reaching(sites, unreachable, lambda site: _approach(store, site, keys, now, adopt, progress))
    with store.begin() as conn:
        _compare(conn, reached, now)
        fingerprint = ledger.fingerprint(conn)
    reached = reaching(reached, unreachable, _ask_flows)
    plan = replace(
        _assemble(reached, scene, run_id),
        unavailable=tuple(sorted(missing.items())),
        unreachable=tuple(sorted(unreachable.items())),
        fields=tuple(site.fields for site in reached if site.fields),
        config=config_digest(segments, destinations),
    )
    counts = [(site.destination.name, key, its) for site in reached for key, its in site.counts.items()]
    return seal(store, plan, [site.destination for site in reached], fingerprint, counts)


def config_digest(segments: Sequence[Wish], destinations: Sequence[Destination]) -> str:
    """Stands for all configuration that a plan depends on."""
    content = [
        [each.name, sorted((key, called) for key, called in audiences.names(each, _pushed(segments, each)).items())]
        for each in destinations
    ]
    return plan_value.digest([content, sorted((its.key, its.rule_hash) for its in segments)])


def _pushed(segments: Sequence[Wish], destination: Destination) -> list[tuple[str, str]]:
    return [(its.key, its.name) for its in segments if its.push is None or destination.name in its.push]


def streams(segment: Wish) -> set[str]:
    """What a segment is made of; who a person is and what they agreed to are always part of it."""
    return {*segment.sources, "customers"}


def read_ages(conn: Connection) -> dict[str, int | None]:
    """When streams were last read to their end, and when consent was last seen if it is withheld since."""
    return {**state.completed(conn), **sight.consent_read(conn)}


def stale(
    segment: Wish, destination: Destination, read_at: Mapping[str, int | None], now: int
) -> tuple[tuple[str, int | None], ...]:
    """What of an audience is founded on too old a read."""
    consent_counts = sight.CONSENT in read_at and destination.limits.consent
    own = streams(segment) - state.spared(read_at)
    return guards.stale([*own, *([sight.CONSENT] if consent_counts else [])], read_at, now)


def check_force(forced: Sequence[tuple[str, str | None]], keys: Sequence[str]) -> None:
    """Raises UsageError where a guard is to pass for a segment that is none of `keys`."""
    for guard, key in forced:
        if key is not None and key not in keys:
            near = get_close_matches(key, keys, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"--force {guard}:{key}: no segment {key!r}{hint}")


def _missing(conn: Connection, segments: Sequence[Wish], now: int) -> dict[str, str]:
    """Why segments cannot be planned, by key: a source never read, or members that are not those of the facts here."""
    evaluated, read_at = state.get_meta(conn, state.EVALUATED), state.completed(conn)
    if evaluated is None or now - evaluated > guards.FRESH_SECONDS or state.any_dirty(conn):
        evaluated = -1
    known = {
        row[0]: (row[1], row[2]) for row in conn.exec_driver_sql("SELECT key, rule_hash, missing FROM segment_state")
    }
    found: dict[str, str] = {}
    for segment in segments:
        rule_hash, missing = known.get(segment.key, (None, None))
        if missing is not None:
            found[segment.key] = missing
        elif rule_hash != segment.rule_hash:
            found[segment.key] = "not evaluated yet; run `regulars derive`"
        elif any((read_at.get(stream) or 0) > evaluated for stream in streams(segment)):
            found[segment.key] = BEHIND
    return found


def _approach(store: Store, site: _Site, ready: Collection[str], now: int, adopt: bool, progress: Progress) -> None:
    """Learn who and what is there already."""
    destination = site.destination
    named = {key: name for key, name in site.named.items() if key in ready}
    identities.refresh(store, destination, now, progress)
    identities.look_up(store, destination, list(named), now, progress)
    seen = audiences.look(store, destination, named)
    with store.read() as conn:
        site.placed = audiences.place(conn, destination, named, seen, site.named.values(), adopt)
        site.others = audiences.others(conn, destination.name, site.named)
        site.filled = {
            its.segment
            for its in audience_rows.kept(conn, destination.name).values()
            if its.filled_at is not None or its.retired
        }
        site.undoing = queue.undoing(conn, destination.name)


def _compare(conn: Connection, sites: Sequence[_Site], now: int) -> None:
    """Fill `plan_op` and the counts. All of it local."""
    for site in sites:
        ledger.follow_people(conn, site.destination.name, by_email=site.destination.limits.by_email)
    diff.start(conn)
    for site in sites:
        destination = site.destination
        by_email = destination.limits.by_email
        consent.prepare(conn, destination)
        ledger.make_adoptable(conn)
        for place in site.placed:
            owned = "ledger"
            if place.adopt and not by_email:
                ledger.adoptable(conn, destination.name, place.segment, place.name, place.remote_id)
                owned = "temp.adoptable"
            withdrawn.forget(conn, destination.name, place.segment)
            consent.double(conn, place.segment)
            diff.compare(conn, destination.name, place.segment, by_email=by_email, owned=owned)
            site.waterfalls[place.segment] = consent.waterfall(conn, destination.name, place.segment, owned)
        for place in site.others:
            if place.closing:
                diff.empty(conn, destination.name, place.segment)
            if place.successor is not None:
                site.stranded[place.segment] = ledger.outside(conn, destination.name, place.segment, place.successor)
        ledger.forget_refused(conn, destination.name)
        site.fields = _differing(conn, destination, now)
        site.sizes = ledger.sizes(conn, destination.name) | ledger.adoptable_sizes(conn)
        consent.drop(conn)
    counts = diff.counts(conn)
    for site in sites:
        name = site.destination.name
        for place in (*site.placed, *site.others):
            found = counts.get((name, place.segment), Counts())
            site.counts[place.segment] = replace(found, before=site.sizes.get(place.segment, 0))
    queue.keep_plan_ops(conn, {site.destination.name: site.destination.limits.by_email for site in sites})
    diff.finish(conn)


def _differing(conn: Connection, destination: Destination, now: int) -> FieldPlan | None:
    digests = [digest for _, digest in fields.differing(conn, destination, now)]
    return FieldPlan(destination.name, len(digests), ledger.hashed("".join(digests))) if digests else None


def _ask_flows(site: _Site) -> None:
    """Name the live flows of audiences that stand there already and get new members."""
    for place in site.placed:
        counts = site.counts.get(place.segment)
        if counts and counts.add and place.remote_id is not None and site.destination.limits.keyed:
            audience = Audience(place.segment, place.name, place.remote_id)
            site.flows[place.segment] = tuple(site.destination.live_flows(audience))


def _assemble(sites: Sequence[_Site], scene: _Scene, run_id: int) -> Plan:
    """Pure: counts and places to audiences, guards and what passed them."""
    planned: list[AudiencePlan] = []
    retired: list[AudiencePlan] = []
    holding: list[Guard] = []
    passed: list[Guard] = []
    for site in sites:
        for place in (*site.placed, *site.others):
            audience = _audience(site, place, scene)
            if place.segment not in site.waterfalls and not (place.closing and audience.ops):
                retired += [replace(audience, size=audience.before)] if audience.before else []
                continue
            tripped = guards.check(_facts(site, place, scene), scene.now)
            held = [guard for guard in tripped if not guards.is_passed(guard, scene.passes)]
            holding += held
            passed += [guard for guard in tripped if guard not in held]
            planned.append(replace(audience, held=bool(held) or _waits(site, place, planned, scene)))
    return Plan(scene.now, run_id, tuple(planned), tuple(retired), tuple(holding), tuple(passed))


def _waits(site: _Site, place: Place, planned: Sequence[AudiencePlan], scene: _Scene) -> bool:
    """True of an audience that was left for another name while that one is held, or was never filled, and of one where
    taking a run back is not through."""
    if place.segment in site.undoing and not guards.passed(guards.UNDONE, place.segment, scene.passes):
        return True
    if place.successor is None:
        return False
    for its in planned:
        if (its.destination, its.segment) == (place.destination, place.successor):
            return its.held
    return place.successor not in site.filled


def _audience(site: _Site, place: Place, scene: _Scene) -> AudiencePlan:
    counts = site.counts[place.segment]
    wish = scene.wishes.get(place.segment)
    waterfall = site.waterfalls.get(place.segment, Waterfall(0, 0, {}, 0))
    configured = place.segment in site.waterfalls
    return AudiencePlan(
        destination=place.destination,
        segment=place.segment,
        name=place.name,
        matched=waterfall.matched,
        size=waterfall.size,
        before=counts.before,
        add=counts.add,
        remove=counts.remove,
        lost=counts.lost,
        doubt=counts.doubt,
        doubled=waterfall.doubled,
        skipped=waterfall.skipped,
        remote_id=place.remote_id,
        rule_hash=wish.rule_hash if wish and configured else None,
        renamed_from=place.renamed_from,
        adopt=place.adopt,
        new=place.kept is None or place.kept.remote_id is None,
        flows=site.flows.get(place.segment, ()),
        retired=not configured,
        closing=place.closing,
        kind=audiences.kind(site.destination),
        keyed=site.destination.limits.keyed,
        consent=site.destination.limits.consent,
        silent=site.destination.limits.silent and (place.kept is None or place.kept.filled_at is None),
    )


def _facts(site: _Site, place: Place, scene: _Scene) -> Facts:
    counts = site.counts[place.segment]
    if place.closing:
        left, key = site.stranded.get(place.segment, 0), place.successor or place.segment
        return Facts(
            place.destination,
            key,
            place.name,
            counts.before,
            matched=counts.before,
            remove=left,
            left=left,
            undone=place.kept.undone if place.kept else None,
        )
    wish = scene.wishes[place.segment]
    kept = place.kept
    rule_changed = kept is not None and kept.rule_hash not in (None, wish.rule_hash)
    waterfall = site.waterfalls[place.segment]
    return Facts(
        destination=place.destination,
        segment=place.segment,
        name=place.name,
        before=counts.before,
        size=waterfall.size,
        matched=waterfall.matched,
        add=counts.add,
        remove=counts.remove,
        left=counts.left,
        waiting=counts.waiting,
        adopted=place.adopted,
        filled=kept is not None and kept.filled_at is not None,
        changeable=wish.turnover == "expected",
        flows=site.flows.get(place.segment, ()),
        rule_changed=rule_changed,
        undone=kept.undone if kept is not None and not rule_changed else None,
        stale=stale(wish, site.destination, scene.read_at, scene.now),
        oldest_order=scene.oldest_order if "orders" in wish.sources else None,
        unclaimed=place.unclaimed,
    )
