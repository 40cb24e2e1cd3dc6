"""What is sent to Klaviyo about single people: no more than it must be."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from connector.base import Call
from connector.klaviyo import wire_events, wire_imports, wire_properties

NOW = 1_795_000_000


def nulls(node: object) -> bool:
    """Whether a null is anywhere in a document."""
    if isinstance(node, dict):
        return any(nulls(each) for each in node.values())
    return any(nulls(each) for each in node) if isinstance(node, list) else node is None


@pytest.mark.parametrize(
    "call",
    [
        wire_imports.create_job(["ann@example.org"]),
        wire_properties.import_profile("ann@example.org", "segments", ["vip"]),
        wire_properties.change_profile("P1", "segments", ["vip", "new"], ["old"]),
        wire_events.create_event("Left segment", "P1", "u", NOW, {"segment": "vip"}, quiet=True),
    ],
)
def test_a_write_for_people_says_no_more_than_it_must(call: Call) -> None:
    """No null, which clears fields; no external id, which merges people for good; no phone number; no consent."""
    text = orjson.dumps(call.json).decode()

    assert not nulls(call.json)
    assert not any(word in text for word in ("external_id", "phone", "subscri", "consent", "suppress"))
    assert call.headers["x-klaviyo-revision-fall-forward-opt-out"] == "1"


def test_one_value_goes_bare_and_several_as_an_array() -> None:
    """The definition takes "a simple value or values"; a direction without any is left out."""
    one = wire_properties.change_profile("P1", "segments", ["vip"], [])
    many = wire_properties.change_profile("P1", "segments", ["vip", "new"], ["old"])

    assert one.json["data"]["meta"]["patch_properties"] == {"append": {"segments": "vip"}}
    assert many.json["data"]["meta"]["patch_properties"] == {
        "append": {"segments": ["vip", "new"]},
        "unappend": {"segments": "old"},
    }


@pytest.mark.parametrize("held", [None, {}, {"segments": None}, {"segments": "vip"}, {"other": ["vip"]}])
def test_what_is_no_array_holds_nothing(held: object) -> None:
    """A property of ours that the owner has made a text of."""
    assert wire_properties.values_of({"attributes": {"properties": held}}, "segments") == []


def test_an_event_is_of_a_second() -> None:
    """Klaviyo cuts times off to the second; ours are whole ones in UTC."""
    call = wire_events.create_event("Entered segment", "P1", "u", NOW, {}, quiet=False)

    assert call.json["data"]["attributes"]["time"] == "2026-11-18T11:06:40Z"


@pytest.mark.parametrize(
    "build",
    [
        lambda: wire_properties.change_profile("", "segments", ["vip"], []),
        lambda: wire_events.metric_flows(""),
    ],
)
def test_an_empty_id_is_an_error_of_ours(build: Callable[[], Call]) -> None:
    """Its path would be the whole collection."""
    with pytest.raises(ValueError, match="without an id"):
        build()
