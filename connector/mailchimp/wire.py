"""How Mailchimp is spoken to: paths, pages, errors. Pure.

https://mailchimp.com/developer/marketing/docs/fundamentals/, https://mailchimp.com/developer/marketing/docs/errors/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from connector.auth import retry_after
from connector.base import Call, Ok, Rejected, Reply, RetryAfter, Usage, Verdict
from connector.errors import AuthError, BadReply, BadRequest, PlatformError, ScopeError, Stopped, WrongShop
from connector.mailchimp import API_KEY
from connector.redact import redact

PLATFORM = "mailchimp"
VERSION = "/3.0"

OF_AUDIENCE = frozenset({"GetMembers", "GetTags", "CreateTag", "GetMergeFields", "CreateMergeField"})
"""Operations whose path names only the audience: that is what a 404 to them is about."""

_COMPLIANCE = 599
"""The status of a method that Mailchimp has switched off for the account."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error says of itself. `title` is the kind, `detail` may hold an address and is masked."""

    status: int
    title: str
    detail: str
    instance: str | None = None

    @property
    def said(self) -> str:
        return f"{self.title}: {self.detail}" if self.detail else self.title


class Refused(BadRequest):
    """A 4xx about what was sent."""

    def __init__(self, operation: str, problem: Problem) -> None:
        super().__init__(PLATFORM, operation, f"HTTP {problem.status}: {problem.said}", problem.instance)
        self.problem = problem


class NotFound(Refused):
    """The tag, member or batch named by the call does not exist."""


def call(operation: str, method: str, path: str, params: Iterable[tuple[str, str]] = (), document: Any = None) -> Call:
    """A call; `path` is written without the version, as the operations of a batch have it."""
    return Call(operation, method, VERSION + path, tuple(params), json=document)


def document(operation: str, reply: Reply, *required: str) -> Mapping[str, Any]:
    """The object of a reply that should have these members: a proxy's page must not look like an empty audience."""
    body = orjson.loads(reply.body)
    if not isinstance(body, dict) or any(key not in body for key in required):
        raise BadReply(PLATFORM, operation, f"HTTP {reply.status} without {', '.join(required)}; try again later")
    return body


def problem_in(status: int, body: bytes | str) -> Problem | None:
    """The problem document, RFC 7807, as far as it is one; None for anything else (a proxy's page, no body).

    `type` and `instance` may be missing; `errors` names fields.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(data, dict) or not ("title" in data or "detail" in data):
        return None
    entries = data.get("errors")
    fields = [
        f"{entry.get('field') or 'body'}: {entry['message']}"
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and entry.get("message")
    ]
    detail = "; ".join([str(data.get("detail") or ""), *fields[:3]]).strip("; ")
    instance = data.get("instance")
    title = redact(str(data.get("title") or "no reason given"))
    return Problem(status, title, redact(detail), str(instance) if instance else None)


class MailchimpWire:
    """Judges replies by their status first; a problem document tells a real refusal from an overloaded edge."""

    platform = PLATFORM

    def judge(self, call: Call, reply: Reply) -> Verdict:
        if 200 <= reply.status < 300:
            if reply.status != 204 and reply.body:
                orjson.loads(reply.body)
            return Ok()
        problem = problem_in(reply.status, reply.body)
        if throttled(reply.status, problem) or (reply.status >= 500 and not _switched_off(reply.status, problem)):
            return RetryAfter(retry_after(reply), f"HTTP {reply.status}")
        return Rejected(_rejection(call, reply, problem))

    def usage(self, call: Call, reply: Reply) -> Usage | None:
        """Mailchimp has no quota and no headers about one, only a limit of connections."""
        return None

    def request_id(self, reply: Reply) -> str | None:
        """The instance of a problem document."""
        problem = problem_in(reply.status, reply.body) if reply.status >= 400 else None
        return problem.instance if problem else None


def throttled(status: int, problem: Problem | None) -> bool:
    """Whether to try again: at high volume Mailchimp's edge says 403 without a problem document instead of 429."""
    return status in (408, 429) or (status == 403 and problem is None)


def _switched_off(status: int, problem: Problem | None) -> bool:
    return status == _COMPLIANCE and problem is not None


def _rejection(call: Call, reply: Reply, problem: Problem | None) -> PlatformError:
    status = reply.status
    if problem is None:
        if status == 401:
            return _bad_key(call, "no reason given", None)
        text = f"HTTP {status} without an explanation, so not from Mailchimp's API itself; check api_url"
        return BadReply(PLATFORM, call.operation, text)
    if status == 401 or (status == 403 and "datacenter" in problem.title.replace(" ", "").lower()):
        return _bad_key(call, problem.said, problem.instance)
    if status == _COMPLIANCE or (status == 403 and "disabled" in problem.said.lower()):
        text = f"Mailchimp has switched this off for the account ({problem.said}); see the account's notices"
        return Stopped(PLATFORM, call.operation, text, problem.instance)
    if status == 403:
        text = f"the key's user may not do this ({problem.said}); use a key of a manager, or another plan"
        return ScopeError(PLATFORM, call.operation, text, problem.instance)
    if status == 404 and call.operation in OF_AUDIENCE:
        audience = call.path.removeprefix(VERSION).split("/")[2]
        text = f"no audience {audience!r} in this account; `regulars doctor` names those there are (audience_id)"
        return WrongShop(PLATFORM, call.operation, text, problem.instance)
    return NotFound(call.operation, problem) if status == 404 else Refused(call.operation, problem)


def _bad_key(call: Call, said: str, instance: str | None) -> AuthError:
    text = f"the key is refused ({said}); set {API_KEY} to a key of this account, whole with its data centre (-us19)"
    return AuthError(PLATFORM, call.operation, text, instance)
