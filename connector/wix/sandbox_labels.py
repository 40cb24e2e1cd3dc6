"""Labels on the simulated site: finding, making, renaming, deleting; on one contact and on many.

dev.wix.com/docs/rest/crm/members-contacts/contacts: Labels, Contact V4, Bulk Job.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from connector.wix.sandbox_contact import show_v4, stamp
from connector.wix.sandbox_contacts_api import contact_filter
from connector.wix.sandbox_filter import BadFilter, Field, Filter, compile_filter
from connector.wix.sandbox_index import Sort
from connector.wix.sandbox_route import Problem, Route, Seen, envelope, invalid, refused
from connector.wix.sandbox_site import Label, Site

LABELS = ("SCOPE.DC-CONTACTS.MANAGE-LABELS",)
CONTACTS = ("SCOPE.DC-CONTACTS.MANAGE-CONTACTS",)

_NAME = 180
_KEYS = 100
_PAGE = 1000
_STAGES = ("NEW", "LOADING", "RUNNING", "INDEXING")
_JOB_IDS = uuid.UUID("b1d0a7c4-6f55-4c39-8f0b-0d6f1f0f5c11")
_DATES = frozenset({"$eq", "$ne", "$gt", "$gte", "$lt", "$lte"})
_LABEL_FIELDS = {
    "key": Field("text", frozenset({"$eq", "$ne", "$in"})),
    "displayName": Field("text", frozenset({"$eq", "$ne", "$in", "$startsWith"})),
    "createdDate": Field("date", _DATES),
    "updatedDate": Field("date", _DATES),
    "namespace": Field("text", frozenset({"$eq", "$ne"})),
    "labelType": Field("text", frozenset({"$eq"})),
}


class LabelChange(NamedTuple):
    """A label came to a contact or left it."""

    at: float
    contact: str
    key: str
    action: Literal["add", "remove"]


@dataclass(slots=True)
class BulkJob:
    """One bulk job. `total` and the like are known once it has run."""

    id: str
    begun: float
    wanted: Filter
    adds: Sequence[str]
    removes: Sequence[str]
    stuck: bool = False
    ended: float | None = None
    total: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass(slots=True)
class LabelWork:
    """Bulk jobs of a site, what labels came and went, and how it shall misbehave.

    `stage`: seconds in each state of a job. `stuck`: so many of the next jobs never end. `failing`: ids of contacts
    that bulk jobs fail for. `most_ids`: a lower ceiling for `$in`. `late`: unknown labels are not refused at once, the
    job fails for everybody. `unfiltered` counts bulk calls that meant every contact of the site.
    """

    stage: float
    jobs: dict[str, BulkJob] = field(default_factory=dict)
    history: list[LabelChange] = field(default_factory=list)
    stuck: int = 0
    failing: set[str] = field(default_factory=set)
    most_ids: int | None = None
    late: bool = False
    unfiltered: int = 0

    def joins(self, key: str) -> list[str]:
        """Contacts that the label came to, once for each time."""
        return [change.contact for change in self.history if change.key == key and change.action == "add"]

    def run_due(self, site: Site) -> None:
        """Do what jobs would have done by now: work is only ever seen through calls that come here first."""
        now = site.clock.now()
        for job in self.jobs.values():
            if job.ended is None and not job.stuck and now >= job.begun + self.stage * len(_STAGES[:-1]):
                self._run(site, job)

    def relabel(self, site: Site, number: int, contact: str, adds: Iterable[str], removes: Iterable[str]) -> None:
        """Change one contact, and note what really changed."""
        held = set(site.states[number].labels)
        adds, removes = [key for key in adds if key not in held], [key for key in removes if key in held]
        if site.relabel(number, add=adds, remove=removes):
            now = site.clock.now()
            self.history += [LabelChange(now, contact, key, "remove") for key in removes]
            self.history += [LabelChange(now, contact, key, "add") for key in adds]

    def _run(self, site: Site, job: BulkJob) -> None:
        """The filter is the index's, which may lag: who has just been deleted still counts, and fails."""
        listing = site.index.now("contact")
        unknown = [key for key in (*job.adds, *job.removes) if key not in site.labels]
        for number in listing.numbers(job.wanted):
            contact = str(listing.entries[number].values["id"])
            job.total += 1
            if unknown or contact in self.failing or number not in site.world.customers:
                job.failed.append(contact)
            else:
                self.relabel(site, number, contact, job.adds, job.removes)
        job.ended = site.clock.now()


_WORK: WeakKeyDictionary[Site, LabelWork] = WeakKeyDictionary()


def work_of(site: Site) -> LabelWork:
    """The label work of a site. Jobs are as quick as its indexes."""
    work = _WORK.get(site)
    if work is None:
        work = _WORK[site] = LabelWork(stage=site.index.lag / 50)
    work.run_due(site)
    return work


# labels


def _find_or_create(seen: Seen) -> Mapping[str, Any]:
    body = envelope(seen.body, "displayName", "language")
    name = _name(body.get("displayName"))
    work_of(seen.site)
    for label in seen.site.labels.values():
        if label.display_name == name:
            return {"label": _show(label), "newLabel": False}
    total, quota = len(seen.site.labels), seen.site.label_quota
    if total >= quota:
        data = {"labelsQuota": str(quota), "labelsCurrentTotal": str(total)}
        raise refused(400, "LABELS_QUOTA_REACHED", "Labels quota reached", data)
    return {"label": _show(seen.site.add_label(name)), "newLabel": True}


def _query(seen: Seen) -> Mapping[str, Any]:
    query = envelope(envelope(seen.body, "query", "language").get("query") or {}, "filter", "sort", "paging")
    paging = envelope(query.get("paging") or {}, "limit", "offset")
    limit, offset = paging.get("limit", 50), paging.get("offset", 0)
    sorts = [_sort(each) for each in query.get("sort") or ()] or [Sort("createdDate", down=True)]
    shown, total = _page(seen.site, _filter(query.get("filter")), sorts, limit, offset)
    return {"labels": shown, "pagingMetadata": _paging(shown, offset, total)}


def _list(seen: Seen) -> Mapping[str, Any]:
    wanted = {name: {"$eq": value} for name in ("labelType", "namespace") if (value := seen.param(name))}
    if start := seen.param("startsWith"):
        wanted["displayName"] = {"$startsWith": start}
    limit, offset = int(seen.param("paging.limit") or 50), int(seen.param("paging.offset") or 0)
    shown, total = _page(seen.site, _filter(wanted), [Sort("createdDate", down=True)], limit, offset)
    return {"labels": shown, "metadata": _paging(shown, offset, total)}


def _get(seen: Seen) -> Mapping[str, Any]:
    return {"label": _show(_label(seen))}


def _rename(seen: Seen) -> Mapping[str, Any]:
    body = envelope(envelope(seen.body, "label", "language").get("label"), "key", "displayName")
    label = _label(seen)
    if label.kind == "SYSTEM":
        raise Problem(400, "System labels cannot be changed")
    seen.site.rename_label(label, _name(body.get("displayName")))
    return {"label": _show(label)}


def _delete(seen: Seen) -> Mapping[str, Any]:
    label = _label(seen)
    if label.kind == "SYSTEM":
        raise Problem(400, "System labels cannot be deleted")
    drop_label(seen.site, label.key)
    return {}


def drop_label(site: Site, key: str) -> None:
    """Delete a label, as its owner does in the dashboard: it leaves every contact."""
    work = work_of(site)
    held = [number for number, state in site.states.items() if key in state.labels and number in site.world.customers]
    site.delete_label(site.labels[key])
    now = site.clock.now()
    work.history += [LabelChange(now, site.world.customers[number].guid, key, "remove") for number in held]


# one contact


def _label_contact(seen: Seen) -> Mapping[str, Any]:
    keys = _keys("labelKeys", envelope(seen.body, "labelKeys").get("labelKeys"))
    return _change_one(seen, keys, ())


def _unlabel_contact(seen: Seen) -> Mapping[str, Any]:
    return _change_one(seen, (), _keys("labelKeys", seen.params("labelKeys")))


def _change_one(seen: Seen, adds: Sequence[str], removes: Sequence[str]) -> Mapping[str, Any]:
    site = seen.site
    work = work_of(site)
    contact, merged = site.find(seen.path["id"])
    if merged:
        raise refused(404, "CONTACT_NOT_FOUND", "Contact not found")
    _must_exist(site, "labelKeys", (*adds, *removes))
    work.relabel(site, contact.number, contact.id, adds, removes)
    return {"contact": show_v4(site.contact(contact.number))}


# many contacts


def _bulk(seen: Seen) -> Mapping[str, Any]:
    site = seen.site
    work = work_of(site)
    body = envelope(seen.body, "filter", "search", "labelKeysToAdd", "labelKeysToRemove")
    if body.get("filter") is None and not body.get("search"):
        raise refused(400, "NEITHER_FILTER_NOR_SEARCH", "Either filter or search must be given")
    if body.get("search"):
        raise Problem(400, "The sandbox selects by filter only")
    given = body["filter"]
    wanted = contact_filter(given)
    if not given:
        work.unfiltered += 1
    if work.most_ids is not None and len(wanted.ids or ()) > work.most_ids:
        raise invalid("filter", f"$in takes at most {work.most_ids} values", "MAX_SIZE")
    adds = _keys("labelKeysToAdd", body.get("labelKeysToAdd") or [], least=0)
    removes = _keys("labelKeysToRemove", body.get("labelKeysToRemove") or [], least=0)
    if not adds and not removes:
        raise invalid("labelKeysToAdd", "must not be empty", "REQUIRED_ONE_OF_FIELD")
    if set(adds) & set(removes):
        raise invalid("labelKeysToRemove", "names labels that are to be added")
    if not work.late:
        _must_exist(site, "labelKeysToAdd", adds)
        _must_exist(site, "labelKeysToRemove", removes)
    job_id = str(uuid.uuid5(_JOB_IDS, f"{site.id}/{len(work.jobs)}"))
    work.jobs[job_id] = BulkJob(job_id, site.clock.now(), wanted, adds, removes, stuck=work.stuck > 0)
    work.stuck = max(0, work.stuck - 1)
    return {"jobId": job_id}


def _get_job(seen: Seen) -> Mapping[str, Any]:
    work = work_of(seen.site)
    job = work.jobs.get(seen.path["id"])
    if job is None:
        raise Problem(404, "Bulk job not found")
    return {"job": _show_job(job, work, seen.site.clock.now())}


def _show_job(job: BulkJob, work: LabelWork, now: float) -> dict[str, Any]:
    shown = {"id": job.id, "type": "ADD_REMOVE_LABELS", "startedDate": stamp(job.begun)}
    passed = int((now - job.begun) / work.stage) if work.stage else len(_STAGES)
    if job.ended is None:
        return {**shown, "status": _STAGES[min(passed, 2)], "totalItems": 0, "successTotal": 0, "failedTotal": 0,
                "errors": []}  # fmt: skip
    complete = passed >= len(_STAGES)
    return {
        **shown,
        "status": "COMPLETED" if complete else "INDEXING",
        **({"finishedDate": stamp(job.ended)} if complete else {}),
        "totalItems": job.total,
        "successTotal": job.total - len(job.failed),
        "failedTotal": len(job.failed),
        "errors": [{"message": "Contact could not be processed"}] if job.failed else [],
    }


# reading requests, writing labels


def _label(seen: Seen) -> Label:
    work_of(seen.site)
    label = seen.site.labels.get(unquote(seen.path["key"]))
    if label is None:
        raise Problem(404, "Label not found")
    return label


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise invalid("displayName", "must not be empty", "REQUIRED_FIELD")
    if len(value) > _NAME:
        raise invalid("displayName", f"has size {len(value)}, expected {_NAME} or less", "MAX_LENGTH")
    return value


def _keys(name: str, value: Any, *, least: int = 1) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(key, str) and 0 < len(key) <= 80 for key in value):
        raise invalid(name, "is no list of label keys", "FORMAT")
    if not least <= len(value) <= _KEYS:
        raise invalid(name, f"has size {len(value)}, expected {least} to {_KEYS}", "MAX_SIZE")
    return value


def _must_exist(site: Site, name: str, keys: Iterable[str]) -> None:
    unknown = [key for key in keys if key not in site.labels]
    if unknown:
        raise invalid(name, f"label {unknown[0]} does not exist")


def _filter(given: Any) -> Filter:
    try:
        return compile_filter(given, _LABEL_FIELDS)
    except BadFilter as bad:
        raise invalid(bad.name, str(bad), "FORMAT") from None


def _sort(given: Any) -> Sort:
    entry = envelope(given, "fieldName", "order")
    if entry.get("fieldName") not in ("displayName", "createdDate", "updatedDate"):
        raise invalid("sort", f"Field {entry.get('fieldName')!r} is not sortable", "FORMAT")
    return Sort(entry["fieldName"], entry.get("order") == "DESC")


def _page(
    site: Site, wanted: Filter, sorts: Sequence[Sort], limit: Any, offset: Any
) -> tuple[list[dict[str, Any]], int]:
    work_of(site)
    if not isinstance(limit, int) or not 1 <= limit <= _PAGE or not isinstance(offset, int) or offset < 0:
        raise invalid("paging", f"limit is 1 to {_PAGE}, offset 0 or more", "FORMAT")
    listing = site.index.now("label")
    keys = list(listing.walk(sorts, wanted))
    found = (listing.entries[key[-1]].document for key in islice(keys, offset, offset + limit))
    return [_show(label) for label in found if isinstance(label, Label)], len(keys)


def _paging(shown: Sequence[Any], offset: int, total: int) -> dict[str, Any]:
    return {"count": len(shown), "offset": offset, "total": total, "tooManyToCount": False}


def _show(label: Label) -> dict[str, Any]:
    return {
        "namespace": label.namespace,
        "key": label.key,
        "displayName": label.display_name,
        "labelType": label.kind,
        "createdDate": stamp(label.created),
        "updatedDate": stamp(label.updated),
    }


ROUTES: tuple[Route, ...] = (
    Route("FindOrCreateLabel", "POST", "/contacts/v4/labels", LABELS, _find_or_create),
    Route("ListLabels", "GET", "/contacts/v4/labels", LABELS, _list),
    Route("QueryLabels", "POST", "/contacts/v4/labels/query", LABELS, _query),
    Route("GetLabel", "GET", "/contacts/v4/labels/{key}", LABELS, _get),
    Route("UpdateLabel", "PATCH", "/contacts/v4/labels/{key}", LABELS, _rename),
    Route("DeleteLabel", "DELETE", "/contacts/v4/labels/{key}", LABELS, _delete),
    Route("LabelContact", "POST", "/contacts/v4/contacts/{id}/labels", CONTACTS, _label_contact),
    Route("UnlabelContact", "DELETE", "/contacts/v4/contacts/{id}/labels", CONTACTS, _unlabel_contact),
    Route("BulkAddRemoveLabels", "POST", "/contacts/v4/bulk/contacts/add-remove-labels", CONTACTS, _bulk),
    Route("GetBulkJob", "GET", "/contacts/v4/bulk/jobs/{id}", CONTACTS, _get_job),
)
