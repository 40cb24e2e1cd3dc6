"""Contacts of the simulated Wix site in both versions: finding, merging, deleting, labels, consent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wix_rig import DAY, NOW, Rig

V4 = "/contacts/v4/contacts"
V5 = "/contacts/v5/contacts"
CREATED = [{"fieldName": "createdDate", "order": "ASC"}]
UPDATED = [{"fieldName": "updatedDate", "order": "ASC"}]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def _code(error: Any) -> str:
    return str(error["details"]["applicationError"]["code"])


def _ids(contacts: list[Any]) -> list[str]:
    return [contact["id"] for contact in contacts]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"sort": UPDATED}, "UNSUPPORTED_SORT_FIELD"),
        ({"sort": CREATED * 2}, "UNSUPPORTED_SORT"),
        ({"paging": {"limit": 1001}}, "ILLEGAL_LIMIT"),
        ({"paging": {"limit": 0}}, "ILLEGAL_LIMIT"),
        ({"filter": {"updatedDate": {"$in": ["2026-01-01T00:00:00Z"]}}}, "UNSUPPORTED_FILTER_OPERATOR"),
        ({"filter": {"info.labelKeys": {"$in": ["custom.a"]}}}, "UNSUPPORTED_FILTER_OPERATOR"),
        ({"filter": {"info.labelKeys": "custom.a"}}, "UNSUPPORTED_FILTER_OPERATOR"),
        ({"filter": {"dateUpdated": "x"}}, "UNSUPPORTED_FILTER_FIELD_UNKNOWN"),
        ({"filter": {"createdDate": {"$gte": 5}}}, "UNSUPPORTED_FILTER_VALUE"),
        ({"filter": []}, "MALFORMED_FILTER"),
    ],
)
def test_queries_are_refused_with_the_codes_of_the_page(rig: Rig, query: Any, code: str) -> None:
    """Clients switch on the code of the application error."""
    assert _code(rig.open().refused(f"{V4}/query", {"query": query})) == code


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{V4}/query", {"query": {"cursorPaging": {"limit": 5}}}),
        (f"{V4}/query", []),
        (f"{V5}/query", {"query": {"paging": {"limit": 5}}}),
        (f"{V5}/query", {"query": {"fieldsets": ["FULL"]}}),
        (f"{V5}/query", {"search": {}}),
        (f"{V5}/search", {"query": {}}),
    ],
)
def test_the_form_of_the_other_version_is_no_object(rig: Rig, path: str, body: Any) -> None:
    """The words of a live site for a body of the wrong version."""
    assert rig.open().refused(path, body)["message"] == "Expected an object"


def test_fieldsets_stand_inside_the_query(rig: Rig) -> None:
    """Beside it they are refused; BASIC leaves labels and the primary address out."""
    person = rig.person(tags=["VIP"])
    rig.open()
    rig.refused(f"{V4}/query", {"query": {}, "fieldsets": ["FULL"]})
    full = rig.contacts(fieldsets=["FULL"])[0]
    basic = rig.contacts(fieldsets=["BASIC"])[0]
    assert full["info"]["labelKeys"] == {"items": ["custom.vip"]}
    assert full["primaryEmail"]["email"] == person.email
    assert "labelKeys" not in basic["info"]
    assert "primaryEmail" not in basic


def test_contacts_of_version_4_come_by_offset_with_a_total(rig: Rig) -> None:
    """One sort object, and the number of all matches on every page."""
    people = [rig.world.add_customer(f"p{n}@example.com", at=NOW - n * DAY) for n in range(5, 0, -1)]
    rig.open()
    pages = [
        rig.post(f"{V4}/query", {"query": {"sort": CREATED, "paging": {"limit": 2, "offset": offset}}})
        for offset in (0, 2, 4, 6)
    ]
    assert [person.guid for person in people] == [id_ for page in pages for id_ in _ids(page["contacts"])]
    assert pages[1]["pagingMetadata"] == {"count": 2, "offset": 2, "total": 5, "tooManyToCount": False}
    assert len(rig.contacts(filter={"createdDate": {"$gte": "2026-11-16T00:00:00Z"}})) == 2
    assert _ids(rig.contacts(filter={"id": {"$in": [people[0].guid, "x"]}})) == [people[0].guid]
    assert _ids(rig.post(f"{V4}/query", {"search": "P1@example.com"})["contacts"]) == [people[4].guid]


def test_a_contact_shows_what_the_world_knows(rig: Rig) -> None:
    """Consent and its date, place with the country in the region, language, the latest thing they did."""
    person = rig.person(
        first_name="Ana", last_name="Ruiz", country="US", region="CA", city="Fresno", zip="93650", language="es",
        phone="+15551234567", email_consent="SUBSCRIBED", email_consent_at=NOW - DAY,
    )  # fmt: skip
    rig.order(person, at=NOW - 3600)
    rig.open()
    (shown,) = rig.contacts()
    address = {"country": "US", "subdivision": "US-CA", "city": "Fresno", "postalCode": "93650"}
    assert shown["info"]["addresses"]["items"][0]["address"] == address
    assert shown["lastActivity"]["activityType"] == "ECOM_PURCHASE"
    assert shown["primaryEmail"]["subscriptionStatus"] == "SUBSCRIBED"
    assert shown["info"]["labelKeys"]["items"] == ["contacts.customers"]
    (newer,) = rig.post(f"{V5}/query", {"query": {}})["contacts"]
    assert (newer["name"], newer["locale"]) == ({"first": "Ana", "last": "Ruiz"}, "es")
    assert newer["email"]["subscriptionStatus"] == {"status": "SUBSCRIBED", "updatedDate": "2026-11-17T11:06:40.000Z"}
    assert "labelKeys" not in str(newer)


@pytest.mark.parametrize(
    ("consent", "status", "deliverability"),
    [
        ("SUBSCRIBED", "SUBSCRIBED", "VALID"),
        ("UNSUBSCRIBED", "UNSUBSCRIBED", "VALID"),
        ("PENDING", "PENDING", "VALID"),
        ("NOT_SUBSCRIBED", "NOT_SET", "VALID"),
        ("INVALID", "NOT_SET", "BOUNCED"),
    ],
)
def test_consent_is_told_in_wix_s_words(rig: Rig, consent: str, status: str, deliverability: str) -> None:
    """The same in the contact and in the subscription of the address."""
    rig.person(email_consent=consent)
    rig.open()
    shown = rig.contacts()[0]["primaryEmail"]
    row = _subscriptions(rig, ["ana@example.com"])[0]
    for each in (shown, row):
        assert (each["subscriptionStatus"], each["deliverabilityStatus"]) == (status, deliverability)


def test_nothing_is_shown_of_somebody_without_facts(rig: Rig) -> None:
    """No address, no name: the keys are absent, not empty."""
    rig.person(None)
    rig.open()
    (shown,) = rig.contacts()
    assert not {"primaryInfo", "primaryEmail", "primaryPhone"} & set(shown)
    assert shown["info"].keys() == {"locale"}


def test_revisions_count_changes_as_a_number_or_as_text(rig: Rig) -> None:
    """An integer in version 4, a string in version 5, one more with every change."""
    person = rig.person()
    rig.open()
    rig.clock.advance(60)
    rig.world.change_email(person, "new@example.com")
    shown = rig.get(f"{V4}/{person.guid}")["contact"]
    assert (shown["revision"], shown["updatedDate"]) == (2, "2026-11-18T11:07:40.000Z")
    assert rig.get(f"{V5}/{person.guid}")["contact"]["revision"] == "2"


def test_a_merged_id_leads_to_the_survivor(rig: Rig) -> None:
    """It is gone from queries and not in the trash; the survivor has the labels of both."""
    loser, survivor, third = (
        rig.person(tags=["A"]),
        rig.person("b@example.com", tags=["B"]),
        rig.person("c@example.com"),
    )
    order = rig.order(loser, at=NOW - DAY)
    rig.open()
    rig.world.merge(loser, survivor)
    rig.world.merge(survivor, third)
    reply = rig.get(f"{V4}/{loser.guid}")
    assert (reply["responseType"], reply["contact"]["id"]) == ("MERGED", third.guid)
    assert rig.get(f"{V4}/{third.guid}")["responseType"] == "REGULAR"
    rig.settle()
    assert _ids(rig.contacts()) == [third.guid]
    assert set(rig.contacts()[0]["info"]["labelKeys"]["items"]) >= {"custom.a", "custom.b"}
    assert rig.get(f"{V5}/trash-bin")["contacts"] == []
    (shown,) = rig.orders()
    assert (shown["buyerInfo"]["contactId"], shown["updatedDate"]) == (third.guid, "2026-11-17T11:06:40.000Z")
    assert shown["id"] == order.guid


def test_old_orders_may_keep_the_id_that_was_merged_away() -> None:
    """Whether they do is not documented, so a site can be either."""
    rig = Rig(moved=False)
    loser, survivor = rig.person(), rig.person("b@example.com")
    rig.order(loser)
    rig.open()
    rig.world.merge(loser, survivor)
    rig.settle()
    assert rig.orders()[0]["buyerInfo"]["contactId"] == loser.guid
    assert len(rig.orders(filter={"buyerInfo.contactId": loser.guid})) == 1


def test_a_deleted_contact_is_in_the_trash_for_90_days(rig: Rig) -> None:
    """Reading it says CONTACT_NOT_FOUND; the trash can be asked by date and by id, page by page."""
    people = [rig.person(f"p{n}@example.com") for n in range(3)]
    rig.open()
    for person in people:
        rig.clock.advance(10)
        rig.world.delete_customer(person)
    reply = rig.call("GET", f"{V4}/{people[0].guid}")
    assert (reply.status, b"CONTACT_NOT_FOUND" in reply.body) == (404, True)
    assert _ids(rig.contacts()) == [people[2].guid]
    rig.settle()
    assert rig.contacts() == []
    first = rig.get(f"{V5}/trash-bin", ("paging.limit", "2"))
    second = rig.get(
        f"{V5}/trash-bin", ("paging.limit", "2"), ("paging.cursor", first["pagingMetadata"]["cursors"]["next"])
    )
    assert _ids(first["contacts"] + second["contacts"]) == [person.guid for person in people]
    assert not second["pagingMetadata"]["hasNext"]
    since = rig.get(f"{V5}/trash-bin", ("deletedFromDate", "2026-11-18T11:07:10.000Z"))
    assert _ids(since["contacts"]) == [people[2].guid]
    assert _ids(rig.get(f"{V5}/trash-bin", ("contactIds", people[1].guid))["contacts"]) == [people[1].guid]
    assert rig.get(f"{V5}/trash-bin/{people[1].guid}")["contact"]["id"] == people[1].guid
    rig.clock.advance(90 * DAY)
    assert rig.get(f"{V5}/trash-bin")["contacts"] == []


def test_contacts_of_version_5_come_by_cursor_in_the_order_of_change(rig: Rig) -> None:
    """At most 100 a page, upwards only; search sorts downwards too, and count counts."""
    people = [rig.person(f"p{n}@example.com") for n in range(3)]
    rig.open()
    for person in reversed(people):
        rig.clock.advance(5)
        rig.world.touch(person)
    rig.settle()
    first = rig.post(f"{V5}/query", {"query": {"sort": UPDATED, "cursorPaging": {"limit": 2}}})
    paging = {"limit": 2, "cursor": first["pagingMetadata"]["cursors"]["next"]}
    rest = rig.post(f"{V5}/query", {"query": {"cursorPaging": paging}})
    assert _ids(first["contacts"] + rest["contacts"]) == [person.guid for person in reversed(people)]
    assert (first["pagingMetadata"]["hasNext"], rest["pagingMetadata"]["hasNext"]) == (True, False)
    rig.refused(f"{V5}/query", {"query": {"sort": [{"fieldName": "updatedDate", "order": "DESC"}]}})
    rig.refused(f"{V5}/query", {"query": {"cursorPaging": {"limit": 101}}})
    rig.refused(f"{V5}/search", {"search": {"cursorPaging": paging}})
    down = [{"fieldName": "updatedDate", "order": "DESC"}]
    found = rig.post(
        f"{V5}/search", {"search": {"sort": down, "filter": {"email.subscriptionStatus.status": "NOT_SET"}}}
    )
    assert _ids(found["contacts"]) == [person.guid for person in people]
    assert rig.post(f"{V5}/count", {"filter": {"email.email": "p1@example.com"}}) == {"count": 1}


def test_version_5_may_be_missing() -> None:
    """Then everything of it is a 404, and version 4 works on."""
    rig = Rig(v5=False).open()
    for path in (f"{V5}/query", f"{V5}/search", f"{V5}/count"):
        rig.refused(path, {}, 404)
    assert rig.call("GET", f"{V5}/trash-bin").status == 404
    rig.contacts()


def test_a_change_of_labels_moves_the_contact_and_is_found_later(rig: Rig) -> None:
    """Date and revision move with a difference only; reading by id shows it at once, queries after the lag."""
    person, other = rig.person(), rig.person("b@example.com")
    rig.open()
    label = rig.site.add_label("Seg: VIP")
    rig.clock.advance(60)
    assert rig.site.relabel(person.number, add=[label.key])
    assert not rig.site.relabel(person.number, add=[label.key])
    assert not rig.site.relabel(other.number, remove=[label.key])
    shown = rig.get(f"{V4}/{person.guid}")["contact"]
    assert (shown["revision"], shown["updatedDate"]) == (2, "2026-11-18T11:07:40.000Z")
    wanted = {"info.labelKeys": {"$hasSome": [label.key]}}
    assert rig.contacts(filter=wanted) == []
    assert "labelKeys" not in rig.contacts(filter={"id": person.guid})[0]["info"]
    rig.settle()
    assert _ids(rig.contacts(filter=wanted)) == [person.guid]
    rig.site.delete_label(label)
    rig.settle()
    assert rig.contacts(filter=wanted) == []
    assert rig.world.customers[person.number].updated_at < NOW


def test_the_world_s_tags_are_labels_of_the_owner(rig: Rig) -> None:
    """They come and go with it, beside labels that others made."""
    person = rig.person(tags=["VIP"])
    rig.open()
    own = rig.site.add_label("Seg: VIP")
    rig.site.relabel(person.number, add=[own.key])
    rig.world.add_tags(person, ["Press"])
    rig.world.remove_tags(person, ["vip"])
    assert rig.site.contact(person.number).labels == (own.key, "custom.press")


def _subscriptions(rig: Rig, emails: list[str], **paging: int) -> list[Any]:
    body = {"filter": {"email": {"$in": emails}}, **({"paging": paging} if paging else {})}
    found: list[Any] = rig.post("/email-marketing/v1/email-subscriptions/query", body)["subscriptions"]
    return found


def test_subscriptions_are_found_by_address_50_at_most() -> None:
    """Whatever the limit says; addresses nobody has are missing; the case does not matter."""
    rig = Rig(check=False)
    emails = [f"p{n}@example.com" for n in range(60)]
    for email in emails:
        rig.person(email)
    rig.open()
    assert len(_subscriptions(rig, emails, limit=100)) == 50
    found = _subscriptions(rig, ["P3@Example.com", "nobody@example.com"])
    assert [row["email"] for row in found] == ["p3@example.com"]


def test_people_who_share_an_address_share_its_consent(rig: Rig) -> None:
    """The latest decision holds for the address."""
    rig.person(email_consent="SUBSCRIBED", email_consent_at=NOW - 2 * DAY)
    rig.person("ANA@example.com", email_consent="UNSUBSCRIBED", email_consent_at=NOW - DAY)
    rig.open()
    (row,) = _subscriptions(rig, ["ana@example.com"])
    assert row["subscriptionStatus"] == "UNSUBSCRIBED"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": {"filter": {"email": {"$in": ["a@example.com"]}}}},
        {"filter": {"email": "a@example.com"}},
        {"filter": {"id": {"$in": ["x"]}}},
        {"filter": {"email": {"$eq": "a@example.com"}}},
    ],
)
def test_subscriptions_can_be_asked_for_in_one_way_only(rig: Rig, body: Any) -> None:
    """`email` with `$in`, and no envelope."""
    rig.open().refused("/email-marketing/v1/email-subscriptions/query", body)


def test_whoever_writes_consent_is_noted(rig: Rig) -> None:
    """The endpoint works, and every call can be held against its caller."""
    person = rig.person(email_consent="SUBSCRIBED")
    rig.open()
    row = {"email": "ana@example.com", "subscriptionStatus": "UNSUBSCRIBED"}
    reply = rig.post("/email-marketing/v1/email-subscriptions/bulk", {"subscriptions": [row]})
    assert reply["metadata"] == {"totalSuccess": 1, "totalFailure": 0}
    assert rig.site.consent_writes == [row]
    assert person.email_consent == "UNSUBSCRIBED"


@settings(max_examples=25, deadline=None)
@given(
    moves=st.lists(
        st.tuples(st.sampled_from(["touch", "delete", "merge", "label", "add"]), st.integers(0, 9)), max_size=12
    )
)
def test_once_settled_both_versions_tell_of_the_same_living_contacts(moves: list[tuple[str, int]]) -> None:
    """Whatever happened, the queries of both versions and the world agree on who is there and how they look."""
    rig = Rig()
    for n in range(6):
        rig.world.add_customer(f"p{n}@example.com", at=NOW - n)
    rig.open()
    label = rig.site.add_label("Seg: any")
    for kind, which in moves:
        rig.clock.advance(1)
        people = list(rig.world.customers.values())
        if kind == "add" or len(people) < 2:
            rig.world.add_customer(f"n{len(people)}@example.com")
            continue
        person = people[which % len(people)]
        if kind == "touch":
            rig.world.touch(person)
        elif kind == "delete":
            rig.world.delete_customer(person)
        elif kind == "merge":
            rig.world.merge(person, people[(which + 1) % len(people)])
        else:
            rig.site.relabel(person.number, add=[label.key])
    rig.settle()
    older = {each["id"]: each for each in rig.contacts(sort=CREATED, paging={"limit": 1000})}
    newer = {each["id"]: each for each in rig.post(f"{V5}/query", {"query": {"sort": UPDATED}})["contacts"]}
    assert set(older) == set(newer) == {each.guid for each in rig.world.customers.values()}
    for id_, each in older.items():
        assert each == rig.get(f"{V4}/{id_}")["contact"]
        assert (each["updatedDate"], str(each["revision"])) == (newer[id_]["updatedDate"], newer[id_]["revision"])
