"""The endpoints that the simulator knows, by the names of Mailchimp's own definition; and the small ones themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connector.mailchimp import sandbox_documents as documents
from connector.mailchimp import sandbox_members as members
from connector.mailchimp import sandbox_segments as segments
from connector.mailchimp.sandbox_account import MERGE_FIELDS, TAG_LENGTH
from connector.mailchimp.sandbox_batches import Batch, operations_of
from connector.mailchimp.sandbox_query import Problem, choice, flag, malformed, missing, page
from connector.mailchimp.sandbox_seen import Answer, Seen, part

KINDS = ("text", "number", "address", "phone", "date", "url", "imageurl", "radio", "dropdown", "birthday", "zip")
_TAG = re.compile(rf"[A-Z0-9_]{{1,{TAG_LENGTH}}}")


def _ping(seen: Seen) -> Answer:
    return 200, {"health_status": "Everything's Chimpy!"}


def _root(seen: Seen) -> Answer:
    return 200, documents.account(seen.account.audiences)


def _lists(seen: Seen) -> Answer:
    """`email` leaves the audiences that have this member."""
    email, total = seen.query.get("email"), flag(seen.query, "include_total_contacts")
    found = list(seen.account.audiences.values())
    shown = [each for each in found if email is None or each.find(email) is not None]
    choice(seen.query, "sort_field", ("date_created",))
    return 200, {
        "lists": [documents.audience(each, total=total) for each in page(seen.query, shown)],
        "total_items": len(shown),
        "constraints": {"may_create": False, "max_instances": len(found), "current_total_instances": len(found)},
        "_links": [],
    }


def _list(seen: Seen) -> Answer:
    return 200, documents.audience(seen.audience, total=flag(seen.query, "include_total_contacts"))


def _automations(seen: Seen) -> Answer:
    """Classic ones only."""
    status = choice(seen.query, "status", ("save", "paused", "sending"))
    found = [each for each in seen.account.automations if status in (None, each.status)]
    audiences = seen.account.audiences
    shown = [documents.automation(each, audiences[each.list_id]) for each in page(seen.query, found)]
    return 200, {"automations": shown, "total_items": len(found), "_links": []}


def _merge_fields(seen: Seen) -> Answer:
    audience, kind = seen.audience, seen.query.get("type")
    found = [each for each in audience.merge_fields.values() if kind in (None, each.kind)]
    shown = [documents.merge_field(audience, each) for each in page(seen.query, found)]
    return 200, {"merge_fields": shown, "list_id": audience.id, "total_items": len(found), "_links": []}


def _add_merge_field(seen: Seen) -> Answer:
    audience, document = seen.audience, seen.document()
    name, kind = part(document, "name", str, required=True), part(document, "type", str, required=True)
    tag = part(document, "tag", str) or ""
    if kind not in KINDS:
        raise malformed(("type", f"This value should be one of: {', '.join(KINDS)}"))
    if tag and not _TAG.fullmatch(tag):
        raise malformed(("tag", f"No more than {TAG_LENGTH} upper-case letters, digits and underscores."))
    if len(audience.merge_fields) >= MERGE_FIELDS:
        text = f"You have reached the maximum of {MERGE_FIELDS} merge fields for this audience."
        raise Problem(400, "Bad Request", text)
    made = audience.add_merge_field(name, kind, tag, required=bool(part(document, "required", bool)))
    made.public = bool(part(document, "public", bool))
    seen.account.journal.writes["merge_fields_created"] += 1
    return 200, documents.merge_field(audience, made)


def _begin_batch(seen: Seen) -> Answer:
    batch = seen.batches.begin(operations_of(seen.body))
    seen.account.journal.writes["batches"] += 1
    return 200, seen.batches.document(batch, seen.base)


def _list_batches(seen: Seen) -> Answer:
    found = list(seen.batches.all.values())
    shown = [seen.batches.document(each, seen.base) for each in page(seen.query, found)]
    return 200, {"batches": shown, "total_items": len(found), "_links": []}


def _get_batch(seen: Seen) -> Answer:
    return 200, seen.batches.document(_batch(seen), seen.base)


def _stop_batch(seen: Seen) -> Answer:
    seen.batches.drop(_batch(seen))
    return 204, None


def _batch(seen: Seen) -> Batch:
    found = seen.batches.all.get(seen.keys["batch_id"])
    if found is None:
        raise missing()
    return found


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`operation` is Mailchimp's own name for it, `path` what follows /3.0."""

    operation: str
    method: str
    path: re.Pattern[str]
    act: Callable[[Seen], Answer]


def _endpoint(operation: str, method: str, path: str, act: Callable[[Seen], Answer]) -> Endpoint:
    return Endpoint(operation, method, re.compile("/3.0" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), act)


_L = "/lists/{list_id}"
_M = _L + "/members/{subscriber_hash}"
_S = _L + "/segments/{segment_id}"

ENDPOINTS: Sequence[Endpoint] = (
    _endpoint("getPing", "GET", "/ping", _ping),
    _endpoint("getRoot", "GET", "/?", _root),
    _endpoint("getLists", "GET", "/lists", _lists),
    _endpoint("getAutomations", "GET", "/automations", _automations),
    _endpoint("getListsId", "GET", _L, _list),
    _endpoint("postListsId", "POST", _L, members.batch_members),
    _endpoint("getListsIdMembers", "GET", _L + "/members", members.list_members),
    _endpoint("postListsIdMembers", "POST", _L + "/members", members.add_member),
    _endpoint("getListsIdMembersId", "GET", _M, members.get_member),
    _endpoint("putListsIdMembersId", "PUT", _M, members.put_member),
    _endpoint("patchListsIdMembersId", "PATCH", _M, members.patch_member),
    _endpoint("deleteListsIdMembersId", "DELETE", _M, members.archive_member),
    _endpoint(
        "postListsIdMembersHashActionsDeletePermanent",
        "POST",
        _M + "/actions/delete-permanent",
        members.delete_permanent,
    ),
    _endpoint("getListMemberTags", "GET", _M + "/tags", segments.member_tags),
    _endpoint("postListMemberTags", "POST", _M + "/tags", segments.tag_member),
    _endpoint("previewASegment", "GET", _L + "/segments", segments.list_segments),
    _endpoint("postListsIdSegments", "POST", _L + "/segments", segments.create_segment),
    _endpoint("getListsIdSegmentsId", "GET", _S, segments.get_segment),
    _endpoint("postListsIdSegmentsId", "POST", _S, segments.change_members),
    _endpoint("patchListsIdSegmentsId", "PATCH", _S, segments.update_segment),
    _endpoint("deleteListsIdSegmentsId", "DELETE", _S, segments.delete_segment),
    _endpoint("getListsIdSegmentsIdMembers", "GET", _S + "/members", segments.segment_members),
    _endpoint("searchTagsByName", "GET", _L + "/tag-search", segments.search_tags),
    _endpoint("getListsIdMergeFields", "GET", _L + "/merge-fields", _merge_fields),
    _endpoint("postListsIdMergeFields", "POST", _L + "/merge-fields", _add_merge_field),
    _endpoint("getBatches", "GET", "/batches", _list_batches),
    _endpoint("postBatches", "POST", "/batches", _begin_batch),
    _endpoint("getBatchesId", "GET", "/batches/{batch_id}", _get_batch),
    _endpoint("deleteBatchesId", "DELETE", "/batches/{batch_id}", _stop_batch),
)
