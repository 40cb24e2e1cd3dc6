"""The one way out to the network: budget, credentials, request, verdict, retry.

Every call may be sent twice: after a broken connection nobody knows whether the server acted. All reads are safe, and
every write of a destination is made so that repeating it changes nothing.
"""

from __future__ import annotations

import json
import logging
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from random import SystemRandom
from types import TracebackType
from urllib.parse import parse_qsl

import httpx
import orjson

from connector.auth import Auth, Renewal
from connector.base import Call, Clock, Ok, Rejected, Reply, RetryAfter, Usage, Verdict, Wire
from connector.budget import Budget, Budgets
from connector.errors import AuthError, BadReply, PlatformError, TimedOut, Unavailable, WrongShop
from connector.retry import Again, Attempts, Policy
from connector.sandbox.wire import Drop, Request, Simulator

CONNECT = 10.0
READ = 60.0
CONNECTIONS = 10
CHANCE = SystemRandom().random
_ERRNO = re.compile(r"^\[errno -?\d+\] ", re.IGNORECASE)
_waits = logging.getLogger("connector.waits")


class Client:
    """Sends the calls of one account. Safe to share between threads; `budget` may be shared between clients."""

    def __init__(
        self,
        wire: Wire,
        auth: Auth,
        budget: Budgets | Budget,
        *,
        base_url: str,
        clock: Clock,
        transport: httpx.BaseTransport | None = None,
        policy: Policy | None = None,
        read_timeout: float = READ,
        random: Callable[[], float] = CHANCE,
    ) -> None:
        self.wire = wire
        self.auth = auth
        self.budget = budget if isinstance(budget, Budgets) else Budgets(budget)
        self.policy = policy or Policy()
        self.calls = 0
        self.waited = 0.0
        self.cost = 0.0
        self.operations: Counter[str] = Counter()
        self._clock = clock
        self._random = random
        self._counting = threading.Lock()
        self._renewing = threading.Lock()
        self._base = _base_url(wire.platform, base_url)
        self._longest = CONNECT + 2 * read_timeout
        self._http = httpx.Client(
            transport=transport,
            timeout=httpx.Timeout(connect=CONNECT, read=read_timeout, write=read_timeout, pool=self._longest),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            headers={"User-Agent": "regulars"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            trust_env=not _loopback(self._base),
        )

    def send(self, call: Call) -> Reply:
        """The reply that answers `call`. Raises PlatformError with platform, operation and request id."""
        credentials = self._credentials(call)
        try:
            return self._tried(call, credentials, self.wire)
        except AuthError:
            renewed = self._credentials(call, refused=credentials)
            if renewed == credentials:
                raise
        return self._tried(call, renewed, self.wire)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _credentials(self, call: Call, refused: Mapping[str, str] | None = None) -> Mapping[str, str]:
        with self._renewing:
            renewal = self.auth.renewal(self._clock.now(), refused)
            if renewal is not None:
                self._renew(renewal)
            headers = dict(self.auth.headers())
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            text = "the key contains a character that no key has (a line break, a quote sign?); copy it again"
            raise AuthError(self.wire.platform, call.operation, text)
        return headers

    def _renew(self, renewal: Renewal) -> None:
        reply = self._tried(renewal.call, {}, _TokenWire(self.wire, renewal))
        renewal.accept(reply, self._clock.now())

    def _tried(self, call: Call, credentials: Mapping[str, str], wire: Wire) -> Reply:
        attempts = Attempts(self.policy, self._sleep, self._random, self._tell)
        try:
            return attempts.run(lambda: self._attempt(call, credentials, wire, attempts))
        except Again as last:
            raise self._unavailable(call, last, attempts) from last

    def _tell(self, again: Again, seconds: float, attempt: int) -> None:
        _waits.warning(
            "%s: %s; trying again in %s, try %d of %d",
            self.wire.platform,
            again.reason,
            _span(seconds),
            attempt,
            self.policy.tries,
        )

    def _attempt(self, call: Call, credentials: Mapping[str, str], wire: Wire, attempts: Attempts) -> Reply:
        request = self._request(call, credentials)
        with self._paid(call) as usages:
            began = self._clock.now()
            try:
                reply = self._exchange(call, request)
            finally:
                attempts.charge(min(max(0.0, self._clock.now() - began), self._longest))
            try:
                verdict = wire.judge(call, reply)
            except json.JSONDecodeError as error:
                raise Again(f"the answer (HTTP {reply.status}) is no JSON", None, wire.request_id(reply)) from error
            usage = _numbers(wire, call, reply)
            if usage is not None:
                usages.append(usage)
        return self._decided(call, reply, verdict, usage)

    def _decided(self, call: Call, reply: Reply, verdict: Verdict, usage: Usage | None) -> Reply:
        match verdict:
            case Ok():
                spent = usage.spent if usage is not None and usage.spent is not None else call.cost
                with self._counting:
                    self.cost += spent
                return reply
            case RetryAfter(seconds, reason):
                if seconds:
                    self.budget.pause(call.budget, seconds, self._clock.now())
                raise Again(reason, seconds, self.wire.request_id(reply))
            case Rejected(error):
                if isinstance(error, PlatformError) and error.request_id is None:
                    error.request_id = self.wire.request_id(reply)
                raise error

    @contextmanager
    def _paid(self, call: Call) -> Iterator[list[Usage]]:
        """Wait for the budget, and settle with the usage that is put into the list, however the call ends."""
        usages: list[Usage] = []
        reservation = self.budget.reserve(call.cost, call.budget, self._clock.now())
        try:
            while (seconds := self.budget.start(reservation, self._clock.now())) > 0:
                if seconds > self.policy.seconds:
                    text = f"the platform's limit is used up for the next {_span(seconds)}; run again then"
                    raise Unavailable(self.wire.platform, call.operation, text)
                self._sleep(seconds)
        except BaseException:
            self.budget.cancel(reservation)
            raise
        try:
            yield usages
        finally:
            self.budget.observe(reservation, usages[-1] if usages else None, self._clock.now())

    def _request(self, call: Call, credentials: Mapping[str, str]) -> httpx.Request:
        headers = {name.lower(): value for name, value in {**call.headers, **credentials}.items()}
        content = None
        if call.json is not None:
            content = orjson.dumps(call.json)
            headers.setdefault("content-type", "application/json")
        return self._http.build_request(
            call.method,
            self._url(call),
            params=list(call.params) or None,
            content=content,
            data=None if call.form is None else dict(call.form),
            headers=headers,
        )

    def _url(self, call: Call) -> httpx.URL:
        """Joined to the base; a whole URL (a platform's `next` link) must lie on the same host: the key goes along."""
        if not call.path.lower().startswith(("http://", "https://")):
            return httpx.URL(f"{str(self._base).rstrip('/')}/{call.path.lstrip('/')}")
        url = httpx.URL(call.path)
        if (url.scheme, url.host, url.port) != (self._base.scheme, self._base.host, self._base.port):
            text = f"the link to follow leads to {url.host}, not to {self._base.host}; the key is not sent there"
            raise BadReply(self.wire.platform, call.operation, text)
        return url

    def _exchange(self, call: Call, request: httpx.Request) -> Reply:
        with self._counting:
            self.calls += 1
            self.operations[call.operation] += 1
        try:
            response, body = self._read(request)
        except httpx.LocalProtocolError as error:
            raise PlatformError(self.wire.platform, call.operation, "the request cannot be written as HTTP") from error
        except httpx.RequestError as error:
            if _untrusted(error):
                text = f"the certificate of {self._base.host} is not trusted: {error}"
                raise Unavailable(self.wire.platform, call.operation, text) from error
            raise Again(self._broken(error)) from error
        reply = Reply(response.status_code, dict(response.headers), body)
        if response.next_request is not None:
            target = response.next_request.url.host
            text = f"{self._base.host} redirects to {target}, which is not followed; set the address that answers"
            raise WrongShop(self.wire.platform, call.operation, text, self.wire.request_id(reply))
        return reply

    def _read(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        """The body apart from its response: httpx ties a response to its stream and back, which would keep the body."""
        response = self._http.send(request, stream=True)
        try:
            return response, b"".join(response.iter_bytes())
        finally:
            response.close()

    def _broken(self, error: httpx.RequestError) -> str:
        host = self._base.host
        match error:
            case httpx.ConnectTimeout():
                return f"no connection to {host} within {CONNECT:g} s"
            case httpx.TimeoutException():
                return f"no answer from {host} within {self._http.timeout.read:g} s"
            case httpx.ConnectError():
                return f"no connection to {host} ({_ERRNO.sub('', str(error)).lower()})"
            case httpx.DecodingError():
                return "the answer arrived damaged"
            case _:
                return f"the connection to {host} broke off"

    def _unavailable(self, call: Call, last: Again, attempts: Attempts) -> Unavailable:
        tries = f"{attempts.tries} {'try' if attempts.tries == 1 else 'tries'} in {attempts.spent:.0f} s"
        if last.seconds is not None and last.seconds + attempts.spent > self.policy.seconds:
            text = (
                f"{last.reason}; the platform asks for {_span(last.seconds)} of pause (after {tries}), run again then"
            )
        elif isinstance(last.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
            text = f"{last.reason}; gave up after {tries}; check api_url and your connection, then run again"
        else:
            text = f"{last.reason}; gave up after {tries}, run again to go on"
        kind = TimedOut if isinstance(last.__cause__, httpx.ReadTimeout) else Unavailable
        return kind(self.wire.platform, call.operation, text, last.request_id)

    def _sleep(self, seconds: float) -> None:
        with self._counting:
            self.waited += seconds
        self._clock.sleep(seconds)


class _TokenWire:
    """Judges the reply to a request for a token, which has no rate numbers and another form than the API's replies."""

    def __init__(self, wire: Wire, renewal: Renewal) -> None:
        self.platform = wire.platform
        self.judge = renewal.judge
        self.request_id = wire.request_id

    def usage(self, call: Call, reply: Reply) -> Usage | None:
        return None


class _InProcess(httpx.BaseTransport):
    """A simulator in place of the network, one request at a time."""

    def __init__(self, handle: Callable[[Request], Reply]) -> None:
        self._handle = handle
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        query = tuple(parse_qsl(request.url.query.decode("ascii"), keep_blank_values=True))
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.url.raw_path.partition(b"?")[0].decode("ascii")
        seen = Request(request.method, path, query, headers, request.read())
        try:
            with self._lock:
                reply = self._handle(seen)
        except Drop as drop:
            if drop.timeout:
                raise httpx.ReadTimeout("timed out", request=request) from drop
            raise httpx.ReadError("connection reset by peer", request=request) from drop
        promised = reply.headers.get("content-length", "")
        if promised.isdigit() and int(promised) > len(reply.body):
            raise httpx.RemoteProtocolError("body shorter than promised", request=request)
        return httpx.Response(reply.status, headers=dict(reply.headers), content=reply.body, request=request)


def handler_transport(simulator: Simulator | Callable[[Request], Reply]) -> httpx.BaseTransport:
    """A transport that hands each request to a simulator of this process, and its `Drop` to the client as a broken
    connection or a timeout."""
    return _InProcess(simulator if callable(simulator) else simulator.handle)


def _numbers(wire: Wire, call: Call, reply: Reply) -> Usage | None:
    """None also for a reply that was judged by its status and is no JSON: an error page carries no numbers."""
    try:
        return wire.usage(call, reply)
    except json.JSONDecodeError:
        return None


def _base_url(platform: str, text: str) -> httpx.URL:
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL as error:
        raise PlatformError(platform, "address", f"{text!r} is no address: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise PlatformError(platform, "address", f"{text!r} is no address; it begins with https:// and names a host")
    if url.scheme == "http" and not _loopback(url):
        raise PlatformError(platform, "address", f"{url.host} over plain http would expose the key; use https://")
    return url


def _loopback(url: httpx.URL) -> bool:
    if url.host == "localhost" or url.host.endswith(".localhost"):
        return True
    try:
        return ip_address(url.host).is_loopback
    except ValueError:
        return False


def _untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
