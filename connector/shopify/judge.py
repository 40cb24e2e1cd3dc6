"""What a reply of Shopify's Admin API means.

Status codes: shopify.dev/docs/api/usage/response-codes. GraphQL errors arrive with status 200:
shopify.dev/docs/api/admin-graphql#status-and-error-codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connector.auth import retry_after
from connector.base import Call, Ok, Rejected, Reply, RetryAfter, Usage, Verdict
from connector.errors import AuthError, BadReply, BadRequest, PlatformError, ScopeError, Stopped, Unavailable, WrongShop
from connector.shopify.limits import limits
from connector.shopify.wire import BUDGET, SHAPES, Bodies, Costs, code, size

PLATFORM = "shopify"


class TooCostly(BadRequest):
    """A request over the points of a single query. A smaller one may pass."""


class TooSlow(Unavailable):
    """Shopify ran out of time over a page that can be made smaller."""


_CLOSED: dict[int, tuple[Callable[..., PlatformError], str]] = {
    401: (AuthError, "the key is refused ({}); check it, or install the app in this shop again"),
    402: (Stopped, "the shop is frozen for unpaid bills ({}); settle them in the Shopify admin"),
    403: (ScopeError, "the key may not use the Admin API ({}); check the app's scopes and the user's permissions"),
    404: (WrongShop, "no such shop, or API version {version} is gone ({}); check [store] shop"),
    423: (Stopped, "the shop is locked ({}); contact Shopify support"),
    430: (Stopped, "Shopify took the requests for malicious ({}); wait, then contact Shopify support"),
}


class ShopifyWire:
    """The pure half that a Client needs. Learns the points of each kind of call into `costs`."""

    platform = PLATFORM

    def __init__(self, costs: Costs) -> None:
        self.bodies = Bodies()
        self._costs = costs

    def request_id(self, reply: Reply) -> str | None:
        """Shopify's name for the request."""
        return reply.headers.get("x-request-id")

    def usage(self, call: Call, reply: Reply) -> Usage | None:
        """The bucket as the server sees it, from `extensions.cost`."""
        cost = _extensions(self.bodies.of(reply)).get("cost")
        if not isinstance(cost, Mapping):
            return None
        status = cost.get("throttleStatus")
        requested, actual = cost.get("requestedQueryCost"), cost.get("actualQueryCost")
        if isinstance(requested, int | float) and call.json is not None:
            self._costs.learn(call, float(requested))
        if not isinstance(status, Mapping):
            return None
        return Usage(
            BUDGET,
            float(status["currentlyAvailable"]),
            float(status["maximumAvailable"]),
            float(status["restoreRate"]),
            0.0 if actual is None else float(actual),
        )

    def judge(self, call: Call, reply: Reply) -> Verdict:
        """Ok, send again, or never send again."""
        if reply.status == 200:
            return self._judge_body(call, reply)
        if reply.status in _CLOSED:
            kind, text = _CLOSED[reply.status]
            words = _said(self.bodies.of(reply))
            said = f"{reply.status}: {words}" if words else str(reply.status)
            version = call.path.split("/")[3] if call.path.count("/") > 3 else ""
            return self._reject(kind, call, reply, text.format(said, version=version))
        if reply.status in (408, 504):
            return self._slow(call, reply, f"HTTP {reply.status}")
        if reply.status == 429 or reply.status >= 500:
            return RetryAfter(retry_after(reply), f"HTTP {reply.status}")
        return self._reject(BadRequest, call, reply, f"HTTP {reply.status}: {_said(self.bodies.of(reply))}")

    def _judge_body(self, call: Call, reply: Reply) -> Verdict:
        body = self.bodies.of(reply)
        if body is None and "html" in reply.headers.get("content-type", ""):
            return self._reject(BadReply, call, reply, "the answer is a web page; check [store] shop and api_url")
        if body is None:
            return RetryAfter(None, "the answer is no JSON object")
        errors = body.get("errors")
        if isinstance(errors, str):
            return self._reject(BadReply, call, reply, _short(errors))
        if errors:
            verdict = self._judge_errors(call, reply, body, errors)
            if verdict is not None:
                return verdict
        warnings = _warnings(body)
        if warnings:
            text = (
                f"the search was not understood, so the answer is not what was asked for: {_short('; '.join(warnings))}"
            )
            return self._reject(BadReply, call, reply, text)
        if not isinstance(body.get("data"), Mapping):
            return self._reject(BadReply, call, reply, "the answer holds neither data nor errors")
        return Ok()

    def _judge_errors(self, call: Call, reply: Reply, body: Mapping[str, Any], errors: Any) -> Verdict | None:
        """A verdict, or None where the data can be used in spite of the errors."""
        if not isinstance(errors, list) or not all(isinstance(error, Mapping) for error in errors):
            return self._reject(BadReply, call, reply, f"errors of an unknown shape: {_short(str(errors))}")
        codes = {code(error) for error in errors}
        said = _short("; ".join(str(error.get("message", "?")) for error in errors[:3]))
        if "THROTTLED" in codes:
            return RetryAfter(_refill(body), "throttled")
        data = body.get("data")
        partial = isinstance(data, Mapping) and any(value is not None for value in data.values())
        if call.operation == "TagsBatch" and partial:
            return None
        if "TIMEOUT" in codes:
            return self._slow(call, reply, said)
        if "INTERNAL_SERVER_ERROR" in codes:
            return RetryAfter(None, said)
        if "MAX_COST_EXCEEDED" in codes:
            return self._reject(TooCostly, call, reply, said)
        denied = [error for error in errors if code(error) == "ACCESS_DENIED"]
        if len(denied) == len(errors) and partial and not _records_refused(call, denied):
            return None
        if denied:
            needs = {str((error.get("extensions") or {}).get("requiredAccess") or "") for error in denied} - {""}
            way_out = f"; needed: {_short('; '.join(sorted(needs)))}" if needs else ""
            return self._reject(ScopeError, call, reply, f"{said}{way_out}")
        return self._reject(BadRequest, call, reply, said)

    def _slow(self, call: Call, reply: Reply, said: str) -> Verdict:
        asked = size(call)
        if asked > limits().pages.smallest:
            return self._reject(TooSlow, call, reply, f"{said} over a page of {asked}")
        return RetryAfter(retry_after(reply), said)

    def _reject(self, kind: Callable[..., PlatformError], call: Call, reply: Reply, text: str) -> Rejected:
        return Rejected(kind(PLATFORM, call.operation, text, self.request_id(reply)))


_BY_GID = {operation for shape in SHAPES.values() for operation in (shape.by_ids, shape.lines)} | {"CustomerTagsByIds"}


def _records_refused(call: Call, denied: Sequence[Mapping[str, Any]]) -> bool:
    """True where whole records are refused: asked for by id they would read as deleted, in a page as not there."""
    paths = [error.get("path") or () for error in denied]
    return any((call.operation in _BY_GID and len(path) <= 2) or (path and isinstance(path[-1], int)) for path in paths)


def _refill(body: Mapping[str, Any]) -> float | None:
    """Seconds until the bucket holds what the call needs, at least one."""
    cost = _extensions(body).get("cost") or {}
    status = cost.get("throttleStatus") or {}
    try:
        missing = float(cost["requestedQueryCost"]) - float(status["currentlyAvailable"])
        return max(1.0, missing / float(status["restoreRate"]))
    except (KeyError, TypeError, ZeroDivisionError):
        return None


def _warnings(body: Mapping[str, Any]) -> list[str]:
    """Search terms that Shopify dropped: it then answers with the unfiltered set."""
    return [
        f"{warning.get('field', '?')}: {warning.get('message') or warning.get('code') or '?'}"
        for search in _extensions(body).get("search") or ()
        for warning in search.get("warnings") or ()
    ]


def _extensions(body: Any) -> Mapping[str, Any]:
    found = body.get("extensions") if isinstance(body, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _said(body: Mapping[str, Any] | None) -> str:
    """What the reply says in words: `errors` may be text or a list; a page of HTML says nothing."""
    errors = (body or {}).get("errors")
    if isinstance(errors, list):
        return _short("; ".join(str(e.get("message", e) if isinstance(e, Mapping) else e) for e in errors))
    return _short(str(errors)) if errors else ""


def _short(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= 300 else one_line[:297] + "..."
