"""What Mailchimp shows of an audience's parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from connector.mailchimp.sandbox_account import Audience, Automation, Member, MergeField, Segment
from connector.mailchimp.sandbox_query import Selection, iso

Document = dict[str, Any]

SHOWN_TAGS = 50
"""A member shows no more of its tags; `tags_count` tells how many there are."""

_Maker = Callable[[Audience, Member], Any]

_MEMBER: Mapping[str, _Maker] = {
    "id": lambda audience, member: member.id,
    "email_address": lambda audience, member: member.address,
    "unique_email_id": lambda audience, member: member.unique_email_id,
    "contact_id": lambda audience, member: member.contact_id,
    "full_name": lambda audience, member: _full_name(member),
    "web_id": lambda audience, member: member.number,
    "email_type": lambda audience, member: "html",
    "status": lambda audience, member: member.status,
    "consents_to_one_to_one_messaging": lambda audience, member: True,
    "merge_fields": lambda audience, member: {**dict.fromkeys(audience.merge_fields, ""), **member.merge_fields},
    "interests": lambda audience, member: {},
    "stats": lambda audience, member: {"avg_open_rate": 0, "avg_click_rate": 0},
    "ip_signup": lambda audience, member: "",
    "timestamp_signup": lambda audience, member: iso(member.signup),
    "ip_opt": lambda audience, member: "",
    "timestamp_opt": lambda audience, member: iso(member.signup),
    "member_rating": lambda audience, member: 2,
    "last_changed": lambda audience, member: iso(member.last_changed),
    "language": lambda audience, member: "",
    "vip": lambda audience, member: False,
    "email_client": lambda audience, member: "",
    "location": lambda audience, member: {"latitude": 0, "longitude": 0, "gmtoff": 0, "dstoff": 0},
    "source": lambda audience, member: "API - Generic",
    "tags_count": lambda audience, member: len(member.tags),
    "tags": lambda audience, member: _tags(member),
    "list_id": lambda audience, member: audience.id,
    "_links": lambda audience, member: [_link(f"/lists/{audience.id}/members/{member.id}")],
}
WHOLE = frozenset(_MEMBER)
ECHO = WHOLE - {"contact_id", "full_name", "web_id", "source", "consents_to_one_to_one_messaging"}
"""What answers to writes of many repeat of each member."""

TAGGED = ECHO - {"tags", "tags_count"}
"""What the members of a segment show."""


def member(audience: Audience, its: Member) -> Document:
    return {key: make(audience, its) for key, make in _MEMBER.items()}


def members(
    audience: Audience, its: Iterable[Member], selection: Selection, view: frozenset[str] = WHOLE
) -> list[Document]:
    """Members with only what the request wants, so that a page of a thousand is cheap."""
    wanted = [(key, make) for key, make in _MEMBER.items() if key in view and selection.wants(key, "members")]
    return [{key: make(audience, each) for key, make in wanted} for each in its]


def segment(audience: Audience, its: Segment, statuses: frozenset[str]) -> Document:
    """A tag; `member_count` counts only members of these statuses."""
    document: Document = {
        "id": its.id,
        "name": its.name,
        "member_count": its.size(statuses),
        "type": its.kind,
        "created_at": iso(its.created),
        "updated_at": iso(its.updated),
        "list_id": audience.id,
        "_links": [_link(f"/lists/{audience.id}/segments/{its.id}")],
    }
    if its.kind == "saved":
        document["options"] = {"match": "all", "conditions": []}
    return document


def merge_field(audience: Audience, its: MergeField) -> Document:
    return {
        "merge_id": its.id,
        "tag": its.tag,
        "name": its.name,
        "type": its.kind,
        "required": its.required,
        "default_value": "",
        "public": its.public,
        "display_order": its.id,
        "options": {"size": 25},
        "help_text": "",
        "list_id": audience.id,
        "_links": [_link(f"/lists/{audience.id}/merge-fields/{its.id}")],
    }


def automation(its: Automation, of: Audience) -> Document:
    return {
        "id": its.id,
        "create_time": iso(its.created),
        "start_time": "" if its.status == "save" else iso(its.created),
        "status": its.status,
        "emails_sent": 0,
        "recipients": {"list_id": of.id, "list_is_active": True, "list_name": of.name},
        "settings": {"title": its.title, "from_name": of.name, "reply_to": "shop@shop.invalid"},
        "trigger_settings": {"workflow_type": "emailSeries", "workflow_title": "Custom", "workflow_emails_count": 1},
        "_links": [_link(f"/automations/{its.id}")],
    }


def audience(its: Audience, *, total: bool) -> Document:
    stats = {
        "member_count": its.counts["subscribed"],
        "unsubscribe_count": its.counts["unsubscribed"],
        "cleaned_count": its.counts["cleaned"],
        "merge_field_count": len(its.merge_fields),
        "campaign_count": 0,
        "open_rate": 0,
        "click_rate": 0,
    }
    if total:
        stats["total_contacts"] = sum(its.counts.values())
    return {
        "id": its.id,
        "web_id": 100_000 + len(its.name),
        "name": its.name,
        "contact": {"company": its.name, "address1": "", "city": "", "state": "", "zip": "", "country": "US"},
        "permission_reminder": "You bought from us.",
        "campaign_defaults": {"from_name": its.name, "from_email": "", "subject": "", "language": "en"},
        "date_created": iso(its.created),
        "list_rating": 0,
        "email_type_option": False,
        "double_optin": its.double_optin,
        "has_welcome": False,
        "marketing_permissions": False,
        "visibility": "prv",
        "modules": [],
        "stats": stats,
        "_links": [_link(f"/lists/{its.id}")],
    }


def account(audiences: Mapping[str, Audience]) -> Document:
    return {
        "account_id": "8d3a3db4d97663a9074efcc16",
        "login_id": "1234567",
        "account_name": "Regulars Sandbox",
        "email": "owner@shop.invalid",
        "first_name": "Robin",
        "last_name": "Owner",
        "username": "regulars-sandbox",
        "role": "owner",
        "member_since": "2020-01-01T00:00:00+00:00",
        "pricing_plan_type": "monthly",
        "account_timezone": "America/New_York",
        "account_industry": "e-commerce",
        "pro_enabled": False,
        "total_subscribers": sum(each.counts["subscribed"] for each in audiences.values()),
        "_links": [_link("/")],
    }


def _full_name(its: Member) -> str:
    return f"{its.merge_fields.get('FNAME', '')} {its.merge_fields.get('LNAME', '')}".strip()


def _tags(its: Member) -> list[Document]:
    return [{"id": each.id, "name": each.name} for each in list(its.tags.values())[:SHOWN_TAGS]]


def _link(path: str) -> Document:
    return {"rel": "self", "href": f"https://us19.api.mailchimp.com/3.0{path}", "method": "GET"}
