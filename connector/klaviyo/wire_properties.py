"""The array on a profile that says which segments a person is in.

https://developers.klaviyo.com/en/reference/update_profile
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from connector.base import Call
from connector.klaviyo.limits import limits
from connector.klaviyo.wire import call

_ANSWER = (("fields[profile]", "properties"),)


def change_profile(profile_id: str, name: str, append: Sequence[str], unappend: Sequence[str]) -> Call:
    """Values into and out of the array of a profile that exists: an update never makes one.

    No attribute is sent: an address that differs from the profile's own would change it.
    """
    body = {"data": {"type": "profile", "id": profile_id, "attributes": {}, "meta": _patch(name, append, unappend)}}
    return call("UpdateProfile", "PATCH", _path(profile_id), _ANSWER, body)


def import_profile(address: str, name: str, append: Sequence[str]) -> Call:
    """Makes a profile with these values, or adds them to the one at the address. The answer tells its standing.

    Only the address is sent: `external_id` can merge people, and null clears a field here.
    """
    params = [("additional-fields[profile]", "subscriptions"), ("fields[profile]", "email,properties,subscriptions")]
    body = {"data": {"type": "profile", "attributes": {"email": address}, "meta": _patch(name, append, ())}}
    return call("ImportProfile", "POST", "/api/profile-import", params, body)


def every_profile() -> Call:
    """One page of everybody's properties."""
    params = [*_ANSWER, ("page[size]", str(limits().pages.profiles))]
    return call("GetProfiles", "GET", "/api/profiles", params)


def values_of(item: Mapping[str, Any], name: str) -> list[Any]:
    """What the array of a profile holds; nothing where the property is no array."""
    found = (item["attributes"].get("properties") or {}).get(name)
    return found if isinstance(found, list) else []


def _patch(name: str, append: Sequence[str], unappend: Sequence[str]) -> dict[str, Any]:
    """One value goes out bare, several as an array: the definition takes "a simple value or values"."""
    changes = {
        verb: {name: values[0] if len(values) == 1 else list(values)}
        for verb, values in (("append", append), ("unappend", unappend))
        if values
    }
    return {"patch_properties": changes}


def _path(profile_id: str) -> str:
    if not profile_id:
        raise ValueError("a profile without an id")
    return f"/api/profiles/{quote(profile_id, safe='')}"
