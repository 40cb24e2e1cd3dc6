"""What `regulars doctor` finds out about a Klaviyo key.

Scopes that write are tried with a body that nothing can be done with: its resource has no attributes, which Klaviyo's
definition requires. A key without the scope gets 403, one that has it 400 or 404, and nothing is written either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from connector.base import Call, Finding, Reply
from connector.errors import ScopeError
from connector.klaviyo import wire_events, wire_lists, wire_profiles
from connector.klaviyo.limits import limits
from connector.klaviyo.wire import PLATFORM, Refused, call, document

_NOWHERE = "regulars-doctor"
"""A list that does not exist."""

CONSENT = "subscriptions:write"


def examine(send: Callable[[Call], Reply], *, lists: bool, events: bool) -> Iterator[Finding]:
    """One call per scope. Raises AuthError on a refused key."""
    yield _reads(send, wire_lists.get_account())
    yield _reads(send, wire_profiles.any_profile())
    if lists:
        yield from _lists(send)
        yield _writes(send, hollow("UpdateList", "PATCH", f"/api/lists/{_NOWHERE}", "list"))
    yield _writes(send, hollow("ImportProfile", "POST", "/api/profile-import", "profile"))
    if events:
        yield _reads(send, wire_events.get_metrics())
        yield _writes(send, hollow("CreateEvent", "POST", "/api/events", "event"))
    yield _consent(send)


def hollow(operation: str, method: str, path: str, kind: str) -> Call:
    """A write that cannot be carried out."""
    return call(operation, method, path, document={"data": {"type": kind}})


def consent_probe() -> Call:
    """The call that could subscribe people, without any."""
    kind = "profile-subscription-bulk-create-job"
    return hollow("SubscribeProfiles", "POST", "/api/profile-subscription-bulk-create-jobs", kind)


def _lists(send: Callable[[Call], Reply]) -> Iterator[Finding]:
    request = wire_lists.get_lists(size=1)
    try:
        body: Mapping[str, Any] = document(request.operation, send(request))
    except ScopeError as error:
        yield _lacking(request, error)
        return
    yield _granted(request)
    for first in wire_lists.ids(body):
        yield _reads(send, wire_lists.flow_triggers(first))
        return


def _reads(send: Callable[[Call], Reply], request: Call) -> Finding:
    try:
        send(request)
    except ScopeError as error:
        return _lacking(request, error)
    return _granted(request)


def _writes(send: Callable[[Call], Reply], request: Call) -> Finding:
    try:
        return _reads(send, request)
    except Refused:
        return _granted(request)


def _consent(send: Callable[[Call], Reply]) -> Finding:
    """The one scope that is better not there."""
    try:
        send(consent_probe())
    except ScopeError:
        return Finding("ok", PLATFORM, "the key cannot change anybody's consent")
    except Refused:
        pass
    text = f"the key has {CONSENT}: it could subscribe people, which is never done from here"
    return Finding("warning", PLATFORM, text, f"create a private key without {CONSENT}")


def _granted(request: Call) -> Finding:
    return Finding("ok", PLATFORM, f"the key has {_scopes(request)}")


def _lacking(request: Call, error: ScopeError) -> Finding:
    needed = _scopes(request)
    return Finding("error", PLATFORM, f"the key lacks {needed} ({error.asked})", f"create a private key with {needed}")


def _scopes(request: Call) -> str:
    return ", ".join(limits().operations[request.operation].scopes)
