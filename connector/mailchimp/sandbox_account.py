"""Mailchimp audiences as the simulator keeps them: members, tags, merge fields, and what happened to them. No HTTP."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from connector.base import Clock

STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional")
MERGE_FIELDS = 30
"""Largest number of merge fields of an audience, those it begins with counted."""

TAG_LENGTH = 10
_FIRST_FIELDS = (("FNAME", "First Name", "text"), ("LNAME", "Last Name", "text"), ("PHONE", "Phone Number", "phone"))


def address_hash(address: str) -> str:
    """MD5 of the lower-cased address: the key of a member in a path."""
    return hashlib.md5(address.strip().lower().encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True, eq=False)
class Member:
    """A contact. `id` follows the address; `contact_id` and `unique_email_id` stay. Times are whole seconds.

    `compliance`: opted out or bounced by itself, so that only the person can return.
    """

    number: int
    id: str
    address: str
    status: str
    signup: int
    last_changed: int
    compliance: bool = False
    merge_fields: dict[str, Any] = field(default_factory=dict)
    tags: dict[int, Segment] = field(default_factory=dict)

    @property
    def contact_id(self) -> str:
        return hashlib.md5(b"contact/%d" % self.number, usedforsecurity=False).hexdigest()

    @property
    def unique_email_id(self) -> str:
        return self.contact_id[:10]


@dataclass(slots=True, eq=False)
class Segment:
    """A tag (`static`), or a segment by conditions (`saved`) whose members a test sets. Members with joining time.

    `counts` has a tag's members by status, so that nobody counts them one by one.
    """

    id: int
    name: str
    kind: str
    created: int
    updated: int
    members: dict[Member, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def size(self, statuses: frozenset[str]) -> int:
        """Members of these statuses."""
        if self.kind == "saved":
            return sum(member.status in statuses for member in self.members)
        return sum(self.counts[status] for status in statuses)


@dataclass(slots=True)
class MergeField:
    """A field of the members of one audience."""

    id: int
    tag: str
    name: str
    kind: str
    required: bool = False
    public: bool = False


@dataclass(frozen=True, slots=True)
class Automation:
    """A classic automation: the only kind that the API shows. Flows of the present kind stay unseen."""

    id: str
    title: str
    list_id: str
    status: str
    created: int


@dataclass(frozen=True, slots=True)
class Join:
    """An automation began for someone because of a new tag: in a real account, a mail goes out."""

    tag: str
    address: str
    at: int


@dataclass(frozen=True, slots=True)
class ConsentWrite:
    """A request spoke of the status of somebody who existed: `how` is the kind of request."""

    how: str
    address: str
    before: str
    after: str


@dataclass
class Journal:
    """What requests did. `writes` counts by kind; `replaced` names tags whose whole membership was overwritten."""

    writes: Counter[str] = field(default_factory=Counter)
    joins: list[Join] = field(default_factory=list)
    consent_writes: list[ConsentWrite] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    confirmation_mails: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)


class Audience:
    """One audience. Everything here may be called by a test as a hand in Mailchimp's screens would.

    `tells_refused`: a change of a tag by the five hundred names whom it did not take; else it leaves them out. Both are
    documented.
    """

    def __init__(self, clock: Clock, ident: str, name: str, numbers: count[int], journal: Journal) -> None:
        self.id = ident
        self.name = name
        self.tells_refused = True
        self.created = int(clock.now())
        self.double_optin = False
        self.members: dict[str, Member] = {}
        self.segments: dict[int, Segment] = {}
        self.merge_fields: dict[str, MergeField] = {}
        self.forgotten: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.automated: set[str] = set()
        self._clock = clock
        self._numbers = numbers
        self._journal = journal
        self._contacts: dict[str, Member] = {}
        self._named: dict[str, Segment] = {}
        self._changed: dict[Member, None] = {}
        self._in_order = True
        self._latest = 0
        self._cache: dict[Any, Any] = {}
        for tag, label, kind in _FIRST_FIELDS:
            self.merge_fields[tag] = MergeField(next(numbers), tag, label, kind)

    def now(self) -> int:
        return int(self._clock.now())

    def add(self, address: str, status: str = "subscribed", *, at: int | None = None) -> Member:
        """A new contact, `at` being when it came and last changed. Opted-out and bounced ones came so by themselves."""
        moment = self.now() if at is None else at
        member = Member(next(self._numbers), address_hash(address), address.strip(), status, moment, moment)
        member.compliance = status in ("unsubscribed", "cleaned")
        self.members[member.id] = member
        self._contacts[member.contact_id] = member
        self.counts[status] += 1
        self.touch(member, at=moment)
        return member

    def find(self, address: str) -> Member | None:
        """By address, however written. Archived members are found too."""
        return self.members.get(address_hash(address))

    def contact(self, contact_id: str) -> Member | None:
        return self._contacts.get(contact_id)

    def touch(self, member: Member, *, at: int | None = None) -> None:
        """Stamp a member as changed."""
        member.last_changed = self.now() if at is None else at
        self._changed.pop(member, None)
        self._changed[member] = None
        self._in_order = self._in_order and member.last_changed >= self._latest
        self._latest = max(self._latest, member.last_changed)
        self._cache.clear()

    def cached(self, key: Any, build: Callable[[], Any]) -> Any:
        """`build()`, remembered until anything changes: pages of one answer are not sorted out anew."""
        if key not in self._cache:
            self._cache[key] = build()
        return self._cache[key]

    def changed_after(self, since: float) -> list[Member]:
        """Members whose last change is later than `since`, latest first."""
        if not self._in_order:
            self._changed = dict.fromkeys(sorted(self._changed, key=lambda member: member.last_changed))
            self._in_order = True
        found = []
        for member in reversed(self._changed):
            if member.last_changed <= since:
                break
            found.append(member)
        return found

    def set_status(self, member: Member, status: str) -> None:
        self.counts[member.status] -= 1
        self.counts[status] += 1
        for segment in member.tags.values():
            segment.counts[member.status] -= 1
            segment.counts[status] += 1
        member.status = status
        self.touch(member)

    def subscribe(self, address: str) -> Member:
        """The person (again) wants mail."""
        self.forgotten.discard(address_hash(address))
        member = self.find(address) or self.add(address)
        member.compliance = False
        self.set_status(member, "subscribed")
        return member

    def unsubscribe(self, address: str, *, cleaned: bool = False) -> Member:
        """The person opts out, or their mailbox is gone."""
        member = self.members[address_hash(address)]
        member.compliance = True
        self.set_status(member, "cleaned" if cleaned else "unsubscribed")
        return member

    def archive(self, address: str) -> Member:
        """Kept with its tags, out of sight."""
        member = self.members[address_hash(address)]
        self.set_status(member, "archived")
        return member

    def delete_permanent(self, address: str) -> None:
        """Gone for good: looks unknown, and cannot be imported again."""
        member = self.members.pop(address_hash(address))
        for segment in self.segments.values():
            if member in segment.members:
                self._leave(segment, member)
        self._contacts.pop(member.contact_id)
        self._changed.pop(member, None)
        self._cache.clear()
        self.counts[member.status] -= 1
        self.forgotten.add(member.id)

    def change_address(self, old: str, new: str) -> Member:
        """The same contact with another hash."""
        member = self.members.pop(address_hash(old))
        member.address = new.strip()
        member.id = address_hash(new)
        self.members[member.id] = member
        self.touch(member)
        return member

    def add_tag(self, name: str, *, kind: str = "static") -> Segment:
        """A new tag, or with `kind` "saved" a segment by conditions. Names are taken as they come."""
        segment = Segment(next(self._numbers), name, kind, self.now(), self.now())
        self.segments[segment.id] = segment
        if kind == "static":
            self._named[name.casefold()] = segment
        self._cache.clear()
        return segment

    def add_saved(self, name: str, addresses: Iterable[str] = ()) -> Segment:
        """A segment by conditions, which hold for these addresses."""
        segment = self.add_tag(name, kind="saved")
        segment.members = {self.members[address_hash(address)]: self.now() for address in addresses}
        return segment

    def tag_named(self, name: str) -> Segment | None:
        """Whatever its case."""
        return self._named.get(name.casefold())

    def rename_tag(self, segment: Segment, name: str) -> None:
        if segment.kind == "static":
            del self._named[segment.name.casefold()]
            self._named[name.casefold()] = segment
        segment.name = name
        segment.updated = self.now()

    def delete_tag(self, segment: Segment) -> None:
        """Everybody loses it."""
        for member in list(segment.members):
            self._leave(segment, member)
            self.touch(member)
        del self.segments[segment.id]
        if segment.kind == "static":
            del self._named[segment.name.casefold()]

    def tag(self, segment: Segment, member: Member, *, quiet: bool = False) -> bool:
        """True if it is new to the member; then automations begin, unless `quiet`."""
        if member in segment.members:
            return False
        now = self.now()
        segment.members[member] = now
        segment.counts[member.status] += 1
        segment.updated = now
        member.tags[segment.id] = segment
        if not quiet and segment.name.casefold() in self.automated:
            self._journal.joins.append(Join(segment.name, member.address, now))
        self.touch(member)
        return True

    def untag(self, segment: Segment, member: Member) -> bool:
        """True if the member had it."""
        if member not in segment.members:
            return False
        self._leave(segment, member)
        segment.updated = self.now()
        self.touch(member)
        return True

    def tag_by_hand(self, name: str, addresses: Iterable[str]) -> Segment:
        """As the merchant would: the tag comes into being if it does not exist, and automations begin."""
        segment = self.tag_named(name) or self.add_tag(name)
        for address in addresses:
            self.tag(segment, self.members[address_hash(address)])
        return segment

    def tagged(self, name: str) -> set[str]:
        """Addresses that carry a tag, whatever their status."""
        segment = self.tag_named(name)
        return {member.address for member in segment.members} if segment else set()

    def automate(self, tag: str) -> None:
        """From now on a flow, which the API does not show, begins for everybody who newly gets the tag."""
        self.automated.add(tag.casefold())

    def add_merge_field(self, name: str, kind: str = "text", tag: str = "", *, required: bool = False) -> MergeField:
        """A taken tag gets a number at its end; one left out is made up."""
        if not tag:
            tag = f"MERGE{len(self.merge_fields) + 1}"
        free, suffix = tag, 1
        while free in self.merge_fields:
            suffix += 1
            free = f"{tag[: TAG_LENGTH - len(str(suffix))]}{suffix}"
        made = MergeField(next(self._numbers), free, name, kind, required)
        self.merge_fields[free] = made
        return made

    def _leave(self, segment: Segment, member: Member) -> None:
        del segment.members[member]
        segment.counts[member.status] -= 1
        member.tags.pop(segment.id, None)


class Account:
    """All audiences of one account.

    `fake` tells addresses that Mailchimp thinks nobody has, beyond those of example.com; `busy` those that have signed
    up to too many lists lately.
    """

    def __init__(self, clock: Clock, *, refuse_example_com: bool = True) -> None:
        self.journal = Journal()
        self.audiences: dict[str, Audience] = {}
        self.automations: list[Automation] = []
        self.fake: set[str] = set()
        self.busy: set[str] = set()
        self._refuse_example_com = refuse_example_com
        self._clock = clock
        self._numbers = count(1001)

    def add_audience(self, name: str) -> Audience:
        number = next(self._numbers)
        ident = hashlib.md5(b"audience/%d" % number, usedforsecurity=False).hexdigest()[:10]
        self.audiences[ident] = Audience(self._clock, ident, name, self._numbers, self.journal)
        return self.audiences[ident]

    def add_automation(self, audience: Audience, title: str, *, status: str = "sending") -> Automation:
        """`status` is "save", "paused" or "sending"."""
        made = Automation(f"{next(self._numbers):010x}", title, audience.id, status, int(self._clock.now()))
        self.automations.append(made)
        return made

    def is_fake(self, address: str) -> bool:
        address = address.strip().lower()
        return address in self.fake or (self._refuse_example_com and address.endswith("@example.com"))
