"""The simulator's tags: static segments, who shows in them, and whom automations meet."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from mailchimp_rig import Rig, md5

from connector.mailchimp.sandbox_account import Join

A, B, C = "a@example.org", "b@example.org", "c@example.org"


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    for address in (A, B, C):
        made.audience.add(address)
    return made


def create(rig: Rig, **document: Any) -> Any:
    return rig.ask("POST", f"{rig.path}/segments", body=document)


def change(rig: Rig, tag: int, **document: Any) -> Any:
    return rig.ask("POST", f"{rig.path}/segments/{tag}", body=document)


def emails(members: list[dict[str, Any]]) -> set[str]:
    return {member["email_address"] for member in members}


def test_a_tag_is_a_segment_with_a_list_of_addresses(rig: Rig) -> None:
    """The list must be there, even empty; strangers in it are ignored."""
    made = create(rig, name="VIP", static_segment=[A, "nobody@example.org"])

    assert (made["name"], made["type"], made["member_count"]) == ("VIP", "static", 1)
    assert create(rig, name="None")["detail"].startswith('Must provide either an "options" field')
    assert create(rig, name="By rule", options={"match": "all", "conditions": []})["type"] == "saved"
    assert create(rig, static_segment=[])["errors"][0]["field"] == "name"


def test_names_of_tags_differ_by_more_than_case(rig: Rig) -> None:
    """A second one of the name is refused, also by renaming."""
    create(rig, name="VIP", static_segment=[])
    other = create(rig, name="Other", static_segment=[])["id"]

    assert create(rig, name="vip", static_segment=[])["detail"] == "Sorry, that tag already exists."
    assert rig.send("PATCH", f"{rig.path}/segments/{other}", body={"name": "Vip"}).status == 400
    assert rig.ask("PATCH", f"{rig.path}/segments/{other}", body={"name": "OTHER"})["name"] == "OTHER"
    assert create(rig, name="x" * 101, static_segment=[])["status"] == 400


def test_tags_are_listed_by_type_and_found_by_the_beginning_of_the_name(rig: Rig) -> None:
    """Ten a page unless asked; saved segments are no tags."""
    for number in range(12):
        rig.audience.add_tag(f"seg:{number}")
    rig.audience.add_saved("seg:saved", [A])
    path = f"{rig.path}/segments"

    assert len(rig.ask("GET", path, ("type", "static"))["segments"]) == 10
    assert rig.ask("GET", path, ("type", "static"), ("count", "1000"))["total_items"] == 12
    assert rig.ask("GET", path)["total_items"] == 13
    assert rig.ask("GET", f"{rig.path}/tag-search", ("name", "SEG:1"))["total_items"] == 3


def test_members_come_and_go_by_address(rig: Rig) -> None:
    """The answer repeats them whole; repeating a change says nothing of them."""
    tag = create(rig, name="VIP", static_segment=[C])["id"]
    first = change(rig, tag, members_to_add=["A@Example.org", B], members_to_remove=[C])
    second = change(rig, tag, members_to_add=[A, B], members_to_remove=[C])

    assert (emails(first["members_added"]), emails(first["members_removed"])) == ({A, B}, {C})
    assert (first["total_added"], first["total_removed"], first["error_count"]) == (2, 1, 0)
    assert (second["members_added"], second["members_removed"], second["errors"]) == ([], [], [])
    assert rig.audience.tagged("VIP") == {A, B}


def test_strangers_and_opted_out_people_are_errors_inside_the_200(rig: Rig) -> None:
    """The others go through; nor can who opted out later be taken out by this way."""
    tag = create(rig, name="VIP", static_segment=[B])["id"]
    rig.audience.unsubscribe(B)
    rig.audience.unsubscribe(C)
    answer = change(rig, tag, members_to_add=[A, C, "nobody@example.org"], members_to_remove=[B])

    assert emails(answer["members_added"]) == {A}
    assert answer["members_removed"] == []
    assert answer["errors"][0]["email_addresses"] == [C, "nobody@example.org", B]
    assert answer["error_count"] == 3
    assert (
        rig.send("POST", rig.member(B) + "/tags", body={"tags": [{"name": "VIP", "status": "inactive"}]}).status == 204
    )
    assert rig.audience.tagged("VIP") == {A}


def test_whom_a_change_does_not_take_may_go_unmentioned(rig: Rig) -> None:
    """As if they had the tag already."""
    rig.audience.tells_refused = False
    tag = create(rig, name="VIP", static_segment=[])["id"]
    answer = change(rig, tag, members_to_add=[A, "nobody@example.org"])

    assert (answer["total_added"], answer["errors"], answer["error_count"]) == (1, [], 0)


def test_five_hundred_each_and_no_more(rig: Rig) -> None:
    """501 of one kind are refused whole; 500 of both go together."""
    tag = create(rig, name="VIP", static_segment=[])["id"]
    names = [f"p{number}@example.org" for number in range(501)]

    assert change(rig, tag, members_to_add=names)["status"] == 400
    assert change(rig, tag, members_to_add=names[:500], members_to_remove=names[:500])["error_count"] == 1000


def test_a_saved_segment_takes_nobody(rig: Rig) -> None:
    """The error says that there is no such static segment; neither is there for an unknown id."""
    saved = rig.audience.add_saved("By rule", [A])

    for tag, status in ((saved.id, 400), (1, 404)):
        answer = change(rig, tag, members_to_add=[B])
        assert answer["detail"] == f'A Static Segment with an id of "{tag}" does not exist for this list.'
        assert answer["status"] == status


def test_the_view_of_a_tag_shows_only_subscribed_people_unless_asked(rig: Rig) -> None:
    """Opted-out, bounced and transactional ones by a flag each; pending and archived ones never."""
    wanted = {"sub": "subscribed", "out": "unsubscribed", "bounced": "cleaned", "order": "transactional"}
    everybody = {**wanted, "wait": "pending", "put-away": "archived"}
    for name, status in everybody.items():
        rig.audience.add(f"{name}@example.org", status)
    tag = rig.audience.tag_by_hand("VIP", [f"{name}@example.org" for name in everybody])
    path = f"{rig.path}/segments/{tag.id}"
    flags = [(f"include_{status}", "true") for status in ("unsubscribed", "cleaned", "transactional")]

    assert emails(rig.ask("GET", f"{path}/members")["members"]) == {"sub@example.org"}
    assert emails(rig.ask("GET", f"{path}/members", flags[0])["members"]) == {"sub@example.org", "out@example.org"}
    assert rig.ask("GET", f"{path}/members", *flags)["total_items"] == 4
    assert rig.ask("GET", path)["member_count"] == 1
    assert rig.ask("GET", path, *flags)["member_count"] == 4
    rig.audience.unsubscribe("sub@example.org")
    assert rig.ask("GET", path)["member_count"] == 0


def test_renaming_with_a_list_of_addresses_replaces_everybody(rig: Rig) -> None:
    """An empty one empties the tag; without the list, members stay. A test can see it."""
    tag = create(rig, name="VIP", static_segment=[A, B])["id"]
    path = f"{rig.path}/segments/{tag}"

    rig.ask("PATCH", path, body={"name": "Best"})
    assert rig.audience.tagged("Best") == {A, B}
    assert rig.sandbox.replaced == []
    rig.ask("PATCH", path, body={"name": "Best", "static_segment": [C]})
    assert rig.audience.tagged("Best") == {C}
    rig.ask("PATCH", path, body={"name": "Best", "static_segment": []})
    assert rig.audience.tagged("Best") == set()
    assert rig.sandbox.replaced == ["Best", "Best"]
    assert rig.send("PATCH", path, body={"static_segment": []}).status == 400


def test_deleting_a_tag_takes_it_from_everybody(rig: Rig) -> None:
    """204, then 404; the name is free again."""
    tag = create(rig, name="VIP", static_segment=[A])["id"]

    assert rig.send("DELETE", f"{rig.path}/segments/{tag}").status == 204
    assert rig.send("DELETE", f"{rig.path}/segments/{tag}").status == 404
    assert rig.ask("GET", rig.member(A))["tags"] == []
    assert create(rig, name="VIP", static_segment=[])["id"] != tag


def test_tags_of_one_member_go_by_name(rig: Rig) -> None:
    """An unknown name becomes a tag, unless it is taken away; case does not matter; status does not either."""
    rig.audience.unsubscribe(A)
    tags = [{"name": "VIP", "status": "active"}, {"name": "Never", "status": "inactive"}]

    assert rig.send("POST", rig.member(A) + "/tags", body={"tags": tags}).status == 204
    assert rig.audience.tagged("vip") == {A}
    assert rig.audience.tag_named("Never") is None
    rig.send("POST", rig.member(A) + "/tags", body={"tags": [{"name": "vip", "status": "inactive"}]})
    assert rig.audience.tagged("VIP") == set()
    assert rig.audience.tag_named("VIP") is not None
    for bad in ([{"name": "VIP"}], [{"name": "VIP", "status": "on"}], [{"name": " ", "status": "active"}], "VIP"):
        assert rig.send("POST", rig.member(A) + "/tags", body={"tags": bad}).status == 400
    unknown = f"{rig.path}/members/{md5('A@example.org')}/tags"
    assert rig.send("POST", unknown, body={"tags": tags}).status == 404


def test_an_automation_begins_for_new_bearers_of_its_tag(rig: Rig) -> None:
    """By whatever way they get it, unless `is_syncing` is told; not if they have it, and again if they return to it."""
    rig.audience.automate("VIP")
    tag = create(rig, name="VIP", static_segment=[])["id"]
    quiet = {"tags": [{"name": "VIP", "status": "active"}], "is_syncing": True}
    rig.send("POST", rig.member(A) + "/tags", body=quiet)
    change(rig, tag, members_to_add=[A])
    assert rig.sandbox.joins == []

    change(rig, tag, members_to_add=[B])
    rig.send("POST", rig.member(C) + "/tags", body={**quiet, "is_syncing": False})
    change(rig, tag, members_to_remove=[B])
    change(rig, tag, members_to_add=[B])
    rig.audience.tag_by_hand("Unwatched", [A])

    at = int(rig.clock.now())
    assert rig.sandbox.joins == [Join("VIP", B, at), Join("VIP", C, at), Join("VIP", B, at)]


def test_the_answer_to_a_change_takes_no_fields(rig: Rig) -> None:
    """It is large, whatever is asked for."""
    tag = create(rig, name="VIP", static_segment=[])["id"]
    reply = rig.send("POST", f"{rig.path}/segments/{tag}", ("fields", "total_added"), body={"members_to_add": [A]})

    assert orjson.loads(reply.body)["members_added"][0]["email_address"] == A
