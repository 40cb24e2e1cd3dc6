"""What a reply of Wix's REST API means. Pure.

Status codes and the error body: dev.wix.com/docs/rest/articles/get-started/errors. `details` has two variants and may
be missing; gateways answer in HTML. The code in `details.applicationError` decides, never the message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from connector.auth import retry_after
from connector.base import Call, Ok, Rejected, Reply, RetryAfter, Usage, Verdict
from connector.errors import AuthError, BadReply, BadRequest, PlatformError, ScopeError
from connector.wix.limits import limits

PLATFORM = "wix"

_NOT_IMPLEMENTED = 501


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error body says. `code` is `details.applicationError.code`, empty where there is none."""

    code: str = ""
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


class Refused(BadRequest):
    """A 4xx (or 501) about what was asked for. `code` is the applicationError's, `data` what it adds."""

    def __init__(
        self,
        operation: str,
        text: str,
        request_id: str | None = None,
        *,
        status: int,
        code: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(PLATFORM, operation, text, request_id)
        self.status = status
        self.code = code
        self.data = data or {}


class NotFound(Refused):
    """The contact, label or job named by the call does not exist; without a `code`, the API itself is not there."""


class WixWire:
    """The pure half that a Client needs."""

    platform = PLATFORM

    def request_id(self, reply: Reply) -> str | None:
        """Wix's name for the request."""
        return reply.headers.get("x-wix-request-id")

    def usage(self, call: Call, reply: Reply) -> Usage | None:
        """Nothing: no header of Wix tells how much of the minute is left."""
        return None

    def judge(self, call: Call, reply: Reply) -> Verdict:
        """Ok, send again, or never send again. 409 and 428 are refusals: the same request would meet the same state."""
        if 200 <= reply.status < 300:
            return self._judge_body(call, reply)
        if reply.status == 429:
            return RetryAfter(_pause(reply), "HTTP 429: more requests than the site allows in a minute")
        if reply.status == 408 or (reply.status >= 500 and reply.status != _NOT_IMPLEMENTED):
            return RetryAfter(retry_after(reply), f"HTTP {reply.status}")
        problem = problem_of(reply)
        said = f"HTTP {reply.status}" + "".join(f": {part}" for part in (problem.code, problem.text) if part)
        if reply.status == 401:
            return self._reject(
                AuthError, call, reply, f"the key is refused ({said}); make a new one and check that it has not expired"
            )
        if reply.status == 403:
            scope = limits().scope_of(call.operation) or "the permission"
            way_out = "grant it to the key (or app), and check that [store] site_id is a site of the key's account"
            return self._reject(ScopeError, call, reply, f"the key lacks {scope} ({said}); {way_out}")
        kind = NotFound if reply.status == 404 else Refused
        error = kind(
            call.operation, said, self.request_id(reply), status=reply.status, code=problem.code, data=problem.data
        )
        return Rejected(error)

    def _judge_body(self, call: Call, reply: Reply) -> Verdict:
        if not reply.body.strip():
            return Ok()
        if "html" in reply.headers.get("content-type", ""):
            return self._reject(BadReply, call, reply, "the answer is a web page; check [store] api_url")
        try:
            body = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            return RetryAfter(None, "the answer is no JSON")
        if not isinstance(body, dict):
            return self._reject(BadReply, call, reply, "the answer is no JSON object")
        return Ok()

    def _reject(self, kind: Callable[..., PlatformError], call: Call, reply: Reply, text: str) -> Rejected:
        return Rejected(kind(PLATFORM, call.operation, text, self.request_id(reply)))


def document(reply: Reply) -> dict[str, Any]:
    """The JSON object of a reply that was judged Ok; empty where the reply is."""
    body = orjson.loads(reply.body) if reply.body.strip() else {}
    return body if isinstance(body, dict) else {}


def problem_of(reply: Reply) -> Problem:
    """What an error reply says; nothing for a gateway's page."""
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return Problem()
    if not isinstance(body, Mapping):
        return Problem()
    details = _mapping(body.get("details"))
    error = _mapping(details.get("applicationError"))
    violations = _mapping(details.get("validationError")).get("fieldViolations")
    words = [str(body.get("message") or error.get("description") or "")]
    for each in violations if isinstance(violations, list) else ():
        if isinstance(each, Mapping) and str(each.get("description")) not in words[0]:
            words.append(f"{each.get('field', '?')}: {each.get('description', '?')}")
    return Problem(str(error.get("code") or ""), _short("; ".join(filter(None, words))), _mapping(error.get("data")))


def _pause(reply: Reply) -> float:
    """Wix documents no Retry-After and advises to wait a minute; the client adds the jitter."""
    seconds = retry_after(reply)
    return limits().window.wait if seconds is None else seconds


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _short(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= 300 else one_line[:297] + "..."
