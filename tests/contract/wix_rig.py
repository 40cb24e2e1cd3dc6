"""A small shop behind the simulated Wix API, every exchange held against the schemas of the calls."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator, FormatChecker

from connector.base import Access, Call, Reply
from connector.http import handler_transport
from connector.sandbox.records import Customer, Order
from connector.sandbox.wire import Request
from connector.sandbox.world import World
from connector.wix import WixSettings
from connector.wix.sandbox import API_KEY, SITE_ID, WixSandbox
from sync.clock import ManualClock

NOW = 1_795_000_000  # 2026-11-18T11:06:40Z
DAY = 86_400
SPECS = Path(__file__).parents[1] / "specs" / "wix"
APP = ("5a9c1f1e-0000-4000-8000-0000000000aa", "app-secret", "5a9c1f1e-0000-4000-8000-0000000000bb")

CALLS = {
    "POST /oauth2/token": "oauth_token",
    "POST /ecom/v1/orders/search": "orders_search",
    "POST /ecom/v1/abandoned-checkout/query": "abandoned_checkouts_query",
    "POST /ecom/v1/abandoned-checkout/search": "abandoned_checkouts_search",
    "POST /contacts/v4/contacts/query": "contacts_query",
    "POST /contacts/v5/contacts/query": "contacts_v5_query",
    "POST /contacts/v4/labels": "labels_find_or_create",
    "POST /contacts/v4/labels/query": "labels_query",
    "POST /contacts/v4/contacts/[^/]+/labels": "contacts_label",
    "DELETE /contacts/v4/contacts/[^/]+/labels": "contacts_unlabel",
    "POST /contacts/v4/bulk/contacts/add-remove-labels": "contacts_bulk_add_remove_labels",
    "GET /contacts/v4/bulk/jobs/[^/]+": "bulk_job_get",
    "POST /email-marketing/v1/email-subscriptions/query": "email_subscriptions_query",
    "POST /email-marketing/v1/email-subscriptions/bulk": "email_subscriptions_bulk_upsert",
}
"""Calls that have a schema, by method and path."""


@cache
def validator(name: str) -> Draft202012Validator:
    """The schema of a file of tests/specs/wix, without its ending."""
    schema = json.loads((SPECS / f"{name}.json").read_text("utf-8"))
    return Draft202012Validator(schema, format_checker=FormatChecker())


def call_of(request: Request | Call) -> str | None:
    """The name of the schemas for a request, if it has any."""
    place = f"{request.method} {request.path}"
    return next((name for pattern, name in CALLS.items() if re.fullmatch(pattern, place)), None)


def check(request: Request, reply: Reply) -> None:
    """Fails on a 2xx for a request the schema refuses, and on a reply that follows no schema."""
    if reply.status < 400:
        check_request(request)
    check_reply(request, reply)


def check_request(request: Request) -> None:
    """Fails on a request that its schema refuses; what a DELETE asks for stands in its query."""
    call = call_of(request)
    if call is None or request.method == "GET":
        return
    asked = orjson.loads(request.body) if request.body else {"labelKeys": [value for _, value in request.query]}
    validator(f"{call}.request").validate(asked)


def check_reply(request: Request, reply: Reply) -> None:
    """Fails on a reply that follows no schema; pages of gateways have none."""
    call = call_of(request)
    if reply.status < 400 and call is not None:
        validator(f"{call}.response").validate(orjson.loads(reply.body))
    elif reply.status >= 400 and reply.headers["content-type"] == "application/json" and call != "oauth_token":
        validator("error.response").validate(orjson.loads(reply.body))


class Rig:
    """A world, its clock, its API. `seen` lists exchanges; `check=False` is for faults that spoil replies."""

    def __init__(self, *, world: World | None = None, check: bool = True, **options: Any) -> None:
        self.clock = ManualClock(NOW) if world is None else world.clock
        self.world = world or World(clock=self.clock, zone="Europe/Berlin")
        self.options = options
        self.seen: list[tuple[Request, Reply]] = []
        self._check = check
        if world is None:
            self.mug = self.world.add_product("Stoneware mug", 1690, category="Mugs", vendor="Lind")
            self.tea = self.world.add_product("Earl Grey", 790, category="Tea")

    def open(self) -> Rig:
        """Put the API before the world; what was done so far is indexed."""
        self.api = WixSandbox(self.world, clock=self.clock, **self.options)
        self.site = self.api.site
        return self

    def access(self, **settings: Any) -> Access:
        """What a factory of the platform needs to work against this site with an API key."""
        return Access(
            WixSettings(site_id=SITE_ID, **settings),
            {"REGULARS_WIX_API_KEY": API_KEY},
            self.clock,
            handler_transport(self.handle),
        )

    def handle(self, request: Request) -> Reply:
        """The simulator's answer, checked."""
        reply = self.api.handle(request)
        if self._check:
            check(request, reply)
        self.seen.append((request, reply))
        return reply

    def settle(self) -> None:
        """Let the indexes catch up."""
        self.clock.sleep(self.site.index.lag + 1)

    def call(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None,
        params: tuple[tuple[str, str], ...] = (),
    ) -> Reply:  # fmt: skip
        """One raw request with the key, or with other headers."""
        sent = {"authorization": API_KEY, "wix-site-id": SITE_ID} if headers is None else headers
        data = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        return self.handle(Request(method, path, params, sent, data))

    def post(self, path: str, body: Any) -> Any:
        """The answer to a POST that succeeds."""
        return _good(self.call("POST", path, body))

    def get(self, path: str, *params: tuple[str, str]) -> Any:
        """The answer to a GET that succeeds."""
        return _good(self.call("GET", path, params=params))

    def refused(self, path: str, body: Any, status: int = 400) -> Any:
        """The error a POST is answered with."""
        reply = self.call("POST", path, body)
        assert reply.status == status, reply.body
        return orjson.loads(reply.body)

    def orders(self, **search: Any) -> list[Any]:
        """All orders of a search, page by page."""
        return self._walk("/ecom/v1/orders/search", "search", "orders", "metadata", search)

    def checkouts(self, **query: Any) -> list[Any]:
        """All abandoned checkouts of a query, page by page."""
        return self._walk("/ecom/v1/abandoned-checkout/query", "query", "abandonedCheckouts", "metadata", query)

    def contacts(self, **query: Any) -> list[Any]:
        """The first page of contacts of version 4."""
        found: list[Any] = self.post("/contacts/v4/contacts/query", {"query": query})["contacts"]
        return found

    def person(self, email: str | None = "ana@example.com", **facts: Any) -> Customer:
        return self.world.add_customer(email, at=NOW - 100 * DAY, **facts)

    def order(self, customer: Customer | None, **facts: Any) -> Order:
        """A sale of two mugs and a tea."""
        return self.world.place_order(customer, [(self.mug, 2), (self.tea, 1)], **facts)

    def _walk(self, path: str, envelope: str, root: str, metadata: str, asked: dict[str, Any]) -> list[Any]:
        found: list[Any] = []
        while True:
            answer = self.post(path, {envelope: asked})
            found += answer[root]
            following = answer[metadata]["cursors"].get("next")
            if not following:
                return found
            limit = {name: value for name, value in asked.get("cursorPaging", {}).items() if name == "limit"}
            asked = {"cursorPaging": {**limit, "cursor": following}}


def _good(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return orjson.loads(reply.body)
