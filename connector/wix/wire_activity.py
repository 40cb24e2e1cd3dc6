"""Requests for what people did. Pure. All of it is preview at Wix and may be missing on a site.

Activity log: `GET /crm/contacts-activity-log/v1/activities` `contactId`, `fromDate`, `cursorPaging.limit`; newest
first; the next page is asked for with `cursorPaging.cursor` alone (dev.wix.com, List Activities); permission as for
contacts.
Campaigns: `GET /email-marketing/v1/campaigns` `paging.limit`, `paging.offset` answers `campaigns[]{campaignId, title,
publishingData{datePublished}}`; `GET .../campaigns/{id}/statistics/recipients` `activity`, `paging.limit`,
`paging.cursor` answers `recipients[]{contactId, emailAddress, lastActivityDate, contactDeleted}, pagingMetadata`
(types, email-marketing_campaigns), permission SCOPE.DC-PROMOTE.READ-EMAIL-MARKETING.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from connector.base import Call
from connector.wix import wire_contacts
from connector.wix.limits import limits

ACTED = "lastActivity.activityDate"

NAMES = {"OPENED": "email.opened", "CLICKED": "email.clicked"}
"""What recipients of a campaign did, and how that is called here."""


def contacts_acted(matching: Mapping[str, object], offset: int) -> Call:
    """A page of contacts with their latest activity, in the order of these."""
    return wire_contacts.contacts(matching, sort=ACTED, offset=offset, fields=("primaryInfo", "lastActivity"))


def activities(contact_id: str, since: str, cursor: str | None) -> Call:
    """A page of what one contact did at `since` or later."""
    params = (("cursorPaging.cursor", cursor),) if cursor is not None else _first(contact_id, since)
    return Call("ListActivities", "GET", "/crm/contacts-activity-log/v1/activities", params)


def campaigns(offset: int) -> Call:
    """A page of campaigns."""
    params = (("paging.limit", str(limits().pages.campaigns)), ("paging.offset", str(offset)))
    return Call("ListCampaigns", "GET", "/email-marketing/v1/campaigns", params)


def recipients(campaign: str, activity: str, cursor: str | None) -> Call:
    """A page of those who did this with the campaign."""
    params = [("activity", activity), ("paging.limit", str(limits().pages.recipients))]
    if cursor is not None:
        params.append(("paging.cursor", cursor))
    path = f"/email-marketing/v1/campaigns/{quote(campaign, safe='')}/statistics/recipients"
    return Call("ListRecipients", "GET", path, tuple(params))


def _first(contact_id: str, since: str) -> tuple[tuple[str, str], ...]:
    limit = str(limits().pages.activities)
    return (("contactId", contact_id), ("fromDate", since), ("cursorPaging.limit", limit))
