"""What `regulars doctor` finds out about a Mailchimp account."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from connector.base import Call, Finding, Reply
from connector.errors import BadRequest, ScopeError
from connector.mailchimp import wire_account
from connector.mailchimp.limits import limits
from connector.mailchimp.paging import page_of
from connector.mailchimp.wire import PLATFORM, document


def examine(
    send: Callable[[Call], Reply], audience: str, fields: Sequence[str], prefix: str, *, adding: bool
) -> Iterator[Finding]:
    """Key, account, audience, room for merge fields, automations: four calls."""
    send(wire_account.ping())
    request = wire_account.get_account()
    account = document(request.operation, send(request), "account_name")
    plan = str(account.get("pricing_plan_type") or "unknown").replace("_", " ")
    request = wire_account.get_audiences()
    body = document(request.operation, send(page_of(request)), "lists")
    role = account.get("role") or "a user of unknown role"
    yield _ok(f"the key opens account {account['account_name']!r} as {role}; plan {plan}, audiences {_audiences(body)}")
    chosen = next((item for item in body["lists"] if item["id"] == audience), None)
    if chosen is None:
        yield _no_such_audience(audience, body["lists"])
        return
    yield from _audience(chosen, fields, adding=adding)
    yield _automations(send, audience, prefix)


def _audience(chosen: Mapping[str, Any], fields: Sequence[str], *, adding: bool) -> Iterator[Finding]:
    stats = chosen.get("stats") or {}
    yield _ok(
        f"audience {chosen['name']!r} ({chosen['id']}): {_count(stats, 'member_count')} subscribed, "
        f"{_count(stats, 'unsubscribe_count')} unsubscribed, {_count(stats, 'cleaned_count')} cleaned"
    )
    if adding:
        text = (
            "add_consented is on: people with the store's consent who are not in the audience are added; each is "
            "billed, and starts what the account does for new subscribers"
        )
        yield Finding("warning", PLATFORM, text, "set add_consented = false to tag only people who are there")
    used, most = int(stats.get("merge_field_count") or 0), limits().merge.most
    if fields and used + len(fields) > most:
        text = f"the audience has {used} merge fields of {most} (80 on Premium); {len(fields)} are to be written"
        yield Finding("warning", PLATFORM, text, "if they are not there yet, delete merge fields that nobody uses")


def _automations(send: Callable[[Call], Reply], audience: str, prefix: str) -> Finding:
    """The API lists only automations of the classic kind, which no tag starts.

    First fills are silent; everybody who joins later starts what hangs on the tag.
    """
    text = f"flows are not shown to programs: see under Automations what starts on tags that begin with {prefix!r}"
    request = wire_account.get_automations()
    try:
        body = document(request.operation, send(page_of(request)), "automations")
    except (ScopeError, BadRequest) as error:
        return _ok(f"{text}; classic automations cannot be read ({error.text})")
    classic = wire_account.running(body, audience)
    return _ok(f"{text}; classic automations that run: {', '.join(classic)}" if classic else text)


def _no_such_audience(audience: str, there: Sequence[Mapping[str, Any]]) -> Finding:
    named = ", ".join(f"{item['id']} ({item['name']})" for item in there) or "none"
    text = f"no audience {audience!r} in this account; those there are: {named}"
    return Finding("error", PLATFORM, text, "set audience_id in [mailchimp] to one of these ids")


def _audiences(body: Mapping[str, Any]) -> str:
    """How many there are, of how many the plan allows; -1 means no limit."""
    most = (body.get("constraints") or {}).get("max_instances", -1)
    return str(len(body["lists"])) if most < 0 else f"{len(body['lists'])} of {most}"


def _ok(text: str) -> Finding:
    return Finding("ok", PLATFORM, text)


def _count(stats: Mapping[str, Any], name: str) -> str:
    return f"{int(stats.get(name) or 0):,}"
