"""A destination on the simulated Mailchimp account, and changes to push to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mailchimp_rig import Rig

from connector.base import Access, Audience, Batch, Op, Person, Profile, Receipt
from connector.mailchimp import API_KEY, MailchimpSettings
from connector.mailchimp.destination import Mailchimp, open_destination
from connector.mailchimp.sandbox_account import Segment
from connector.mailchimp.wire_members import subscriber_hash


class Tagging(Rig):
    """`destination` tags people in the rig's audience; `settings` are those of its section."""

    def __init__(self, *, settings: dict[str, Any] | None = None, check: bool = True, **options: Any) -> None:
        super().__init__(check=check, **options)
        self.destination = self.open(**(settings or {}))

    def open(self, key: str | None = None, **settings: Any) -> Mailchimp:
        given = MailchimpSettings(**{"audience_id": self.audience.id, **settings})
        access = Access(given, {API_KEY: key or self.sandbox.api_key}, self.clock, self.transport())
        return open_destination(access)

    def people(self, count: int, status: str = "subscribed", first: int = 0) -> list[str]:
        """Addresses of new members."""
        addresses = [f"p{number}@shop.test" for number in range(first, first + count)]
        for address in addresses:
            self.audience.add(address, status)
        return addresses

    def tag(self, key: str = "vip", *, quiet: bool = False) -> Audience:
        """An audience whose tag exists."""
        name = self.destination.audience_name(key, key)
        segment = self.audience.tag_named(name) or self.audience.add_tag(name)
        return Audience(key, name, str(segment.id), quiet)

    def segment(self, audience: Audience) -> Segment:
        return self.audience.segments[int(audience.remote_id or 0)]

    def push(self, ops: Iterable[Op]) -> dict[int, Receipt]:
        """Receipts by op."""
        found: dict[int, Receipt] = {}
        for batch in self.destination.batches(ops):
            receipts = self.destination.push(batch)
            assert [receipt.op for receipt in receipts] == [op.id for op in batch.ops]
            found |= {receipt.op: receipt for receipt in receipts}
        return found

    def cut(self, ops: Iterable[Op]) -> list[Batch]:
        return list(self.destination.batches(ops))

    def everybody(self, since: int | None = None) -> dict[str, Profile]:
        """Profiles by address, as `changed` gives them."""
        return {profile.email: profile for page in self.destination.changed(since) for profile in page}


def adds(audience: Audience, addresses: Iterable[str], first: int = 1) -> list[Op]:
    """Members who are known into the audience."""
    return [op("add", number, audience, each, subscriber_hash(each)) for number, each in enumerate(addresses, first)]


def removes(audience: Audience, addresses: Iterable[str], first: int = 1) -> list[Op]:
    """Members who are known out of the audience."""
    return [op("remove", number, audience, each, subscriber_hash(each)) for number, each in enumerate(addresses, first)]


def strangers(audience: Audience, addresses: Iterable[str | None], first: int = 1) -> list[Op]:
    """People whom the destination does not know into the audience."""
    return [op("add", number, audience, each, None) for number, each in enumerate(addresses, first)]


def op(action: str, number: int, audience: Audience, email: str | None, remote_id: str | None) -> Op:
    """One change; the customer has the number of the op."""
    return Op(number, action, audience, Person(number, email, remote_id))  # type: ignore[arg-type]
