"""Members: reading them, what may be written to them, and what refusals mean.

https://mailchimp.com/developer/marketing/api/list-members/

A member goes by the hash of its address. `contact_id` would survive a change of address, but the calls that write tags
take only the hash, and an audience is pushed by address. Who changes the address in Mailchimp is therefore a new member
to us, with the tags of the former one; the former is not found any more, so removing it is done at once.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from connector.base import Call, Profile
from connector.mailchimp.wire import Problem, call, throttled

NOT_IN_AUDIENCE = "not in audience"

MAILABLE = frozenset({"subscribed", "transactional", "pending"})
"""What one may do with `transactional` and `pending` members is for Mailchimp to heed at each send."""

SUBSCRIBED, ARCHIVED = "subscribed", "archived"

_ADDRESS = re.compile(r"[^@\s\x00-\x1f\x7f\"(),:;<>\[\\\]]+@[^@\s\x00-\x1f\x7f]+\.[^@\s\x00-\x1f\x7f.]+")
_HASH = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Row:
    """A member as a page gives it: `id` is the hash of the present address."""

    id: str
    email: str
    status: str

    def profile(self, email: str | None = None) -> Profile:
        """What we know of the member, under the address asked for."""
        mailable = self.status in MAILABLE
        reason = None if mailable else self.status
        return Profile(email or self.email, self.id, mailable, reason, subscribed=self.status == SUBSCRIBED)


@dataclass(frozen=True, slots=True)
class Operation:
    """A write to one member, sent alone or within a batch. `path` has no version; `query` goes into it in a batch."""

    name: str
    method: Literal["POST", "PUT", "PATCH"]
    path: str
    document: Mapping[str, Any]
    query: str = ""

    def alone(self) -> Call:
        """As a call of its own."""
        params = [(self.query, "true")] if self.query else []
        return call(self.name, self.method, self.path, params, self.document)


def key(address: str) -> str:
    """Addresses are equal when their trimmed, composed (NFC), lower-case forms are; plus parts count."""
    return unicodedata.normalize("NFC", address.strip()).lower()


def subscriber_hash(address: str) -> str:
    """MD5 of the lower-case address, as Mailchimp makes it. It is personal data like the address."""
    return hashlib.md5(key(address).encode(), usedforsecurity=False).hexdigest()


def plausible(address: str) -> bool:
    """Whether it is worth sending: Mailchimp answers some malformed addresses with HTTP 500."""
    return len(address) <= 254 and _ADDRESS.fullmatch(address) is not None and not address.endswith(".")


def get_members(audience: str, *, since: int | None = None, archived: bool = False) -> Call:
    """Everybody, or those changed at or after `since`, in the order of signing up, so that newcomers come last.

    Nothing says whether archived members show without being asked for; Mailchimp offers only "later than" a time.
    """
    params = [
        ("fields", "members.id,members.email_address,members.status,total_items"),
        ("sort_field", "timestamp_signup"),
        ("sort_dir", "ASC"),
    ]
    if since is not None:
        params.append(("since_last_changed", datetime.fromtimestamp(since - 1, UTC).isoformat(timespec="seconds")))
    if archived:
        params.append(("status", ARCHIVED))
    return call("GetMembers", "GET", f"/lists/{audience}/members", params)


def get_member(audience: str, member: str) -> Call:
    """One member; 404 also for somebody who was deleted for good, who then looks new."""
    return call("GetMember", "GET", _path(audience, member), [("fields", "id,email_address,status")])


def tag_member(audience: str, member: str, tags: Mapping[str, bool], *, quiet: bool) -> Operation:
    """Give (True) and take tags by name: an unknown name would make a new tag. Repeating changes nothing.

    `quiet` keeps automations from starting; only this call can do that.
    """
    entries = [{"name": name, "status": "active" if on else "inactive"} for name, on in tags.items()]
    body: dict[str, Any] = {"tags": entries}
    if quiet:
        body["is_syncing"] = True
    return Operation("TagMember", "POST", f"{_path(audience, member)}/tags", body)


def add_member(audience: str, email: str) -> Operation:
    """Add somebody whose consent the store holds. `status` is left out, so that whoever is there keeps theirs.

    Required merge fields may be missing.
    """
    body = {"email_address": email.strip(), "status_if_new": "subscribed"}
    return Operation("PutMember", "PUT", _path(audience, subscriber_hash(email)), body, "skip_merge_validation")


def set_fields(audience: str, member: str, fields: Mapping[str, str]) -> Operation:
    """Set merge fields of an existing member; 404 for anybody else, so that nobody comes into being."""
    body = {"merge_fields": dict(fields)}
    return Operation("PatchMember", "PATCH", _path(audience, member), body, "skip_merge_validation")


def rows(members: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Members as a page gives them, those that have an address."""
    return [Row(its["id"], its["email_address"], its["status"]) for its in members if its.get("email_address")]


def refusal(problem: Problem) -> str:
    """Why somebody is refused: the problem by its name, without the detail, which quotes the address."""
    if problem.status == 404:
        return NOT_IN_AUDIENCE
    return f"{problem.title} (looks fake or invalid)" if "fake" in problem.detail.lower() else problem.title


def passing(status: int, problem: Problem | None) -> bool:
    """Whether a later try may succeed: trouble at Mailchimp's, or somebody who signed up to many lists just now."""
    if status >= 500 or throttled(status, problem):
        return True
    return problem is not None and "lot of lists" in problem.detail.lower()


def hashes(members: Iterable[Mapping[str, Any]]) -> set[str]:
    """The ids of members, as an answer gives them whole."""
    return {str(member["id"]) for member in members}


def refused_addresses(errors: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Reason by hash, of the errors of a change of a tag."""
    return {
        subscriber_hash(address): str(entry.get("error") or "no reason given")
        for entry in errors
        for address in entry.get("email_addresses") or ()
    }


def _path(audience: str, member: str) -> str:
    if not _HASH.fullmatch(member):
        raise ValueError("a member without a hash")
    return f"/lists/{audience}/members/{member}"
