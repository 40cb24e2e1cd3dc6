"""Reading by offsets while others change the collection."""

from __future__ import annotations

from itertools import count
from random import Random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base import Call, Reply
from connector.errors import BadReply
from connector.mailchimp.paging import pages

REQUEST = Call("GetMembers", "GET", "/3.0/lists/x/members")


def number(call: Call, name: str) -> int:
    return int(dict(call.params)[name])


@given(st.integers(0, 4500), st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 60)), max_size=6), st.integers())
def test_nobody_who_stays_is_skipped(people: int, meanwhile: list[tuple[int, int]], seed: int) -> None:
    """However many leave (anywhere) and come (at the end) between two pages."""
    here, random, steps, fresh = list(range(people)), Random(seed), iter(meanwhile), count(people)
    staying = set(here)

    def send(call: Call) -> Reply:
        start = number(call, "offset")
        page = here[start : start + number(call, "count")]
        leaving, coming = next(steps, (0, 0))
        gone = set(random.sample(here, min(leaving, len(here))))
        staying.difference_update(gone)
        here[:] = [each for each in here if each not in gone] + [next(fresh) for _ in range(coming)]
        return Reply(200, {}, orjson.dumps({"members": [{"id": each} for each in page]}))

    found = [entry["id"] for part in pages(send, REQUEST, "members") for entry in part.entries]

    assert staying <= set(found)


def test_a_hundred_thousand_cost_hardly_more_than_a_hundred_calls() -> None:
    """The rows read twice cost three calls in a hundred."""
    sent = []

    def send(call: Call) -> Reply:
        sent.append(call)
        start = number(call, "offset")
        page = [{"id": each} for each in range(start, min(100_000, start + 1000))]
        return Reply(200, {}, orjson.dumps({"members": page}))

    assert sum(len(part.entries) for part in pages(send, REQUEST, "members")) == 100_000
    assert len(sent) == 103


@pytest.mark.parametrize("most", [2, 15, 20, 21, 400, 999])
def test_a_page_shorter_than_asked_for_is_not_the_end(most: int) -> None:
    """Whoever came behind it would count as strangers, and as taken out by hand. A total that is too high ends too."""

    def send(call: Call) -> Reply:
        start = number(call, "offset")
        page = [{"id": each} for each in range(start, min(1500, start + most))]
        return Reply(200, {}, orjson.dumps({"members": page, "total_items": 1510}))

    assert {entry["id"] for part in pages(send, REQUEST, "members") for entry in part.entries} == set(range(1500))


def test_pages_without_any_order_are_an_error() -> None:
    """Instead of reading for ever."""
    random = Random(1)

    def send(call: Call) -> Reply:
        page = [{"id": random.random()} for _ in range(1000)]
        return Reply(200, {}, orjson.dumps({"members": page}))

    with pytest.raises(BadReply, match="no order in the pages"):
        for _ in pages(send, REQUEST, "members"):
            pass


@pytest.mark.parametrize("body", [b"[]", b"{}", b"null", b'{"total_items": 3}'])
def test_an_answer_without_entries_is_no_empty_collection(body: bytes) -> None:
    """A proxy's 200 must not look like an empty audience."""
    with pytest.raises(BadReply, match="without members"):
        list(pages(lambda call: Reply(200, {}, body), REQUEST, "members"))
