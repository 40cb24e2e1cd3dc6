"""The account and its audiences: what `doctor` looks at.

https://mailchimp.com/developer/marketing/api/lists/
"""

from __future__ import annotations

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
