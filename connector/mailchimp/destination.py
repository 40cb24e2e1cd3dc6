"""Tags in one Mailchimp audience, kept equal to segments by differences only.

Never sent from here: `status` of whoever is there, `update_existing`, `sync_tags`, `static_segment` of an existing tag,
archiving, deletions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from connector.auth import basic
from connector.base import (
    Access,
    Audience,
    Batch,
    Clock,
    FieldReceipt,
    FieldWrite,
    Finding,
    Limits,
    Op,
    Person,
    Profile,
    Receipt,
)
from connector.budget import Budgets, Concurrency
from connector.errors import AuthError, PlatformError
from connector.http import Client
from connector.mailchimp import API_KEY, MailchimpSettings, batches, wire_account, wire_members, wire_tags
from connector.mailchimp.batches import PAUSES, SKEW, Batches
from connector.mailchimp.cutting import cut, planned, tag_of
from connector.mailchimp.doctor import examine
from connector.mailchimp.downloads import Downloads
from connector.mailchimp.fields import Fields
from connector.mailchimp.limits import limits
from connector.mailchimp.paging import Part, pages
from connector.mailchimp.push import Push
from connector.mailchimp.wire import PLATFORM, VERSION, MailchimpWire, NotFound, Refused, document
from connector.mailchimp.wire_members import ARCHIVED, Row, key
from connector.mailchimp.wire_tags import Tag
from connector.retry import Policy


class Mailchimp:
    """One audience of an account."""

    name = PLATFORM
    platform = PLATFORM

    def __init__(
        self, client: Client, once: Client, downloads: Downloads, clock: Clock, settings: MailchimpSettings
    ) -> None:
        self._client = client
        self._once = once
        self._downloads = downloads
        self._clock = clock
        self._audience = settings.audience_id
        self._prefix = settings.tag_prefix
        self._adding = settings.add_consented
        self.limits = Limits(
            consent=True,
            by_email=True,
            name_length=limits().api.name_length,
            keyed=True,
            scanned=True,
            existing_only=not settings.add_consented,
            silent=True,
        )
        self.fields: tuple[str, ...] = tuple(settings.merge_fields)
        many = Batches(client.send, once.send, downloads.get, clock)
        self._push = Push(self._audience, client.send, self._tags, many, adding=self._adding)
        self._fields = Fields(self._audience, self.fields, client.send, once.send, many, clock)

    @property
    def calls(self) -> int:
        """Requests sent so far."""
        return self._client.calls + self._once.calls + self._downloads.calls

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()
        self._once.close()
        self._downloads.close()

    def check(self) -> None:
        """The API's own health check, which needs a good key."""
        self._client.send(wire_account.ping())

    def account(self) -> str:
        """The audience: no other account has one of this id."""
        return self._audience.lower()

    def doctor(self) -> list[Finding]:
        """Four cheap reads: a key has no scopes, it may do what its user may."""
        return list(examine(self._client.send, self._audience, self.fields, self._prefix, adding=self._adding))

    def audience_name(self, key: str, name: str) -> str:
        """The prefix and the segment's key, which stays when the segment is renamed."""
        return self._prefix + key

    def lookup(self, emails: Sequence[str]) -> Iterator[Sequence[Profile]]:
        """Everybody is read while that takes fewer calls than asking for the rest one by one.

        Each profile comes under the address asked for, as it was written.
        """
        asked: dict[str, list[str]] = {}
        for email in dict.fromkeys(emails):
            if wire_members.plausible(email.strip()):
                asked.setdefault(key(email), []).append(email)
        left = set(asked)

        def known(rows: Iterable[Row]) -> list[Profile]:
            met = [row for row in rows if key(row.email) in left]
            left.difference_update(key(row.email) for row in met)
            return [row.profile(form) for row in met if self._counts(row) for form in asked[key(row.email)]]

        if len(left) > limits().pages.lookup:
            for part in self._parts():
                if found := known(wire_members.rows(part.entries)):
                    yield found
                if len(left) <= part.more:
                    break
            else:
                return
        for address in sorted(left):
            if found := known(self._one(address)):
                yield found

    def changed(self, since: int | None) -> Iterator[Sequence[Profile]]:
        """Changed since, then archived since: nothing says that archived people show among the others.

        Who was archived is not known here; who is archived after we knew them may not be mailed, so that they leave
        our tags. Where people are added, archived ones stay known and unmailable: they are not brought back.
        """
        for archived in (False, True) if since is not None or self._adding else (False,):
            for part in self._parts(since, archived=archived):
                rows = wire_members.rows(part.entries)
                if found := [row.profile() for row in rows if since is not None or self._counts(row)]:
                    yield found

    def find(self, names: Sequence[str], *, made: tuple[int, int] | None = None) -> Mapping[str, Sequence[str]]:
        """Ids of tags by name, () where no tag carries it. Letter case does not tell names apart at Mailchimp; a saved
        segment of that name is not ours."""
        since, until = (made[0] - SKEW, made[1] + SKEW) if made else (float("-inf"), float("inf"))
        found: dict[str, list[str]] = {name: [] for name in names}
        folded: dict[str, list[str]] = {}
        for name in found:
            folded.setdefault(name.casefold(), []).append(name)
        for tag in self._tags() if found else ():
            if since <= tag.created <= until:
                for name in folded.get(tag.name.casefold(), ()):
                    found[name].append(tag.id)
        return found

    def create(self, audience: Audience) -> str:
        """The id of a new, empty tag.

        When no answer comes, it is looked for before it is made again; and when that is refused, because the first one
        is there but does not show yet, it is looked for once more.
        """
        request = wire_tags.create_tag(self._audience, audience.name)
        span = int(self._clock.now()), 0
        lost = False
        for pause in (*PAUSES, None):
            try:
                return wire_tags.created_id(request.operation, self._once.send(request))
            except PlatformError as error:
                if pause is None or (error.definite and not (lost and isinstance(error, Refused))):
                    raise
            lost = True
            self._clock.sleep(pause)
            span = span[0], int(self._clock.now())
            if made := self.find([audience.name], made=span)[audience.name]:
                return made[0]
        raise AssertionError("the last try returns or raises")

    def rename(self, audience: Audience) -> None:
        """Only the name is sent: the members stay."""
        self._client.send(wire_tags.rename_tag(self._audience, tag_of(audience), audience.name))

    def live_flows(self, audience: Audience) -> Sequence[str]:
        """None that can be seen: Mailchimp shows programs neither flows nor what starts them."""
        return ()

    def members(self, audience: Audience) -> Iterator[str]:
        """Hashes of the tag's members, whatever their status, as far as Mailchimp shows them."""
        for part in pages(self._client.send, wire_tags.get_tagged(self._audience, tag_of(audience)), "members"):
            for entry in part.entries:
                yield str(entry["id"])

    def batches(self, ops: Iterable[Op]) -> Iterator[Batch]:
        """See `cutting.cut`."""
        return cut(ops, adding=self._adding)

    def push(self, batch: Batch) -> list[Receipt]:
        """Every push may be repeated: a tag that somebody has already starts nothing again."""
        return self._push.push(batch)

    def estimate(
        self,
        adds: Mapping[str, Sequence[Person]],
        removes: Mapping[str, Sequence[Person]],
        quiet: Collection[str] = (),
    ) -> tuple[int, float]:
        """Of what `push` does with the batches of these."""
        costs = [self._push.cost(batch) for batch in self.batches(planned(adds, removes, quiet))]
        return sum(calls for calls, _ in costs), sum(seconds for _, seconds in costs)

    def write_fields(self, people: Sequence[FieldWrite]) -> list[FieldReceipt]:
        """Merge fields of people who are in the audience."""
        return self._fields.write(people)

    def estimate_fields(self, people: int) -> tuple[int, float]:
        """The fields are looked for once."""
        if not (people and self.fields):
            return 0, 0.0
        calls, seconds = batches.calls(people)
        return calls + 1, seconds + limits().pace.call

    def _tags(self) -> Iterator[Tag]:
        for part in pages(self._client.send, wire_tags.get_tags(self._audience), "segments"):
            yield from wire_tags.tags(part.entries)

    def _parts(self, since: int | None = None, *, archived: bool = False) -> Iterator[Part]:
        return pages(
            self._client.send, wire_members.get_members(self._audience, since=since, archived=archived), "members"
        )

    def _one(self, address: str) -> list[Row]:
        request = wire_members.get_member(self._audience, wire_members.subscriber_hash(address))
        try:
            return wire_members.rows([document(request.operation, self._client.send(request), "id", "status")])
        except NotFound:
            return []

    def _counts(self, row: Row) -> bool:
        """Whether a member is known to us when everybody is asked for."""
        return self._adding or row.status != ARCHIVED


def open_destination(access: Access) -> Mailchimp:
    """The audience that the section names, in the account of the key."""
    settings: MailchimpSettings = access.settings
    api_key = access.secrets[API_KEY]
    base_url = settings.api_url or limits().api.url.format(_data_centre(api_key))
    base_url = base_url.rstrip("/").removesuffix(VERSION)
    budgets = access.budgets.setdefault(PLATFORM, Budgets(Concurrency(limits().api.connections)))

    def client(policy: Policy) -> Client:
        return Client(
            MailchimpWire(),
            basic("regulars", api_key),
            budgets,
            base_url=base_url,
            clock=access.clock,
            transport=access.transport,
            policy=policy,
            read_timeout=limits().api.read_timeout,
        )

    policy = access.policy or Policy()
    downloads = Downloads(access.clock, access.transport, policy)
    audience = Mailchimp(client(policy), client(Policy(tries=1)), downloads, access.clock, settings)
    access.closing.callback(audience.close)
    return audience


def _data_centre(api_key: str) -> str:
    """The part behind the dash. Without it nobody knows where the account lives."""
    _, dash, centre = api_key.strip().rpartition("-")
    if not dash or not centre.isalnum():
        text = f"{API_KEY} has no data centre at its end (as in -us19); copy the key whole, or set api_url"
        raise AuthError(PLATFORM, "key", text)
    return centre
