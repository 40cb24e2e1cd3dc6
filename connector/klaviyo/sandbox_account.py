"""A Klaviyo account as its simulator keeps it: people, lists, flows, imports. No HTTP."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from connector.base import Clock

LAG = 3.0
"""Seconds until a change of members or a new profile shows in reads. Klaviyo gives no number."""

_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(slots=True)
class Person:
    """A profile. `aliases` are former addresses of merged profiles, which still find it."""

    id: str
    email: str
    created: float
    updated: float
    visible_at: float = 0.0
    consent: str = "NEVER_SUBSCRIBED"
    suppressions: list[tuple[str, float]] = field(default_factory=list)
    aliases: tuple[str, ...] = ()
    properties: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Roll:
    """A list: who is on it, and who readers see on it yet. Pending changes are (instant, profile id, joins)."""

    id: str
    name: str
    created: float
    updated: float
    members: dict[str, float] = field(default_factory=dict)
    shown: dict[str, float] = field(default_factory=dict)
    pending: deque[tuple[float, str, bool]] = field(default_factory=deque)


@dataclass(slots=True)
class Flow:
    """An automation that begins when someone joins `list_id`, or gets an event of `metric`."""

    id: str
    name: str
    list_id: str
    status: str
    created: float
    archived: bool = False
    metric: str = ""


@dataclass(frozen=True, slots=True)
class FlowJoin:
    """Someone was sent into a live flow: in a real shop, a mail goes out. `list_id` is "" where an event did it."""

    flow: str
    list_id: str
    profile_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a profile did. `quiet`: recorded as history, which starts no flow."""

    metric: str
    profile_id: str
    unique_id: str
    at: float
    properties: Mapping[str, object]
    quiet: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """One profile that an import could not take."""

    index: int
    address: str
    code: str
    title: str


@dataclass(slots=True)
class Import:
    """A bulk import. `starts` and `ends` are instants; `ends` is None for a job that never finishes."""

    id: str
    list_id: str | None
    addresses: tuple[str, ...]
    created: float
    starts: float
    ends: float | None
    settled: bool = False
    cancelled: bool = False
    landed: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def status(self, now: float) -> str:
        if self.cancelled:
            return "cancelled"
        if self.ends is not None and now >= self.ends:
            return "complete"
        return "processing" if now >= self.starts else "queued"


class Account:
    """One account and its happenings. `writes` counts every change by kind; `flow_joins` lists who was sent where.

    `joins` counts by list and profile how often somebody came onto a list; `events` are by metric, profile and unique
    id, of which the first counts. `torn` are addresses that lead to another profile's conflict.
    """

    def __init__(self, clock: Clock, *, scale: float = 1.0, seed: int = 1) -> None:
        self.clock = clock
        self.scale = scale
        self.people: dict[str, Person] = {}
        self.lists: dict[str, Roll] = {}
        self.flows: dict[str, Flow] = {}
        self.imports: dict[str, Import] = {}
        self.flow_joins: list[FlowJoin] = []
        self.joins: Counter[tuple[str, str]] = Counter()
        self.events: dict[tuple[str, str, str], Event] = {}
        self.metrics: dict[str, str] = {}
        self.torn: dict[str, str] = {}
        self.writes: Counter[str] = Counter()
        self.unimportable: dict[str, str] = {}
        self.imports_stick = False
        self._by_address: dict[str, str] = {}
        self._random = random.Random(seed)  # noqa: S311

    def now(self) -> float:
        return self.clock.now()

    def add_person(
        self,
        email: str,
        *,
        consent: str = "NEVER_SUBSCRIBED",
        suppressed: str | None = None,
        aliases: Iterable[str] = (),
        lag: float = 0.0,
    ) -> Person:
        """Klaviyo keeps addresses in lower case."""
        now = self.now()
        person = Person(self._long_id(now), email.strip().lower(), now, now, now + lag, consent)
        person.aliases = tuple(alias.lower() for alias in aliases)
        self.people[person.id] = person
        for address in (person.email, *person.aliases):
            self._by_address[address] = person.id
        if suppressed:
            self.suppress(person, suppressed)
        return person

    def find_person(self, address: str) -> Person | None:
        """By present or former address, however written."""
        return self.people.get(self._by_address.get(address.strip().lower(), ""))

    def unsubscribe(self, person: Person) -> None:
        person.consent = "UNSUBSCRIBED"
        self.suppress(person, "UNSUBSCRIBE")

    def suppress(self, person: Person, reason: str = "USER_SUPPRESSED") -> None:
        """Leaves `updated` as it is: nothing says that a suppression moves it."""
        person.suppressions.append((reason, self.now()))

    def delete_person(self, person: Person) -> None:
        del self.people[person.id]
        for address in (person.email, *person.aliases):
            self._by_address.pop(address, None)
        for roll in self.lists.values():
            roll.members.pop(person.id, None)
            roll.shown.pop(person.id, None)

    def merge_people(self, loser: Person, survivor: Person) -> None:
        """As a hand in Klaviyo's screens would: the survivor answers to both addresses and is on both's lists."""
        joined = [roll for roll in self.lists.values() if loser.id in roll.members]
        self.delete_person(loser)
        survivor.aliases += (loser.email, *loser.aliases)
        survivor.updated = self.now()
        for address in survivor.aliases:
            self._by_address[address] = survivor.id
        for roll in joined:
            self.join(roll, survivor)

    def add_list(self, name: str) -> Roll:
        now = self.now()
        roll = Roll("".join(self._random.choices(_ALPHABET, k=6)), name, now, now)
        self.lists[roll.id] = roll
        self.writes["lists_created"] += 1
        return roll

    def rename_list(self, roll: Roll, name: str) -> None:
        roll.name = name
        roll.updated = self.now()
        self.writes["lists_renamed"] += 1

    def delete_list(self, list_id: str) -> None:
        """As a hand in Klaviyo's screens would; flows of the list stay without a trigger."""
        del self.lists[list_id]

    def add_flow(self, roll: Roll, name: str, *, status: str = "live") -> Flow:
        flow = Flow("".join(self._random.choices(_ALPHABET, k=6)), name, roll.id, status, self.now())
        self.flows[flow.id] = flow
        return flow

    def add_metric_flow(self, metric: str, name: str, *, status: str = "live") -> Flow:
        """A flow that begins with an event of the metric, which is there from now on."""
        self.metric(metric)
        flow = Flow("".join(self._random.choices(_ALPHABET, k=6)), name, "", status, self.now(), metric=metric)
        self.flows[flow.id] = flow
        return flow

    def metric(self, name: str) -> str:
        """Its id; the first event of a name makes it."""
        if name not in self.metrics:
            self.metrics[name] = "".join(self._random.choices(_ALPHABET, k=6))
        return self.metrics[name]

    def record(self, event: Event) -> None:
        """Of the events with one metric, profile and unique id the first counts."""
        self.metric(event.metric)
        key = (event.metric, event.profile_id, event.unique_id)
        if key in self.events:
            self.writes["events_repeated"] += 1
            return
        self.events[key] = event
        self.writes["events"] += 1
        if not event.quiet:
            self._start(event.profile_id, [flow for flow in self.flows.values() if flow.metric == event.metric])

    def patch(self, person: Person, append: Mapping[str, list[str]], unappend: Mapping[str, list[str]]) -> None:
        """What Klaviyo leaves open is answered in the way that asks most of a client: a repeated append makes a second
        value, and an unappend takes one."""
        for name, values in unappend.items():
            there = person.properties.get(name, [])
            for value in values:
                if value in there:
                    there.remove(value)
        for name, values in append.items():
            person.properties.setdefault(name, []).extend(values)
        person.updated = self.now()
        self.writes["properties_changed"] += 1

    def subscribe(self, person: Person) -> None:
        """Grants consent and lifts suppressions. Nothing that keeps segments may ever lead here."""
        person.consent = "SUBSCRIBED"
        person.suppressions = [its for its in person.suppressions if its[0] in ("HARD_BOUNCE", "INVALID_EMAIL")]
        self.writes["consent_changed"] += 1

    def consent_states(self) -> dict[str, tuple[str, tuple[tuple[str, float], ...]]]:
        """By profile id: consent, and suppressions with their instants."""
        return {its.id: (its.consent, tuple(its.suppressions)) for its in self.people.values()}

    def join(self, roll: Roll, person: Person) -> None:
        """Joining again changes nothing and starts no flow."""
        now = self.now()
        if person.id in roll.members:
            self.writes["members_repeated"] += 1
            return
        roll.members[person.id] = now
        roll.pending.append((now, person.id, True))
        self.writes["members_added"] += 1
        self.joins[roll.id, person.id] += 1
        self._start(person.id, [flow for flow in self.flows.values() if flow.list_id == roll.id])

    def leave(self, roll: Roll, person: Person) -> None:
        """Consent and suppression stay as they are."""
        if roll.members.pop(person.id, None) is None:
            self.writes["removals_repeated"] += 1
            return
        roll.pending.append((self.now(), person.id, False))
        self.writes["members_removed"] += 1

    def shown(self, roll: Roll) -> dict[str, float]:
        """Members as readers see them now, with the instant each joined."""
        until = self.now() - LAG / self.scale
        while roll.pending and roll.pending[0][0] <= until:
            at, profile_id, joins = roll.pending.popleft()
            if not joins:
                roll.shown.pop(profile_id, None)
            elif profile_id in self.people:
                roll.shown[profile_id] = at
        return roll.shown

    def start_import(self, list_id: str | None, addresses: Iterable[str]) -> Import:
        """Queued for a second, then worked off at 5,000 profiles a second, never under two seconds."""
        now = self.now()
        job = Import(self._long_id(now), list_id, tuple(addresses), now, now + 1 / self.scale, None)
        if not self.imports_stick:
            job.ends = job.starts + max(2.0, len(job.addresses) / 5000) / self.scale
        self.imports[job.id] = job
        self.writes["imports"] += 1
        return job

    def settle(self) -> None:
        """Bring about what finished imports bring about."""
        now = self.now()
        for job in self.imports.values():
            if not job.settled and job.status(now) == "complete":
                job.settled = True
                self._carry_out(job)

    def _start(self, profile_id: str, flows: Iterable[Flow]) -> None:
        for flow in flows:
            if flow.status == "live" and not flow.archived:
                self.flow_joins.append(FlowJoin(flow.name, flow.list_id, profile_id, self.now()))

    def _carry_out(self, job: Import) -> None:
        roll = self.lists.get(job.list_id or "")
        for index, address in enumerate(job.addresses):
            title = self.unimportable.get(address.lower())
            if title is not None:
                job.failures.append(Failure(index, address, "invalid", title))
                continue
            person = self.find_person(address)
            if person is None:
                person = self.add_person(address, lag=LAG / self.scale)
                self.writes["profiles_created"] += 1
            else:
                person.updated = self.now()
                self.writes["profiles_updated"] += 1
            job.landed.append(person.id)
            if roll is not None:
                self.join(roll, person)

    def _long_id(self, now: float) -> str:
        """Twenty-six characters that sort by time, as Klaviyo's do."""
        number = (int(now * 1000) << 80) | self._random.getrandbits(80)
        return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -5, -5))
