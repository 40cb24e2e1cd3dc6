"""Bulk import of profiles.

https://developers.klaviyo.com/en/docs/use_klaviyos_bulk_profile_import_api
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import orjson

from connector.base import Call
from connector.klaviyo.limits import limits
from connector.klaviyo.wire import ApiError, call
from connector.klaviyo.wire_profiles import STANDING
from connector.redact import redact

_ROW = re.compile(r"(?:/data/attributes/profiles)?/data/(\d+)(?:/|$)")


@dataclass(frozen=True, slots=True)
class JobState:
    """How far an import has come. Klaviyo knows no status "failed": failures hide behind `complete`."""

    status: Literal["queued", "processing", "complete", "cancelled"]
    failed: int


@dataclass(frozen=True, slots=True)
class ImportFailure:
    """Why one profile was not imported: by its position in the import, its address, or neither."""

    index: int | None
    email: str | None
    reason: str


def create_job(addresses: Sequence[str]) -> Call:
    """Creates or updates a profile per address, and adds nobody to a list.

    Only the address is sent: `external_id` can merge people, null can clear a field, and consent is not ours to write.
    """
    body = {
        "data": {
            "type": "profile-bulk-import-job",
            "attributes": {"profiles": {"data": [_profile(address) for address in addresses]}},
        }
    }
    return call("CreateImportJob", "POST", "/api/profile-bulk-import-jobs", document=body)


def get_job(job_id: str) -> Call:
    return call("GetImportJob", "GET", _path(job_id))


def import_errors(job_id: str) -> Call:
    params = [("page[size]", str(limits().pages.import_errors))]
    return call("GetImportErrors", "GET", f"{_path(job_id)}/import-errors", params)


def imported(job_id: str) -> Call:
    """One page of the profiles that landed."""
    params = [*STANDING, ("page[size]", str(limits().pages.profiles))]
    return call("GetImportProfiles", "GET", f"{_path(job_id)}/profiles", params)


def groups(addresses: Iterable[str]) -> Iterator[list[str]]:
    """Addresses as many as one job takes: by number, and by bytes of the encoded request."""
    writes = limits().writes
    envelope = 400
    group: list[str] = []
    size = envelope
    for address in addresses:
        cost = len(orjson.dumps(_profile(address))) + 1
        if group and (len(group) == writes.import_profiles or size + cost > writes.import_bytes):
            yield group
            group, size = [], envelope
        group.append(address)
        size += cost
    if group:
        yield group


def state(body: Mapping[str, Any]) -> JobState:
    attributes = body["data"]["attributes"]
    return JobState(attributes["status"], attributes.get("failed_count") or 0)


def failures(body: Mapping[str, Any]) -> list[ImportFailure]:
    """The errors of a page."""
    return [_failure(item["attributes"]) for item in body["data"]]


def rows_named(errors: Iterable[ApiError]) -> dict[int, str]:
    """Position in the request of each entry that an error points at, with the reason.

    A pointer to the whole (`/data`: an unknown list) names none.
    """
    found: dict[int, str] = {}
    for error in errors:
        index = _index(error.pointer)
        if index is not None:
            found.setdefault(index, error.detail)
    return found


def _failure(attributes: Mapping[str, Any]) -> ImportFailure:
    reason = redact(attributes.get("detail") or attributes.get("title") or attributes["code"])
    pointer = (attributes.get("source") or {}).get("pointer")
    return ImportFailure(_index(pointer), _address(attributes.get("original_payload")), reason)


def _address(payload: Any) -> str | None:
    """The address anywhere in the payload: its shape is not documented."""
    if not isinstance(payload, dict):
        return None
    if isinstance(payload.get("email"), str):
        return str(payload["email"])
    return next((found for value in payload.values() if (found := _address(value))), None)


def _index(pointer: str | None) -> int | None:
    match = _ROW.match(pointer or "")
    return int(match.group(1)) if match else None


def _profile(address: str) -> dict[str, Any]:
    return {"type": "profile", "attributes": {"email": address}}


def _path(job_id: str) -> str:
    if not job_id:
        raise ValueError("an import without an id")
    return f"/api/profile-bulk-import-jobs/{quote(job_id, safe='')}"
