"""Merge fields of an audience.

https://mailchimp.com/developer/marketing/docs/merge-fields/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.base import Call
from connector.mailchimp.limits import MergeField
from connector.mailchimp.wire import call


def get_merge_fields(audience: str) -> Call:
    """One page of the audience's merge fields."""
    fields = "merge_fields.tag,merge_fields.name,merge_fields.type,total_items"
    return call("GetMergeFields", "GET", f"/lists/{audience}/merge-fields", [("fields", fields)])


def create_merge_field(audience: str, field: MergeField) -> Call:
    """Not shown on forms and never required. A tag that is taken comes back changed: read it from the answer."""
    body = {"name": field.name, "type": field.type, "tag": field.tag, "public": False, "required": False}
    return call("CreateMergeField", "POST", f"/lists/{audience}/merge-fields", document=body)


def tag_of(body: Mapping[str, Any], field: MergeField) -> str | None:
    """The tag of our field among those of a page: known by its name and type, whatever its tag had to become."""
    for item in body["merge_fields"]:
        if item.get("name") == field.name and item.get("type") == field.type:
            return str(item["tag"])
    return None
