"""Klaviyo's API over an account in memory: strict where Klaviyo is, late where Klaviyo is late.

Not established for the real API, and so a choice here: a list change naming an unknown profile is refused whole with
404, and nothing says which profile it was.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson

from connector.base import Clock, Reply
from connector.klaviyo.limits import limits
from connector.klaviyo.sandbox_account import Account
from connector.klaviyo.sandbox_documents import Documents
from connector.klaviyo.sandbox_endpoints import ENDPOINTS, Endpoint
from connector.klaviyo.sandbox_query import Invalid, Pager, one_of
from connector.klaviyo.sandbox_seen import Duplicate, InvalidRows, Missing, Seen, TooLarge
from connector.klaviyo.sandbox_windows import Windows
from connector.sandbox.faults import Fault, Faults
from connector.sandbox.wire import Request

MEDIA_TYPE = "application/vnd.api+json"
ALL_SCOPES = frozenset(scope for its in limits().operations.values() for scope in its.scopes) - {"subscriptions:write"}
"""What a key is made with; nobody needs to change consent."""
_REVISION = re.compile(r"\d{4}-\d\d-\d\d(\.pre)?")


@dataclass(slots=True)
class Problem(Exception):
    """An answer that is an error document."""

    status: int
    code: str
    title: str
    detail: str
    source: Mapping[str, str] | None = None
    meta: Mapping[str, str] | None = None


class KlaviyoSandbox:
    """Answers requests of one account. `requests` counts them by operation; `account` is open to a test's hands.

    `scopes` is what the key may do; `retired` holds revisions that are gone; `key_status` is what a wrong key gets
    (Klaviyo's pages say 400 in one place and 401 in another). Of its own kinds of faults, `throttled` is a 429 and
    `stuck_import` an import that never ends.
    """

    platform = "klaviyo"

    def __init__(
        self,
        *,
        clock: Clock,
        api_key: str = "pk_sandbox_0123456789abcdef",
        scale: float = 1.0,
        faults: Faults | None = None,
        scopes: Iterable[str] = ALL_SCOPES,
        retired: Iterable[str] = (),
        key_status: int = 401,
        seed: int = 1,
    ) -> None:
        self.account = Account(clock, scale=scale, seed=seed)
        self.api_key = api_key
        self.scopes = set(scopes)
        self.retired = set(retired)
        self.key_status = key_status
        self.requests: Counter[str] = Counter()
        self._clock = clock
        self._faults = faults
        self._windows = Windows(scale)
        self._pager = Pager()
        self._errors = 0
        self._lock = threading.Lock()

    def seed(
        self,
        addresses: Iterable[str],
        rng: Random,
        *,
        known: float,
        unsubscribed: float = 0.0,
        suppressed: float = 0.0,
        consenting: Container[str] | None = None,
    ) -> None:
        """Profiles for a share `known` of the addresses; shares of these have opted out or are suppressed.

        Of the others those `consenting` are subscribed (None: all).
        """
        for address in addresses:
            if rng.random() >= known:
                continue
            chance = rng.random()
            if chance < unsubscribed:
                self.account.unsubscribe(self.account.add_person(address))
            elif chance < unsubscribed + suppressed:
                self.account.add_person(address, suppressed=rng.choice(("HARD_BOUNCE", "USER_SUPPRESSED")))
            else:
                subscribed = consenting is None or address in consenting
                self.account.add_person(address, consent="SUBSCRIBED" if subscribed else "NEVER_SUBSCRIBED")

    def handle(self, request: Request) -> Reply:
        """Answer, or what the script of faults puts in its place."""
        with self._lock:
            endpoint, match = _route(request)
            if self._faults is None:
                return self._answer(request, endpoint, match)
            return self._faults.run(
                endpoint.operation if endpoint else "",
                request.path,
                lambda: self._answer(request, endpoint, match),
                clock=self._clock,
                special={"throttled": self._throttle, "stuck_import": self._stick},
            )

    def _answer(self, request: Request, endpoint: Endpoint | None, match: re.Match[str] | None) -> Reply:
        now = self._clock.now()
        self.account.settle()
        try:
            self._door(request)
            if endpoint is None or match is None:
                raise Problem(404, "not_found", "Not found.", f"No resource at {request.method} {request.path}.")
            operation = endpoint.operation
            self.requests[operation] += 1
            if lacking := set(limits().operations[operation].scopes) - self.scopes:
                text = f"The API key is missing required scopes: {', '.join(sorted(lacking))}"
                raise Problem(403, "permission_denied", "You do not have permission to perform this action.", text)
            wait = self._windows.refuse(operation, now)
            if wait is not None:
                return self._throttled(wait)
            status, body = self._act(endpoint, match.groupdict().get("id", ""), request, now)
        except Problem as problem:
            return self._reply(problem.status, self._document(problem), self._rates(endpoint, now))
        except InvalidRows as invalid:
            document = {"errors": [self._entry(_invalid(each)) for each in invalid.problems]}
            return self._reply(400, document, self._rates(endpoint, now))
        return self._reply(status, body, self._rates(endpoint, now))

    def _door(self, request: Request) -> None:
        """Key and revision, before anything is looked at."""
        sent = request.headers.get("authorization")
        if sent is None:
            text = "Missing or invalid authorization scheme. Please use Klaviyo-API-Key."
            raise Problem(self.key_status, "not_authenticated", "Authentication credentials were not provided.", text)
        if sent != f"Klaviyo-API-Key {self.api_key}":
            text = "Incorrect authentication credentials."
            raise Problem(self.key_status, "authentication_failed", text, text)
        revision = request.headers.get("revision", "")
        if not _REVISION.fullmatch(revision):
            raise Problem(400, "invalid", "Invalid revision.", "A valid revision header is required.")
        if revision in self.retired and request.headers.get("x-klaviyo-revision-fall-forward-opt-out") == "1":
            raise Problem(410, "gone", "Revision retired.", f"Revision {revision} is no longer supported.")

    def _act(self, endpoint: Endpoint, key: str, request: Request, now: float) -> tuple[int, Any]:
        query = dict(request.query)
        fields = endpoint.fields or {}
        wanted = {}
        base = _base(request)
        documents = Documents(self.account, base)
        body = self._body(request)
        url = f"{base}{request.path}"
        seen = Seen(self.account, documents, self._pager, query, key, body, len(request.body), url, now)
        try:
            for name in query:
                if name not in endpoint.params:
                    raise Invalid(f"'{name}' is not a valid parameter here.", parameter=name)
            for kind, allowed in fields.items():
                wanted[kind] = one_of(query, f"fields[{kind}]", allowed)
            status, document = endpoint.act(seen)
        except Invalid as invalid:
            raise _invalid(invalid) from invalid
        except Missing as missing:
            raise Problem(404, "not_found", "Not found.", str(missing)) from missing
        except Duplicate as duplicate:
            text = "A profile already exists with one of these identifiers."
            meta = {"duplicate_profile_id": duplicate.profile_id}
            raise Problem(409, "duplicate_profile", "Conflict.", text, None, meta) from duplicate
        except TooLarge as large:
            raise Problem(413, "payload_too_large", "Payload too large.", "The request is larger than 5 MB.") from large
        if document is not None:
            data = document["data"]
            documents.sparse(data if isinstance(data, list) else [data], wanted)
        return status, document

    def _body(self, request: Request) -> Any:
        if request.method == "GET":
            return None
        if request.headers.get("content-type", "").split(";")[0].strip() != MEDIA_TYPE:
            text = f"The content type must be {MEDIA_TYPE}."
            raise Problem(415, "unsupported_media_type", "Unsupported media type.", text)
        try:
            return orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            raise Problem(400, "parse_error", "Malformed request.", "The body is no JSON.") from error

    def _rates(self, endpoint: Endpoint | None, now: float) -> Mapping[str, str]:
        return self._windows.headers(endpoint.operation, now) if endpoint else {}

    def _throttle(self, fault: Fault, answer: Callable[[], Reply]) -> Reply:
        """A fault's 429; without `retry_after` it does not say how long."""
        return self._throttled(None if fault.retry_after is None else round(fault.retry_after))

    def _stick(self, fault: Fault, answer: Callable[[], Reply]) -> Reply:
        """Imports begun by this call never end."""
        self.account.imports_stick = True
        try:
            return answer()
        finally:
            self.account.imports_stick = False

    def _throttled(self, wait: int | None) -> Reply:
        text = "Request was throttled." if wait is None else f"Request was throttled. Expected available in {wait} s."
        problem = Problem(429, "throttled", "Request was throttled.", text)
        return self._reply(429, self._document(problem), {} if wait is None else {"retry-after": str(wait)})

    def _document(self, problem: Problem) -> dict[str, Any]:
        return {"errors": [self._entry(problem)]}

    def _entry(self, problem: Problem) -> dict[str, Any]:
        self._errors += 1
        return {
            "id": f"00000000-0000-4000-8000-{self._errors:012d}",
            "status": problem.status,
            "code": problem.code,
            "title": problem.title,
            "detail": problem.detail,
            "source": dict(problem.source or {}),
            "links": {},
            "meta": dict(problem.meta or {}),
        }

    def _reply(self, status: int, body: Any, headers: Mapping[str, str]) -> Reply:
        content = {"content-type": MEDIA_TYPE} if body is not None else {}
        return Reply(status, {**headers, **content}, b"" if body is None else orjson.dumps(body))


def _invalid(invalid: Invalid) -> Problem:
    source = {"pointer": invalid.pointer} if invalid.pointer else {"parameter": invalid.parameter or ""}
    return Problem(400, "invalid", "Invalid input.", invalid.detail, source)


def _route(request: Request) -> tuple[Endpoint | None, re.Match[str] | None]:
    for endpoint in ENDPOINTS:
        match = endpoint.path.fullmatch(request.path)
        if match and endpoint.method == request.method:
            return endpoint, match
    return None, None


def _base(request: Request) -> str:
    """Links lead back to where the client came from."""
    host = request.headers.get("host", "a.klaviyo.com")
    local = host.split(":")[0] in ("127.0.0.1", "localhost")
    return f"{'http' if local else 'https'}://{host}"
