"""Members and tags of the simulated Mailchimp audience."""

from __future__ import annotations

import orjson
import pytest
from mailchimp_rig import NOW, problem
from mailchimp_tagging import Tagging, removes
from scripted import times

from connector.base import Audience, Reply
from connector.errors import AuthError, BadRequest, Unavailable, WrongShop
from connector.mailchimp import API_KEY, MailchimpSettings, platform
from connector.mailchimp.wire_members import subscriber_hash
from connector.sandbox.wire import Drop, Request


@pytest.fixture
def rig() -> Tagging:
    return Tagging()


def test_lookup_answers_under_the_address_asked_for(rig: Tagging) -> None:
    """Plus parts and capitals find their member, by the hash of the lower-case address; strangers find none."""
    for address in ("ann+shop@shop.test", "Bob@Shop.test"):
        rig.audience.add(address)
    asked = ["Ann+Shop@shop.test", " bob@shop.test", "no address", 'a"b@shop.test']

    found = [profile for page in rig.destination.lookup(asked) for profile in page]

    assert {profile.email: profile.remote_id for profile in found} == {
        "Ann+Shop@shop.test": subscriber_hash("ann+shop@shop.test"),
        " bob@shop.test": subscriber_hash("bob@shop.test"),
    }
    assert rig.names() == ["getListsIdMembersId"] * 2


@pytest.mark.parametrize(("asked", "calls"), [(2, 2), (3, 4), (30, 6), (4500, 6)])
def test_whichever_takes_fewer_calls_is_done(rig: Tagging, asked: int, calls: int) -> None:
    """Of 5,000 members a few are asked for one by one, once the first page has told how many there are; for more
    everybody is read."""
    people = rig.people(5000)
    wanted = [*people[-asked:-1], "nobody@shop.test"]

    found = [profile.email for page in rig.destination.lookup(wanted) for profile in page]

    assert found == people[-asked:-1]
    assert len(rig.seen) == calls


def test_who_is_met_on_the_first_pages_needs_no_more(rig: Tagging) -> None:
    """The rest is not read."""
    people = rig.people(5000)

    assert sum(len(page) for page in rig.destination.lookup(people[:300])) == 300
    assert len(rig.seen) == 1


def test_whom_one_may_mail(rig: Tagging) -> None:
    """Subscribed, pending and transactional members; archived ones are not known at all."""
    for status in ("subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived"):
        rig.audience.add(f"{status}@shop.test", status)
    expected = {
        "subscribed": (True, None),
        "unsubscribed": (False, "unsubscribed"),
        "cleaned": (False, "cleaned"),
        "pending": (True, None),
        "transactional": (True, None),
    }

    scanned = rig.everybody()
    asked = [profile for page in rig.destination.lookup([*sorted(scanned), "archived@shop.test"]) for profile in page]

    assert {email.split("@")[0]: (its.mailable, its.reason) for email, its in scanned.items()} == expected
    assert {its.email: its for its in asked} == scanned


def test_where_people_are_added_archived_ones_stay_known(rig: Tagging) -> None:
    """They are known and unmailable, so that nobody whom the owner has put away is brought back."""
    rig.audience.add("put-away@shop.test", "archived")
    rig.destination = rig.open(add_consented=True)

    assert {its.email: its.reason for its in rig.everybody().values()} == {"put-away@shop.test": "archived"}
    assert [rig.destination.limits.existing_only, rig.open().limits.existing_only] == [False, True]


def test_everybody_is_read_a_thousand_a_page_with_few_fields(rig: Tagging) -> None:
    """2,500 members take three calls, in the order of signing up, and only three fields come of each."""
    people = rig.people(2500)

    assert [*rig.everybody()] == people
    queries = [dict(request.query) for _, request, _ in rig.seen]
    assert [query["offset"] for query in queries] == ["0", "980", "1960"]
    assert {query["fields"] for query in queries} == {"members.id,members.email_address,members.status,total_items"}
    assert {(query["sort_field"], query["sort_dir"], query["count"]) for query in queries} == {
        ("timestamp_signup", "ASC", "1000")
    }


def test_people_deleted_during_the_reading_hide_nobody(rig: Tagging) -> None:
    """300 of the first page vanish before the second is asked for: everybody behind them still comes."""
    people = rig.people(2500)

    def vanish(request: Request) -> None:
        if "offset=980" in str(dict(request.query)).replace("': '", "=") and rig.audience.find(people[0]):
            for address in people[:300]:
                rig.audience.delete_permanent(address)

    rig.instead = vanish
    assert set(people[300:]) <= set(rig.everybody())


def test_changed_tells_of_news_only(rig: Tagging) -> None:
    """Who opted out, came, or was archived since; the others are not read."""
    rig.people(50)
    rig.clock.advance(3600)
    rig.audience.unsubscribe("p1@shop.test")
    rig.audience.archive("p2@shop.test")
    rig.audience.add("new@shop.test")

    changed = rig.everybody(NOW + 3600)

    assert {email: its.reason for email, its in changed.items()} == {
        "p1@shop.test": "unsubscribed",
        "new@shop.test": None,
        "p2@shop.test": "archived",
    }
    assert rig.names() == ["getListsIdMembers"] * 2


def test_a_changed_address_is_a_new_member(rig: Tagging) -> None:
    """The hash follows the address; the former one is not found any more, and the tag stays with the person."""
    rig.people(2)
    audience = rig.tag()
    rig.audience.tag(rig.segment(audience), rig.audience.members[subscriber_hash("p1@shop.test")])
    rig.clock.advance(60)
    rig.audience.change_address("p1@shop.test", "Other@shop.test")

    changed = rig.everybody(NOW + 60)
    receipts = rig.push(removes(audience, ["p1@shop.test"]))

    assert [its.remote_id for its in changed.values()] == [subscriber_hash("other@shop.test")]
    assert receipts[1].outcome == "done"
    assert [*rig.destination.members(audience)] == [subscriber_hash("other@shop.test")]


def test_tags_are_found_by_whole_name(rig: Tagging) -> None:
    """Whatever the case; a longer name and a saved segment of the same name are not ours."""
    mine = rig.audience.add_tag("Seg:VIP")
    rig.audience.add_tag("seg:vip-gold")
    rig.audience.add_saved("seg:saved")

    found = rig.destination.find(["seg:vip", "seg:saved", "seg:none"])

    assert found == {"seg:vip": [str(mine.id)], "seg:saved": [], "seg:none": []}
    assert rig.names() == ["previewASegment"]
    assert rig.destination.find([]) == {}


def test_a_tag_is_found_by_when_it_was_made(rig: Tagging) -> None:
    """Within the span, and five minutes more on either side for clocks that differ."""
    made = rig.audience.add_tag("seg:vip").created
    for span, found in (
        ((made - 900, made), True),
        ((made + 299, made + 900), True),
        ((made - 900, made - 299), True),
        ((made + 301, made + 900), False),
        ((0, made - 301), False),
    ):
        assert bool(rig.destination.find(["seg:vip"], made=span)["seg:vip"]) is found


def test_a_tag_is_called_by_the_segment_s_key(rig: Tagging) -> None:
    """So that a segment with another name keeps its tag; another prefix renames it, and members stay."""
    people = rig.people(3)
    name = rig.destination.audience_name("vip", "Very important people")
    tag = rig.destination.create(Audience("vip", name))
    segment = rig.audience.segments[int(tag)]
    for address in people:
        rig.audience.tag(segment, rig.audience.members[subscriber_hash(address)])
    rig.destination.rename(Audience("vip", "groups:vip", tag))

    assert name == "seg:vip"
    assert (segment.name, len(segment.members)) == ("groups:vip", 3)
    bodies = {name: orjson.loads(request.body) for name, request, _ in rig.seen}
    assert bodies == {
        "postListsIdSegments": {"name": "seg:vip", "static_segment": []},
        "patchListsIdSegmentsId": {"name": "groups:vip"},
    }
    assert rig.sandbox.replaced == []


def test_a_tag_that_exists_is_not_taken_over(rig: Tagging) -> None:
    """Whether an existing tag is ours is for the guards to ask."""
    rig.audience.add_tag("seg:vip")

    with pytest.raises(BadRequest, match=r"^mailchimp: CreateTag: HTTP 400: .*already exists"):
        rig.destination.create(Audience("vip", "seg:vip"))


@pytest.mark.parametrize("acted", [True, False])
def test_a_tag_whose_making_was_not_answered_is_made_once(rig: Tagging, acted: bool) -> None:
    """The connection breaks after, or before, Mailchimp has acted."""
    script = times(1, Drop(timeout=True), "POST", "/segments")
    if acted:
        rig.afterwards = script
    else:
        rig.instead = script

    tag = rig.destination.create(Audience("vip", "seg:vip"))

    assert [str(each) for each in rig.audience.segments] == [tag]


def test_a_tag_that_was_made_but_does_not_show_yet_is_waited_for(rig: Tagging) -> None:
    """The answer was lost, the first look shows nothing, and a second making is refused: the tag is ours."""
    rig.afterwards = times(1, Drop(), "POST", "/segments")
    nothing = orjson.dumps({"segments": [], "list_id": rig.audience.id, "total_items": 0})
    rig.instead = times(1, Reply(200, {}, nothing), "GET", "/segments")

    tag = rig.destination.create(Audience("vip", "seg:vip"))

    assert [str(each) for each in rig.audience.segments] == [tag]
    assert rig.names() == ["postListsIdSegments", "previewASegment"] * 2


def test_members_are_read_whatever_their_status(rig: Tagging) -> None:
    """The view that Mailchimp gives unasked leaves out who is not subscribed: they would be added for ever."""
    audience = rig.tag()
    for status in ("subscribed", "unsubscribed", "cleaned", "transactional"):
        rig.audience.tag(rig.segment(audience), rig.audience.add(f"{status}@shop.test", status))

    assert len(set(rig.destination.members(audience))) == 4
    assert rig.destination.live_flows(audience) == ()


def test_check_needs_one_call(rig: Tagging) -> None:
    """And a refused key ends it, without the key in the text."""
    rig.destination.check()
    assert rig.names() == ["getPing"]

    with pytest.raises(AuthError, match=r"^mailchimp: Ping: the key is refused .*\(request ") as caught:
        rig.open("0123456789abcdef0123456789abcdee-us19").check()
    assert "0123456789abcdef" not in str(caught.value)


@pytest.mark.parametrize("key", ["0123456789abcdef", "0123456789abcdef-", ""])
def test_a_key_without_data_centre_is_refused(rig: Tagging, key: str) -> None:
    """Nobody knows where its account lives."""
    with pytest.raises(AuthError, match="has no data centre at its end"):
        rig.open(key or "x")
    assert rig.seen == []


def test_the_key_s_data_centre_names_the_host(rig: Tagging) -> None:
    """An address of one's own is taken as it is, with or without the version."""
    rig.destination.check()
    for url in ("http://127.0.0.1:8080", "http://127.0.0.1:8080/3.0/"):
        rig.open(api_url=url).check()

    hosts = [request.headers["host"] for _, request, _ in rig.seen]
    assert hosts == ["us19.api.mailchimp.com", "127.0.0.1:8080", "127.0.0.1:8080"]


def test_doctor_tells_of_the_audience(rig: Tagging) -> None:
    """Account, plan, sizes, and that flows cannot be seen but for classic automations."""
    rig.people(1234)
    rig.account.add_automation(rig.audience, "Happy birthday")
    rig.account.add_automation(rig.audience, "Not yet", status="save")
    rig.account.add_automation(rig.account.add_audience("Other"), "Elsewhere")
    rig.people(2, "unsubscribed", first=2000)

    findings = rig.destination.doctor()

    assert [finding.level for finding in findings] == ["ok"] * 3
    assert "'Regulars Sandbox' as owner; plan monthly, audiences 2 of 2" in findings[0].text
    assert "1,234 subscribed, 2 unsubscribed, 0 cleaned" in findings[1].text
    assert "flows are not shown to programs" in findings[2].text
    assert findings[2].text.endswith("classic automations that run: Happy birthday")
    assert len(rig.seen) == 4


def test_doctor_names_the_audiences_there_are() -> None:
    """An audience id is easily mistaken."""
    rig = Tagging(settings={"audience_id": "0000000000"})

    (*_, last) = rig.destination.doctor()

    assert last.level == "error"
    assert f"{rig.audience.id} (Shop)" in last.text
    with pytest.raises(WrongShop, match="no audience '0000000000' in this account"):
        rig.everybody()


def test_doctor_warns_of_what_costs() -> None:
    """Adding people is billed; merge fields are few."""
    rig = Tagging(settings={"add_consented": True, "merge_fields": ["rfm_group", "lifecycle_stage"]})
    for number in range(26):
        rig.audience.add_merge_field(f"Field {number}")

    warnings = [finding for finding in rig.destination.doctor() if finding.level == "warning"]

    assert ["billed" in warnings[0].text, "29 merge fields of 30" in warnings[1].text] == [True, True]


def test_doctor_without_leave_to_see_automations() -> None:
    """That is no fault."""
    rig = Tagging(forbidden={"getAutomations"})

    findings = rig.destination.doctor()

    assert [finding.level for finding in findings] == ["ok"] * 3
    assert "classic automations cannot be read" in findings[2].text


def test_settings_and_secret_are_declared() -> None:
    """An audience must be named; unknown settings are refused."""
    assert platform.settings is MailchimpSettings
    assert [secret.name for secret in platform.secrets] == [API_KEY]
    with pytest.raises(ValueError, match="audience_id"):
        MailchimpSettings.model_validate({})
    with pytest.raises(ValueError, match="merge_fields"):
        MailchimpSettings(audience_id="a1", merge_fields=("address",))


def test_a_refusal_carries_mailchimp_s_instance(rig: Tagging) -> None:
    """It is what support asks for; addresses are masked."""
    rig.instead = times(1, problem(400, "Invalid Resource", "ann@shop.test is odd", {"name": "too long"}))

    with pytest.raises(BadRequest) as caught:
        rig.destination.create(Audience("vip", "seg:vip"))
    assert str(caught.value) == (
        "mailchimp: CreateTag: HTTP 400: Invalid Resource: <address> is odd; name: too long "
        "(request 00000000-0000-4000-8000-00000000beef)"
    )


def test_an_answer_that_is_no_audience_is_no_empty_audience(rig: Tagging) -> None:
    """A proxy's page that says 200."""
    rig.instead = times(100, Reply(200, {}, b"<html>login</html>"))

    with pytest.raises(Unavailable, match="is no JSON"):
        rig.everybody()
