"""Requests about contact labels, and what their answers say. Pure.

dev.wix.com/docs/rest/crm/members-contacts/contacts: Labels, Contact V4 (label, unlabel, bulk), Bulk Job.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from connector.base import Call
from connector.errors import BadReply
from connector.wix.judge import PLATFORM
from connector.wix.limits import limits

NAMESPACE = "custom"
"""Where labels made through the API live, whatever the app; the owner's own are there too."""

NOBODY = "00000000-0000-0000-0000-000000000000"

_GUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_LABELS = "/contacts/v4/labels"
_CONTACTS = "/contacts/v4/contacts"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Labels(_Table):
    """Characters of a label's name; keys of one call each way; contacts of one bulk filter."""

    name: int
    keys: int
    contacts: int


class Jobs(_Table):
    """Seconds between looks at bulk jobs and how long a push waits for them; jobs under way together.

    `isolate`: requests spent on finding what makes a request be refused; `reads`: contacts read one by one after jobs
    that did not do all their work. Both per push.
    """

    first_wait: float
    longest_wait: float
    patience: float
    together: int
    isolate: int
    reads: int


class Writing(BaseModel):
    """What writing needs of `mappings/wix.toml`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    labels: Labels
    jobs: Jobs


@cache
def writing() -> Writing:
    """The limits that hold for every site."""
    return Writing.model_validate(tomllib.loads(files("mappings").joinpath("wix.toml").read_text("utf-8")))


@dataclass(frozen=True, slots=True)
class Label:
    """A label as Wix shows it. `created` is UTC epoch seconds, None where the answer does not say."""

    key: str
    name: str
    namespace: str
    created: float | None


@dataclass(frozen=True, slots=True)
class Job:
    """How far a bulk job is. `total`: contacts that its filter found."""

    complete: bool
    total: int
    succeeded: int
    failed: int


@dataclass(frozen=True, slots=True)
class Member:
    """A contact of a page of label members. `created` is Wix's own text, sent back as it came."""

    id: str
    created: str


@dataclass(frozen=True, slots=True)
class Found:
    """A contact read by its id. `id` is another than was asked for where the contact was merged into that one."""

    id: str
    labels: frozenset[str]


def is_guid(text: str) -> bool:
    """True for what Wix uses as an id of contacts and jobs."""
    return bool(_GUID.fullmatch(text))


# labels


def any_label() -> Call:
    """The cheapest question that only a key for labels may ask."""
    return _query_labels({"namespace": {"$eq": NAMESPACE}}, limit=1)


def labels_named(names: Sequence[str]) -> Call:
    """The labels with these very names: one each, unless renaming by hand gave several the same."""
    matching = {"namespace": {"$eq": NAMESPACE}, "displayName": {"$in": list(names)}}
    return _query_labels(matching, limit=limits().pages.labels)


def find_or_create(name: str) -> Call:
    """Finds by the exact name: sending it again makes no second label."""
    return Call("FindOrCreateLabel", "POST", _LABELS, json={"displayName": name})


def get_label(key: str) -> Call:
    """One label by its key."""
    return Call("GetLabel", "GET", _label_path(key))


def rename_label(key: str, name: str) -> Call:
    """The key stays."""
    return Call("UpdateLabel", "PATCH", _label_path(key), json={"label": {"displayName": name}})


def label_of(operation: str, body: Mapping[str, Any]) -> Label:
    """The label of an answer. Raises BadReply where there is none."""
    label = _label(_mapping(body.get("label")))
    if label is None:
        raise BadReply(PLATFORM, operation, "the answer holds no label with a key")
    return label


def labels_of(body: Mapping[str, Any]) -> list[Label]:
    """The labels of a page."""
    return [label for entry in _list(body.get("labels")) if (label := _label(_mapping(entry))) is not None]


# one contact


def label_contact(contact: str, keys: Sequence[str]) -> Call:
    """Add labels to one contact: a set operation."""
    return Call("LabelContact", "POST", f"{_contact_path(contact)}/labels", json={"labelKeys": _some(keys)})


def unlabel_contact(contact: str, keys: Sequence[str]) -> Call:
    """Take labels from one contact. The keys stand in the query, as the vendor's own SDK sends them."""
    params = tuple(("labelKeys", key) for key in _some(keys))
    return Call("UnlabelContact", "DELETE", f"{_contact_path(contact)}/labels", params=params)


def get_contact(contact: str) -> Call:
    """One contact as it is now, not as an index has it."""
    return Call("GetContact", "GET", _contact_path(contact))


def found(operation: str, body: Mapping[str, Any]) -> Found:
    """The contact of an answer. Raises BadReply where there is none."""
    contact = _mapping(body.get("contact"))
    if not contact.get("id"):
        raise BadReply(PLATFORM, operation, "the answer holds no contact with an id")
    return Found(str(contact["id"]).lower(), _keys(contact))


# many contacts


def contacts_with_ids(contacts: Sequence[str]) -> dict[str, Any]:
    """The filter for exactly these contacts. Raises ValueError for none, too many, or an id that is no GUID.

    A bulk call labels whomever its filter finds, and an empty one finds everybody: this is the only maker of filters.
    """
    if not 1 <= len(contacts) <= writing().labels.contacts:
        raise ValueError(f"a filter names 1 to {writing().labels.contacts} contacts, not {len(contacts)}")
    for contact in contacts:
        if not is_guid(contact):
            raise ValueError(f"{contact!r} is no contact id")
    return {"id": {"$in": list(contacts)}}


def change_labels(contacts: Sequence[str], adds: Sequence[str], removes: Sequence[str]) -> Call:
    """Begin a job that puts labels on these contacts and takes others off."""
    if set(adds) & set(removes):
        raise ValueError("a label cannot be put on and taken off in one job")
    body: dict[str, Any] = {"filter": contacts_with_ids(contacts)}
    if adds or not removes:
        body["labelKeysToAdd"] = _some(adds)
    if removes:
        body["labelKeysToRemove"] = _some(removes)
    return Call("BulkAddRemoveLabels", "POST", "/contacts/v4/bulk/contacts/add-remove-labels", json=body)


def job_id(operation: str, body: Mapping[str, Any]) -> str:
    """The id of the job that was begun. Raises BadReply where there is none."""
    told = body.get("jobId")
    if not isinstance(told, str) or not is_guid(told):
        raise BadReply(PLATFORM, operation, f"the answer names no job ({str(told)[:60]!r})")
    return told


def get_job(job: str) -> Call:
    """How far a job is."""
    if not is_guid(job):
        raise ValueError(f"{job!r} is no job id")
    return Call("GetBulkJob", "GET", f"/contacts/v4/bulk/jobs/{job}")


def job_of(operation: str, body: Mapping[str, Any]) -> Job:
    """The state of a job. A status that is not known is one that is not complete."""
    job = _mapping(body.get("job"))
    if not job:
        raise BadReply(PLATFORM, operation, "the answer holds no job")
    return Job(
        complete=job.get("status") == "COMPLETED",
        total=_count(job.get("totalItems")),
        succeeded=_count(job.get("successTotal")),
        failed=_count(job.get("failedTotal")),
    )


def labels_by_contact(contacts: Sequence[str]) -> Call:
    """What the index has of these contacts: it may lag behind what was just written."""
    query = {
        "filter": contacts_with_ids(contacts),
        "sort": [{"fieldName": "createdDate", "order": "ASC"}],
        "paging": {"limit": limits().pages.contacts, "offset": 0},
        "fieldsets": ["FULL"],
    }
    return Call("QueryContacts", "POST", f"{_CONTACTS}/query", json={"query": query})


def contacts_labelled(key: str, *, since: str | None = None, offset: int = 0) -> Call:
    """A page of those who carry the label, oldest first, created at `since` or later."""
    matching: dict[str, Any] = {"info.labelKeys": {"$hasSome": [key]}}
    if since is not None:
        matching["createdDate"] = {"$gte": since}
    query = {
        "filter": matching,
        "sort": [{"fieldName": "createdDate", "order": "ASC"}],
        "paging": {"limit": limits().pages.contacts, "offset": offset},
        "fieldsets": ["FULL"],
    }
    return Call("QueryContacts", "POST", f"{_CONTACTS}/query", json={"query": query})


def held(body: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Labels by contact, as a page of contacts shows them."""
    contacts = (_mapping(entry) for entry in _list(body.get("contacts")))
    return {str(contact["id"]).lower(): _keys(contact) for contact in contacts if contact.get("id")}


def members(body: Mapping[str, Any]) -> Iterator[Member]:
    """The contacts of a page, in its order."""
    for contact in map(_mapping, _list(body.get("contacts"))):
        if contact.get("id"):
            yield Member(str(contact["id"]), str(contact.get("createdDate") or ""))


def _query_labels(matching: Mapping[str, Any], *, limit: int) -> Call:
    query = {"filter": matching, "paging": {"limit": limit, "offset": 0}}
    return Call("QueryLabels", "POST", f"{_LABELS}/query", json={"query": query})


def _label_path(key: str) -> str:
    if not key:
        raise ValueError("a label without a key")
    return f"{_LABELS}/{quote(key, safe='')}"


def _contact_path(contact: str) -> str:
    if not is_guid(contact):
        raise ValueError(f"{contact!r} is no contact id")
    return f"{_CONTACTS}/{contact}"


def _some(keys: Sequence[str]) -> list[str]:
    most = writing().labels.keys
    if not 1 <= len(keys) <= most or not all(keys):
        raise ValueError(f"a call names 1 to {most} labels, not {len(keys)}")
    return list(keys)


def _label(raw: Mapping[str, Any]) -> Label | None:
    if not raw.get("key"):
        return None
    return Label(
        key=str(raw["key"]),
        name=str(raw.get("displayName") or ""),
        namespace=str(raw.get("namespace") or ""),
        created=_instant(raw.get("createdDate")),
    )


def _keys(contact: Mapping[str, Any]) -> frozenset[str]:
    items = _mapping(_mapping(contact.get("info")).get("labelKeys")).get("items")
    return frozenset(str(key) for key in _list(items))


def _instant(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except ValueError:
        return None


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []
