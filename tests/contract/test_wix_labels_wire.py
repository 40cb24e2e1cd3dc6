"""Requests about labels: their form, and what is never sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import ValidationError
from wix_rig import call_of, validator

from connector.errors import BadReply
from connector.sandbox.records import guid
from connector.wix import wire_labels as wire
from connector.wix.wire_labels import writing

ANN, BOB = guid("customer", 1), guid("customer", 2)
MOST = writing().labels.contacts

CALLS = [
    wire.any_label(),
    wire.labels_named(["seg-vip", "seg-lost"]),
    wire.find_or_create("seg-vip"),
    wire.label_contact(ANN, ["custom.seg-vip"]),
    wire.change_labels([ANN, BOB], ["custom.a"], []),
    wire.change_labels([ANN, BOB], ["custom.a"], ["custom.b"]),
    wire.change_labels([ANN], [], ["custom.b"]),
    wire.labels_by_contact([ANN, BOB]),
    wire.contacts_labelled("custom.a"),
    wire.contacts_labelled("custom.a", since="2026-11-01T00:00:00.000Z", offset=1000),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.operation)
def test_bodies_fit_the_vendors_schemas(call: Any) -> None:
    """Every body that is sent validates."""
    validator(f"{call_of(call)}.request").validate(call.json)


def test_the_schemas_are_strict() -> None:
    """A filter that is empty, missing or of another envelope would not pass."""
    schema = validator("contacts_bulk_add_remove_labels.request")
    for body in ({"filter": {}, "labelKeysToAdd": ["a"]}, {"labelKeysToAdd": ["a"]}, {"ids": [ANN]}):
        with pytest.raises(ValidationError):
            schema.validate(body)


def test_unlabel_names_its_keys_in_the_query() -> None:
    """A DELETE has no body: the keys are repeated parameters."""
    call = wire.unlabel_contact(ANN, ["custom.a", "custom.b"])
    assert (call.method, call.json) == ("DELETE", None)
    assert call.params == (("labelKeys", "custom.a"), ("labelKeys", "custom.b"))


@pytest.mark.parametrize(
    "contacts", [[], [""], ["*"], [ANN, ""], [ANN[:-1]], [f"{ANN}/"], [ANN] * (MOST + 1)], ids=lambda ids: str(len(ids))
)
def test_no_other_filter_can_be_made(contacts: list[str]) -> None:
    """An empty or broken filter would label everybody: it is an error before anything is sent."""
    with pytest.raises(ValueError, match="contact"):
        wire.contacts_with_ids(contacts)
    with pytest.raises(ValueError, match="contact"):
        wire.change_labels(contacts, ["custom.a"], [])


@given(st.integers(1, MOST))
def test_a_filter_names_exactly_its_contacts(count: int) -> None:
    """One condition, on the id, with one id per contact."""
    contacts = [guid("customer", number) for number in range(count)]
    assert wire.contacts_with_ids(contacts) == {"id": {"$in": contacts}}


@pytest.mark.parametrize(("adds", "removes"), [([], []), (["a"] * 101, []), ([], [""]), (["a"], ["a"])])
def test_bulk_calls_name_one_to_a_hundred_labels_and_none_twice(adds: list[str], removes: list[str]) -> None:
    """What Wix would refuse, or read in two ways, is not sent."""
    with pytest.raises(ValueError, match="label"):
        wire.change_labels([ANN], adds, removes)


@pytest.mark.parametrize("contact", ["", "7", "../labels"])
def test_paths_hold_contact_ids_only(contact: str) -> None:
    """Whatever is no GUID never reaches a path."""
    for make in (
        wire.get_contact,
        lambda it: wire.label_contact(it, ["a"]),
        lambda it: wire.unlabel_contact(it, ["a"]),
    ):
        with pytest.raises(ValueError, match="contact"):
            make(contact)


def test_label_keys_are_quoted_in_paths() -> None:
    """A key is one part of the path, whatever it holds."""
    assert wire.get_label("custom.a/b?c").path == "/contacts/v4/labels/custom.a%2Fb%3Fc"
    with pytest.raises(ValueError, match="key"):
        wire.get_label("")


@pytest.mark.parametrize("told", [None, "", "7", 7, "../../oauth2/token"])
def test_a_job_without_a_proper_id_is_an_error(told: Any) -> None:
    """An answer that names no job cannot be followed, and its text is never put into a path."""
    with pytest.raises(BadReply, match="names no job"):
        wire.job_id("BulkAddRemoveLabels", {"jobId": told})
    with pytest.raises(ValueError, match="job id"):
        wire.get_job(str(told))


def test_answers_with_holes_are_read_as_far_as_they_go() -> None:
    """Absent means empty, unknown states are not complete, and what must be there is missed."""
    assert wire.labels_of({}) == []
    assert wire.labels_of({"labels": [{}, {"key": "custom.a"}]})[0].name == ""
    job = wire.job_of("GetBulkJob", {"job": {"status": "PAUSED", "successTotal": None}})
    assert (job.complete, job.succeeded, job.failed) == (False, 0, 0)
    assert wire.held({"contacts": [{"id": ANN.upper(), "info": {"labelKeys": {}}}, {}]}) == {ANN: frozenset()}
    for read in (wire.label_of, wire.job_of, wire.found):
        with pytest.raises(BadReply, match="holds no"):
            read("Any", {})
