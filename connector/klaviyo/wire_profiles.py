"""Profiles: looking people up, and whether they may be mailed.

https://developers.klaviyo.com/en/reference/profiles_api_overview
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote as percent

from connector.base import Call, Profile
from connector.klaviyo.limits import limits
from connector.klaviyo.wire import any_of, call, instant, quoted

UNSUBSCRIBED = "UNSUBSCRIBED"
"""Consent withdrawn; suppressions call the same UNSUBSCRIBE."""
_SUPPRESSED_AT = "subscriptions.email.marketing.suppression.timestamp"
STANDING = (("additional-fields[profile]", "subscriptions"), ("fields[profile]", "email,subscriptions"))
"""What to ask of profiles, so that `rows` can tell whom one may mail."""

_ADDRESS = re.compile(r"[^@\s\x00-\x1f\x7f\"(),:;<>\[\\\]]+@[^@\s\x00-\x1f\x7f]+\.[^@\s\x00-\x1f\x7f.]+")


@dataclass(frozen=True, slots=True)
class Row:
    """A profile as a page gives it: `email` as Klaviyo holds it, None where it has only a phone number.

    `subscribed`: consent given to Klaviyo, and nothing that keeps mail back.
    """

    id: str
    email: str | None
    mailable: bool
    reason: str | None
    subscribed: bool = False


def key(address: str) -> str:
    """Addresses are equal when their trimmed lower-case forms are; plus parts count."""
    return address.strip().lower()


def plausible(address: str) -> bool:
    """Whether it is worth sending: one malformed address fails a whole import."""
    return len(address) <= 254 and _ADDRESS.fullmatch(address) is not None


def profiles_at(addresses: Iterable[str]) -> Call:
    """Profiles that answer to these addresses; a merged profile also answers to its former ones."""
    return _page([*STANDING, ("filter", any_of("email", addresses))])


def profiles_with(ids: Iterable[str]) -> Call:
    """Profiles that have these ids now: neither deleted nor merged into another."""
    return _page([*STANDING, ("filter", any_of("id", ids))])


def profiles_updated(since: int) -> Call:
    """Profiles changed at or after `since`, oldest change first. Klaviyo offers only "greater than"."""
    return _page([*STANDING, ("filter", f"greater-than(updated,{instant(since - 1)})"), ("sort", "updated")])


def profiles_suppressed(since: int) -> Call:
    """Profiles suppressed at or after `since`: nothing says that a suppression moves `updated`."""
    filter_ = f"greater-or-equal({_SUPPRESSED_AT},{instant(since)})"
    return _page([*STANDING, ("filter", filter_), ("sort", _SUPPRESSED_AT)])


def any_profile() -> Call:
    """One profile at most: shows that the key may read them."""
    return call("GetProfiles", "GET", "/api/profiles", [("fields[profile]", "created"), ("page[size]", "1")])


def groups(addresses: Iterable[str]) -> Iterator[list[str]]:
    """Addresses as many as one lookup takes: a page of them, and a request line of bounded length."""
    pages = limits().pages
    group: list[str] = []
    length = 0
    for address in addresses:
        cost = len(percent(quoted(address) + ",", safe=""))
        if group and (len(group) == pages.profiles or length + cost > pages.filter):
            yield group
            group, length = [], 0
        group.append(address)
        length += cost
    if group:
        yield group


def rows(body: Mapping[str, Any]) -> list[Row]:
    """The profiles of a page."""
    return [_row(item) for item in body["data"]]


def profile_of(email: str, row: Row) -> Profile:
    """The profile under the address asked for, as it was written."""
    return Profile(email, row.id, row.mailable, row.reason, row.subscribed)


def first_of(found: Sequence[Row]) -> Row:
    """The profile that counts where several answer to one address: one that may not be mailed, if there is any."""
    return next((row for row in found if not row.mailable), found[0])


def by_address(found: Iterable[Row]) -> dict[str, Row]:
    """Profiles by the key of the address that they show."""
    shown: dict[str, list[Row]] = {}
    for row in found:
        if row.email:
            shown.setdefault(key(row.email), []).append(row)
    return {address: first_of(those) for address, those in shown.items()}


def _row(item: Mapping[str, Any]) -> Row:
    attributes = item["attributes"]
    marketing = ((attributes.get("subscriptions") or {}).get("email") or {}).get("marketing") or {}
    reason = _unmailable(marketing) if marketing else None
    subscribed = marketing.get("consent") == "SUBSCRIBED" and reason is None
    return Row(item["id"], attributes.get("email"), reason is None, reason, subscribed)


def _unmailable(marketing: Mapping[str, Any]) -> str | None:
    """Global suppressions count, and consent withdrawn; those of single lists do not.

    https://developers.klaviyo.com/en/docs/collect_email_and_sms_consent_via_api
    """
    if suppression := marketing.get("suppression"):
        reason = str(suppression[0]["reason"])
        return UNSUBSCRIBED if reason == "UNSUBSCRIBE" else reason
    if marketing["consent"] == UNSUBSCRIBED:
        return UNSUBSCRIBED
    return None if marketing["can_receive_email_marketing"] else "SUPPRESSED"


def _page(params: list[tuple[str, str]]) -> Call:
    size = ("page[size]", str(limits().pages.profiles))
    return call("GetProfiles", "GET", "/api/profiles", [*params, size])
