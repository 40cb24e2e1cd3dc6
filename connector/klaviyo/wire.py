"""How Klaviyo is spoken to: headers, pages, errors, rate limits. Pure.

https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from connector.auth import retry_after
from connector.base import Call, Ok, Rejected, Reply, RetryAfter, Usage, Verdict
from connector.errors import AuthError, BadReply, BadRequest, PlatformError, ScopeError, Stopped, Unavailable
from connector.klaviyo.limits import limits
from connector.redact import redact

PLATFORM = "klaviyo"
MEDIA_TYPE = "application/vnd.api+json"

# A minute's window never asks for a longer wait than this; only the limit of a day does.
_LONGEST_WINDOW = 120.0
_SILENT = frozenset({"CreateEvent", "SubscribeProfiles"})
"""Operations that are accepted with an empty body."""
_KEY_WORDS = re.compile(r"api[ _-]?key|private key|authenticat|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ApiError:
    """One entry of `errors`. `pointer` leads to the offending part of the request; `profile` is the id of the profile
    that stands in the way."""

    id: str | None
    code: str
    detail: str
    pointer: str | None
    profile: str | None = None


class Refused(BadRequest):
    """A 4xx about what was sent. `errors` say which part of it."""

    def __init__(
        self, operation: str, text: str, request_id: str | None, *, status: int, errors: tuple[ApiError, ...]
    ) -> None:
        super().__init__(PLATFORM, operation, text, request_id)
        self.status = status
        self.errors = errors


class NotFound(Refused):
    """The list, job or profile named by the call does not exist."""


class DailyLimit(Unavailable):
    """A limit that counts by the day is used up: nothing that one run could wait for."""

    definite = True


def call(operation: str, method: str, path: str, params: Iterable[tuple[str, str]] = (), document: Any = None) -> Call:
    """A call in our revision; falling forward to another revision is declined, so that a retired one is an error."""
    headers = {
        "accept": MEDIA_TYPE,
        "revision": limits().api.revision,
        "x-klaviyo-revision-fall-forward-opt-out": "1",
    }
    if document is not None:
        headers["content-type"] = MEDIA_TYPE
    return Call(operation, method, path, tuple(params), json=document, headers=headers, budget=operation)


def quoted(value: str) -> str:
    """A string literal of the filter language."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def any_of(name: str, values: Iterable[str]) -> str:
    """A filter for the records whose `name` is one of `values`."""
    return f"any({name},[{','.join(map(quoted, values))}])"


def instant(seconds: int) -> str:
    """RFC 3339, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def document(operation: str, reply: Reply) -> Mapping[str, Any]:
    """The JSON:API document of a reply that should carry one."""
    body = orjson.loads(reply.body)
    if not isinstance(body, dict) or "data" not in body:
        raise BadReply(PLATFORM, operation, f"HTTP {reply.status} without a JSON:API document; try again later")
    return body


def following(before: Call, body: Mapping[str, Any]) -> Call | None:
    """The call for the next page: path and query of `links.next`, never its host, which must not receive the key."""
    link = (body.get("links") or {}).get("next")
    if not link:
        return None
    parts = urlsplit(link)
    after = Call(
        before.operation,
        before.method,
        parts.path,
        tuple(parse_qsl(parts.query, keep_blank_values=True)),
        headers=before.headers,
        budget=before.budget,
    )
    if after == before:
        raise BadReply(PLATFORM, before.operation, "the link to the next page leads to the same page")
    return after


def errors(reply: Reply) -> tuple[ApiError, ...]:
    """The entries of an error document; none where the body is something else (a proxy's page)."""
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return ()
    entries = body.get("errors") if isinstance(body, dict) else None
    return tuple(_error(entry) for entry in entries or () if isinstance(entry, dict))


def _error(entry: Mapping[str, Any]) -> ApiError:
    detail = str(entry.get("detail") or entry.get("title") or "no reason given")
    source = entry.get("source")
    pointer = source.get("pointer") if isinstance(source, dict) else None
    meta = entry.get("meta")
    profile = meta.get("duplicate_profile_id") if isinstance(meta, dict) else None
    return ApiError(entry.get("id"), str(entry.get("code") or ""), redact(detail), pointer, profile)


class KlaviyoWire:
    """Judges replies by their status first; bodies are read only to name the reason.

    A good status with a body that is no JSON raises JSONDecodeError, upon which the client tries again.
    """

    platform = PLATFORM

    def judge(self, call: Call, reply: Reply) -> Verdict:
        if 200 <= reply.status < 300:
            if reply.body or (reply.status != 204 and call.operation not in _SILENT):
                orjson.loads(reply.body)
            return Ok()
        if reply.status == 429:
            return _throttled(call, reply)
        if reply.status >= 500 or reply.status == 408:
            return RetryAfter(retry_after(reply), f"HTTP {reply.status}")
        return Rejected(_rejection(call, reply))

    def usage(self, call: Call, reply: Reply) -> Usage | None:
        """The RateLimit headers, which describe the minute's window; a 429 carries none."""
        limit = _steady(reply.headers.get("ratelimit-limit"))
        remaining = _steady(reply.headers.get("ratelimit-remaining"))
        if limit is None or remaining is None:
            return None
        resets = _steady(reply.headers.get("ratelimit-reset"))
        return Usage(
            call.budget,
            available=float(remaining),
            maximum=float(limit),
            rate=limit / 60.0,
            resets=None if resets is None else float(resets),
        )

    def request_id(self, reply: Reply) -> str | None:
        """The first error's id: Klaviyo sends no request-id header."""
        return next((error.id for error in errors(reply) if error.id), None)


def _steady(header: str | None) -> int | None:
    """`750`, or `75, 75;w=1, 750;w=60` of which the window of 60 seconds counts."""
    if not header:
        return None
    counts = {}
    for item in header.split(","):
        number, _, rest = item.strip().partition(";")
        if not number.strip().isdigit():
            return None
        counts[rest.strip()] = int(number)
    return counts.get("w=60", next(iter(counts.values())))


def _throttled(call: Call, reply: Reply) -> Verdict:
    seconds = retry_after(reply)
    if seconds is None or seconds <= _LONGEST_WINDOW:
        return RetryAfter(seconds, "HTTP 429")
    daily = limits().writes.list_creates_per_day if call.operation == "CreateList" else None
    what = f"the limit of {daily} new lists a day is used up" if daily else "a daily limit is used up"
    text = f"{what}; Klaviyo asks to wait {seconds / 3600:.1f} hours, run again then"
    return Rejected(DailyLimit(PLATFORM, call.operation, text))


def _rejection(call: Call, reply: Reply) -> PlatformError:
    found = errors(reply)
    request_id = next((error.id for error in found if error.id), None)
    said = "; ".join(error.detail for error in found[:3]) or "no reason given"
    key_refused = reply.status == 401 or (
        reply.status == 400 and any(_KEY_WORDS.search(f"{error.code} {error.detail}") for error in found)
    )
    if key_refused:
        text = f"the key is refused ({said}); set REGULARS_KLAVIYO_API_KEY to a private key of this account"
        return AuthError(PLATFORM, call.operation, text, request_id)
    if reply.status == 403:
        operation = limits().operations.get(call.operation)
        needed = f"needs {', '.join(operation.scopes)}" if operation else "lacks a scope"
        text = f"the key may not do this ({said}): it {needed}; create a key with these scopes"
        return ScopeError(PLATFORM, call.operation, text, request_id)
    if reply.status == 410:
        text = f"Klaviyo no longer serves revision {limits().api.revision}; update regulars"
        return Stopped(PLATFORM, call.operation, text, request_id)
    if reply.status < 400:
        return BadReply(PLATFORM, call.operation, f"unexpected HTTP {reply.status}; check api_url", request_id)
    kind = NotFound if reply.status == 404 else Refused
    return kind(call.operation, f"HTTP {reply.status}: {said}", request_id, status=reply.status, errors=found)
