"""How calls to Klaviyo are built and its replies judged, without any account."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base import Call, Ok, Rejected, Reply, RetryAfter, Usage
from connector.errors import AuthError, BadReply, PlatformError, ScopeError, Stopped
from connector.klaviyo import wire, wire_imports, wire_lists, wire_profiles
from connector.klaviyo.isolate import Isolation
from connector.klaviyo.limits import Operation, limits
from connector.klaviyo.sandbox_query import parse_filter

WIRE = wire.KlaviyoWire()
CALL = wire_profiles.any_profile()
NOW = 1_795_000_000
texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)


def problem(status: int, code: str = "invalid", detail: str = "No.", **headers: str) -> Reply:
    body = {"errors": [{"id": "req-1", "status": status, "code": code, "title": "t", "detail": detail}]}
    return Reply(status, headers, orjson.dumps(body))


def rejection(reply: Reply, call: Call = CALL) -> PlatformError:
    verdict = WIRE.judge(call, reply)
    assert isinstance(verdict, Rejected)
    assert isinstance(verdict.error, PlatformError)
    return verdict.error


def test_calls_carry_our_revision_and_decline_another() -> None:
    """Writes also name their media type, because the API refuses application/json."""
    read, write = wire_lists.get_account(), wire_lists.create_list("VIP")

    assert read.headers == {
        "accept": "application/vnd.api+json",
        "revision": "2026-10-15",
        "x-klaviyo-revision-fall-forward-opt-out": "1",
    }
    assert write.headers == {**read.headers, "content-type": "application/vnd.api+json"}
    assert write.json == {"data": {"type": "list", "attributes": {"name": "VIP"}}}


@given(st.lists(texts, min_size=1, max_size=5))
def test_no_value_breaks_out_of_a_filter(values: list[str]) -> None:
    """Quotes, brackets, commas and backslashes stay part of the value, whatever it holds."""
    (condition,) = parse_filter(wire.any_of("name", values), {"name": ("any",)})

    assert condition.value == values


@given(texts)
def test_an_id_cannot_leave_its_place_in_a_path(list_id: str) -> None:
    """Slashes and question marks in an id do not lead to another endpoint; an empty id is an error of ours."""
    if not list_id:
        with pytest.raises(ValueError, match="without an id"):
            wire_lists.member_ids(list_id)
    else:
        assert wire_lists.member_ids(list_id).path.count("/") == 5


def test_an_import_without_an_id_is_an_error_of_ours() -> None:
    """Its path would be the collection of all imports."""
    with pytest.raises(ValueError, match="without an id"):
        wire_imports.get_job("")


def test_nothing_but_addresses_goes_into_an_import() -> None:
    """No null, no external id, no consent, and no list."""
    call = wire_imports.create_job(["ann@example.org"])

    assert call.json["data"]["attributes"] == {
        "profiles": {"data": [{"type": "profile", "attributes": {"email": "ann@example.org"}}]}
    }
    assert "relationships" not in call.json["data"]


def test_changes_are_asked_for_from_the_instant_on() -> None:
    """`updated` knows only "greater than", so a second earlier is asked for; suppressions know "greater or equal"."""
    updated = dict(wire_profiles.profiles_updated(1_795_000_000).params)
    suppressed = dict(wire_profiles.profiles_suppressed(1_795_000_000).params)

    assert updated["filter"] == "greater-than(updated,2026-11-18T11:06:39Z)"
    assert suppressed["filter"].endswith("suppression.timestamp,2026-11-18T11:06:40Z)")


@given(st.lists(st.emails(), max_size=300))
def test_groups_keep_everybody_in_order_within_the_limits(addresses: list[str]) -> None:
    """Of lookups and of imports alike."""
    for groups in (list(wire_profiles.groups(addresses)), list(wire_imports.groups(addresses))):
        assert [address for group in groups for address in group] == addresses
        assert all(groups)
    assert all(len(group) <= limits().pages.profiles for group in wire_profiles.groups(addresses))


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("ann+shop@example.org", True),
        ("o'neil@example.co.uk", True),
        ("zoë@exämple.org", True),
        ("ann@localhost", False),
        ("ann@@example.org", False),
        ("ann example@example.org", False),
        ("ann@example.org,bob@example.org", False),
        ("ann\u0000@example.org", False),
        ("", False),
        ("x" * 250 + "@example.org", False),
    ],
)
def test_only_addresses_that_may_exist_are_sent(address: str, fine: bool) -> None:
    """One malformed address fails a whole import."""
    assert wire_profiles.plausible(address) is fine


@pytest.mark.parametrize(
    ("marketing", "reason"),
    [
        ({"consent": "SUBSCRIBED", "can_receive_email_marketing": True, "suppression": []}, None),
        ({"consent": "NEVER_SUBSCRIBED", "can_receive_email_marketing": True, "suppression": None}, None),
        ({"consent": "UNSUBSCRIBED", "can_receive_email_marketing": True}, "UNSUBSCRIBED"),
        ({"consent": "SUBSCRIBED", "can_receive_email_marketing": False}, "SUPPRESSED"),
        (
            {
                "consent": "SUBSCRIBED",
                "can_receive_email_marketing": False,
                "suppression": [{"reason": "HARD_BOUNCE", "timestamp": "2026-01-01T00:00:00Z"}],
            },
            "HARD_BOUNCE",
        ),
    ],
)
def test_standing_is_read_from_consent_and_suppressions(marketing: dict[str, object], reason: str | None) -> None:
    """Each of the two alone is enough to leave somebody alone."""
    item = {"id": "P1", "attributes": {"email": "a@b.org", "subscriptions": {"email": {"marketing": marketing}}}}

    (row,) = wire_profiles.rows({"data": [item]})

    assert (row.mailable, row.reason) == (reason is None, reason)
    assert row.subscribed is (reason is None and marketing["consent"] == "SUBSCRIBED")


def test_no_subscriptions_are_no_consent() -> None:
    """A profile without any, such as one of a phone number, is neither subscribed nor kept back."""
    (row,) = wire_profiles.rows({"data": [{"id": "P1", "attributes": {"email": None}}]})

    assert (row.mailable, row.subscribed) == (True, False)


@pytest.mark.parametrize("operation", ["CreateEvent", "SubscribeProfiles"])
def test_an_accepted_write_may_have_no_body(operation: str) -> None:
    """202 and nothing else, where nothing is to be learnt; anywhere else an empty answer is none, and nowhere is a
    proxy's page an answer."""
    call = wire.call(operation, "POST", "/api/x")
    assert WIRE.judge(call, Reply(202, {}, b"")) == Ok()
    with pytest.raises(orjson.JSONDecodeError):
        WIRE.judge(call, Reply(200, {}, b"<html>"))
    with pytest.raises(orjson.JSONDecodeError):
        WIRE.judge(wire_imports.create_job(["ann@example.org"]), Reply(202, {}, b""))


def test_a_conflict_names_the_other_profile() -> None:
    """In the meta of its error; an error without one names nobody."""
    entry = {
        "id": "1",
        "code": "duplicate_profile",
        "title": "t",
        "detail": "d",
        "meta": {"duplicate_profile_id": "P9"},
    }
    body = orjson.dumps({"errors": [entry, {**entry, "meta": None}]})

    assert [each.profile for each in wire.errors(Reply(409, {}, body))] == ["P9", None]


def test_a_retired_revision_says_what_to_do() -> None:
    """With its date."""
    assert str(rejection(problem(410, "gone"))) == (
        "klaviyo: GetProfiles: Klaviyo no longer serves revision 2026-10-15; update regulars (request req-1)"
    )


def test_a_good_status_is_good() -> None:
    """204 has no body; any other good status has one that is JSON."""
    assert WIRE.judge(CALL, Reply(204, {}, b"")) == Ok()
    assert WIRE.judge(CALL, Reply(200, {}, b'{"data":[]}')) == Ok()
    with pytest.raises(orjson.JSONDecodeError):
        WIRE.judge(CALL, Reply(200, {}, b"<html>"))


@pytest.mark.parametrize(("headers", "seconds"), [({"retry-after": "12"}, 12.0), ({}, None)])
def test_429_waits_as_long_as_it_says(headers: dict[str, str], seconds: float | None) -> None:
    """A 429 carries Retry-After and no RateLimit headers, sometimes not even that."""
    assert WIRE.judge(CALL, Reply(429, headers, b"")) == RetryAfter(seconds, "HTTP 429")
    assert WIRE.usage(CALL, Reply(429, headers, b"")) is None


def test_a_wait_of_hours_is_a_limit_of_the_day() -> None:
    """Which no run waits for."""
    error = rejection(Reply(429, {"retry-after": "7200"}, b""), wire_lists.create_list("VIP"))

    assert isinstance(error, wire.DailyLimit)
    assert "150 new lists a day is used up; Klaviyo asks to wait 2.0 hours" in str(error)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_trouble_of_the_server_is_tried_again(status: int) -> None:
    """Whatever the body is."""
    assert WIRE.judge(CALL, Reply(status, {}, b"<html>")) == RetryAfter(None, f"HTTP {status}")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (problem(401, "authentication_failed", "Incorrect authentication credentials."), AuthError),
        (problem(400, "invalid", "Missing or invalid private key."), AuthError),
        (Reply(401, {}, b"<html>"), AuthError),
        (problem(403, "permission_denied", "You do not have permission."), ScopeError),
        (problem(410, "gone"), Stopped),
        (problem(404, "not_found"), wire.NotFound),
        (problem(400), wire.Refused),
        (problem(409, "duplicate_profile"), wire.Refused),
        (problem(415), wire.Refused),
        (Reply(422, {}, b""), wire.Refused),
        (Reply(304, {}, b""), BadReply),
    ],
)
def test_each_refusal_has_its_kind(reply: Reply, kind: type[PlatformError]) -> None:
    """None of them is sent again."""
    assert type(rejection(reply)) is kind


def test_a_missing_scope_is_named_with_the_server_s_words_and_id() -> None:
    """From the table of scopes, because the answer may not say it."""
    text = str(rejection(problem(403, "permission_denied", "No permission."), wire_lists.flow_triggers("L1")))

    assert text == (
        "klaviyo: GetListFlowTriggers: the key may not do this (No permission.): it needs flows:read, lists:read; "
        "create a key with these scopes (request req-1)"
    )


def test_no_address_gets_into_an_error() -> None:
    """The server repeats what it was sent."""
    error = rejection(problem(400, detail="ann@example.org is not a valid email address."))

    assert "ann@" not in str(error)
    assert "is not a valid email address" in str(error)


@pytest.mark.parametrize("limit", ["750", "75, 75;w=1, 750;w=60"])
def test_usage_is_the_minute_s_window(limit: str) -> None:
    """Plain numbers, or a list of windows of which the minute counts."""
    headers = {"ratelimit-limit": limit, "ratelimit-remaining": "740", "ratelimit-reset": "31"}

    usage = WIRE.usage(CALL, Reply(200, headers, b"{}"))

    assert usage == Usage("GetProfiles", available=740.0, maximum=750.0, rate=12.5, resets=31.0)


@pytest.mark.parametrize(
    "headers", [{}, {"ratelimit-limit": "750"}, {"ratelimit-limit": "x", "ratelimit-remaining": "1"}]
)
def test_usage_without_numbers_is_none(headers: dict[str, str]) -> None:
    """Nothing is guessed."""
    assert WIRE.usage(CALL, Reply(200, headers, b"{}")) is None


def test_the_next_page_keeps_operation_and_headers() -> None:
    """Path and query are the link's own."""
    link = "https://a.klaviyo.com/api/profiles?filter=any%28email%2C%5B%22a%2Bb%40c.org%22%5D%29&page%5Bcursor%5D=x"

    after = wire.following(CALL, {"data": [], "links": {"self": "", "next": link}})

    assert after is not None
    assert after.params == (("filter", 'any(email,["a+b@c.org"])'), ("page[cursor]", "x"))
    assert (after.operation, after.budget, after.headers) == (CALL.operation, CALL.budget, CALL.headers)
    assert wire.following(CALL, {"data": [], "links": {"next": None}}) is None
    assert wire.following(CALL, {"data": []}) is None


@pytest.mark.parametrize(
    ("pointer", "index"),
    [
        ("/data/attributes/profiles/data/17/attributes/email", 17),
        ("/data/3/id", 3),
        ("/data/3", 3),
        ("/data", None),
        ("/data/attributes", None),
        (None, None),
    ],
)
def test_pointers_name_rows(pointer: str | None, index: int | None) -> None:
    """A pointer to the whole request names none."""
    found = wire_imports.rows_named([wire.ApiError("1", "invalid", "No.", pointer)])

    assert found == ({} if index is None else {index: "No."})


@pytest.mark.parametrize(
    "payload",
    [
        {"email": "Ann@example.org"},
        {"attributes": {"email": "Ann@example.org"}},
        {"data": {"type": "profile", "attributes": {"email": "Ann@example.org"}}},
    ],
)
def test_the_failed_person_is_found_in_any_payload(payload: dict[str, object]) -> None:
    """The shape of `original_payload` is not documented."""
    attributes = {"code": "x", "title": "t", "detail": "d", "source": {"pointer": "/data"}, "original_payload": payload}

    (failure,) = wire_imports.failures({"data": [{"attributes": attributes}]})

    assert (failure.email, failure.index, failure.reason) == ("Ann@example.org", None, "d")


@pytest.mark.parametrize(("calls", "seconds"), [(0, 0.0), (1, 0.1), (150, 15.0), (151, 60.1), (300, 75.0)])
def test_seconds_count_bursts_and_minutes(calls: int, seconds: float) -> None:
    """150 calls fit into a minute, the 151st waits for the next."""
    assert Operation(burst=10, steady=150, scopes=()).seconds(calls) == pytest.approx(seconds)


@given(size=st.integers(1, 200), bad=st.sets(st.integers(0, 199), max_size=3))
def test_isolation_finds_exactly_the_bad(size: int, bad: set[int]) -> None:
    """Halving refuses the bad and sends each good one once, unless nobody at all is accepted."""
    items = [str(number) for number in range(size)]
    guilty = {str(number) for number in bad if number < size}

    def send(group: object) -> None:
        assert isinstance(group, list)
        if guilty & set(group):
            raise wire.Refused("Test", "no", None, status=400, errors=())

    isolation: Isolation[None] = Isolation(send, most=64)
    isolation.run(items)

    sent = [item for group, _ in isolation.accepted for item in group]
    assert sorted([*sent, *isolation.refused, *isolation.waiting]) == sorted(items)
    if len(guilty) < size:
        assert set(isolation.refused) == guilty
        assert not isolation.waiting
    elif size > 1:
        assert set(isolation.waiting) == guilty
