"""The simulator on its own: door, account, audiences, faults."""

from __future__ import annotations

import base64
from random import Random

import orjson
import pytest
from mailchimp_openapi import check_reply
from mailchimp_rig import HOST, Rig

from connector.base import Reply
from connector.mailchimp.sandbox_install import install
from connector.sandbox.faults import Faults
from connector.sandbox.wire import Drop, Request
from connector.sandbox.world import World
from sync.clock import ManualClock


@pytest.fixture
def rig() -> Rig:
    return Rig()


def basic(user: str, key: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()


def titled(reply: Reply) -> tuple[int, str]:
    return reply.status, orjson.loads(reply.body)["title"]


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({"authorization": None}, (401, "API Key Missing")),
        ({"authorization": "Bearer other-us19"}, (401, "API Key Invalid")),
        ({"authorization": "Basic %%%"}, (401, "API Key Invalid")),
        ({"authorization": basic("any", "other-us19")}, (401, "API Key Invalid")),
        ({"host": "us1.api.mailchimp.com"}, (401, "API Key Invalid")),
    ],
)
def test_the_door_wants_the_key_at_its_data_centre(
    rig: Rig, headers: dict[str, str | None], answer: tuple[int, str]
) -> None:
    """Each refusal is a problem document with an id of its own."""
    replies = [rig.send("GET", "/ping", **headers) for _ in range(2)]

    assert [titled(reply) for reply in replies] == [answer, answer]
    assert len({orjson.loads(reply.body)["instance"] for reply in replies}) == 2


@pytest.mark.parametrize("host", [HOST, "127.0.0.1:8080"])
def test_the_key_goes_as_bearer_or_as_password_of_anybody(rig: Rig, host: str) -> None:
    """The user of Basic does not matter."""
    for sent in (f"Bearer {rig.sandbox.api_key}", basic("anybody", rig.sandbox.api_key)):
        reply = rig.send("GET", "/ping", authorization=sent, host=host)
        assert orjson.loads(reply.body) == {"health_status": "Everything's Chimpy!"}


def test_account_and_audiences_show_sizes(rig: Rig) -> None:
    """`member_count` has only the subscribed ones."""
    for name, status in (("a", "subscribed"), ("b", "unsubscribed"), ("c", "cleaned"), ("d", "transactional")):
        rig.audience.add(f"{name}@example.org", status)
    rig.account.add_audience("Outlet")

    assert rig.ask("GET", "/")["total_subscribers"] == 1
    lists = rig.ask("GET", "/lists", ("fields", "lists.id,lists.name,lists.stats,constraints,total_items"))
    assert [each["name"] for each in lists["lists"]] == ["Shop", "Outlet"]
    assert lists["constraints"]["may_create"] is False
    stats = rig.ask("GET", rig.path, ("include_total_contacts", "true"))["stats"]
    assert (stats["member_count"], stats["unsubscribe_count"], stats["cleaned_count"]) == (1, 1, 1)
    assert stats["total_contacts"] == 4
    assert [each["name"] for each in rig.ask("GET", "/lists", ("email", "A@example.org"))["lists"]] == ["Shop"]


def test_only_classic_automations_show(rig: Rig) -> None:
    """By status; the flow that a tag starts does not show at all."""
    rig.account.add_automation(rig.audience, "Welcome")
    rig.account.add_automation(rig.audience, "Old", status="paused")
    rig.audience.automate("VIP")

    assert rig.ask("GET", "/automations")["total_items"] == 2
    (running,) = rig.ask("GET", "/automations", ("status", "sending"))["automations"]
    assert (running["settings"]["title"], running["recipients"]["list_id"]) == ("Welcome", rig.audience.id)


@pytest.mark.parametrize("path", ["/lists/none", "/lists/none/members", "/lists/none/segments", "/batches/none"])
def test_what_does_not_exist_is_a_404(rig: Rig, path: str) -> None:
    """Audiences, what is in them, and batches."""
    assert titled(rig.send("GET", path)) == (404, "Resource Not Found")


def test_paths_of_no_endpoint_and_bodies_that_are_no_json_are_refused(rig: Rig) -> None:
    """404 and 400, as problem documents."""
    assert titled(rig.send("GET", "/people")) == (404, "Resource Not Found")
    key = {"authorization": f"Bearer {rig.sandbox.api_key}"}
    reply = rig.sandbox.handle(Request("POST", f"/3.0{rig.path}/segments", (), key, b"{name:"))
    assert titled(reply) == (400, "JSON Parse Error")
    assert titled(rig.send("POST", f"{rig.path}/segments", body=["VIP"])) == (400, "Invalid Resource")


def test_pages_are_ten_long_unless_asked_and_a_thousand_at_most(rig: Rig) -> None:
    """`count` and `offset` are numbers."""
    for number in range(1001):
        rig.audience.add(f"p{number}@example.org")
    path = f"{rig.path}/members"

    assert len(rig.ask("GET", path)["members"]) == 10
    assert len(rig.ask("GET", path, ("count", "1000"))["members"]) == 1000
    last = rig.ask("GET", path, ("count", "1000"), ("offset", "1000"))
    assert ([each["email_address"] for each in last["members"]], last["total_items"]) == (["p1000@example.org"], 1001)
    for query in (("count", "1001"), ("count", "-1"), ("offset", "ten")):
        reply = rig.send("GET", path, query)
        assert titled(reply) == (400, "Invalid Resource")
        assert orjson.loads(reply.body)["errors"][0]["field"] == query[0]


def test_fields_keep_and_exclude_fields_drop(rig: Rig) -> None:
    """Both by dotted paths; an unknown name selects nothing."""
    rig.audience.add("a@example.org")
    rig.audience.tag_by_hand("VIP", ["a@example.org"])
    path = f"{rig.path}/members"

    kept = rig.ask("GET", path, ("fields", "members.email_address,members.tags.name,total_items"))
    assert kept == {"members": [{"email_address": "a@example.org", "tags": [{"name": "VIP"}]}], "total_items": 1}
    dropped = rig.ask("GET", path, ("exclude_fields", "_links,members._links,members.stats.avg_open_rate"))
    assert "_links" not in dropped
    assert "_links" not in dropped["members"][0]
    assert dropped["members"][0]["stats"] == {"avg_click_rate": 0}
    assert rig.ask("GET", path, ("fields", "people")) == {}


def test_replies_say_nothing_of_limits(rig: Rig) -> None:
    """Neither rate headers nor Retry-After exist."""
    for reply in (rig.send("GET", "/ping"), rig.send("GET", "/none")):
        assert list(reply.headers) == ["content-type"]


def test_trouble_comes_as_problem_documents_and_as_pages() -> None:
    """Too many connections, plan or role, and three kinds of trouble at the edge; none says how long to wait."""
    faults = Faults()
    rig = Rig(faults=faults)
    for place, kind in enumerate(("throttled", "forbidden", "throttled_html", "blocked_html", "down_html"), 1):
        faults.add("getPing", kind, nth=place)
    replies = [rig.send("GET", "/ping") for _ in range(6)]

    assert [reply.status for reply in replies] == [429, 403, 429, 403, 503, 200]
    assert titled(replies[0]) == (429, "Too Many Requests")
    assert titled(replies[1]) == (403, "User Action Not Permitted")
    assert {reply.headers["content-type"] for reply in replies[2:5]} == {"text/html"}
    assert not any("retry-after" in reply.headers for reply in replies)


def test_an_answer_may_be_lost_after_the_work_is_done() -> None:
    """Time-outs and breaks do not undo anything."""
    faults = Faults()
    faults.add("postListsIdSegments", "act_timeout")
    rig = Rig(faults=faults)

    with pytest.raises(Drop):
        rig.send("POST", f"{rig.path}/segments", body={"name": "VIP", "static_segment": []})
    assert rig.audience.tag_named("vip") is not None


def test_a_plan_or_role_may_forbid_an_operation() -> None:
    """403 with a problem document, for as long as it lasts."""
    rig = Rig(forbidden=["postBatches"])

    assert titled(rig.send("POST", "/batches", body={"operations": []})) == (403, "User Action Not Permitted")
    assert rig.send("GET", "/batches").status == 200


def test_installed_it_knows_most_people_of_the_shop() -> None:
    """A few are unsubscribed, cleaned or transactional; settings and secret are those of a project folder."""
    clock = ManualClock(1_795_000_000)
    world = World.generate(customers=400, clock=clock)
    installed = install(world, clock=clock, scale=1.0, faults=None)
    audience = installed.simulator.audience  # type: ignore[attr-defined]

    assert installed.settings == {"audience_id": audience.id}
    assert list(installed.secrets) == ["REGULARS_MAILCHIMP_API_KEY"]
    assert set(audience.counts) == {"subscribed", "unsubscribed", "cleaned", "transactional"}
    assert 0.6 < len(audience.members) / len(world.customers) < 0.9
    reply = installed.simulator.handle(
        Request(
            "GET",
            f"/3.0/lists/{audience.id}/members",
            (("count", "1000"),),
            {"authorization": f"Bearer {installed.secrets['REGULARS_MAILCHIMP_API_KEY']}"},
            b"",
        )
    )
    assert orjson.loads(reply.body)["total_items"] == len(audience.members)


def test_seeding_spreads_people_over_statuses_and_time() -> None:
    """Shares of those known; nobody changed later than now."""
    rig = Rig()
    addresses = [f"p{number}@example.org" for number in range(2000)]
    shares = dict.fromkeys(("unsubscribed", "cleaned", "transactional", "pending", "archived"), 0.1)
    rig.sandbox.seed(addresses, Random(1), known=0.5, **shares)

    assert 900 < len(rig.audience.members) < 1100
    assert all(70 < rig.audience.counts[name] < 130 for name in shares)
    assert max(member.last_changed for member in rig.audience.members.values()) < rig.clock.now()


def test_who_never_agreed_is_no_subscriber() -> None:
    """People known there without consent are contacts who only bought something."""
    rig = Rig()
    rig.sandbox.seed(["ann@example.org", "bob@example.org"], Random(1), known=1.0, consenting={"ann@example.org"})
    statuses = {member.address: member.status for member in rig.audience.members.values()}
    assert statuses == {"ann@example.org": "subscribed", "bob@example.org": "transactional"}


def test_a_whole_audience_is_read_and_tagged_without_lingering() -> None:
    """Ten thousand people, page by page: what a page costs does not grow with the audience."""
    rig = Rig()
    addresses = [f"p{number}@example.org" for number in range(10_000)]
    rig.sandbox.seed(addresses, Random(1), known=1.0)
    tag = rig.audience.add_tag("VIP")
    for start in range(0, 10_000, 500):
        body = {"members_to_add": addresses[start : start + 500]}
        assert rig.send("POST", f"{rig.path}/segments/{tag.id}", body=body).status == 200
    ids = set()
    for offset in range(0, 10_000, 1000):
        query = (("count", "1000"), ("offset", str(offset)), ("fields", "members.id,members.tags"))
        reply = rig.send("GET", f"{rig.path}/members", *query)
        ids |= {each["id"] for each in orjson.loads(reply.body)["members"]}

    assert len(ids) == 10_000
    assert rig.ask("GET", f"{rig.path}/segments/{tag.id}")["member_count"] == 10_000


def test_every_small_answer_is_as_declared(rig: Rig) -> None:
    """Ping, account, audiences and merge fields follow the definition to the letter."""
    for path in ("/ping", "/", "/lists", rig.path, f"{rig.path}/merge-fields", f"{rig.path}/tag-search", "/batches"):
        request = Request("GET", f"/3.0{path}", (), {}, b"")
        check_reply(request, rig.send("GET", path))
