"""How Mailchimp's replies are judged, and how its calls are written."""

from __future__ import annotations

import io
import tarfile

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base import Call, Ok, Rejected, Reply, RetryAfter
from connector.errors import BadReply
from connector.mailchimp import wire_batches, wire_members, wire_tags
from connector.mailchimp.wire import MailchimpWire, problem_in
from connector.mailchimp.wire_members import plausible, subscriber_hash

CALL = Call("GetMember", "GET", "/3.0/lists/a1/members/x")


@given(st.integers(100, 599), st.binary(max_size=60))
def test_any_reply_gets_a_verdict(status: int, body: bytes) -> None:
    """Only a good status may end in a complaint about its JSON, upon which the client tries again."""
    try:
        verdict = MailchimpWire().judge(CALL, Reply(status, {}, body))
    except orjson.JSONDecodeError:
        assert 200 <= status < 300
    else:
        assert isinstance(verdict, Ok | RetryAfter | Rejected)
    MailchimpWire().request_id(Reply(status, {}, body))


@pytest.mark.parametrize(
    ("body", "title", "detail"),
    [
        (b'{"title":"Bad Request"}', "Bad Request", ""),
        (b'{"detail":"ann@shop.test is odd"}', "no reason given", "<address> is odd"),
        (b'{"title":null,"detail":null,"errors":"?"}', "no reason given", ""),
        (
            b'{"title":"T","errors":[{"field":"name","message":"too long"},{"message":"x"},7]}',
            "T",
            "name: too long; body: x",
        ),
    ],
)
def test_problems_are_read_defensively(body: bytes, title: str, detail: str) -> None:
    """Parts may be missing or of another shape; addresses are masked."""
    problem = problem_in(400, body)

    assert problem is not None
    assert (problem.title, problem.detail, problem.instance) == (title, detail, None)


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"<html>", b'{"error":"x"}'])
def test_what_is_no_problem_document(body: bytes) -> None:
    """A proxy's answer says nothing of Mailchimp."""
    assert problem_in(404, body) is None


def test_a_pause_that_is_asked_for_is_kept() -> None:
    """Mailchimp sends none; a proxy may."""
    verdict = MailchimpWire().judge(CALL, Reply(429, {"retry-after": "7"}, b""))
    assert verdict == RetryAfter(7.0, "HTTP 429")


def test_the_hash_is_of_the_lower_case_address() -> None:
    """Mailchimp's own example; plus parts count, and accents are composed first."""
    assert subscriber_hash(" Urist.McVankab@freddiesjokes.com") == "62eeb292278cc15f5817cb78f7790b08"
    assert subscriber_hash("a+b@shop.test") != subscriber_hash("a@shop.test")
    assert subscriber_hash("zoe\u0308@shop.test") == subscriber_hash("ZO\u00cb@shop.test")


@pytest.mark.parametrize(
    "address", ["a b@c.de", "a@b", "a@@b.de", "a,b@c.de", "a@c.de.", "x" * 250 + "@c.de", "", "@c.de"]
)
def test_addresses_that_are_not_worth_sending(address: str) -> None:
    """Mailchimp answers some with HTTP 500."""
    assert not plausible(address)


def test_paths_without_an_id_are_never_written() -> None:
    """They would turn into the whole collection."""
    for write in (
        lambda: wire_tags.rename_tag("a1", "", "x"),
        lambda: wire_tags.change_tag("a1", "../members", ["x"], []),
        lambda: wire_members.get_member("a1", ""),
        lambda: wire_members.tag_member("a1", "ann@shop.test", {"x": True}, quiet=True),
        lambda: wire_batches.get_batch(""),
    ):
        with pytest.raises(ValueError, match="without a"):
            write()


def test_a_change_names_only_what_changes() -> None:
    """An empty array is left out; `is_syncing` is there only when it shall keep automations quiet."""
    assert wire_tags.change_tag("a1", "7", ["x@y.de"], []).json == {"members_to_add": ["x@y.de"]}
    member = subscriber_hash("x@y.de")
    assert wire_members.tag_member("a1", member, {"vip": True, "old": False}, quiet=True).document == {
        "tags": [{"name": "vip", "status": "active"}, {"name": "old", "status": "inactive"}],
        "is_syncing": True,
    }
    assert "is_syncing" not in wire_members.tag_member("a1", member, {"vip": True}, quiet=False).document


def test_a_batch_s_operations_are_written_as_text() -> None:
    """The body is a JSON string, the query part of the path, the path without host and version."""
    operation = wire_members.add_member("a1", "Ann@shop.test")
    (entry,) = wire_batches.post_batch([("7", operation)]).json["operations"]

    assert entry == {
        "method": "PUT",
        "path": f"/lists/a1/members/{subscriber_hash('ann@shop.test')}?skip_merge_validation=true",
        "operation_id": "7",
        "body": '{"email_address":"Ann@shop.test","status_if_new":"subscribed"}',
    }
    assert operation.alone().params == (("skip_merge_validation", "true"),)


def archive(*files: tuple[str, object]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files:
            data = orjson.dumps(content)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def test_results_are_read_from_every_file() -> None:
    """Each is an array; `response` is JSON as text, or nothing."""
    entries = [
        {"status_code": 204, "operation_id": "a", "response": ""},
        {"status_code": 200, "operation_id": "b", "response": '{"status":"subscribed"}'},
    ]
    refused = {"status_code": 400, "operation_id": "c", "response": '{"title":"Bad Request","detail":"x"}'}

    found = wire_batches.answers(archive(("1.json", entries), ("readme.txt", "x"), ("2.json", [refused])))

    assert {name: (its.ok, its.document) for name, its in found.items()} == {
        "a": (True, {}),
        "b": (True, {"status": "subscribed"}),
        "c": (False, {}),
    }
    assert found["c"].problem is not None


@pytest.mark.parametrize("content", [{"a": 1}, [7], [{"operation_id": "a"}], [{"status_code": 200, "response": "{"}]])
def test_results_of_another_shape_are_an_error(content: object) -> None:
    """Not an empty result."""
    with pytest.raises(BadReply, match="archive of results is damaged"):
        wire_batches.answers(archive(("1.json", content)))


@given(st.binary(max_size=200), st.integers(0, 300))
def test_damage_anywhere_is_an_error_or_harmless(noise: bytes, at: int) -> None:
    """Never another exception than BadReply."""
    sound = archive(("1.json", [{"status_code": 204, "operation_id": "a", "response": ""}]))
    spoilt = sound[:at] + noise + sound[at + len(noise) :]
    try:
        found = wire_batches.answers(spoilt)
    except BadReply:
        return
    assert set(found) <= {"a"}
