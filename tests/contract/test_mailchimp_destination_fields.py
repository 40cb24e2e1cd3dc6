"""Merge fields of the simulated Mailchimp audience."""

from __future__ import annotations

import orjson
import pytest
from mailchimp_tagging import Tagging
from scripted import times

from connector.base import FieldWrite, Person
from connector.errors import BadRequest
from connector.mailchimp.wire_members import subscriber_hash
from connector.sandbox.wire import Drop


def write(address: str, **values: str) -> FieldWrite:
    number = int(subscriber_hash(address)[:6], 16)
    return FieldWrite(Person(number, address, subscriber_hash(address)), values)


def test_merge_fields_are_made_once_and_written() -> None:
    """Text and date; a value can be cleared; nobody is added."""
    rig = Tagging(settings={"merge_fields": ["rfm_group", "last_order_date"]})
    rig.people(2)
    first = [
        write("p0@shop.test", rfm_group="Champions", last_order_date="2026-11-20"),
        write("nobody@shop.test", rfm_group="Lost", last_order_date=""),
    ]

    receipts = [*rig.destination.write_fields(first)]
    again = [*rig.destination.write_fields([write("p0@shop.test", rfm_group="Loyal", last_order_date="")])]

    assert [(its.outcome, its.reason) for its in receipts] == [("done", None), ("refused", "not in audience")]
    assert [its.outcome for its in again] == ["done"]
    member = rig.audience.find("p0@shop.test")
    assert member is not None
    assert {tag: member.merge_fields[tag] for tag in ("RFM", "LASTORDER")} == {"RFM": "Loyal", "LASTORDER": ""}
    made = [orjson.loads(request.body) for name, request, _ in rig.seen if name == "postListsIdMergeFields"]
    assert [(each["tag"], each["type"], each["public"], each["required"]) for each in made] == [
        ("RFM", "text", False, False),
        ("LASTORDER", "date", False, False),
    ]
    assert rig.sandbox.created == []
    assert rig.sandbox.consent_writes == []


def test_a_merge_field_of_ours_is_used_under_whatever_tag() -> None:
    """Another field has the tag already: Mailchimp changes ours, and a later run finds it by its name."""
    rig = Tagging(settings={"merge_fields": ["rfm_group"]})
    rig.people(1)
    rig.audience.add_merge_field("Something else", "number", "RFM")
    for value in ("Champions", "Loyal"):
        rig.open(merge_fields=["rfm_group"]).write_fields([write("p0@shop.test", rfm_group=value)])

    member = rig.audience.find("p0@shop.test")
    assert member is not None
    assert member.merge_fields == {"RFM2": "Loyal"}


def test_a_merge_field_whose_making_was_not_answered_is_made_once() -> None:
    """The connection broke after Mailchimp had acted."""
    rig = Tagging(settings={"merge_fields": ["rfm_group"]})
    rig.people(1)
    rig.afterwards = times(1, Drop(), "POST", "/merge-fields")

    rig.destination.write_fields([write("p0@shop.test", rfm_group="Loyal")])

    assert [each.name for each in rig.audience.merge_fields.values()].count("RFM group") == 1


def test_fields_of_many_go_in_a_batch() -> None:
    """600 people take two batches; the estimate says about as many calls."""
    rig = Tagging(settings={"merge_fields": ["lifecycle_stage"]})
    people = rig.people(600)

    receipts = rig.destination.write_fields([write(address, lifecycle_stage="active") for address in people])

    assert {its.outcome for its in receipts} == {"done"}
    assert rig.names().count("postBatches") == 2
    assert (
        rig.destination.estimate_fields(600)[0] - 2
        <= rig.destination.calls
        <= rig.destination.estimate_fields(600)[0] + 6
    )
    assert rig.destination.estimate_fields(0) == (0, 0.0)


def test_no_room_for_a_merge_field_is_said() -> None:
    """By Mailchimp's own words; nobody is refused for it."""
    rig = Tagging(settings={"merge_fields": ["rfm_group"]})
    for number in range(27):
        rig.audience.add_merge_field(f"Field {number}")

    with pytest.raises(BadRequest, match=r"CreateMergeField: HTTP 400: .*maximum of 30"):
        rig.destination.write_fields([write("p0@shop.test", rfm_group="Loyal")])
