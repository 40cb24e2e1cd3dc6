"""Mailchimp's API over an account in memory: strict where Mailchimp is, late where Mailchimp is late.

Where the real API is not established, the modules of the endpoints say what was chosen. Its limit of ten simultaneous
connections cannot be met here, since a simulator answers one request at a time: `throttled` stands for it.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from random import Random
from typing import Any
from urllib.parse import unquote

import orjson

from connector.base import Clock, Reply
from connector.mailchimp.sandbox_account import STATUSES, Account
from connector.mailchimp.sandbox_batches import RESULTS, Batches, Operation
from connector.mailchimp.sandbox_endpoints import ENDPOINTS, Endpoint
from connector.mailchimp.sandbox_query import Problem, Selection, missing
from connector.mailchimp.sandbox_seen import Seen
from connector.sandbox.faults import Fault, Faults
from connector.sandbox.wire import Request

KEY = "sandbox_0000000000000000-us19"
_TYPE = "https://mailchimp.com/developer/marketing/docs/errors/"
_DAYS = 700
_PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class MailchimpSandbox:
    """Answers requests of one account. `requests` counts them by operation, those inside batches apart (`batched`).

    `account` and `audience` (the first one) are open to a test's hands; the account's journal is at hand as `joins`,
    `consent_writes`, `created`, `replaced` and `writes`. `in_batch` may answer in the place of an operation of a batch.
    Of its own kinds of faults, `throttled` is the 429 for too many connections, `throttled_html`, `blocked_html` and
    `down_html` are the 429, 403 and 503 of the edge, `forbidden` is the plan's or the role's 403, and `stuck_batch` a
    batch that never ends.
    """

    platform = "mailchimp"

    def __init__(
        self,
        *,
        clock: Clock,
        api_key: str = KEY,
        scale: float = 1.0,
        faults: Faults | None = None,
        audience: str = "Shop",
        refuse_example_com: bool = True,
        forbidden: Iterable[str] = (),
        seed: int = 5,
    ) -> None:
        self.account = Account(clock, refuse_example_com=refuse_example_com)
        self.audience = self.account.add_audience(audience)
        self.batches = Batches(clock, scale, Random(seed))  # noqa: S311
        self.api_key = api_key
        self.forbidden = set(forbidden)
        self.requests: Counter[str] = Counter()
        self.batched: Counter[str] = Counter()
        self.in_batch: Callable[[Request], Reply | None] = lambda request: None
        self._clock = clock
        self._faults = faults
        self._problems = 0
        self._lock = threading.Lock()
        journal = self.account.journal
        self.joins, self.consent_writes, self.created = journal.joins, journal.consent_writes, journal.created
        self.replaced, self.writes = journal.replaced, journal.writes

    def seed(
        self,
        addresses: Iterable[str],
        rng: Random,
        *,
        known: float,
        unsubscribed: float = 0.0,
        cleaned: float = 0.0,
        transactional: float = 0.0,
        pending: float = 0.0,
        archived: float = 0.0,
        consenting: Container[str] | None = None,
    ) -> None:
        """Members for a share `known` of the addresses, shares of these not subscribed, since up to two years ago.

        Of the others those `consenting` are subscribed (None: all), and the rest only ever bought something.
        """
        shares = (unsubscribed, cleaned, pending, transactional, archived)
        names = (*STATUSES[1:], "archived")
        now = self.audience.now()
        for address in addresses:
            if rng.random() < known and self.audience.find(address) is None:
                status = rng.choices((*names, "subscribed"), (*shares, max(0.0, 1 - sum(shares))))[0]
                if status == "subscribed" and not (consenting is None or address in consenting):
                    status = "transactional"
                self.audience.add(address, status, at=now - rng.randrange(1, _DAYS * 86_400))

    def handle(self, request: Request) -> Reply:
        """Answer, or what the script of faults puts in its place."""
        with self._lock:
            endpoint, keys = _route(request)
            operation = endpoint.operation if endpoint else "batchResults" if _is_results(request) else ""
            if self._faults is None:
                return self._answer(request, endpoint, keys)
            pages = {"throttled_html": 429, "blocked_html": 403, "down_html": 503}
            return self._faults.run(
                operation,
                request.path,
                lambda: self._answer(request, endpoint, keys),
                clock=self._clock,
                special={
                    "throttled": lambda fault, answer: self._reply(_too_many()),
                    "forbidden": lambda fault, answer: self._reply(_forbidden()),
                    "stuck_batch": self._stick,
                    **{kind: _edge(status) for kind, status in pages.items()},
                },
            )

    def _answer(self, request: Request, endpoint: Endpoint | None, keys: Mapping[str, str]) -> Reply:
        self.batches.settle(lambda operation: self._perform(operation, request))
        if _is_results(request):
            self.requests["batchResults"] += 1
            return self.batches.results(request)
        try:
            self._door(request)
        except Problem as problem:
            return self._reply(problem)
        return self._acted(request, endpoint, keys, self.requests)

    def _door(self, request: Request) -> None:
        """The key, and whether this is its data centre."""
        sent = request.headers.get("authorization")
        if sent is None:
            raise Problem(401, "API Key Missing", "Your request did not include an API key.")
        host = request.headers.get("host", "").split(":")[0]
        centre = host.removesuffix(".api.mailchimp.com")
        astray = centre != host and centre != self.api_key.rpartition("-")[2]
        if astray or _key(sent) != self.api_key:
            text = "Your API key may be invalid, or you've attempted to access the wrong datacenter."
            raise Problem(401, "API Key Invalid", text)

    def _acted(
        self, request: Request, endpoint: Endpoint | None, keys: Mapping[str, str], counts: Counter[str]
    ) -> Reply:
        try:
            if endpoint is None:
                raise missing()
            counts[endpoint.operation] += 1
            if endpoint.operation in self.forbidden:
                raise _forbidden()
            query = dict(request.query)
            selection = Selection(query)
            body = _body(request)
            base = _base(request)
            seen = Seen(self.account, self.batches, query, selection, keys, body, base, self._clock.now())
            status, document = endpoint.act(seen)
        except Problem as problem:
            return self._reply(problem)
        if document is None:
            return Reply(status, {}, b"")
        trimmed = selection.trim(document) if request.method == "GET" else document
        return Reply(status, {"content-type": "application/json; charset=utf-8"}, orjson.dumps(trimmed))

    def _perform(self, operation: Operation, request: Request) -> Reply:
        """One operation of a batch, as if it were sent alone."""
        path = "/3.0/" + operation["path"].lstrip("/")
        query = tuple((name, str(value)) for name, value in (operation.get("params") or {}).items())
        path, _, inline = path.partition("?")
        query += tuple((name, value) for name, _, value in (each.partition("=") for each in inline.split("&")) if name)
        headers = {"host": request.headers.get("host", ""), "content-type": "application/json"}
        inner = Request(operation["method"], path, query, headers, operation.get("body", "").encode())
        endpoint, keys = _route(inner)
        return self.in_batch(inner) or self._acted(inner, endpoint, keys, self.batched)

    def _stick(self, fault: Fault, answer: Callable[[], Reply]) -> Reply:
        """Batches begun by this call never end."""
        self.batches.stick = True
        try:
            return answer()
        finally:
            self.batches.stick = False

    def _reply(self, problem: Problem) -> Reply:
        self._problems += 1
        document: dict[str, Any] = {
            "type": _TYPE,
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
            "instance": f"00000000-0000-4000-8000-{self._problems:012d}",
        }
        if problem.errors:
            document["errors"] = [{"field": field, "message": message} for field, message in problem.errors]
        headers = {"content-type": "application/problem+json; charset=utf-8"}
        return Reply(problem.status, headers, orjson.dumps(document))


def _too_many() -> Problem:
    return Problem(429, "Too Many Requests", "You have exceeded the limit of 10 simultaneous connections.")


def _forbidden() -> Problem:
    return Problem(403, "User Action Not Permitted", "Your plan or your role does not permit this action.")


def _edge(status: int) -> Callable[[Fault, Callable[[], Reply]], Reply]:
    """A page of the firewall before the API, without JSON and without a hint how long to wait."""
    titles = {403: "Access Denied", 429: "Too Many Requests", 503: "Service Unavailable"}
    page = _PAGE.format(titles[status]).encode()
    return lambda fault, answer: Reply(status, {"content-type": "text/html"}, page)


def _key(sent: str) -> str:
    """The key in an Authorization header: Bearer, or the password of Basic."""
    scheme, _, value = sent.partition(" ")
    if scheme.lower() == "bearer":
        return value
    try:
        decoded = base64.b64decode(value, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return decoded.partition(":")[2]


def _body(request: Request) -> Any:
    if request.method in ("GET", "DELETE") or not request.body:
        return None
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        text = "We encountered an unspecified JSON parsing error."
        raise Problem(400, "JSON Parse Error", text) from error


def _is_results(request: Request) -> bool:
    return request.path.startswith(RESULTS)


def _route(request: Request) -> tuple[Endpoint | None, Mapping[str, str]]:
    for endpoint in ENDPOINTS:
        match = endpoint.path.fullmatch(request.path) if endpoint.method == request.method else None
        if match:
            return endpoint, {name: unquote(value) for name, value in match.groupdict().items()}
    return None, {}


def _base(request: Request) -> str:
    """Links lead back to where the client came from."""
    host = request.headers.get("host", "us19.api.mailchimp.com")
    local = host.split(":")[0] in ("127.0.0.1", "localhost")
    return f"{'http' if local else 'https'}://{host}"
