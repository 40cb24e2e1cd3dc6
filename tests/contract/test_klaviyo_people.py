"""People in the simulated Klaviyo account: who is known there, and who may be mailed."""

from __future__ import annotations

import pytest
from klaviyo_rig import NOW, Rig


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_lookup_answers_under_the_address_asked_for(rig: Rig) -> None:
    """Plus parts, capitals and apostrophes find their profile; strangers and malformed addresses find none."""
    known = [rig.account.add_person(each) for each in ("ann+shop@example.org", "o'neil@example.org", "zoë@exämple.org")]
    asked = ["Ann+Shop@Example.org", "o'neil@example.org", "zoë@exämple.org", "nobody@example.org", 'a"b', "no at"]

    (page,) = rig.destination.lookup(asked)

    assert [(profile.email, profile.remote_id) for profile in page] == [
        (address, person.id) for address, person in zip(asked, known, strict=False)
    ]


def test_lookup_takes_a_hundred_addresses_a_call(rig: Rig) -> None:
    """750 addresses cost eight calls, and every known one comes back once."""
    people = [rig.account.add_person(f"p{number}@example.org") for number in range(750)]

    pages = list(rig.destination.lookup([person.email for person in people]))

    assert rig.names() == ["GET /api/profiles"] * 8
    assert [profile.remote_id for page in pages for profile in page] == [person.id for person in people]


def test_long_addresses_keep_the_request_line_short(rig: Rig) -> None:
    """A lookup is cut by its length as well as by its number."""
    list(rig.destination.lookup([f"{'x' * 200}{number}@example.org" for number in range(100)]))

    assert len(rig.seen) > 1
    assert all(len(dict(request.query)["filter"]) < 8000 for _, request, _ in rig.seen)


@pytest.mark.parametrize("reason", ["HARD_BOUNCE", "INVALID_EMAIL", "SPAM_COMPLAINT", "USER_SUPPRESSED"])
def test_suppressed_people_may_not_be_mailed(rig: Rig, reason: str) -> None:
    """Any global suppression counts, and the reason is kept."""
    rig.account.add_person("ann@example.org", consent="SUBSCRIBED", suppressed=reason)

    ((profile,),) = rig.destination.lookup(["ann@example.org"])

    assert (profile.mailable, profile.reason) == (False, reason)


def test_opted_out_people_may_not_be_mailed_and_the_undecided_may(rig: Rig) -> None:
    """Klaviyo holds nothing against a profile that never subscribed: whether it agreed is the shop's knowledge."""
    rig.account.unsubscribe(rig.account.add_person("out@example.org", consent="SUBSCRIBED"))
    rig.account.add_person("never@example.org")

    (page,) = rig.destination.lookup(["out@example.org", "never@example.org"])

    assert [profile.mailable for profile in page] == [False, True]


def test_a_merged_profile_is_found_by_its_former_address(rig: Rig) -> None:
    """It shows another address than the one asked for, and still is told apart from strangers."""
    merged = rig.account.add_person("new@example.org", aliases=["old@example.org"])
    other = rig.account.add_person("other@example.org")
    asked = ["a@example.org", "other@example.org", "b@example.org", "old@example.org", "c@example.org"]

    (page,) = rig.destination.lookup(asked)

    assert {profile.email: profile.remote_id for profile in page} == {
        "other@example.org": other.id,
        "old@example.org": merged.id,
    }


def test_changed_tells_of_updates_and_of_suppressions(rig: Rig) -> None:
    """Somebody suppressed long after the last update is still seen; who did not change is not."""
    rig.account.add_person("still@example.org")
    quiet = rig.account.add_person("quiet@example.org")
    rig.clock.advance(3600)
    rig.account.suppress(quiet)
    rig.account.add_person("fresh@example.org")

    changed = {profile.email: profile.mailable for page in rig.destination.changed(NOW + 3600) for profile in page}

    assert changed == {"fresh@example.org": True, "quiet@example.org": False}
    assert len(rig.seen) == 2


def test_changed_follows_all_pages(rig: Rig) -> None:
    """230 changed profiles come in three pages."""
    for number in range(230):
        rig.account.add_person(f"p{number}@example.org")

    found = [profile.email for page in rig.destination.changed(NOW) for profile in page]

    assert len(found) == len(set(found)) == 230
    assert len(rig.seen) == 4
