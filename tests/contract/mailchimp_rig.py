"""A Mailchimp account for the tests, every exchange held against Mailchimp's own definition."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import httpx
import orjson
from mailchimp_openapi import check_reply, check_request
from scripted import Instead

from connector.base import Reply
from connector.http import handler_transport
from connector.mailchimp.sandbox import MailchimpSandbox
from connector.mailchimp.sandbox_batches import RESULTS
from connector.sandbox.wire import Drop, Request
from sync.clock import ManualClock

NOW = 1_795_000_000
HOST = "us19.api.mailchimp.com"


class Rig:
    """`instead` may answer, or break off, in the simulator's place; `afterwards` may do so once it has acted.

    `seen` has every exchange by the definition's name of the operation ("results" for the files of batches). With
    `check=False` replies are not held against the definition: for faults that spoil them.
    """

    def __init__(self, *, check: bool = True, **options: Any) -> None:
        self.clock = ManualClock(NOW)
        self.sandbox = MailchimpSandbox(clock=self.clock, **options)
        self.account, self.audience = self.sandbox.account, self.sandbox.audience
        self.path = f"/lists/{self.audience.id}"
        self.seen: list[tuple[str, Request, Reply | None]] = []
        self.instead: Instead = lambda request: None
        self.afterwards: Instead = lambda request: None
        self._check = check

    def transport(self) -> httpx.BaseTransport:
        """What a client is given in place of the network."""
        return handler_transport(self.handle)

    def handle(self, request: Request) -> Reply:
        of_results = request.path.startswith(RESULTS)
        name = "results" if of_results else check_request(request)
        reply = self._scripted(name, request, self.instead)
        if reply is None:
            reply = self.sandbox.handle(request)
            if self._check and not of_results:
                check_reply(request, reply)
            reply = self._scripted(name, request, self.afterwards) or reply
        self.seen.append((name, request, reply))
        return reply

    def send(
        self, method: str, path: str, *query: tuple[str, str], body: object = None, **headers: str | None
    ) -> Reply:
        """A bare request with the right key; `path` without the version. A header of None is left out."""
        given: dict[str, str | None] = {
            "authorization": f"Bearer {self.sandbox.api_key}",
            "host": HOST,
            **({} if body is None else {"content-type": "application/json"}),
            **headers,
        }
        kept = {name: value for name, value in given.items() if value is not None}
        return self.sandbox.handle(
            Request(method, f"/3.0{path}", query, kept, b"" if body is None else orjson.dumps(body))
        )

    def ask(self, method: str, path: str, *query: tuple[str, str], body: object = None) -> Any:
        """The document that a bare request is answered with, checked; None where there is none."""
        reply = self.send(method, path, *query, body=body)
        check_reply(Request(method, f"/3.0{path}", query, {}, b""), reply)
        return orjson.loads(reply.body) if reply.body else None

    def names(self) -> list[str]:
        """What was asked, in order."""
        return [name for name, _, _ in self.seen]

    def member(self, address: str) -> str:
        """The path of a member."""
        return f"{self.path}/members/{md5(address)}"

    def _scripted(self, name: str, request: Request, script: Instead) -> Reply | None:
        outcome = script(request)
        if isinstance(outcome, Drop):
            self.seen.append((name, request, None))
            raise outcome
        return outcome


def md5(address: str) -> str:
    """The hash of exactly this text."""
    return hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()


def problem(status: int, title: str, detail: str = "", errors: Mapping[str, str] | None = None) -> Reply:
    """A problem document; `errors` are messages by field."""
    document: dict[str, Any] = {
        "type": "https://mailchimp.com/developer/marketing/docs/errors/",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": "00000000-0000-4000-8000-00000000beef",
    }
    if errors:
        document["errors"] = [{"field": field, "message": message} for field, message in errors.items()]
    return Reply(status, {"content-type": "application/problem+json; charset=utf-8"}, orjson.dumps(document))


def edge(status: int) -> Reply:
    """A page of the firewall: no JSON, no hint how long to wait."""
    return Reply(status, {"content-type": "text/html"}, b"<html><body><h1>Access Denied</h1></body></html>")
