"""Refusals, throttling and broken answers of the simulated Klaviyo account."""

from __future__ import annotations

import orjson
import pytest
from klaviyo_rig import NOW, Rig, adds, error, strangers
from scripted import times

from connector.base import Audience, Reply
from connector.errors import AuthError, BadReply, BadRequest, ScopeError, Stopped, Unavailable
from connector.klaviyo.sandbox_documents import Documents
from connector.klaviyo.wire import Refused
from connector.sandbox.faults import Faults
from connector.sandbox.wire import Drop, Request

HTML = Reply(503, {"content-type": "text/html"}, b"<html>Service Unavailable</html>")


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.mark.parametrize("headers", [{"retry-after": "7"}, {}])
def test_throttling_is_waited_for(rig: Rig, headers: dict[str, str]) -> None:
    """With Retry-After its seconds, without it a backoff of our own."""
    rig.account.add_person("ann@example.org")
    rig.instead = times(2, error(429, ("throttled", "Request was throttled.", None), headers=headers))

    (page,) = rig.destination.lookup(["ann@example.org"])

    assert len(page) == 1
    assert rig.destination.calls == 3
    assert rig.clock.slept >= (14 if headers else 0.0)


def test_our_pace_stays_within_the_limits(rig: Rig) -> None:
    """400 list changes need three minutes at 150 a minute, and the server never has to refuse one."""
    audience = rig.audience()
    person = rig.account.add_person("ann@example.org")
    for _ in range(400):
        rig.push(adds(audience, [person]))

    assert all(reply is not None and reply.status != 429 for _, _, reply in rig.seen)
    assert 120 <= rig.clock.slept < 180


def test_another_program_using_up_the_quota_is_respected(rig: Rig) -> None:
    """The server's own count slows us down before it has to refuse."""
    audience = rig.audience()
    person = rig.account.add_person("ann@example.org")
    other = rig.open(rig.sandbox.api_key)
    for number in range(600):
        destination = rig.destination if number % 2 else other
        destination.push(next(destination.batches(adds(audience, [person]))))
        rig.clock.advance(0.11)

    assert sum(reply is not None and reply.status == 429 for _, _, reply in rig.seen) <= 5
    assert rig.clock.now() - NOW >= 140


@pytest.mark.parametrize("trouble", [HTML, Drop(), Drop(timeout=True), error(500, ("error", "Oops", None))])
def test_passing_trouble_is_tried_again(rig: Rig, trouble: Reply | Drop) -> None:
    """Broken connections, 5xx and a proxy's page."""
    rig.account.add_person("ann@example.org")
    rig.instead = times(2, trouble)

    assert len(next(iter(rig.destination.lookup(["ann@example.org"])))) == 1


def test_lasting_trouble_ends_as_unavailable(rig: Rig) -> None:
    """One line, exit 4."""
    rig.instead = times(1000, HTML)

    with pytest.raises(Unavailable, match=r"^klaviyo: GetProfiles: HTTP 503; gave up after 8 tries") as caught:
        list(rig.destination.lookup(["ann@example.org"]))
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("status", [400, 401])
def test_a_wrong_key_is_refused(status: int) -> None:
    """Klaviyo says 400 or 401; both are the key, and the key is not in the text."""
    rig = Rig(key_status=status)
    with pytest.raises(AuthError, match=r"^klaviyo: GetAccounts: the key is refused .*request ") as caught:
        rig.open("pk_wrong_key").doctor()

    assert "pk_wrong_key" not in str(caught.value)
    assert rig.destination.doctor()


def test_a_missing_scope_is_named(rig: Rig) -> None:
    """In the error of the call that needs it."""
    rig.sandbox.scopes -= {"profiles:read"}

    with pytest.raises(ScopeError, match="needs profiles:read"):
        list(rig.destination.lookup(["ann@example.org"]))


def test_a_retired_revision_asks_for_an_update(rig: Rig) -> None:
    """410 instead of falling forward silently."""
    rig.sandbox.retired.add("2026-10-15")

    with pytest.raises(Stopped, match="no longer serves revision 2026-10-15; update regulars"):
        rig.destination.doctor()


@pytest.mark.parametrize("body", [b"[]", b"{}", b"null"])
def test_an_answer_that_is_no_document_is_no_answer(rig: Rig, body: bytes) -> None:
    """A proxy's 200 must not look like an empty account."""
    rig.instead = times(1, Reply(200, {}, body))

    with pytest.raises(BadReply, match="without a JSON:API document"):
        list(rig.destination.lookup(["ann@example.org"]))


def test_of_two_profiles_at_one_address_the_one_that_must_not_be_mailed_counts(rig: Rig) -> None:
    """Whether both show the address, or one is merged and answers to it beside the one that shows it."""
    people = {
        name: rig.account.add_person(f"{name}@example.org", suppressed=reason)
        for name, reason in (("ann", None), ("bob", None), ("twin", "HARD_BOUNCE"), ("merged", "SPAM_COMPLAINT"))
    }
    answers = {"ann@example.org": ["ann", "twin"], "bob@example.org": ["bob", "merged"], "cy@example.org": []}

    def answer(request: Request) -> Reply:
        asked = [address for address in answers if f'"{address}"' in dict(request.query)["filter"]]
        documents = Documents(rig.account, "https://a.klaviyo.com")
        found = {name: documents.person(people[name], subscriptions=True) for each in asked for name in answers[each]}
        if "twin" in found:
            found["twin"]["attributes"]["email"] = "ann@example.org"
        links = {"self": "https://a.klaviyo.com/x", "next": None}
        return Reply(200, {}, orjson.dumps({"data": [*found.values()], "links": links}))

    rig.instead = answer
    (page,) = rig.destination.lookup([*answers])

    assert {profile.email: (profile.remote_id, profile.reason) for profile in page} == {
        "ann@example.org": (people["twin"].id, "HARD_BOUNCE"),
        "bob@example.org": (people["merged"].id, "SPAM_COMPLAINT"),
    }


def test_an_import_without_an_id_is_no_import(rig: Rig) -> None:
    """An empty id would turn the next path into the collection of all imports."""
    rig.instead = times(1, Reply(202, {}, b'{"data":{"type":"profile-bulk-import-job","id":""}}'), "POST")

    with pytest.raises(BadReply, match="carries no id"):
        rig.push(strangers(rig.audience(), ["a@example.org"]))


def test_pages_that_lead_in_a_circle_are_detected(rig: Rig) -> None:
    """Instead of reading for ever."""
    audience = rig.audience()
    link = f"https://a.klaviyo.com/api/lists/{audience.remote_id}/relationships/profiles?page%5Bcursor%5D="
    cursors = iter("ababab")

    def circle(request: object) -> Reply:
        return Reply(200, {}, orjson.dumps({"data": [], "links": {"self": link, "next": link + next(cursors)}}))

    rig.instead = circle
    with pytest.raises(BadReply, match="leads back"):
        list(rig.destination.members(audience))


def test_the_key_follows_no_link_to_another_host(rig: Rig) -> None:
    """Only path and query of the next page's link are used."""
    audience = rig.audience()
    evil = f"https://evil.example/api/lists/{audience.remote_id}/relationships/profiles?page%5Bsize%5D=5"
    document = orjson.dumps({"data": [], "links": {"self": evil, "next": evil}})
    rig.instead = times(1, Reply(200, {}, document))

    assert list(rig.destination.members(audience)) == []
    assert {request.headers["host"] for _, request, _ in rig.seen} == {"a.klaviyo.com"}


def test_a_refused_request_shows_reason_and_request_id(rig: Rig) -> None:
    """A name that Klaviyo does not take."""
    with pytest.raises(
        Refused, match=r"^klaviyo: CreateList: HTTP 400: 'name' may not be blank. \(request 0000"
    ) as caught:
        rig.destination.create(Audience("vip", " "))
    assert isinstance(caught.value, BadRequest)


@pytest.mark.parametrize("retry_after", [3, None])
def test_the_simulator_throttles_by_script(retry_after: int | None) -> None:
    """The 429 of the script looks like the one of the limits."""
    faults = Faults()
    faults.add("GetProfiles", "throttled", times=3, retry_after=retry_after)
    rig = Rig(faults=faults)

    assert list(rig.destination.lookup(["ann@example.org"])) == [[]]
    assert [reply.status for _, _, reply in rig.seen if reply] == [429, 429, 429, 200]
