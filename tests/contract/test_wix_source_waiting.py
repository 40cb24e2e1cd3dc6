"""Contacts wait until a call of version 5 is full: the fewest calls, and everybody comes, whatever happens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wix_rig import DAY, NOW, Rig
from wix_source_rig import STREAMS, Reader, reader, small_pages

from connector.base import Cursor, Page, Record
from connector.wix.waiting import owed

CUSTOMERS = STREAMS["customers"]


def site(people: str, **options: Any) -> Rig:
    """A site with one contact for each letter, on a day of its own: "@" with an address, "-" without."""
    rig = Rig(**options)
    for at, kind in enumerate(people):
        rig.world.add_customer(
            f"p{at}@example.com" if kind == "@" else None,
            at=NOW - (len(people) - at) * DAY,
            first_name=f"P{at}",
            account="ENABLED",
        )
    return rig.open()


def walked(found: Reader, token: str | None = None) -> list[Page]:
    return list(found.source.pages(CUSTOMERS, Cursor(page_token=token)))


def told(pages: list[Page]) -> dict[str, bool]:
    """Who came, and whether with what version 5 knows; nobody comes twice."""
    records: list[Record] = [record for page in pages for record in page.records]
    found = {str(each["id"]): bool((each.get("ourV5") or {}).get("memberInfo")) for each in records}
    assert len(found) == len(records)
    return found


def expected(rig: Rig) -> dict[str, bool]:
    return {each.guid: each.email is not None for each in rig.world.customers.values()}


@given(st.text("@@-", max_size=30), st.integers(2, 7), st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_everybody_comes_in_the_fewest_calls_from_every_token(people: str, size: int, together: int) -> None:
    """Stopped after any page or not."""
    with pytest.MonkeyPatch.context() as patch:
        small_pages(patch, contacts=size, ids=size, contacts_v5=together)
        rig = site(people)
        found = reader(rig)
        pages = walked(found)
        assert told(pages) == expected(rig)
        assert found.sent()["QueryContactsV5"] == -(-people.count("@") // together)
        for at, page in enumerate(pages[:-1]):
            assert len(owed(page.next_token)) < together
            assert {**told(pages[: at + 1]), **told(walked(reader(rig), page.next_token))} == expected(rig)


def test_who_vanishes_while_waiting_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted between two runs; the others come."""
    small_pages(monkeypatch, contacts=2)
    rig = site("@@@@@")
    first = walked(reader(rig))[0]
    assert len(owed(first.next_token)) == 2
    gone = min(rig.world.customers.values(), key=lambda person: person.number)
    rig.world.delete_customer(gone)
    rig.settle()
    rest = told(walked(reader(rig), first.next_token))
    assert gone.guid not in rest
    assert rest == expected(rig)


def test_a_contact_that_changes_while_waiting_is_read_as_it_is_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its id, when the walk goes on after a stop."""
    small_pages(monkeypatch, contacts=2)
    rig = site("@@@@@")
    first = walked(reader(rig))[0]
    person = min(rig.world.customers.values(), key=lambda person: person.number)
    person.first_name = "Renamed"
    rig.world.touch(person, at=NOW + 1)
    rig.settle()
    rest = walked(reader(rig), first.next_token)
    names = {str(each["id"]): each["info"]["name"]["first"] for page in rest for each in page.records}
    assert names[person.guid] == "Renamed"


def test_without_version_five_nobody_waits_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first refusal lets all go, and nothing more is asked."""
    small_pages(monkeypatch, contacts=3, contacts_v5=2)
    rig = site("@@@@@@@", v5=False)
    pages = walked(reader(rig))
    assert told(pages) == dict.fromkeys(expected(rig), False)
    assert [owed(page.next_token) for page in pages] == [[]] * len(pages)
    assert sum(request.path.startswith("/contacts/v5") for request, _ in rig.seen) == 1
