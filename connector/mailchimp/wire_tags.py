"""Tags: calls and what their replies say. Mailchimp calls them static segments.

https://mailchimp.com/developer/marketing/api/list-segments/

Never sent: `static_segment` of an existing tag (it replaces the whole membership), and the deletion of a tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.base import Call, Reply
from connector.errors import BadReply
from connector.mailchimp.wire import PLATFORM, call, document

STATIC = "static"


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag as the list of tags shows it. `created` in epoch seconds."""

    id: str
    name: str
    created: float


def get_tags(audience: str) -> Call:
    """One page of the audience's tags, without the segments that are saved searches."""
    fields = "segments.id,segments.name,segments.type,segments.created_at,total_items"
    return call("GetTags", "GET", f"/lists/{audience}/segments", [("type", STATIC), ("fields", fields)])


def create_tag(audience: str, name: str) -> Call:
    """An empty tag; without `static_segment` it would have to be a saved search."""
    return call("CreateTag", "POST", f"/lists/{audience}/segments", document={"name": name, "static_segment": []})


def rename_tag(audience: str, tag: str, name: str) -> Call:
    """Only the name: `static_segment` beside it would replace the members."""
    return call("RenameTag", "PATCH", _path(audience, tag), document={"name": name})


def change_tag(audience: str, tag: str, add: Sequence[str], remove: Sequence[str]) -> Call:
    """Give and take the tag, by address. It starts automations, and takes no `is_syncing` to keep them quiet."""
    body = {"members_to_add": list(add), "members_to_remove": list(remove)}
    return call("ChangeTag", "POST", _path(audience, tag), document={key: its for key, its in body.items() if its})


def get_tagged(audience: str, tag: str) -> Call:
    """One page of the tag's members: unless told so it leaves out who is not subscribed."""
    params = [(f"include_{status}", "true") for status in ("cleaned", "transactional", "unsubscribed")]
    return call("GetTagged", "GET", f"{_path(audience, tag)}/members", [*params, ("fields", "members.id,total_items")])


def tags(segments: Iterable[Mapping[str, Any]]) -> list[Tag]:
    """Segments as a page gives them, those that are tags."""
    return [
        Tag(str(item["id"]), str(item["name"]), _instant(item.get("created_at")))
        for item in segments
        if item.get("type", STATIC) == STATIC
    ]


def created_id(operation: str, reply: Reply) -> str:
    """An empty id would turn the path of the next call into the whole collection."""
    found = document(operation, reply, "id")["id"]
    if not found or not isinstance(found, int | str):
        raise BadReply(PLATFORM, operation, "the answer carries no id; run again")
    return str(found)


def _instant(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _path(audience: str, tag: str) -> str:
    if not tag.isdecimal():
        raise ValueError(f"a tag without an id: {tag!r}")
    return f"/lists/{audience}/segments/{tag}"
