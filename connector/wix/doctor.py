"""What `regulars doctor` says of a Wix key: what it may read, and what of a site nobody may.

Wix does not list the permissions of a key, so each group is tried with one call. Names of the scopes: the table of
permissions beside each reference page; keys are given the same sets by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from connector.base import Call, Finding, Shop
from connector.errors import AuthError, PlatformError, ScopeError, WrongShop
from connector.wix import wire, wire_activity, wire_catalogue, wire_contacts
from connector.wix.connection import Connection
from connector.wix.judge import PLATFORM, Refused

NOTHING = (
    "the key may do nothing on this site; check that [store] site_id is a site of the key's account, and grant the "
    "key its permissions there (manage.wix.com/account/api-keys)"
)

FIX = "grant it to the key (manage.wix.com/account/api-keys) or to the app, then run again"

UNSEEN = (
    "Wix lists abandoned checkouts, not carts: baskets of guests who never reached the checkout are not seen, and "
    "segments of cart abandoners are without them"
)

NO_ZONE = "the site tells no time zone, so days are UTC's; set [store] timezone, or the zone in Settings, Business Info"


class _Group(NamedTuple):
    """One permission: the scope's id, the call that tries it, and what its absence blocks."""

    subject: str
    scope: str
    call: Callable[[Connection], Call]
    blocks: str
    level: Literal["warning", "error"] = "error"


_GROUPS = (
    _Group(
        "contacts",
        "SCOPE.DC-CONTACTS.READ-CONTACTS",
        lambda _: wire_contacts.contacts({}, limit=1, fields=("createdDate",)),
        "contacts cannot be read, so nothing can be",
    ),
    _Group(
        "orders",
        "SCOPE.DC-STORES.READ-ORDERS",
        lambda _: wire.orders_changed(None, None, 1),
        "orders cannot be read",
    ),
    _Group(
        "abandoned checkouts",
        "SCOPE.DC-STORES.READ-ORDERS",
        lambda _: wire.carts_changed(None, None, 1),
        "abandoned checkouts cannot be read",
    ),
    _Group(
        "labels",
        "SCOPE.DC-CONTACTS.MANAGE-LABELS",
        lambda _: wire_contacts.labels(limit=1),
        "the names of labels cannot be read, so contacts come without tags and no label can be written; once it is "
        "granted, run `regulars sync --full`",
    ),
    _Group(
        "consent",
        "SCOPE.DC-MANAGE.EMAIL-SUBSCRIPTIONS",
        lambda _: wire_contacts.subscriptions(["nobody@example.com"]),
        "contacts whose record does not tell their consent count as having none",
        "warning",
    ),
    _Group(
        "deleted contacts",
        "SCOPE.DC-CONTACTS.READ-CONTACTS",
        lambda _: wire_contacts.trash(None),
        "the site shows no list of deleted contacts (contacts version 5): they are found by the weekly comparison",
        "warning",
    ),
    _Group(
        "catalogue",
        "SCOPE.DC-STORES.READ-PRODUCTS",
        lambda connection: _products(connection),
        "products cannot be read, so categories and brands of what was bought stay empty",
        "warning",
    ),
    _Group(
        "campaigns",
        "SCOPE.DC-PROMOTE.READ-EMAIL-MARKETING",
        lambda _: wire_activity.campaigns(0),
        "opens and clicks of Wix campaigns cannot be read",
        "warning",
    ),
)


def examine(connection: Connection, read_shop: Callable[[Connection], Shop]) -> list[Finding]:
    """The key tried live, one call for each permission, and what cannot be seen at all.

    Raises AuthError, and WrongShop for a key that may do nothing here.
    """
    findings = _site(connection, read_shop)
    refusals = [_refused(connection, group.call) for group in _GROUPS]
    lacking = [each for each in refusals if isinstance(each, ScopeError)]
    if len(lacking) == len(_GROUPS):
        raise WrongShop(PLATFORM, lacking[0].operation, NOTHING, lacking[0].request_id)
    for group, refused in zip(_GROUPS, refusals, strict=True):
        if isinstance(refused, ScopeError):
            text = f"{group.blocks}: {group.scope} is missing ({refused.asked})"
            findings.append(Finding(group.level, group.subject, text, FIX))
        elif refused is not None:
            findings.append(Finding(group.level, group.subject, f"{group.blocks}: not on this site ({refused})"))
    if all(finding.level == "ok" for finding in findings):
        findings.append(Finding("ok", "permissions", "everything that is asked for can be read"))
    findings.append(Finding("ok", "carts", UNSEEN))
    return findings


def _site(connection: Connection, read_shop: Callable[[Connection], Shop]) -> list[Finding]:
    try:
        shop = read_shop(connection)
    except AuthError:
        raise
    except ScopeError as error:
        text = f"name, currency and time zone cannot be read, SCOPE.DC.MANAGE-YOUR-APP is missing ({error.asked})"
        return [Finding("error", "site", text, FIX)]
    except PlatformError as error:
        return [Finding("error", "site", str(error))]
    found = [Finding("ok", "key", f"accepted by {shop.name} ({shop.currency}, {shop.zone})")]
    return found + [Finding("warning", "time zone", NO_ZONE) for note in shop.notes if note == NO_ZONE]


def _products(connection: Connection) -> Call:
    """A page of the catalogue that the site has: its version may be asked for with less than it takes to read it."""
    version = connection.read(wire_catalogue.version()).get("catalogVersion")
    return wire_catalogue.products_v3({}, None, 1) if version == wire_catalogue.V3 else wire_catalogue.products_v1({})


def _refused(connection: Connection, build: Callable[[Connection], Call]) -> PlatformError | None:
    try:
        connection.read(build(connection))
    except (ScopeError, Refused) as error:
        return error
    return None
