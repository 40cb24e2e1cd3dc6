"""A Wix site with people, and the label destination on it; every exchange is held against the vendor's schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from wix_rig import NOW, check_reply, check_request

from connector.base import Access, Audience, Op, Person, Receipt, Reply
from connector.http import handler_transport
from connector.retry import Policy
from connector.sandbox.faults import Faults
from connector.sandbox.records import Customer
from connector.sandbox.wire import Drop, Request
from connector.sandbox.world import World
from connector.wix import TagsSettings, WixSettings, platform
from connector.wix.connection import API_KEY
from connector.wix.destination import WixLabels
from connector.wix.sandbox import API_KEY as KEY
from connector.wix.sandbox import SITE_ID, WixSandbox
from connector.wix.sandbox_labels import work_of
from sync.clock import ManualClock


class Rig:
    """`seen` holds the exchanges in order; the reply is None where the connection broke off.

    `spoil` may put another reply in the place of the simulator's. `check=False` is for such, which follow no schema.
    """

    def __init__(self, people: int = 0, *, check: bool = True, policy: Policy | None = None, **options: Any) -> None:
        self.clock = ManualClock(NOW)
        self.world = World(clock=self.clock)
        self.people = [self.world.add_customer(f"p{number}@example.org") for number in range(people)]
        self.faults = Faults()
        self.sandbox = WixSandbox(self.world, faults=self.faults, **options)
        self.site = self.sandbox.site
        self.work = work_of(self.site)
        self.seen: list[tuple[str, Request, Reply | None]] = []
        self.spoil: Callable[[str, Reply], Reply] = lambda name, reply: reply
        self._check = check
        access = Access(
            WixSettings(site_id=SITE_ID), {API_KEY: KEY}, self.clock, handler_transport(self._handle), policy
        )
        assert platform.destination is not None
        destination = platform.destination(access, TagsSettings())
        assert isinstance(destination, WixLabels)
        self.destination = destination

    def audience(self, segment: str) -> Audience:
        """A label that exists."""
        name = self.destination.audience_name(segment, segment.title())
        return Audience(segment, name, self.site.add_label(name).key)

    def audiences(self, count: int) -> list[Audience]:
        return [self.audience(f"s{number}") for number in range(count)]

    def wear(self, audience: Audience, people: Iterable[Customer]) -> None:
        """Give them the label by hand, and let the index know."""
        for customer in people:
            self.site.relabel(customer.number, add=[audience.remote_id or ""])
        self.clock.advance(60)

    def wearers(self, audience: Audience) -> set[str]:
        """Who carries the label, in truth."""
        return {
            customer.guid
            for customer in self.world.customers.values()
            if audience.remote_id in self.site.states[customer.number].labels
        }

    def push(self, ops: Iterable[Op]) -> dict[int, Receipt]:
        """Receipts by op."""
        batches = list(self.destination.batches(ops))
        return {receipt.op: receipt for batch in batches for receipt in self.destination.push(batch)}

    def names(self) -> list[str]:
        """What was asked, in order."""
        return [name for name, _, _ in self.seen]

    def _handle(self, request: Request) -> Reply:
        name = operation(request)
        check_request(request)
        try:
            reply = self.spoil(name, self.sandbox.handle(request))
        except Drop:
            self.seen.append((name, request, None))
            raise
        self.seen.append((name, request, reply))
        if self._check:
            check_reply(request, reply)
        return reply


def operation(request: Request) -> str:
    """The name of what is asked."""
    from connector.wix.sandbox_contacts_api import ROUTES as CONTACTS
    from connector.wix.sandbox_labels import ROUTES as LABELS

    for route in (*CONTACTS, *LABELS):
        if route.method == request.method and route.pattern.fullmatch(request.path):
            return route.operation
    return request.path


def ops(audience: Audience, people: Sequence[Customer], action: str = "add", *, first: int = 1) -> list[Op]:
    """These people into the audience, or out of it."""
    return [
        Op(number, action, audience, Person(customer.number, id=customer.guid))  # type: ignore[arg-type]
        for number, customer in enumerate(people, first)
    ]


def outcomes(receipts: Mapping[int, Receipt]) -> dict[str, int]:
    """How many receipts of each outcome."""
    counted: dict[str, int] = {}
    for receipt in receipts.values():
        counted[receipt.outcome] = counted.get(receipt.outcome, 0) + 1
    return counted
