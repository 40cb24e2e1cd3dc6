"""Lists, or an array on each profile, in a Klaviyo account, kept equal to segments by differences only.

Never sent from here: consent, subscriptions, suppressions, merges, deletions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
from connector.errors import BadReply, Unavailable
from connector.http import Client
from connector.klaviyo import API_KEY, KlaviyoSettings, cutting, wire_lists, wire_profiles
from connector.klaviyo.doctor import examine
from connector.klaviyo.events import Events
from connector.klaviyo.limits import limits
from connector.klaviyo.properties import Properties
from connector.klaviyo.push import Push, list_of
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

    def __init__(self, client: Client, once: Client, clock: Clock, settings: KlaviyoSettings) -> None:
        self._client = client
        self._once = once
        self._clock = clock
        self._prefix = settings.list_prefix
        self._mode = settings.mode
        self._account = ""
        array = f"property {settings.property}"
        self._kept_in = {"lists": "", "properties": f" ({array})", "both": f" (lists and {array})"}[settings.mode]
        self.limits = Limits(
            consent=True,
            by_email=True,
            name_length=limits().api.name_length,
            creates_per_day=limits().writes.list_creates_per_day,
            keyed=settings.mode != "properties",
        )
        self._push = Push(client.send, self._pages, self.lookup, clock)
        self._properties = Properties(settings.property, self._value, client.send, self._pages, self.lookup)
        self._events = Events(client.send, self._pages, clock, self._prefix) if settings.events else None
        alone = settings.mode == "both" or settings.events
        self._most = limits().writes.relationship if alone else None

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
        self._account = wire_lists.account_id(self._client.send(wire_lists.get_account()))

    def account(self) -> str:
        """The account that the key belongs to, and the array where one is kept: what another mode, or an array of
        another name, has put on profiles is not found again by this one."""
        if not self._account:
            self.check()
        return self._account + self._kept_in

    def doctor(self) -> list[Finding]:
        """Each scope tried once; nothing is written."""
        return list(examine(self._client.send, lists=self._mode != "properties", events=self._events is not None))

    def audience_name(self, key: str, name: str) -> str:
        """The prefix and the segment's name; as a value of the array the key, which stays when the name changes."""
        return key if self._mode == "properties" else self._prefix + name

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
        """Ids by name, () where no list carries it. Klaviyo lets several lists carry one name.

        Values of the array are not found: they are there by being used.
        """
        if not self.limits.keyed:
            return dict.fromkeys(names, ())
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
        if not self.limits.keyed:
            return audience.name
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
        if self.limits.keyed:
            self._client.send(wire_lists.rename_list(list_of(audience), audience.name))

    def live_flows(self, audience: Audience) -> Sequence[str]:
        """Flows with the status "live" that begin when someone joins, by the list or by the event of entering."""
        entered = self._events.flows() if self._events is not None else []
        return list(dict.fromkeys([*self._list_flows(audience), *entered]))

    def members(self, audience: Audience) -> Iterator[str]:
        """Of the list; of the array, by reading everybody, where there is no list."""
        if not self.limits.keyed:
            yield from self._properties.members(audience)
            return
        for body in self._pages(wire_lists.member_ids(list_of(audience))):
            yield from wire_lists.ids(body)

    def batches(self, ops: Iterable[Op]) -> Iterator[Batch]:
        """List by list; person by person where only the array is kept. Smaller where ops have requests of their own."""
        if self._mode == "properties":
            return cutting.by_person(ops)
        return cutting.by_list(ops, self._most)

    def push(self, batch: Batch) -> list[Receipt]:
        """Every push may be repeated: lists are sets, imports keep who is there, events are named."""
        receipts = self._properties.push(batch.ops) if self._mode == "properties" else self._push.push(batch)
        if self._mode == "both":
            receipts = self._properties.follow(batch.ops, receipts)
        return receipts if self._events is None else self._events.follow(batch.ops, receipts)

    def estimate(
        self,
        adds: Mapping[str, Sequence[Person]],
        removes: Mapping[str, Sequence[Person]],
        quiet: Collection[str] = (),
    ) -> tuple[int, float]:
        """Calls by operation, and the time that these take one after the other."""
        counts: Counter[str] = Counter()
        if self._mode == "properties":
            counts += cutting.property_calls(adds, removes)
        else:
            counts += cutting.list_calls(adds, removes, self._most)
        if self._mode == "both":
            counts += cutting.followed_calls(adds, removes)
        if self._events is not None:
            counts += cutting.event_calls(adds, removes)
        return counts.total(), cutting.seconds(counts)

    def _value(self, audience: Audience) -> str:
        """The segment's key. Where only the array is kept, it is the name of what one joins."""
        return audience.segment if self.limits.keyed else audience.name

    def _list_flows(self, audience: Audience) -> list[str]:
        """None for a list that is not there (any more)."""
        if audience.remote_id is None or not self.limits.keyed:
            return []
        try:
            return wire_lists.live(self._read(wire_lists.flow_triggers(audience.remote_id)))
        except NotFound:
            return []

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
    account = Klaviyo(patient, once, access.clock, access.settings)
    access.closing.callback(account.close)
    return account
