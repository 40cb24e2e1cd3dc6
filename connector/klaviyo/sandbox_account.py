"""A Klaviyo account as its simulator keeps it: people, lists, flows, imports. No HTTP."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterable
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
    """An automation that begins when someone joins `list_id`."""

    id: str
    name: str
    list_id: str
    status: str
    created: float
    archived: bool = False


@dataclass(frozen=True, slots=True)
class FlowJoin:
    """Someone was sent into a live flow: in a real shop, a mail goes out."""

    flow: str
    list_id: str
    profile_id: str
    at: float


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
    """One account and its happenings. `writes` counts every change by kind; `flow_joins` lists who was sent where."""

    def __init__(self, clock: Clock, *, scale: float = 1.0, seed: int = 1) -> None:
        self.clock = clock
        self.scale = scale
        self.people: dict[str, Person] = {}
        self.lists: dict[str, Roll] = {}
        self.flows: dict[str, Flow] = {}
        self.imports: dict[str, Import] = {}
        self.flow_joins: list[FlowJoin] = []
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

    def join(self, roll: Roll, person: Person) -> None:
        """Joining again changes nothing and starts no flow."""
        now = self.now()
        if person.id in roll.members:
            self.writes["members_repeated"] += 1
            return
        roll.members[person.id] = now
        roll.pending.append((now, person.id, True))
        self.writes["members_added"] += 1
        self.flow_joins += [
            FlowJoin(flow.name, roll.id, person.id, now)
            for flow in self.flows.values()
            if flow.list_id == roll.id and flow.status == "live" and not flow.archived
        ]

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
