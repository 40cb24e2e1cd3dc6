"""A request that passed the door, as the endpoints see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector.mailchimp.sandbox_account import Account, Audience, Member, Segment
from connector.mailchimp.sandbox_batches import Batches
from connector.mailchimp.sandbox_query import Problem, Selection, invalid, malformed, missing

Answer = tuple[int, Any]

_SHAPES: Mapping[type, str] = {str: "string", list: "array", dict: "object", bool: "boolean"}


@dataclass(frozen=True, slots=True)
class Seen:
    """`keys` are the variables of its path, `base` is where links and result files lead."""

    account: Account
    batches: Batches
    query: Mapping[str, str]
    selection: Selection
    keys: Mapping[str, str]
    body: Any
    base: str
    now: float

    @property
    def audience(self) -> Audience:
        found = self.account.audiences.get(self.keys["list_id"])
        if found is None:
            raise missing()
        return found

    def segment(self, *, static: bool = False) -> Segment:
        """The segment of the path; what only tags have is asked with `static`."""
        key = self.keys["segment_id"]
        found = self.audience.segments.get(int(key)) if key.isdecimal() else None
        if static and (found is None or found.kind != "static"):
            text = f'A Static Segment with an id of "{key}" does not exist for this list.'
            raise Problem(404 if found is None else 400, "Resource Not Found" if found is None else "Bad Request", text)
        if found is None:
            raise missing()
        return found

    def member(self, *, hash_only: bool = False) -> Member:
        """The member of the path: by hash of the lower-cased address, in some places by address or contact id too."""
        found = self.maybe_member(hash_only=hash_only)
        if found is None:
            raise missing()
        return found

    def maybe_member(self, *, hash_only: bool = False) -> Member | None:
        audience, key = self.audience, self.keys["subscriber_hash"]
        found = audience.members.get(key)
        if found is None and not hash_only:
            found = audience.find(key) if "@" in key else audience.contact(key)
        return found

    def document(self) -> dict[str, Any]:
        """The body, which must be an object."""
        if not isinstance(self.body, dict):
            raise malformed(("", "Schema describes object, other type found instead"))
        return self.body


def part(document: Mapping[str, Any], name: str, kind: type, *, required: bool = False) -> Any:
    """One property of a document, of that type; None if it is not there."""
    value = document.get(name)
    if value is None:
        if required or name in document:
            raise malformed((name, "This value should not be blank."))
        return None
    if not isinstance(value, kind):
        raise malformed((name, f"Schema describes {_SHAPES[kind]}, other type found instead"))
    return value


def texts(document: Mapping[str, Any], name: str, largest: int | None = None) -> list[str] | None:
    """A list of texts, no longer than `largest`; None if it is not there."""
    values = part(document, name, list)
    if values is None:
        return None
    if not all(isinstance(each, str) for each in values):
        raise malformed((name, "Schema describes string, other type found instead"))
    if largest is not None and len(values) > largest:
        raise invalid(f"You cannot send more than {largest} {name} at once.", (name, f"more than {largest}"))
    return list(values)
