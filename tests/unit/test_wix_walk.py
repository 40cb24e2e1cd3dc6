"""Walking by key over an API that has offsets only: nobody is missed, nobody comes twice, it ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base import Call
from connector.errors import BadReply
from connector.wix.walk import Place, by_cursor, by_key
from connector.wix.wire_contacts import contacts


class Shelf:
    """Contacts in the order of a date, as version 4 of the API gives them. `born` are added before a later page."""

    def __init__(self, dates: list[int], size: int, *, counts: bool, born: list[int] | None = None) -> None:
        self.people = [{"id": str(at), "createdDate": _stamp(date)} for at, date in enumerate(dates)]
        self.size = size
        self.counts = counts
        self.born = list(born or [])
        self.asked = 0

    def read(self, call: Call) -> dict[str, Any]:
        """One page; it may hold fewer than were asked for."""
        self.asked += 1
        if self.asked > 1 and self.born:
            self.people.append({"id": f"new{self.asked}", "createdDate": _stamp(self.born.pop())})
        query = call.json["query"]
        least = query.get("filter", {}).get("createdDate", {}).get("$gte", "")
        found = [each for each in self.people if each["createdDate"] >= least]
        found.sort(key=lambda each: (each["createdDate"], each["id"]))
        offset = query["paging"]["offset"]
        limit = query["paging"]["limit"] if not self.counts else min(self.size, query["paging"]["limit"])
        metadata = {"total": len(found)} if self.counts else {"tooManyToCount": True, "total": 1}
        return {"contacts": found[offset : offset + limit], "pagingMetadata": metadata}


def walk(shelf: Shelf, start: Place) -> list[tuple[list[str], Place | None]]:
    stretches = by_key(
        shelf,
        lambda where, offset: contacts(where, offset=offset, limit=shelf.size),
        field="createdDate",
        matching={},
        start=start,
    )
    return [([each["id"] for each in stretch.items], stretch.place) for stretch in stretches]


@given(st.lists(st.integers(0, 6), max_size=40), st.integers(1, 7), st.booleans())
def test_everybody_comes_once(dates: list[int], size: int, counts: bool) -> None:
    """However creation dates are spread over pages, whether Wix counts or not."""
    shelf = Shelf(dates, size, counts=counts)
    found = walk(shelf, Place())
    assert sorted(each for ids, _ in found for each in ids) == sorted(str(at) for at in range(len(dates)))
    tokens = [str(place) for _, place in found[:-1]]
    assert len(set(tokens)) == len(tokens)
    assert found[-1][1] is None


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(1, 5), st.data())
def test_a_walk_goes_on_where_it_was_stopped(dates: list[int], size: int, data: st.DataObject) -> None:
    """What came before the stop and what comes after it are everybody."""
    found = walk(Shelf(dates, size, counts=True), Place())
    stop = data.draw(st.integers(0, len(found) - 1))
    before = {each for ids, _ in found[: stop + 1] for each in ids}
    place = found[stop][1]
    after = set() if place is None else {
        each for ids, _ in walk(Shelf(dates, size, counts=True), Place.parse(str(place))) for each in ids
    }  # fmt: skip
    assert before | after == {str(at) for at in range(len(dates))}


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(1, 5), st.lists(st.just(9), max_size=5))
def test_who_joins_meanwhile_disturbs_nobody(dates: list[int], size: int, born: list[int]) -> None:
    """New contacts are last in the order of creation."""
    found = walk(Shelf(dates, size, counts=True, born=born), Place())
    ids = [each for ids, _ in found for each in ids]
    assert len(ids) == len(set(ids))
    assert {str(at) for at in range(len(dates))} <= set(ids)


def test_a_token_is_read_back() -> None:
    """Anything else begins anew."""
    place = Place("2026-11-01T00:00:00.000Z", 1000)
    assert Place.parse(str(place)) == place
    assert Place.parse(str(Place(None, 5))) == Place(None, 5)
    assert Place.parse(None) == Place.parse("garbage") == Place()


def test_an_empty_page_with_a_cursor_is_not_the_end() -> None:
    """Only the cursor tells."""

    class Pages:
        def read(self, call: Call) -> dict[str, Any]:
            found, cursor = {"": ([], "a"), "a": ([{"id": "1"}], "b"), "b": ([], "")}[call.path]
            return {"orders": found, "metadata": {"cursors": {"next": cursor}}}

    leaves = list(by_cursor(Pages(), lambda cursor: Call("Search", "POST", cursor or ""), "orders"))
    assert [(len(leaf.items), leaf.more) for leaf in leaves] == [(0, True), (1, True), (0, False)]


class Says:
    """Always the same answer."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)

    def read(self, call: Call) -> dict[str, Any]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_an_answer_without_records_and_without_paging_is_no_end() -> None:
    """A proxy's empty body must not look like a site without people: a stream would count as read."""
    with pytest.raises(BadReply, match="neither contacts nor pagingMetadata"):
        list(by_key(Says({}), lambda w, o: contacts(w, offset=o), field="createdDate", matching={}, start=Place()))
    with pytest.raises(BadReply, match="neither orders nor metadata"):
        list(by_cursor(Says({}), lambda cursor: Call("Search", "POST", ""), "orders"))
    assert not next(leaf.items for leaf in by_cursor(Says({"orders": []}), lambda c: Call("S", "POST", ""), "orders"))


def test_dates_are_compared_as_instants() -> None:
    """Wix leaves out milliseconds that are zero: as text such a date comes behind all of its second."""
    first, second = (
        {"contacts": [{"id": name, "createdDate": at}], "pagingMetadata": {"total": total}}
        for name, at, total in (("a", "2026-11-01T00:00:00Z", 2), ("b", "2026-11-01T00:00:00.500Z", 1))
    )
    stretches = by_key(
        Says(first, second),
        lambda where, offset: contacts(where, offset=offset, limit=1),
        field="createdDate",
        matching={},
        start=Place(),
    )
    assert [each["id"] for stretch in stretches for each in stretch.items] == ["a", "b"]


def _stamp(date: int) -> str:
    return datetime.fromtimestamp(1_700_000_000 + date, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
