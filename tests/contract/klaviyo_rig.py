"""A Klaviyo account and a destination on it, every exchange held against Klaviyo's own definition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from klaviyo_openapi import check_hollow, check_reply, check_request, is_hollow
from scripted import Instead

from connector.base import Access, Audience, Op, Person, Receipt, Reply
from connector.http import handler_transport
from connector.klaviyo import API_KEY, KlaviyoSettings
from connector.klaviyo.destination import Klaviyo, open_destination
from connector.klaviyo.sandbox import KlaviyoSandbox
from connector.klaviyo.sandbox_account import Person as Profile
from connector.klaviyo.sandbox_account import Roll
from connector.sandbox.wire import Drop, Request
from sync.clock import ManualClock

NOW = 1_795_000_000


class Rig:
    """`instead` may answer, or break off, in the simulator's place; `afterwards` may do so once it has acted.

    `settings` are those of the section [klaviyo]; destinations opened one after the other share `budgets`.
    `check=False` is for faults that spoil the simulator's replies: these follow no definition.
    """

    def __init__(self, *, check: bool = True, settings: Mapping[str, object] | None = None, **options: object) -> None:
        self.clock = ManualClock(NOW)
        self._check = check
        self.settings = KlaviyoSettings.model_validate(settings or {})
        self.budgets: dict[str, Any] = {}
        self.sandbox = KlaviyoSandbox(clock=self.clock, **options)  # type: ignore[arg-type]
        self.account = self.sandbox.account
        self.seen: list[tuple[str, Request, Reply | None]] = []
        self.instead: Instead = lambda request: None
        self.afterwards: Instead = lambda request: None
        self.destination = self.open(self.sandbox.api_key)

    def open(self, key: str) -> Klaviyo:
        transport = handler_transport(self._handle)
        access = Access(self.settings, {API_KEY: key}, self.clock, transport, budgets=self.budgets)
        return open_destination(access)

    def _handle(self, request: Request) -> Reply:
        name = check_hollow(request) if is_hollow(request) else check_request(request)
        reply = self._scripted(name, request, self.instead)
        if reply is None:
            reply = self.sandbox.handle(request)
            if self._check:
                check_reply(request, reply)
            reply = self._scripted(name, request, self.afterwards) or reply
        self.seen.append((name, request, reply))
        return reply

    def _scripted(self, name: str, request: Request, script: Instead) -> Reply | None:
        outcome = script(request)
        if isinstance(outcome, Drop):
            self.seen.append((name, request, None))
            raise outcome
        return outcome

    def audience(self, name: str = "VIP") -> Audience:
        """A list that exists."""
        return Audience(name.lower(), name, self.account.add_list(name).id)

    def roll(self, audience: Audience) -> Roll:
        return self.account.lists[audience.remote_id or ""]

    def push(self, ops: Iterable[Op]) -> dict[int, Receipt]:
        """Receipts by op."""
        batches = list(self.destination.batches(ops))
        return {receipt.op: receipt for batch in batches for receipt in self.destination.push(batch)}

    def names(self) -> list[str]:
        """What was asked, in order."""
        return [name for name, _, _ in self.seen]


def adds(audience: Audience, people: Iterable[Profile], first: int = 1) -> list[Op]:
    """Known profiles into the audience."""
    return [_op(number, "add", audience, each.email, each.id) for number, each in enumerate(people, first)]


def removes(audience: Audience, people: Iterable[Profile], first: int = 1) -> list[Op]:
    """Known profiles out of the audience."""
    return [_op(number, "remove", audience, each.email, each.id) for number, each in enumerate(people, first)]


def strangers(audience: Audience, addresses: Iterable[str | None], first: int = 1) -> list[Op]:
    """People without a known profile into the audience."""
    return [_op(number, "add", audience, each, None) for number, each in enumerate(addresses, first)]


def _op(number: int, action: str, audience: Audience, email: str | None, remote_id: str | None) -> Op:
    person = Person(number, email, remote_id, id=f"c{number}")
    return Op(number, action, audience, person, since=NOW - 86_400)  # type: ignore[arg-type]


def error(status: int, *entries: tuple[str, str, str | None], headers: dict[str, str] | None = None) -> Reply:
    """An error document of (code, detail, pointer)."""
    body = [
        {
            "id": f"err-{index}",
            "code": code,
            "title": detail,
            "detail": detail,
            "source": {"pointer": pointer or "/data"},
        }
        for index, (code, detail, pointer) in enumerate(entries, 1)
    ]
    headers = {"content-type": "application/vnd.api+json", **(headers or {})}
    return Reply(status, headers, orjson.dumps({"errors": body}))
