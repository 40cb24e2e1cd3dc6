"""The endpoints of tags, which Mailchimp keeps as static segments.

Not established for the real API, and so choices here: names of tags differ by more than case, and a name that exists
is refused with 400; a change by the five hundred neither takes nor drops people who are unknown, archived, unsubscribed
or cleaned; who has the tag already, or has it no more, is skipped; people who are pending carry tags, and no view of a
tag's members shows them; such a change starts automations at once.
"""

from __future__ import annotations

from connector.mailchimp import sandbox_documents as documents
from connector.mailchimp.sandbox_account import Audience, Member
from connector.mailchimp.sandbox_query import Problem, Selection, flag, invalid, iso, malformed, page
from connector.mailchimp.sandbox_seen import Answer, Seen, part, texts

CHANGE = 500
NAME_LENGTH = 100
_ALL = Selection({})
_HIDDEN = ("cleaned", "transactional", "unsubscribed")


def list_segments(seen: Seen) -> Answer:
    audience, kind = seen.audience, seen.query.get("type")
    found = [segment for segment in audience.segments.values() if kind in (None, segment.kind)]
    statuses = _statuses(seen)
    shown = [documents.segment(audience, each, statuses) for each in page(seen.query, found)]
    return 200, {"segments": shown, "list_id": audience.id, "total_items": len(found), "_links": []}


def get_segment(seen: Seen) -> Answer:
    return 200, documents.segment(seen.audience, seen.segment(), _statuses(seen))


def create_segment(seen: Seen) -> Answer:
    """With `static_segment` a tag, with `options` a segment by conditions."""
    audience, document = seen.audience, seen.document()
    name = _name(audience, part(document, "name", str, required=True))
    addresses = texts(document, "static_segment")
    if addresses is None and part(document, "options", dict) is None:
        raise invalid('Must provide either an "options" field or a "static_segment" field')
    segment = audience.add_saved(name) if addresses is None else audience.add_tag(name)
    seen.account.journal.writes["tags_created"] += 1
    for member in _present(audience, addresses or []):
        audience.tag(segment, member)
    return 200, documents.segment(audience, segment, _statuses(seen))


def update_segment(seen: Seen) -> Answer:
    """With `static_segment` the whole membership is replaced, and emptied by an empty list."""
    audience, segment, document = seen.audience, seen.segment(), seen.document()
    name = part(document, "name", str, required=True)
    addresses = texts(document, "static_segment")
    if name.casefold() != segment.name.casefold():
        name = _name(audience, name)
    if addresses is not None and segment.kind != "static":
        raise Problem(400, "Bad Request", "Members of a saved segment cannot be set.")
    audience.rename_tag(segment, name)
    seen.account.journal.writes["tags_renamed"] += 1
    if addresses is not None:
        seen.account.journal.replaced.append(segment.name)
        wanted = set(_present(audience, addresses))
        for member in set(segment.members) - wanted:
            audience.untag(segment, member)
        for member in wanted:
            audience.tag(segment, member)
    return 200, documents.segment(audience, segment, _statuses(seen))


def delete_segment(seen: Seen) -> Answer:
    seen.audience.delete_tag(seen.segment())
    seen.account.journal.writes["tags_deleted"] += 1
    return 204, None


def change_members(seen: Seen) -> Answer:
    """Up to five hundred in and five hundred out; who cannot be taken is told inside the 200."""
    audience, segment, document = seen.audience, seen.segment(static=True), seen.document()
    adds = texts(document, "members_to_add", CHANGE) or []
    removes = texts(document, "members_to_remove", CHANGE) or []
    seen.account.journal.writes["tag_changes"] += 1
    refused: list[str] = []
    added = [each for each in _willing(audience, adds, refused) if audience.tag(segment, each)]
    removed = [each for each in _willing(audience, removes, refused) if audience.untag(segment, each)]
    if not audience.tells_refused:
        refused = []
    text = "Email addresses are not subscribed to this list"
    errors = [{"email_addresses": refused, "error": text}] if refused else []
    return 200, {
        "members_added": documents.members(audience, added, _ALL, documents.ECHO),
        "members_removed": documents.members(audience, removed, _ALL, documents.ECHO),
        "errors": errors,
        "total_added": len(added),
        "total_removed": len(removed),
        "error_count": len(refused),
        "_links": [],
    }


def segment_members(seen: Seen) -> Answer:
    """Subscribed ones only, unless asked for more."""
    audience, segment, statuses = seen.audience, seen.segment(), _statuses(seen)

    def find() -> list[Member]:
        return [member for member in segment.members if member.status in statuses]

    found = audience.cached((segment.id, statuses), find)
    shown = documents.members(audience, page(seen.query, found), seen.selection, documents.TAGGED)
    return 200, {"members": shown, "total_items": len(found), "_links": []}


def search_tags(seen: Seen) -> Answer:
    """By the beginning of the name."""
    wanted = seen.query.get("name", "").casefold()
    found = [
        {"id": each.id, "name": each.name}
        for each in seen.audience.segments.values()
        if each.kind == "static" and each.name.casefold().startswith(wanted)
    ]
    return 200, {"tags": found, "total_items": len(found)}


def member_tags(seen: Seen) -> Answer:
    member = seen.member(hash_only=True)
    found = list(member.tags.values())
    shown = [
        {"id": each.id, "name": each.name, "date_added": iso(each.members[member])} for each in page(seen.query, found)
    ]
    return 200, {"tags": shown, "total_items": len(found), "_links": []}


def tag_member(seen: Seen) -> Answer:
    """Whatever the member's status. A name that nobody has used yet becomes a tag."""
    audience, member, document = seen.audience, seen.member(hash_only=True), seen.document()
    quiet = bool(part(document, "is_syncing", bool))
    changes = []
    for each in part(document, "tags", list, required=True):
        row = each if isinstance(each, dict) else {}
        name, status = part(row, "name", str, required=True), part(row, "status", str, required=True)
        if status not in ("active", "inactive"):
            raise malformed(("tags.status", "This value should be one of: active, inactive"))
        if not name.strip() or len(name) > NAME_LENGTH:
            raise malformed(("tags.name", f"This value should have between 1 and {NAME_LENGTH} characters."))
        changes.append((name, status == "active"))
    seen.account.journal.writes["member_tags"] += 1
    for name, active in changes:
        segment = audience.tag_named(name)
        if active:
            audience.tag(segment or audience.add_tag(name.strip()), member, quiet=quiet)
        elif segment is not None:
            audience.untag(segment, member)
    return 204, None


def _name(audience: Audience, name: str) -> str:
    """A name that a tag may newly have."""
    name = name.strip()
    if not 1 <= len(name) <= NAME_LENGTH:
        raise malformed(("name", f"This value should have between 1 and {NAME_LENGTH} characters."))
    if audience.tag_named(name) is not None:
        raise Problem(400, "Bad Request", "Sorry, that tag already exists.")
    return name


def _willing(audience: Audience, addresses: list[str], refused: list[str]) -> list[Member]:
    """Those whose tags such a change may touch; the others are put on `refused`."""
    found = []
    for address in addresses:
        member = _taggable(audience, address)
        if member is None or member.status in ("unsubscribed", "cleaned"):
            refused.append(address)
        else:
            found.append(member)
    return found


def _present(audience: Audience, addresses: list[str]) -> list[Member]:
    """Whoever is not in the audience is ignored."""
    return [member for address in addresses if (member := _taggable(audience, address)) is not None]


def _taggable(audience: Audience, address: str) -> Member | None:
    member = audience.find(address)
    return None if member is None or member.status == "archived" else member


def _statuses(seen: Seen) -> frozenset[str]:
    """The statuses that a view of a segment shows."""
    return frozenset({"subscribed", *(each for each in _HIDDEN if flag(seen.query, f"include_{each}"))})
