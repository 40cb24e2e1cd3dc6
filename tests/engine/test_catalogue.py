"""The catalogue: every entry compiles, is complete, and holds the people it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sync.segments.catalogue import Segment, load
from sync.segments.fixtures import check

SEGMENTS = load(["all"])
KEPT = {"customers", "products", "orders", "carts"}


def test_everybody_is_where_the_entries_say() -> None:
    """All people of all entries, through the real SQL."""
    report = check(SEGMENTS)
    assert report.failures == ()
    assert report.segments == len(SEGMENTS)
    assert report.people > 6 * 60


def test_a_person_in_the_wrong_place_is_reported() -> None:
    """The check can fail: an entry whose people are swapped is told person by person."""
    entry = next(segment for segment in SEGMENTS if segment.key == "repeat")
    swapped = replace(entry, tests={"in": entry.tests["out"][:1], "out": entry.tests["in"][:1]})
    report = check([swapped])
    assert [text.split(": ")[1] for text in report.failures] == [
        "person 1 of tests.in is out of the segment",
        "person 1 of tests.out is in the segment",
    ]


@pytest.mark.parametrize("segment", SEGMENTS, ids=lambda segment: segment.key)
def test_an_entry_says_all_it_must(segment: Segment) -> None:
    """Name, sentence, goal, action, channel, exclusions, metric; people and a sample text, or why it is unavailable."""
    for said in ("name", "sentence", "goal", "action", "channel", "exclusions", "metric"):
        assert getattr(segment, said), said
    if segment.unavailable:
        assert segment.rule is None
    elif segment.sources <= KEPT:
        assert len(segment.tests["in"]) >= 3
        assert len(segment.tests["out"]) >= 3
        assert segment.subject
        assert segment.text


def test_only_the_stages_the_cart_windows_and_vip_go_out_by_themselves() -> None:
    """default = true is for few."""
    stages = {"lost", "lapsed", "winback", "at-risk", "loyal", "active", "new", "consideration", "aware"}
    assert {one.key for one in SEGMENTS if one.push is None} == stages | {"cart-1h", "cart-24h", "cart-72h", "vip"}


def test_windows_of_carts_and_of_new_people_expect_turnover() -> None:
    """Everything that empties by the hour says so."""
    assert all(one.turnover == "expected" for one in SEGMENTS if one.pack == "carts" and not one.unavailable)
    assert next(one for one in SEGMENTS if one.key == "new").turnover == "expected"
