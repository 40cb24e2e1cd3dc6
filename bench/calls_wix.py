"""Wix's requests and their limits: 1,000 contacts a page (100 of version 5), 100 of everything else.

Labels: a job takes 100 contacts that change alike, and costs a request and one look at it; one contact, one way, costs
one request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

import orjson

from bench.sent import Line, Sent, Tally, up
from connector.base import Reply
from connector.sandbox.wire import Request
from connector.sandbox.world import World
from connector.wix.limits import limits
from connector.wix.wire_labels import NOBODY
from connector.wix.wire_labels import writing as jobs

ONCE = ("GET /site-properties/v4/properties", "GET /stores/v3/provision/version", "contacts: number", "labels: all")
CONTACTS, ACTED, V5 = "contacts: pages", "contacts: latest activity", "contacts v5: by id"
PRODUCTS, CATEGORIES, ORDERS, CARTS = "products: pages", "categories: pages", "orders: pages", "checkouts: pages"
REFUNDS, CONSENT, CAMPAIGNS = "refunds: by order", "consent: by address", "campaigns: pages"
MAKE, JOB, ALONE, LOOK = "labels: make", "labels: jobs", "labels: single contacts", "labels: first looks at jobs"
_ORDERS = 200
_PATHS = {
    "/stores-reader/v1/products/query": PRODUCTS,
    "/stores/v3/products/query": PRODUCTS,
    "/stores-reader/v1/collections/query": CATEGORIES,
    "/categories/v1/categories/query": CATEGORIES,
    "/ecom/v1/orders/search": ORDERS,
    "/ecom/v1/abandoned-checkout/query": CARTS,
    "/email-marketing/v1/campaigns": CAMPAIGNS,
}


def read(request: Request, reply: Reply) -> Sent:
    body: Any = orjson.loads(request.body) if request.body.startswith(b"{") else {}
    query = body.get("query") or {}
    match request.path.strip("/").split("/"):
        case ["contacts", "v4", "contacts", "query"]:
            return Sent(_contacts(query))
        case ["contacts", "v5", "contacts", "query"]:
            return Sent(V5, "", query["filter"]["id"]["$in"])
        case ["ecom", "v1", "payments", "list-by-ids"]:
            return Sent(REFUNDS, "", body["orderIds"])
        case ["email-marketing", "v1", "email-subscriptions", "query"]:
            return Sent(CONSENT, "", body["filter"]["email"]["$in"])
        case ["contacts", "v4", "labels", "query"]:
            return Sent("labels: by name" if "filter" in query or query["paging"]["limit"] == 1 else "labels: all")
        case ["contacts", "v4", "labels"]:
            return Sent(MAKE, "", [body["displayName"]])
        case ["contacts", "v4", "contacts", contact, "labels"]:
            return _alone(request, contact, body)
        case ["contacts", "v4", "bulk", "contacts", "add-remove-labels"]:
            keys = [f"+{key}" for key in body.get("labelKeysToAdd", ())]
            keys += [f"-{key}" for key in body.get("labelKeysToRemove", ())]
            return Sent(JOB, "", [f"{contact} {key}" for contact in body["filter"]["id"]["$in"] for key in keys])
        case ["contacts", "v4", "bulk", "jobs", job] if job == NOBODY:
            return Sent("key: may contacts be labelled")
        case ["contacts", "v4", "bulk", "jobs", job]:
            return Sent(LOOK, "", [job])
    return Sent(_PATHS.get(request.path, f"{request.method} {request.path}"))


def reading(tally: Tally, read: Mapping[str, int], world: World | None) -> Iterator[Line]:
    """`read`: records by stream. Activity logs and recipients of campaigns are shown only: one request for each."""
    pages = limits().pages
    for name in ONCE:
        yield tally.line(name, 1)
    yield tally.line(CONTACTS, max(1, up(read["customers"], pages.contacts)))
    yield tally.filled(V5, pages.contacts_v5)
    yield tally.filled(CONSENT, pages.subscriptions)
    categories = len({each.category for each in world.products.values()}) if world is not None else 0
    for name, records, size in (
        (PRODUCTS, read.get("products", 0), pages.products),
        (ORDERS, read["orders"], pages.orders),
        (CARTS, read["carts"], pages.carts),
        (ACTED, read.get("events", 0), pages.contacts),
        (CAMPAIGNS, 0, pages.campaigns),
    ):
        yield tally.line(name, max(1, up(records, size)))
    yield tally.line(CATEGORIES, tally.requests[CATEGORIES] and max(1, up(categories, pages.categories)))
    yield tally.filled(REFUNDS, pages.payments)


def writing(tally: Tally) -> Iterator[Line]:
    """Labels. A look at each job is judged with it; what is looked at again waits for Wix and is taken off."""
    yield tally.filled(MAKE, 1)
    again = tally.requests[LOOK] - sum(map(len, tally.groups(LOOK)))
    made = sum(tally.requests[name] for name in (JOB, ALONE, LOOK)) - again
    changes: dict[str, set[str]] = {}
    for name in (JOB, ALONE):
        for item in set().union(*tally.groups(name)):
            contact, _, key = item.partition(" ")
            changes.setdefault(contact, set()).add(key)
    yield Line("labels: changes, with a look at each job", made, _fewest(changes), (JOB, ALONE, LOOK))


def _fewest(changes: Mapping[str, set[str]]) -> int:
    """What nothing can go below, as far as we can show: all people of a job change alike in all that it does."""
    kinds = Counter(frozenset(keys) for keys in changes.values())
    keys = sorted({key for kind in kinds for key in kind}, key=lambda key: _people(kinds, key))
    best, rng = 0, Random(1)
    for _ in range(_ORDERS):
        best = max(best, _by_change(kinds, keys))
        rng.shuffle(keys)
    return max(best, _by_kind(kinds))


def _people(kinds: Mapping[frozenset[str], int], key: str) -> int:
    return sum(people for kind, people in kinds.items() if key in kind)


def _by_change(kinds: Mapping[frozenset[str], int], keys: Sequence[str]) -> int:
    """Each label with people of its own such that no request does it for them and another label for that one's.

    One that did both would need somebody of either to change both. Any order of labels gives a bound.
    """
    reach: dict[str, set[str]] = {}
    total = 0
    for key in keys:
        mine = [kind for kind in kinds if key in kind and not any(key in reach.get(other, ()) for other in kind)]
        if mine:
            reach[key] = set[str]().union(*mine)
            total += _cost(sum(kinds[kind] for kind in mine), 1)
    return total


def _by_kind(kinds: Mapping[frozenset[str], int]) -> int:
    """People whose changes have nothing in common share no request."""
    cost = {kind: _cost(people, len({key[0] for key in kind})) for kind, people in kinds.items()}
    taken, total = set[str](), 0
    for kind in sorted(kinds, key=lambda kind: (-cost[kind], sorted(kind))):
        if taken.isdisjoint(kind):
            taken |= kind
            total += cost[kind]
    return total


def _cost(people: int, ways: int) -> int:
    """Of people alike: a job and its look for each hundred, single requests (on, off) where these are no more."""
    most = jobs().labels.contacts
    return 2 * (people // most) + min(people % most * ways, 2)


def _contacts(query: Mapping[str, Any]) -> str:
    if "id" in (query.get("filter") or {}):
        return "contacts: by id"
    if query["paging"]["limit"] == 1:
        return "contacts: number"
    return ACTED if query["sort"][0]["fieldName"] == "lastActivity.activityDate" else CONTACTS


def _alone(request: Request, contact: str, body: Mapping[str, Any]) -> Sent:
    taken = [value for name, value in request.query if name.startswith("labelKeys")]
    keys = [*(f"+{key}" for key in body.get("labelKeys", ())), *(f"-{key}" for key in taken)]
    return Sent(ALONE, "", [f"{contact} {key}" for key in keys])
