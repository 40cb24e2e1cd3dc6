"""The endpoints of members: one by one, and the batch that subscribes.

Not established for the real API, and so choices here: a list without `status` leaves archived members out; a request
for an archived member without `status` leaves it archived; every accepted write moves `last_changed`, even one that
says what was there before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connector.mailchimp import sandbox_documents as documents
from connector.mailchimp.sandbox_account import STATUSES, Audience, ConsentWrite, Member, address_hash
from connector.mailchimp.sandbox_query import Problem, Selection, choice, flag, instant, invalid, malformed, page
from connector.mailchimp.sandbox_seen import Answer, Seen, part, texts

BATCH = 500
_ALL = Selection({})
_ADDRESS = re.compile(r"[^\s@\x00-\x1f]+@([^\s@.]+\.)+[^\s@.]{2,}")
_SORTS = ("timestamp_opt", "timestamp_signup", "last_changed")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def list_members(seen: Seen) -> Answer:
    audience, query = seen.audience, seen.query
    status = choice(query, "status", (*STATUSES, "archived"))
    since, before = instant(query, "since_last_changed"), instant(query, "before_last_changed")
    sort, direction = choice(query, "sort_field", _SORTS), choice(query, "sort_dir", ("ASC", "DESC"))
    unique = query.get("unique_email_id")

    def find() -> list[Member]:
        found = list(audience.members.values()) if since is None else audience.changed_after(since)
        found = [
            member
            for member in found
            if (member.status == status if status else member.status != "archived")
            and (before is None or member.last_changed < before)
            and (unique is None or member.unique_email_id == unique)
        ]
        found.sort(key=lambda member: (_sort_key(member, sort), member.number), reverse=direction == "DESC")
        return found

    found = audience.cached((status, since, before, sort, direction, unique), find)
    shown = documents.members(audience, page(query, found), seen.selection)
    return 200, {"members": shown, "list_id": audience.id, "total_items": len(found), "_links": []}


def _sort_key(member: Member, sort: str | None) -> int:
    if sort is None:
        return 0
    return member.last_changed if sort == "last_changed" else member.signup


def get_member(seen: Seen) -> Answer:
    return 200, _shown(seen, seen.member())


def add_member(seen: Seen) -> Answer:
    """Who is archived comes back; who is there is an error."""
    audience, document = seen.audience, seen.document()
    address = part(document, "email_address", str, required=True)
    status = _status(document, "status", required=True)
    existing = audience.find(address)
    if existing is not None and existing.status != "archived":
        text = f"{address} is already a list member. Use PUT to insert or update list members."
        raise Problem(400, "Member Exists", text)
    if existing is None:
        member = _create(seen, address, status or "", document)
    else:
        _write(seen, existing, document)
        _consent(seen, "POST member", existing, status or "")
        member = existing
    for name in texts(document, "tags") or ():
        audience.tag(audience.tag_named(name) or audience.add_tag(name), member)
    return 200, _shown(seen, member)


def put_member(seen: Seen) -> Answer:
    """`status` changes somebody who exists; `status_if_new` is for nobody else than a newcomer.

    Somebody new with `status` and without `status_if_new` becomes pending, and is sent a mail to confirm.
    """
    document = seen.document()
    status, fresh = _status(document, "status"), _status(document, "status_if_new")
    address = part(document, "email_address", str)
    existing = seen.maybe_member()
    if existing is not None:
        return _update(seen, "PUT member", existing, document, status)
    if address is None:
        raise malformed(("email_address", "This value should not be blank."))
    if seen.audience.find(address) is not None:
        text = f"{address} is already a list member. Use PATCH to update existing members."
        raise Problem(400, "Member Exists", text)
    if fresh is None and status is None:
        raise malformed(("status_if_new", "This value should not be blank."))
    return 200, _shown(seen, _create(seen, address, fresh or "pending", document))


def patch_member(seen: Seen) -> Answer:
    """Never creates anybody."""
    document = seen.document()
    return _update(seen, "PATCH member", seen.member(), document, _status(document, "status"))


def _update(seen: Seen, how: str, member: Member, document: Mapping[str, Any], status: str | None) -> Answer:
    address = part(document, "email_address", str)
    if status is not None:
        _refuse(member, status)
    _write(seen, member, document)
    if address is not None and address_hash(address) != member.id:
        if seen.audience.find(address) is not None:
            raise Problem(400, "Member Exists", f"{address} is already a list member.")
        _acceptable(seen, address)
        seen.audience.change_address(member.address, address)
    if status is not None:
        _consent(seen, how, member, status)
    seen.audience.touch(member)
    seen.account.journal.writes["members_updated"] += 1
    return 200, _shown(seen, member)


def archive_member(seen: Seen) -> Answer:
    """What DELETE does. Archived twice is an error."""
    member = seen.member()
    if member.status == "archived":
        raise Problem(405, "Method Not Allowed", "This list member cannot be removed.")
    _consent(seen, "DELETE member", member, "archived")
    return 204, None


def delete_permanent(seen: Seen) -> Answer:
    member = seen.member(hash_only=True)
    seen.account.journal.consent_writes.append(ConsentWrite("delete-permanent", member.address, member.status, ""))
    seen.audience.delete_permanent(member.address)
    return 204, None


def batch_members(seen: Seen) -> Answer:
    """One by one; what cannot be taken is told inside the 200."""
    document = seen.document()
    rows = part(document, "members", list, required=True)
    if len(rows) > BATCH:
        raise invalid(f"You cannot send more than {BATCH} members at once.", ("members", f"more than {BATCH}"))
    update, sync = part(document, "update_existing", bool), part(document, "sync_tags", bool)
    made: list[Member] = []
    updated: list[Member] = []
    errors = []
    met: set[str] = set()
    for row in rows:
        address = row.get("email_address") if isinstance(row, dict) else None
        try:
            if not isinstance(address, str):
                raise malformed(("email_address", "This value should not be blank."))
            if address_hash(address) in met and not flag(seen.query, "skip_duplicate_check"):
                raise invalid("Duplicate items found in request.")
            met.add(address_hash(address))
            _batched(seen, row, address, bool(update), bool(sync), made, updated)
        except Problem as problem:
            errors.append(_batch_error(address, problem))
    return 200, {
        "new_members": documents.members(seen.audience, made, _ALL, documents.ECHO),
        "updated_members": documents.members(seen.audience, updated, _ALL, documents.ECHO),
        "errors": errors,
        "total_created": len(made),
        "total_updated": len(updated),
        "error_count": len(errors),
        "_links": [],
    }


def _batched(
    seen: Seen,
    row: Mapping[str, Any],
    address: str,
    update: bool,
    sync: bool,
    made: list[Member],
    updated: list[Member],
) -> None:
    """One row. `sync_tags` replaces all the member's tags, the merchant's too."""
    audience = seen.audience
    status = _status(row, "status")
    member = audience.find(address)
    if member is None:
        member = _create(seen, address, status or "subscribed", row)
        made.append(member)
    else:
        if not update:
            text = f"{address} is already a list member, do you want to update? please provide update_existing:true"
            raise Problem(400, "Member Exists", text)
        if status is not None:
            _refuse(member, status)
        _write(seen, member, row)
        if status is not None:
            _consent(seen, "update_existing", member, status)
        audience.touch(member)
        updated.append(member)
    names = texts(row, "tags") or []
    if sync:
        seen.account.journal.replaced.append(f"tags of {member.address}")
        for segment in list(member.tags.values()):
            audience.untag(segment, member)
    for name in names:
        audience.tag(audience.tag_named(name) or audience.add_tag(name), member)


def _batch_error(address: object, problem: Problem) -> dict[str, str]:
    code = "ERROR_CONTACT_EXISTS" if problem.title == "Member Exists" else "ERROR_GENERIC"
    field, message = problem.errors[0] if problem.errors else ("", "")
    return {
        "email_address": address if isinstance(address, str) else "",
        "error": problem.detail,
        "error_code": code,
        "field": field,
        "field_message": message,
    }


def _shown(seen: Seen, member: Member) -> Any:
    return documents.member(seen.audience, member)


def _status(document: Mapping[str, Any], name: str, *, required: bool = False) -> str | None:
    value: str | None = part(document, name, str, required=required)
    if value is not None and value not in STATUSES:
        raise malformed((name, f"This value should be one of: {', '.join(STATUSES)}"))
    return value


def _create(seen: Seen, address: str, status: str, document: Mapping[str, Any]) -> Member:
    audience, journal = seen.audience, seen.account.journal
    _acceptable(seen, address)
    fields = _merge_fields(seen, document, {})
    member = audience.add(address, status)
    member.compliance = False
    member.merge_fields = fields
    journal.created.append(member.address)
    if status == "pending" or (status == "subscribed" and audience.double_optin):
        journal.confirmation_mails.append(member.address)
    return member


def _acceptable(seen: Seen, address: str) -> None:
    """Whether Mailchimp takes the address as a new one. None of these errors goes away by sending again soon."""
    if not _ADDRESS.fullmatch(address.strip()):
        raise invalid("Please provide a valid email address.", ("email_address", "not a valid address"))
    if address_hash(address) in seen.audience.forgotten:
        text = f"{address} was permanently deleted and cannot be re-imported. The contact must re-subscribe."
        raise Problem(400, "Forgotten Email Not Subscribed", text)
    if seen.account.is_fake(address):
        raise invalid(f"{address} looks fake or invalid, please enter a real email address.")
    if address.strip().lower() in seen.account.busy:
        text = f"{address} has signed up to a lot of lists very recently; we're not allowing more signups for now"
        raise invalid(text)


def _refuse(member: Member, status: str) -> None:
    """Who opted out or bounced can only be asked to confirm; who bounced, not even that."""
    open_ways = ("pending", "unsubscribed") if member.status != "cleaned" else ()
    if member.compliance and status not in (*open_ways, member.status):
        text = (
            f"{member.address} is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be "
            "subscribed."
        )
        raise Problem(400, "Member In Compliance State", text)


def _consent(seen: Seen, how: str, member: Member, status: str) -> None:
    journal = seen.account.journal
    journal.consent_writes.append(ConsentWrite(how, member.address, member.status, status))
    if status == "pending" and member.status != "pending":
        journal.confirmation_mails.append(member.address)
    seen.audience.set_status(member, status)


def _write(seen: Seen, member: Member, document: Mapping[str, Any]) -> None:
    member.merge_fields = _merge_fields(seen, document, member.merge_fields)


def _merge_fields(seen: Seen, document: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that the audience does not have are dropped without a word."""
    audience: Audience = seen.audience
    sent = part(document, "merge_fields", dict) or {}
    kept = {tag: value for tag, value in sent.items() if tag in audience.merge_fields}
    after = {**before, **kept}
    errors = [
        (tag, "This value should be a valid date.") if kind == "date" else (tag, "Please enter a number")
        for tag, value in kept.items()
        if not _fits(kind := audience.merge_fields[tag].kind, value)
    ]
    if not flag(seen.query, "skip_merge_validation"):
        errors += [
            (tag, "Please enter a value")
            for tag, field in audience.merge_fields.items()
            if field.required and after.get(tag) in (None, "")
        ]
    if errors:
        raise invalid("Your merge fields were invalid.", *errors)
    return after


def _fits(kind: str, value: object) -> bool:
    if kind == "number":
        return value == "" or isinstance(value, int | float) or str(value).replace(".", "", 1).isdecimal()
    if kind == "date":
        return value == "" or bool(_DATE.fullmatch(str(value)))
    return True
