"""A request as the simulator's endpoints see it, and how they refuse one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from connector.klaviyo.sandbox_account import Account, Import, Person, Roll
from connector.klaviyo.sandbox_documents import Document, Documents
from connector.klaviyo.sandbox_query import Condition, Invalid, Pager, parse_filter

Answer = tuple[int, Document | None]


class Missing(Exception):
    """Something named by the path or the body does not exist."""


class Duplicate(Exception):
    """Identifiers that another profile holds."""

    def __init__(self, profile_id: str) -> None:
        super().__init__(profile_id)
        self.profile_id = profile_id


class TooLarge(Exception):
    """More bytes than the endpoint takes."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that passed the door: `key` is the id in its path, `body` its document."""

    account: Account
    documents: Documents
    pager: Pager
    query: Mapping[str, str]
    key: str
    body: Any
    size: int
    url: str
    now: float

    def roll(self) -> Roll:
        """The list of the path."""
        if self.key not in self.account.lists:
            raise Missing(f"A list with id {self.key} does not exist.")
        return self.account.lists[self.key]

    def person(self) -> Person:
        """The profile of the path."""
        if self.key not in self.account.people:
            raise Missing(f"A profile with id {self.key} does not exist.")
        return self.account.people[self.key]

    def job(self) -> Import:
        """The import of the path."""
        if self.key not in self.account.imports:
            raise Missing(f"A profile-bulk-import-job with id {self.key} does not exist.")
        return self.account.imports[self.key]

    def conditions(self, allowed: Mapping[str, Sequence[str]]) -> list[Condition]:
        """The filter of the query."""
        return parse_filter(self.query.get("filter", ""), allowed)

    def collection(
        self, ids: Callable[[], Sequence[str]], render: Callable[[str], Document], *, default: int, largest: int
    ) -> Document:
        """One page. Records that have gone since the first page are left out."""
        page, cursor = self.pager.page(self.query, ids, default=default, largest=largest)
        following = None
        if cursor is not None:
            following = f"{self.url}?{urlencode({**self.query, 'page[cursor]': cursor})}"
        own = f"{self.url}?{urlencode(self.query)}" if self.query else self.url
        return self.documents.collection([render(each) for each in page], own, following)


class InvalidRows(Exception):
    """All the rows that keep an import from being accepted; nobody is imported."""

    def __init__(self, problems: Sequence[Invalid]) -> None:
        super().__init__(len(problems))
        self.problems = problems


def resource(body: Any, kind: str) -> dict[str, Any]:
    """The attributes of the body's one resource."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict) or data.get("type") != kind or not isinstance(data.get("attributes"), dict):
        raise Invalid(f"The body must hold a '{kind}' with attributes.", pointer="/data")
    return dict(data["attributes"])
