"""The simulator's members: who is found, who may be written, and what becomes of consent."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from mailchimp_rig import Rig, md5

from connector.mailchimp.sandbox_account import ConsentWrite

NEW = {"email_address": "new@example.org", "status_if_new": "transactional"}


@pytest.fixture
def rig() -> Rig:
    return Rig()


def refused(rig: Rig, method: str, path: str, *query: tuple[str, str], body: object = None) -> tuple[int, str]:
    """Status and title of a refusal, which is checked to be one."""
    document = rig.ask(method, path, *query, body=body)
    return document["status"], document["title"]


def emails(document: Any) -> list[str]:
    return [each["email_address"] for each in document["members"]]


def test_a_member_goes_by_the_hash_of_the_lower_cased_address(rig: Rig) -> None:
    """The hash of the address as written finds nobody; address and contact id do as well."""
    member = rig.audience.add("Ann+Shop@Example.org")
    shown = rig.ask("GET", rig.member("ann+shop@example.org"))

    assert shown["email_address"] == "Ann+Shop@Example.org"
    assert shown["id"] == md5("ann+shop@example.org")
    assert refused(rig, "GET", f"{rig.path}/members/{md5('Ann+Shop@Example.org')}") == (404, "Resource Not Found")
    for key in ("ann%2Bshop@example.org", member.contact_id):
        assert rig.ask("GET", f"{rig.path}/members/{key}", ("fields", "id")) == {"id": member.id}
    for path in ("/tags", "/actions/delete-permanent"):
        body: dict[str, Any] | None = {"tags": []} if path == "/tags" else None
        assert rig.send("POST", f"{rig.path}/members/{member.contact_id}{path}", body=body).status == 404


def test_archived_members_show_only_when_asked_for(rig: Rig) -> None:
    """By `status`, or one by one."""
    rig.audience.add("a@example.org")
    rig.audience.add("b@example.org")
    rig.audience.archive("b@example.org")

    assert emails(rig.ask("GET", f"{rig.path}/members")) == ["a@example.org"]
    assert emails(rig.ask("GET", f"{rig.path}/members", ("status", "archived"))) == ["b@example.org"]
    assert rig.ask("GET", rig.member("b@example.org"))["status"] == "archived"
    assert refused(rig, "GET", f"{rig.path}/members", ("status", "gone")) == (400, "Invalid Resource")


@pytest.mark.parametrize(
    "change",
    [
        lambda rig: rig.audience.unsubscribe("a@example.org"),
        lambda rig: rig.audience.tag_by_hand("VIP", ["a@example.org"]),
        lambda rig: rig.ask("PATCH", rig.member("a@example.org"), body={"merge_fields": {"FNAME": "Ann"}}),
        lambda rig: rig.ask("PUT", rig.member("a@example.org"), body={**NEW, "email_address": "a@example.org"}),
        lambda rig: rig.audience.delete_tag(rig.audience.tag_named("Old")),
    ],
)
def test_every_change_moves_last_changed(rig: Rig, change: Any) -> None:
    """`since_last_changed` finds what changed later than that second, not in it."""
    for address in ("a@example.org", "b@example.org"):
        rig.audience.add(address)
    rig.audience.tag_by_hand("Old", ["a@example.org"])
    rig.clock.advance(100)
    change(rig)
    path = f"{rig.path}/members"

    assert emails(rig.ask("GET", path, ("since_last_changed", "2026-11-18T11:08:19+00:00"))) == ["a@example.org"]
    assert emails(rig.ask("GET", path, ("since_last_changed", "2026-11-18T11:08:20+00:00"))) == []
    assert emails(rig.ask("GET", path, ("before_last_changed", "2026-11-18T11:08:20Z"))) == ["b@example.org"]


def test_a_bare_plus_in_a_time_is_refused(rig: Rig) -> None:
    """It arrives as a space."""
    query = ("since_last_changed", "2026-11-18T11:08:19 00:00")
    assert refused(rig, "GET", f"{rig.path}/members", query) == (400, "Invalid Resource")


def test_members_come_in_the_order_asked_for(rig: Rig) -> None:
    """By signing up or last change, either way."""
    for number, address in enumerate(("c@example.org", "a@example.org", "b@example.org")):
        rig.audience.add(address, at=1_700_000_000 + number)
    rig.audience.touch(rig.audience.members[md5("c@example.org")])
    path = f"{rig.path}/members"

    assert emails(rig.ask("GET", path, ("sort_field", "timestamp_signup"), ("sort_dir", "DESC")))[0] == "b@example.org"
    assert emails(rig.ask("GET", path, ("sort_field", "last_changed")))[-1] == "c@example.org"
    assert refused(rig, "GET", path, ("sort_field", "email_address")) == (400, "Invalid Resource")


def test_a_changed_address_is_another_hash_of_the_same_contact(rig: Rig) -> None:
    """The old hash finds nobody."""
    before = rig.audience.add("old@example.org").contact_id
    rig.audience.tag_by_hand("VIP", ["old@example.org"])
    rig.audience.change_address("old@example.org", "new@example.org")

    assert refused(rig, "GET", rig.member("old@example.org")) == (404, "Resource Not Found")
    shown = rig.ask("GET", rig.member("new@example.org"))
    assert (shown["contact_id"], [each["name"] for each in shown["tags"]]) == (before, ["VIP"])


def test_no_more_than_fifty_tags_show_on_a_member(rig: Rig) -> None:
    """`tags_count` and the member's own tags tell of all."""
    rig.audience.add("a@example.org")
    for number in range(51):
        rig.audience.tag_by_hand(f"t{number}", ["a@example.org"])
    shown = rig.ask("GET", rig.member("a@example.org"))

    assert (len(shown["tags"]), shown["tags_count"]) == (50, 51)
    assert rig.ask("GET", rig.member("a@example.org") + "/tags")["total_items"] == 51


def test_put_without_status_leaves_the_status_of_members_alone(rig: Rig) -> None:
    """`status_if_new` is for newcomers only, and nothing is written about consent."""
    rig.audience.add("a@example.org", "unsubscribed")
    body = {"email_address": "a@example.org", "status_if_new": "subscribed"}

    assert rig.ask("PUT", rig.member("a@example.org"), body=body)["status"] == "unsubscribed"
    assert rig.ask("PUT", rig.member("new@example.org"), body=NEW)["status"] == "transactional"
    assert rig.sandbox.consent_writes == []
    assert rig.sandbox.created == ["new@example.org"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_status_changes_members_and_is_told(rig: Rig, method: str) -> None:
    """A re-subscription that a test can see."""
    rig.audience.set_status(rig.audience.add("a@example.org"), "unsubscribed")
    body = {"email_address": "a@example.org", "status_if_new": "subscribed", "status": "subscribed"}
    if method == "PATCH":
        del body["status_if_new"]

    assert rig.ask(method, rig.member("a@example.org"), body=body)["status"] == "subscribed"
    expected = ConsentWrite(f"{method} member", "a@example.org", "unsubscribed", "subscribed")
    assert rig.sandbox.consent_writes == [expected]


def test_a_newcomer_with_status_alone_is_sent_a_mail_to_confirm(rig: Rig) -> None:
    """Without `status_if_new` the person becomes pending; without both, there is nobody."""
    path = rig.member("new@example.org")
    shown = rig.ask("PUT", path, body={"email_address": "new@example.org", "status": "subscribed"})

    assert shown["status"] == "pending"
    assert rig.account.journal.confirmation_mails == ["new@example.org"]
    body = {"email_address": "other@example.org"}
    assert refused(rig, "PUT", rig.member("other@example.org"), body=body) == (400, "Invalid Resource")


def test_patch_never_creates_anybody(rig: Rig) -> None:
    """404 for strangers."""
    body = {"merge_fields": {"FNAME": "Ann"}}
    assert refused(rig, "PATCH", rig.member("new@example.org"), body=body) == (404, "Resource Not Found")
    assert rig.audience.members == {}


def test_post_refuses_whoever_is_there(rig: Rig) -> None:
    """400 Member Exists; archived people come back; tags come along."""
    body = {"email_address": "a@example.org", "status": "transactional", "tags": ["VIP"]}
    path = f"{rig.path}/members"

    assert rig.ask("POST", path, body=body)["tags"][0]["name"] == "VIP"
    assert refused(rig, "POST", path, body=body) == (400, "Member Exists")
    rig.audience.archive("a@example.org")
    assert rig.ask("POST", path, body=body)["status"] == "transactional"
    assert [write.how for write in rig.sandbox.consent_writes] == ["POST member"]


@pytest.mark.parametrize("status", ["unsubscribed", "cleaned"])
def test_who_opted_out_or_bounced_cannot_be_subscribed(rig: Rig, status: str) -> None:
    """400 Member In Compliance State; only those who opted out can be asked to confirm."""
    rig.audience.add("a@example.org", status)
    path = rig.member("a@example.org")

    answer = refused(rig, "PATCH", path, body={"status": "subscribed"})
    assert answer == (400, "Member In Compliance State")
    assert rig.send("PATCH", path, body={"status": "pending"}).status == (200 if status == "unsubscribed" else 400)


def test_who_was_deleted_for_good_looks_new_and_cannot_come_back(rig: Rig) -> None:
    """404 to reads and tags, 400 to every way of adding."""
    rig.audience.add("gone@example.org")
    assert rig.send("POST", rig.member("gone@example.org") + "/actions/delete-permanent").status == 204
    path = rig.member("gone@example.org")

    assert refused(rig, "GET", path) == (404, "Resource Not Found")
    assert refused(rig, "POST", path + "/tags", body={"tags": []}) == (404, "Resource Not Found")
    for status in ("subscribed", "pending", "transactional"):
        body = {"email_address": "gone@example.org", "status_if_new": status}
        assert refused(rig, "PUT", path, body=body) == (400, "Forgotten Email Not Subscribed")
    assert [write.how for write in rig.sandbox.consent_writes] == ["delete-permanent"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ann@example.com", "looks fake or invalid"),
        ("made@up.org", "looks fake or invalid"),
        ("busy@example.org", "has signed up to a lot of lists very recently"),
        ("no at sign", "valid email address"),
    ],
)
def test_addresses_that_mailchimp_does_not_take(rig: Rig, address: str, words: str) -> None:
    """400 Invalid Resource; members that exist are not asked."""
    rig.account.fake.add("made@up.org")
    rig.account.busy.add("busy@example.org")
    body = {"email_address": address, "status_if_new": "transactional"}
    document = rig.ask("PUT", f"{rig.path}/members/{md5(address)}", body=body)

    assert (document["status"], document["title"]) == (400, "Invalid Resource")
    assert words in document["detail"]
    rig.audience.add(address)
    assert rig.send("PUT", f"{rig.path}/members/{md5(address)}", body=body).status == 200


def test_delete_archives_and_is_told(rig: Rig) -> None:
    """The member stays, out of sight; tags stay on it."""
    rig.audience.add("a@example.org")
    rig.audience.tag_by_hand("VIP", ["a@example.org"])

    assert rig.send("DELETE", rig.member("a@example.org")).status == 204
    assert rig.send("DELETE", rig.member("a@example.org")).status == 405
    assert rig.audience.tagged("VIP") == {"a@example.org"}
    expected = ConsentWrite("DELETE member", "a@example.org", "subscribed", "archived")
    assert rig.sandbox.consent_writes == [expected]


def test_required_merge_fields_stop_writes_unless_told_not_to(rig: Rig) -> None:
    """Each missing one is named."""
    rig.audience.add_merge_field("Size", tag="SIZE", required=True)
    path = rig.member("new@example.org")
    document = rig.ask("PUT", path, body=NEW)

    assert document["errors"] == [{"field": "SIZE", "message": "Please enter a value"}]
    assert rig.ask("PUT", path, ("skip_merge_validation", "true"), body=NEW)["merge_fields"]["SIZE"] == ""


def test_unknown_merge_fields_vanish_without_a_word(rig: Rig) -> None:
    """Dates and numbers have to be some."""
    rig.audience.add("a@example.org")
    rig.audience.add_merge_field("Last order", "date", "LASTORDER")
    path = rig.member("a@example.org")

    shown = rig.ask("PATCH", path, body={"merge_fields": {"FNAME": "Ann", "NOSUCH": "x", "LASTORDER": "2026-11-01"}})
    assert shown["merge_fields"] == {"FNAME": "Ann", "LNAME": "", "PHONE": "", "LASTORDER": "2026-11-01"}
    answer = refused(rig, "PATCH", path, body={"merge_fields": {"LASTORDER": "yesterday"}})
    assert answer == (400, "Invalid Resource")


def test_merge_fields_get_another_tag_when_theirs_is_taken(rig: Rig) -> None:
    """Ten characters at most, upper case; thirty fields at most; one left out is made up."""
    path = f"{rig.path}/merge-fields"
    made = [rig.ask("POST", path, body={"name": "RFM", "type": "text", "tag": "RFM"})["tag"] for _ in range(3)]

    assert made == ["RFM", "RFM2", "RFM3"]
    assert rig.ask("POST", path, body={"name": "x", "type": "text", "tag": "ABCDEFGHIJ"})["tag"] == "ABCDEFGHIJ"
    assert rig.ask("POST", path, body={"name": "x", "type": "text", "tag": "ABCDEFGHIJ"})["tag"] == "ABCDEFGHI2"
    assert rig.ask("POST", path, body={"name": "x", "type": "text"})["tag"] == "MERGE9"
    for tag in ("rfm", "TOOLONGTAG1", "A-B"):
        answer = refused(rig, "POST", path, body={"name": "x", "type": "text", "tag": tag})
        assert answer == (400, "Invalid Resource")
    while len(rig.audience.merge_fields) < 30:
        rig.audience.add_merge_field("x")
    assert refused(rig, "POST", path, body={"name": "x", "type": "text"}) == (400, "Bad Request")
    assert rig.ask("GET", path, ("count", "1000"))["total_items"] == 30


def test_a_batch_subscription_tells_its_errors_inside_the_200(rig: Rig) -> None:
    """Existing, repeated, malformed and forgotten people; the rest goes through."""
    rig.audience.add("old@example.org")
    rig.audience.add("gone@example.org")
    rig.audience.delete_permanent("gone@example.org")
    names = ["new@example.org", "old@example.org", "NEW@example.org", "nobody", "gone@example.org"]
    body = {"members": [{"email_address": name, "status": "transactional"} for name in names], "update_existing": False}
    answer = rig.ask("POST", rig.path, body=body)

    assert [each["email_address"] for each in answer["new_members"]] == ["new@example.org"]
    assert (answer["total_created"], answer["total_updated"], answer["error_count"]) == (1, 0, 4)
    assert [each["error_code"] for each in answer["errors"]] == ["ERROR_CONTACT_EXISTS", *["ERROR_GENERIC"] * 3]
    assert rig.sandbox.consent_writes == []


def test_update_existing_writes_consent_and_sync_tags_replaces(rig: Rig) -> None:
    """Both can be seen by a test that none happens."""
    rig.audience.add("a@example.org")
    rig.audience.tag_by_hand("Merchant's", ["a@example.org"])
    row = {"email_address": "a@example.org", "status": "transactional", "tags": ["VIP"]}
    answer = rig.ask("POST", rig.path, body={"members": [row], "update_existing": True, "sync_tags": True})

    assert answer["total_updated"] == 1
    expected = ConsentWrite("update_existing", "a@example.org", "subscribed", "transactional")
    assert rig.sandbox.consent_writes == [expected]
    assert rig.audience.tagged("Merchant's") == set()
    assert len(rig.sandbox.replaced) == 1


def test_no_more_than_five_hundred_at_once(rig: Rig) -> None:
    """501 are refused whole."""
    rows = [{"email_address": f"p{number}@example.org", "status": "transactional"} for number in range(501)]

    assert rig.send("POST", rig.path, body={"members": rows}).status == 400
    assert orjson.loads(rig.send("POST", rig.path, body={"members": rows[:500]}).body)["total_created"] == 500
