"""The account and its audiences: what `doctor` looks at.

https://mailchimp.com/developer/marketing/api/lists/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.base import Call
from connector.mailchimp.wire import call


def ping() -> Call:
    """The cheapest proof of a key: it tells nothing of the account."""
    return call("Ping", "GET", "/ping")


def get_account() -> Call:
    fields = "account_id,account_name,role,pricing_plan_type,total_subscribers"
    return call("GetAccount", "GET", "/", [("fields", fields)])


def get_audiences() -> Call:
    """One page of the account's audiences with their sizes."""
    stats = ("member_count", "unsubscribe_count", "cleaned_count", "merge_field_count")
    fields = ["id", "name", "double_optin", *(f"stats.{name}" for name in stats)]
    listed = ",".join(f"lists.{name}" for name in fields)
    return call("GetAudiences", "GET", "/lists", [("fields", f"{listed},total_items,constraints")])


def get_automations() -> Call:
    """One page of the classic automations that run. Flows of the present kind are not shown by the API."""
    fields = "automations.id,automations.recipients.list_id,automations.settings.title"
    return call("GetAutomations", "GET", "/automations", [("status", "sending"), ("fields", fields)])


def running(body: Mapping[str, Any], audience: str) -> list[str]:
    """Titles of the automations of a page that belong to the audience."""
    return [
        str((item.get("settings") or {}).get("title") or "(unnamed automation)")
        for item in body["automations"]
        if (item.get("recipients") or {}).get("list_id") == audience
    ]
