"""Contacts of version 4: query and get."""

from __future__ import annotations

from typing import Any

from connector.wix.sandbox_contact import show_v4
from connector.wix.sandbox_filter import BadFilter, Filter, compile_filter
from connector.wix.sandbox_index import Sort
from connector.wix.sandbox_pages import read_sort
from connector.wix.sandbox_route import Body, Problem, Route, Seen, envelope, refused
from connector.wix.sandbox_tables import CONTACTS_V4

READ_CONTACTS = ("SCOPE.DC-CONTACTS.READ-CONTACTS",)
FIELDSETS = frozenset({"BASIC", "COMMUNICATION_DETAILS", "EXTENDED", "FULL"})
MAX_SEARCH = 100
_CODES = {
    "shape": "MALFORMED_FILTER",
    "field": "UNSUPPORTED_FILTER_FIELD_UNKNOWN",
    "operator": "UNSUPPORTED_FILTER_OPERATOR",
    "value": "UNSUPPORTED_FILTER_VALUE",
}


def contact_filter(given: Any) -> Filter:
    """A filter on contacts, refused with the codes of this API."""
    try:
        return compile_filter(given, CONTACTS_V4.fields)
    except BadFilter as bad:
        raise refused(400, _CODES[bad.reason], str(bad), {"field": bad.name}) from bad


def query_contacts(seen: Seen) -> Body:
    """Offsets only; whatever moves during a walk is skipped or comes twice. A cursor belongs to version 5."""
    body = envelope(seen.body, "query", "search")
    query = body.get("query", {})
    if not isinstance(query, dict) or "cursorPaging" in query:
        raise Problem(400, "Expected an object")
    query = envelope(query, "filter", "sort", "paging", "fields", "fieldsets")
    limit, offset = _paging(query.get("paging") or {})
    fieldsets = query.get("fieldsets") or ["FULL"]
    if not set(fieldsets) <= FIELDSETS:
        raise refused(400, "INVALID_FIELDSET", f"Unknown fieldset in {fieldsets}")
    listing = seen.site.index.now("contact")
    wanted = _searched(contact_filter(query.get("filter")), body.get("search"))
    found = [key[-1] for key in listing.walk(_sorts(query.get("sort")), wanted)]
    page = found[offset : offset + limit]
    shown = [show_v4(listing.entries[number].document, fieldsets) for number in page]
    metadata = {"count": len(shown), "offset": offset, "total": len(found), "tooManyToCount": False}
    return {"contacts": shown, "pagingMetadata": metadata}


def _paging(paging: Any) -> tuple[int, int]:
    asked = envelope(paging, "limit", "offset")
    limit, offset = asked.get("limit", CONTACTS_V4.limit), asked.get("offset", 0)
    if not isinstance(limit, int) or not 1 <= limit <= CONTACTS_V4.largest:
        raise refused(400, "ILLEGAL_LIMIT", f"limit must be between 1 and {CONTACTS_V4.largest}")
    if not isinstance(offset, int) or offset < 0:
        raise refused(400, "ILLEGAL_OFFSET", "offset must not be negative")
    return limit, offset


def _sorts(given: Any) -> tuple[Sort, ...]:
    if not given:
        return CONTACTS_V4.default
    if not isinstance(given, list) or len(given) > CONTACTS_V4.most_sorts:
        raise refused(400, "UNSUPPORTED_SORT", "Only one sort object is supported")
    name, order = read_sort(given[0])
    if name not in CONTACTS_V4.sorts:
        raise refused(400, "UNSUPPORTED_SORT_FIELD", f"Sorting by '{name}' is not supported", {"field": name})
    return (Sort(name, order == "DESC"),)


def _searched(wanted: Filter, text: Any) -> Filter:
    """`search` finds exact values only."""
    if text is None:
        return wanted
    if not isinstance(text, str) or len(text) > MAX_SEARCH:
        raise refused(400, "INVALID_SEARCH", f"search takes at most {MAX_SEARCH} characters")
    key = text.casefold()
    names = ("primaryInfo.email", "primaryInfo.phone", "info.name.first", "info.name.last")

    def has(values: Any) -> bool:
        return wanted.matches(values) and any(str(values.get(name) or "").casefold() == key for name in names)

    return Filter(has, wanted.lower, wanted.ids)


def get_contact(seen: Seen) -> Body:
    """An id that was merged away answers with the survivor."""
    contact, merged = seen.site.find(seen.path["id"])
    return {"contact": show_v4(contact), "responseType": "MERGED" if merged else "REGULAR"}


ROUTES = (
    Route("QueryContacts", "POST", "/contacts/v4/contacts/query", READ_CONTACTS, query_contacts),
    Route("GetContact", "GET", "/contacts/v4/contacts/{id}", READ_CONTACTS, get_contact),
)
