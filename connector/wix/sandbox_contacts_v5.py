"""Contacts of version 5: query, search, count, get, and the trash bin. GET with an encoded `.r` is not simulated.

Shapes: the SDK's types, crm_contacts-v-5 1.0.21.
"""

from __future__ import annotations

from typing import Any

from connector.wix.sandbox_contact import show_v5
from connector.wix.sandbox_contacts_api import READ_CONTACTS
from connector.wix.sandbox_filter import BadFilter, compile_filter, instant
from connector.wix.sandbox_pages import cursor_page, read_limit, validation
from connector.wix.sandbox_route import Body, Problem, Route, Seen, envelope, invalid, refused
from connector.wix.sandbox_tables import CONTACTS_V5, CONTACTS_V5_SEARCH, Endpoint

DAY = 86_400
TRASH_DAYS = 90
TRASH_PAGE = 100


def query_contacts(seen: Seen) -> Body:
    return _list(seen, "query", CONTACTS_V5)


def search_contacts(seen: Seen) -> Body:
    return _list(seen, "search", CONTACTS_V5_SEARCH)


def _list(seen: Seen, name: str, endpoint: Endpoint) -> Body:
    """A body in the form of version 4 is refused with the words that a live site was heard to use."""
    asked = seen.body.get(name) if isinstance(seen.body, dict) else None
    if not isinstance(asked, dict) or set(seen.body) != {name} or "paging" in asked or "fieldsets" in asked:
        raise Problem(400, "Expected an object")
    listing = seen.site.index.now("contact")
    page = cursor_page(endpoint, asked, listing, seen.site.cursors)
    shown = [show_v5(listing.entries[number].document) for number in page.numbers]
    metadata = {"count": len(shown), "cursors": page.cursors, "hasNext": page.next is not None}
    return {"contacts": shown, "pagingMetadata": metadata}


def count_contacts(seen: Seen) -> Body:
    body = envelope(seen.body, "filter", "search")
    try:
        wanted = compile_filter(body.get("filter"), CONTACTS_V5_SEARCH.fields)
    except BadFilter as bad:
        raise validation(bad) from bad
    return {"count": len(seen.site.index.now("contact").numbers(wanted))}


def get_contact(seen: Seen) -> Body:
    contact, _ = seen.site.find(seen.path["id"])
    return {"contact": show_v5(contact)}


def list_deleted(seen: Seen) -> Body:
    """Contacts deleted in the last 90 days, in the order they went; those that were merged away are not among them."""
    limit = read_limit(_whole(seen.param("paging.limit"), TRASH_PAGE), TRASH_PAGE, "paging.limit")
    first, last = _moment(seen, "deletedFromDate", 0.0), _moment(seen, "deletedToDate", seen.now)
    wanted = set(seen.params("contactIds"))
    cursor = seen.param("paging.cursor")
    start = _whole(cursor.removeprefix("t"), -1) if cursor else 0
    if start < 0:
        raise invalid("paging.cursor", "is no valid cursor for this request")
    oldest = max(first, seen.now - TRASH_DAYS * DAY)
    found = [
        contact
        for at, contact in sorted(seen.site.trash.values())
        if oldest <= at <= last and (not wanted or contact.id in wanted)
    ]
    page = found[start : start + limit]
    more = len(found) > start + limit
    metadata: dict[str, Any] = {
        "count": len(page),
        "cursors": {"next": f"t{start + limit}"} if more else {},
        "hasNext": more,
    }
    return {"contacts": [show_v5(contact) for contact in page], "pagingMetadata": metadata}


def get_deleted(seen: Seen) -> Body:
    found = seen.site.trash.get(seen.path["id"])
    if found is None or found[0] < seen.now - TRASH_DAYS * DAY:
        raise refused(404, "CONTACT_NOT_FOUND", "Contact not found")
    return {"contact": show_v5(found[1])}


def _whole(text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    return int(text) if text.isdigit() else -1


def _moment(seen: Seen, name: str, otherwise: float) -> float:
    text = seen.param(name)
    if text is None:
        return otherwise
    try:
        return instant(text)
    except BadFilter as bad:
        raise invalid(name, str(bad)) from bad


_V5 = "/contacts/v5/contacts"
ROUTES = (
    Route("QueryContactsV5", "POST", f"{_V5}/query", READ_CONTACTS, query_contacts, "v5"),
    Route("SearchContactsV5", "POST", f"{_V5}/search", READ_CONTACTS, search_contacts, "v5"),
    Route("CountContactsV5", "POST", f"{_V5}/count", READ_CONTACTS, count_contacts, "v5"),
    Route("ListDeletedContacts", "GET", f"{_V5}/trash-bin", READ_CONTACTS, list_deleted, "v5"),
    Route("GetDeletedContact", "GET", f"{_V5}/trash-bin/{{id}}", READ_CONTACTS, get_deleted, "v5"),
    Route("GetContactV5", "GET", f"{_V5}/{{id}}", READ_CONTACTS, get_contact, "v5"),
)
