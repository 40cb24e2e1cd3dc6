"""Requests for contacts, their labels' names and their consent. Pure.

v4 `POST /contacts/v4/contacts/query`: up to 1000 a page with labels and consent, but offsets only, and `updatedDate`
can be filtered and not sorted by. v5 `POST /contacts/v5/contacts/query`: up to 100 a page, no labels; it alone knows
the date of a consent and whether somebody is a member.
`GET /contacts/v5/contacts/trash-bin` (`paging.limit`, `paging.cursor`) answers `{contacts[], pagingMetadata}`, deleted
contacts of the last 90 days (types, crm_contacts-v-5; dev.wix.com, Delete Contact), permission as contacts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from connector.base import Call
from connector.wix.limits import limits


def contacts(
    matching: Mapping[str, Any],
    *,
    sort: str = "createdDate",
    offset: int = 0,
    limit: int | None = None,
    fields: Sequence[str] = (),
) -> Call:
    """A page of contacts, ascending by `sort`: whole, or with ids, addresses and `fields` only.

    Labels and consent come with the fieldset FULL alone.
    """
    query: dict[str, Any] = {
        "filter": dict(matching),
        "sort": [{"fieldName": sort, "order": "ASC"}],
        "paging": {"limit": limit or limits().pages.contacts, "offset": offset},
        "fieldsets": ["BASIC" if fields else "FULL"],
    }
    if fields:
        query["fields"] = list(fields)
    if not matching:
        del query["filter"]
    return Call("QueryContacts", "POST", "/contacts/v4/contacts/query", json={"query": query})


def contacts_by_ids(ids: Sequence[str]) -> Call:
    """These contacts; who was merged away or deleted is missing."""
    return contacts({"id": {"$in": list(ids)}}, limit=limits().pages.contacts)


def contact(contact_id: str) -> Call:
    """One contact: `responseType` MERGED where the id lives on in the contact that is returned."""
    return Call("GetContact", "GET", f"/contacts/v4/contacts/{quote(contact_id, safe='')}")


def contacts_v5(ids: Sequence[str]) -> Call:
    """These contacts as version 5 knows them."""
    query = {
        "filter": {"id": {"$in": list(ids)}},
        "sort": [{"fieldName": "createdDate", "order": "ASC"}],
        "cursorPaging": {"limit": limits().pages.contacts_v5},
    }
    return Call("QueryContactsV5", "POST", "/contacts/v5/contacts/query", json={"query": query})


def trash(cursor: str | None) -> Call:
    """A page of deleted contacts."""
    params = [("paging.limit", str(limits().pages.contacts_v5))]
    if cursor is not None:
        params.append(("paging.cursor", cursor))
    return Call("ListDeletedContacts", "GET", "/contacts/v5/contacts/trash-bin", tuple(params))


def labels(offset: int = 0, limit: int | None = None) -> Call:
    """A page of all labels, in the order of their creation."""
    query = {
        "sort": [{"fieldName": "createdDate", "order": "ASC"}],
        "paging": {"limit": limit or limits().pages.labels, "offset": offset},
    }
    return Call("QueryLabels", "POST", "/contacts/v4/labels/query", json={"query": query})


def subscriptions(emails: Sequence[str]) -> Call:
    """Consent of these addresses. Filter and paging stand bare in the body."""
    body = {"filter": {"email": {"$in": list(emails)}}, "paging": {"limit": limits().pages.subscriptions, "offset": 0}}
    return Call("QueryEmailSubscriptions", "POST", "/email-marketing/v1/email-subscriptions/query", json=body)
