"""What is known of behaviour and consent: e-mail subscriptions, campaigns and who opened them, the activity log.

Shapes: the SDK's types, email-subscriptions 1.0.8 and email-marketing_campaigns 1.0.9; the activity log's are from
dev.wix.com (a preview).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.sandbox.records import Customer, guid
from connector.wix.sandbox_contact import TEMPLATES, consent_of, stamp, template_id
from connector.wix.sandbox_contacts_api import READ_CONTACTS
from connector.wix.sandbox_filter import BadFilter, instant
from connector.wix.sandbox_route import Body, Problem, Route, Seen, envelope, invalid, refused
from connector.wix.sandbox_site import Campaign, Site

SUBSCRIPTIONS = ("SCOPE.DC-MANAGE.EMAIL-SUBSCRIPTIONS",)
CAMPAIGNS = ("SCOPE.DC-PROMOTE.READ-EMAIL-MARKETING",)
ROWS = 50
STATUSES = frozenset({"UNKNOWN", "NOT_SET", "PENDING", "SUBSCRIBED", "UNSUBSCRIBED"})
MAX_UPSERT = 100
RECIPIENTS_DEFAULT, RECIPIENTS_MAX = 40, 1000
CAMPAIGNS_DEFAULT, CAMPAIGNS_MAX = 50, 1000
ACTIVITIES_DEFAULT, ACTIVITIES_MAX = 50, 100
ACTIVITIES = frozenset({"DELIVERED", "OPENED", "CLICKED", "BOUNCED", "NOT_SENT", "SENT", "NOT_OPENED"})
_CATEGORIES = {kind: kind.split("_")[0].lower() for kind in TEMPLATES}


def query_subscriptions(seen: Seen) -> Body:
    """Only `email` with `$in`, without the envelope `query`; never more than 50 rows, whatever the limit says."""
    body = envelope(seen.body, "filter", "paging")
    wanted = envelope(body.get("filter"), "email").get("email")
    if not isinstance(wanted, dict) or set(wanted) != {"$in"} or not isinstance(wanted["$in"], list):
        raise invalid("filter.email", "takes $in only", "FORMAT")
    paging = envelope(body.get("paging") or {}, "limit", "offset")
    offset = int(paging.get("offset") or 0)
    addresses = list(dict.fromkeys(str(each).strip().lower() for each in wanted["$in"]))
    found = [row for address in addresses if (row := _subscription(seen.site, address)) is not None]
    page = found[offset : offset + min(ROWS, int(paging.get("limit") or ROWS))]
    return {"subscriptions": page, "metadata": {"count": len(page), "offset": offset, "total": len(found)}}


def _subscription(site: Site, address: str) -> dict[str, Any] | None:
    """Consent belongs to the address: of several people who share one, the latest decision holds."""
    people = site.world.by_email(address)
    if not people:
        return None
    person = max(people, key=lambda each: (each.email_consent_at or 0, -each.number))
    status, deliverability = consent_of(person)
    return {
        "id": guid("subscription", person.number),
        "email": address,
        "subscriptionStatus": status,
        "deliverabilityStatus": deliverability,
        "createdDate": stamp(person.created_at),
        "updatedDate": stamp(person.email_consent_at or person.created_at),
    }


def upsert_many(seen: Seen) -> Body:
    """Consent is written. Nothing of ours may call this: every call is kept in `site.consent_writes`."""
    rows = envelope(seen.body, "subscriptions").get("subscriptions")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_UPSERT:
        raise invalid("subscriptions", f"must have between 1 and {MAX_UPSERT} values", "SIZE")
    results = [{"originalIndex": at, "emailSubscription": _upsert(seen.site, row)} for at, row in enumerate(rows)]
    return {"results": results, "metadata": {"totalSuccess": len(rows), "totalFailure": 0}}


def upsert_one(seen: Seen) -> Body:
    return {"subscription": _upsert(seen.site, envelope(seen.body, "subscription").get("subscription"))}


def _upsert(site: Site, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict) or "email" not in row or row.get("subscriptionStatus") not in STATUSES:
        raise invalid("subscriptions", "needs email and subscriptionStatus")
    site.consent_writes.append(dict(row))
    status = row["subscriptionStatus"]
    for person in list(site.world.by_email(row["email"])):
        site.world.set_consent(person, "NOT_SUBSCRIBED" if status in ("NOT_SET", "UNKNOWN") else status)
    return {"email": row["email"], "subscriptionStatus": status}


def list_campaigns(seen: Seen) -> Body:
    limit = _limit(seen, "paging.limit", CAMPAIGNS_DEFAULT, CAMPAIGNS_MAX)
    offset = _limit(seen, "paging.offset", 0, 10**9, least=0)
    page = seen.site.campaigns[offset : offset + limit]
    shown = [
        {
            "campaignId": campaign.id,
            "title": campaign.title,
            "emailSubject": campaign.title,
            "status": "ACTIVE",
            "visibilityStatus": "PUBLISHED",
            "distributionStatus": "DISTRIBUTED",
            "dateCreated": stamp(campaign.sent_at),
            "dateUpdated": stamp(campaign.sent_at),
            "publishingData": {"datePublished": stamp(campaign.sent_at)},
        }
        for campaign in page
    ]
    return {"campaigns": shown, "paging": {"limit": limit, "offset": offset}}


def list_recipients(seen: Seen) -> Body:
    """Who did what with a campaign; people who were deleted since are still listed."""
    campaign = next((each for each in seen.site.campaigns if each.id == seen.path["id"]), None)
    if campaign is None:
        raise refused(404, "CAMPAIGN_NOT_FOUND", "Campaign not found")
    activity = seen.param("activity")
    if activity not in ACTIVITIES:
        raise invalid("activity", "must be one of the activities", "REQUIRED")
    limit = _limit(seen, "paging.limit", RECIPIENTS_DEFAULT, RECIPIENTS_MAX)
    cursor = seen.param("paging.cursor")
    start = _start(cursor, f"{campaign.id}/{activity}/")
    found = sorted(_who(campaign, activity).items(), key=lambda row: (row[1], row[0]))
    page = found[start : start + limit]
    more = len(found) > start + limit
    cursors = {"next": f"{campaign.id}/{activity}/{start + limit}"} if more else {}
    return {
        "recipients": [_recipient(seen.site, number, at) for number, at in page],
        "pagingMetadata": {"count": len(page), "cursors": cursors},
    }


def _who(campaign: Campaign, activity: str) -> Mapping[int, int]:
    if activity == "OPENED":
        return campaign.opened
    if activity == "CLICKED":
        return campaign.clicked
    if activity == "NOT_OPENED":
        return {number: campaign.sent_at for number in campaign.sent_to if number not in campaign.opened}
    return dict.fromkeys(campaign.sent_to, campaign.sent_at) if activity in ("DELIVERED", "SENT") else {}


def _recipient(site: Site, number: int, at: int) -> dict[str, Any]:
    person = site.world.customers.get(number)
    shown = {
        "contactId": guid("customer", number),
        "lastActivityDate": stamp(at),
        "contactDeleted": person is None,
    }
    return {**shown, "emailAddress": person.email} if person is not None and person.email else shown


def list_activities(seen: Seen) -> Body:
    """One contact's history, newest first. With a cursor nothing else may be sent."""
    cursor = seen.param("cursorPaging.cursor")
    if cursor is not None:
        if any(seen.param(name) is not None for name in ("contactId", "categoryId", "fromDate", "toDate")):
            raise invalid("cursorPaging.cursor", "cannot be combined with other parameters")
        contact_id, category, first, last, at = (*cursor.split("|"), *[""] * 5)[:5]
    else:
        names = ("contactId", "categoryId", "fromDate", "toDate")
        contact_id, category, first, last = (seen.param(name) or "" for name in names)
        at = "0"
    if not contact_id or not at.isdigit():
        raise invalid("contactId", "is required", "REQUIRED")
    limit = _limit(seen, "cursorPaging.limit", ACTIVITIES_DEFAULT, ACTIVITIES_MAX)
    found = _history(seen.site, contact_id, category, _moment(first, 0.0), _moment(last, seen.now))
    start = int(at)
    page = found[start : start + limit]
    more = len(found) > start + limit
    following = {"next": "|".join((contact_id, category, first, last, str(start + limit)))} if more else {}
    return {"activities": page, "metadata": {"count": len(page), "cursors": following, "hasNext": more}}


def _history(site: Site, contact_id: str, category: str, first: float, last: float) -> list[dict[str, Any]]:
    contact, _ = site.find(contact_id)
    customer: Customer = site.world.customers[contact.number]
    noted = [
        (each.at, each.kind)
        for each in site.activities(customer)
        if first <= each.at <= last and category in ("", _CATEGORIES[each.kind])
    ]
    return [
        {
            "id": guid(f"activity/{kind}/{at}", contact.number),
            "activityDate": stamp(at),
            "contactId": contact.id,
            "message": "",
            "templateId": template_id(kind),
            "params": {},
        }
        for at, kind in sorted(noted, reverse=True)
    ]


def list_templates(seen: Seen) -> Body:
    """The kinds of activities that this site notes."""
    category = seen.param("categoryId")
    shown = [
        {"id": template_id(kind), "name": kind, "categoryId": _CATEGORIES[kind], "params": {}}
        for kind in TEMPLATES
        if category in (None, _CATEGORIES[kind])
    ]
    return {"templates": shown, "metadata": {"count": len(shown), "cursors": {}, "hasNext": False}}


def _limit(seen: Seen, name: str, otherwise: int, largest: int, *, least: int = 1) -> int:
    text = seen.param(name)
    if text is None:
        return otherwise
    if not text.isdigit() or not least <= int(text) <= largest:
        raise invalid(name, f"must be between {least} and {largest}", "RANGE")
    return int(text)


def _start(cursor: str | None, prefix: str) -> int:
    if cursor is None:
        return 0
    place = cursor.removeprefix(prefix)
    if not cursor.startswith(prefix) or not place.isdigit():
        raise invalid("paging.cursor", "is no valid cursor for this request")
    return int(place)


def _moment(text: str, otherwise: float) -> float:
    if not text:
        return otherwise
    try:
        return instant(text)
    except BadFilter as bad:
        raise Problem(400, str(bad)) from bad


_EMAIL = "/email-marketing/v1"
_LOG = "/crm/contacts-activity-log/v1"
ROUTES = (
    Route("QueryEmailSubscriptions", "POST", f"{_EMAIL}/email-subscriptions/query", SUBSCRIPTIONS, query_subscriptions),
    Route("BulkUpsertEmailSubscriptions", "POST", f"{_EMAIL}/email-subscriptions/bulk", SUBSCRIPTIONS, upsert_many),
    Route("UpsertEmailSubscription", "POST", f"{_EMAIL}/email-subscriptions", SUBSCRIPTIONS, upsert_one),
    Route("ListCampaigns", "GET", f"{_EMAIL}/campaigns", CAMPAIGNS, list_campaigns),
    Route("ListRecipients", "GET", f"{_EMAIL}/campaigns/{{id}}/statistics/recipients", CAMPAIGNS, list_recipients),
    Route("ListActivities", "GET", f"{_LOG}/activities", READ_CONTACTS, list_activities, "activity_log"),
    Route("ListTemplates", "GET", f"{_LOG}/templates", READ_CONTACTS, list_templates, "activity_log"),
)
