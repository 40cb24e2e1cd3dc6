"""Lists in a Klaviyo account, kept equal to segments by differences only.

Never sent from here: consent, subscriptions, suppressions, merges, deletions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from connector.auth import StaticHeader
from connector.base import (
    Access,
    Audience,
    Batch,
    Call,
    Clock,
    Finding,
    Limits,
    Op,
    Person,
    Profile,
    Receipt,
    WithoutFields,
)
from connector.budget import Budgets, Window
from connector.errors import BadReply, ScopeError, Unavailable
from connector.http import Client
from connector.klaviyo import API_KEY, wire_imports, wire_lists, wire_profiles
from connector.klaviyo.limits import limits
from connector.klaviyo.push import ADD, IMPORT, REMOVE, Push, list_of
from connector.klaviyo.wire import PLATFORM, DailyLimit, KlaviyoWire, NotFound, document, following
from connector.klaviyo.wire_profiles import Row, key, profile_of
from connector.retry import Policy

_SKEW = 300.0
"""Seconds by which this machine's clock may be ahead of Klaviyo's."""

_PAUSES = (5.0, 15.0, 45.0)
"""Seconds before a list without an answer is looked for: lists show late."""


class Klaviyo(WithoutFields):
    """One account."""

    name = PLATFORM
    platform = PLATFORM
    limits = Limits(
        consent=True,
        by_email=True,
        name_length=limits().api.name_length,
        creates_per_day=limits().writes.list_creates_per_day,
    )

    def __init__(self, client: Client, once: Client, clock: Clock, list_prefix: str) -> None:
        self._client = client
        self._once = once
        self._clock = clock
        self._prefix = list_prefix
        self._push = Push(client.send, self._pages, self.lookup, clock)

    @property
    def calls(self) -> int:
        """Requests sent so far."""
        return self._client.calls + self._once.calls

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()
        self._once.close()

    def check(self) -> None:
        """One read of the account."""
        self._client.send(wire_lists.get_account())

    def doctor(self) -> list[Finding]:
        """Four cheap reads, one per scope that reads; scopes that write show only when something is written."""
        findings = [self._may(wire_lists.get_account()), self._may(wire_profiles.any_profile())]
        request = wire_lists.get_lists(size=1)
        try:
            first = next(wire_lists.ids(self._read(request)), None)
        except ScopeError as error:
            return [*findings, _lacking(request, error)]
        findings.append(_granted(request))
        return findings if first is None else [*findings, self._may(wire_lists.flow_triggers(first))]

    def audience_name(self, key: str, name: str) -> str:
        """The prefix and the segment's name."""
        return self._prefix + name

    def lookup(self, emails: Sequence[str]) -> Iterator[Sequence[Profile]]:
        """A hundred addresses a call. Each profile comes under the address asked for, as it was written."""
        asked: dict[str, list[str]] = defaultdict(list)
        for email in emails:
            if wire_profiles.plausible(email.strip()) and email not in asked[key(email)]:
                asked[key(email)].append(email)
        for group in wire_profiles.groups(address for address, forms in asked.items() if forms):
            found = self._matched(group)
            yield [profile_of(form, found[address]) for address in group if address in found for form in asked[address]]

    def changed(self, since: int | None) -> Iterator[Sequence[Profile]]:
        """Updated since, then suppressed since; somebody may come in both."""
        if since is None:
            raise ValueError("everybody of an account is never read: people are looked up by address")
        for request in (wire_profiles.profiles_updated(since), wire_profiles.profiles_suppressed(since)):
            for body in self._pages(request):
                yield [profile_of(row.email, row) for row in wire_profiles.rows(body) if row.email]

    def find(self, names: Sequence[str], *, made: tuple[int, int] | None = None) -> Mapping[str, Sequence[str]]:
        """Ids by name, () where no list carries it. Klaviyo lets several lists carry one name."""
        since, until = (made[0] - _SKEW, made[1] + _SKEW) if made else (None, None)
        found: dict[str, list[str]] = {name: [] for name in names}
        for group in wire_profiles.groups(found):
            for body in self._pages(wire_lists.lists_named(group)):
                for name, list_id in wire_lists.names_and_ids(body, since, until):
                    if name in found:
                        found[name].append(list_id)
        return found

    def create(self, audience: Audience) -> str:
        """The id of a new list.

        Unlike every other call, this one must not be repeated blindly: two lists may carry one name. So when no
        answer comes, the list is looked for before it is made again.
        """
        request = wire_lists.create_list(audience.name)
        since = self._clock.now() - _SKEW
        for pause in (*_PAUSES, None):
            try:
                return wire_lists.created_id(request.operation, self._once.send(request))
            except Unavailable as error:
                if pause is None or isinstance(error, DailyLimit):
                    raise
            self._clock.sleep(pause)
            body = self._read(wire_lists.lists_named([audience.name]))
            if made := wire_lists.created_since(body, audience.name, since):
                return made[0]
        raise AssertionError("the last try returns or raises")

    def rename(self, audience: Audience) -> None:
        self._client.send(wire_lists.rename_list(list_of(audience), audience.name))

    def live_flows(self, audience: Audience) -> Sequence[str]:
        """Flows with the status "live" that begin when someone joins; none for a list that is not there (any more)."""
        if audience.remote_id is None:
            return []
        try:
            return wire_lists.live(self._read(wire_lists.flow_triggers(audience.remote_id)))
        except NotFound:
            return []

    def members(self, audience: Audience) -> Iterator[str]:
        for body in self._pages(wire_lists.member_ids(list_of(audience))):
            yield from wire_lists.ids(body)

    def batches(self, ops: Iterable[Op]) -> Iterator[Batch]:
        """Removals of every list, then people yet unknown, with all the lists they join, then the known.

        Additions of known people fill up the last requests that each list needs for the unknown.
        """
        leaving: dict[str, list[Op]] = defaultdict(list)
        joining: dict[str, list[Op]] = defaultdict(list)
        unknown: dict[str, list[Op]] = defaultdict(list)
        for op in ops:
            coming = unknown if op.person.remote_id is None else joining
            (leaving if op.action == "remove" else coming)[list_of(op.audience)].append(op)
        for group in leaving.values():
            yield from (Batch(part, REMOVE) for part in _thousands(group))
        together: list[Op] = []
        for list_id, group in unknown.items():
            room = -len(group) % limits().writes.relationship
            together += [*group, *joining[list_id][:room]]
            del joining[list_id][:room]
        if together:
            yield Batch(tuple(together), IMPORT)
        for group in joining.values():
            yield from (Batch(part, ADD) for part in _thousands(group))

    def push(self, batch: Batch) -> list[Receipt]:
        """Every push may be repeated: lists are sets, and imports keep who is there."""
        return self._push.push(batch)

    def estimate(
        self, adds: Mapping[str, Sequence[Person]], removes: Mapping[str, Sequence[Person]]
    ) -> tuple[int, float]:
        """Calls by operation, and the time that the limits of each need, one after the other.

        An import is taken to be done at the second look.
        """
        counts: Counter[str] = Counter()
        size = limits().writes.relationship
        for people in removes.values():
            counts["RemoveProfilesFromList"] += -(-len(people) // size)
            counts["GetProfiles"] += _lookups(sum(person.remote_id is None for person in people))
        for people in adds.values():
            counts["AddProfilesToList"] += -(-len(people) // size)
        joining = (person for people in adds.values() for person in people if person.remote_id is None)
        unknown = {key(person.email) for person in joining if person.email}
        jobs = sum(1 for _ in wire_imports.groups(unknown))
        counts["CreateImportJob"] += jobs
        counts["GetImportJob"] += 2 * jobs
        counts["GetImportErrors"] += jobs
        counts["GetImportProfiles"] += _lookups(len(unknown))
        operations = limits().operations
        seconds = sum(operations[name].seconds(calls) for name, calls in counts.items())
        return counts.total(), seconds + (3 * limits().job.first_wait if jobs else 0.0)

    def _read(self, request: Call) -> Mapping[str, Any]:
        return document(request.operation, self._client.send(request))

    def _pages(self, request: Call) -> Iterator[Mapping[str, Any]]:
        seen: set[tuple[tuple[str, str], ...]] = set()
        after: Call | None = request
        while after is not None:
            if after.params in seen:
                raise BadReply(PLATFORM, after.operation, f"page {len(seen) + 1} leads back to an earlier one")
            seen.add(after.params)
            body = self._read(after)
            yield body
            after = following(after, body)

    def _matched(self, group: Sequence[str]) -> dict[str, Row]:
        """Rows by the address asked for.

        A merged profile answers to a former address but shows its present one; halving the addresses that nobody
        shows tells which of them it answers to. It may also be one that another profile shows: that matters where the
        merged one must not be mailed.
        """
        rows = [row for body in self._pages(wire_profiles.profiles_at(group)) for row in wire_profiles.rows(body)]
        if len(group) == 1:
            return {group[0]: wire_profiles.first_of(rows)} if rows else {}
        asked = set(group)
        shown = {address: row for address, row in wire_profiles.by_address(rows).items() if address in asked}
        strange = [row for row in rows if not row.email or key(row.email) not in asked]
        if not strange:
            return shown
        found = shown | self._halved([address for address in group if address not in shown])
        explained = {row.id for row in found.values()}
        if any(not row.mailable and row.id not in explained for row in strange):
            found |= self._halved([address for address in group if address in shown])
        return found

    def _halved(self, group: Sequence[str]) -> dict[str, Row]:
        middle = len(group) // 2
        found: dict[str, Row] = {}
        for half in (group[:middle], group[middle:]):
            if half:
                found |= self._matched(half)
        return found

    def _may(self, request: Call) -> Finding:
        try:
            self._client.send(request)
        except ScopeError as error:
            return _lacking(request, error)
        return _granted(request)


def open_destination(access: Access) -> Klaviyo:
    """The account that the section and its key name."""
    operations = limits().operations
    windows = {name: (Window(its.burst, 1), Window(its.steady, 60)) for name, its in operations.items()}
    budgets = access.budgets.setdefault(PLATFORM, Budgets(windows))

    def client(policy: Policy) -> Client:
        return Client(
            KlaviyoWire(),
            StaticHeader("authorization", access.secrets[API_KEY], prefix="Klaviyo-API-Key "),
            budgets,
            base_url=access.settings.api_url,
            clock=access.clock,
            transport=access.transport,
            policy=policy,
        )

    patient, once = client(access.policy or Policy()), client(Policy(tries=1))
    account = Klaviyo(patient, once, access.clock, access.settings.list_prefix)
    access.closing.callback(account.close)
    return account


def _granted(request: Call) -> Finding:
    return Finding("ok", PLATFORM, f"the key has {', '.join(limits().operations[request.operation].scopes)}")


def _lacking(request: Call, error: ScopeError) -> Finding:
    needed = ", ".join(limits().operations[request.operation].scopes)
    asked = f"{error.operation}, request {error.request_id}" if error.request_id else error.operation
    return Finding("error", PLATFORM, f"the key lacks {needed} ({asked})", f"create a private key with {needed}")


def _thousands(ops: Sequence[Op]) -> Iterator[tuple[Op, ...]]:
    size = limits().writes.relationship
    for start in range(0, len(ops), size):
        yield tuple(ops[start : start + size])


def _lookups(people: int) -> int:
    return -(-people // limits().pages.profiles)
