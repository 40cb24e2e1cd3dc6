"""Every destination × what may become of a person: refused, forgotten, deleted, opted out, written in capitals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from destinations import everywhere, opened
from destinations_mail import MailchimpTags
from destinations_rig import Place


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Place]:
    yield from opened(request.param, tmp_path, caplog)


@pytest.mark.parametrize(("filled", "one"), [(True, 22), (False, 12)], ids=["later", "first fill"])
@everywhere()
def test_one_of_a_request_is_not_carried_out_and_the_others_are(place: Place, filled: bool, one: int) -> None:
    """Partial success: the one waits or is refused, by a reason that names nobody; the others are in."""
    if filled:
        place.fill()
    wanted = set(place.keys[2:26] if filled else place.keys[:20])
    bad = place.keys[one]
    place.want(wanted)
    plan = place.plan()
    with place.hands():
        place.refuse(bad)
    report = place.apply(plan)
    assert place.members() == wanted - {bad}
    assert (report.exit_code, report.refused + report.unfinished) == (4, 1)
    assert len(report.destinations[0].reasons) == 1


@everywhere()
def test_somebody_forgotten_is_refused_once_and_not_asked_for_again(place: Place) -> None:
    """Unknown there, then refused for ever: until the person's own record changes, no request is spent on them."""
    place.fill()
    place.want(place.keys[:21])
    plan = place.plan()
    with place.hands():
        place.forget(place.keys[20])
    report = place.apply(plan)
    assert (report.exit_code, report.refused, report.unfinished) == (4, 1, 0)
    before = place.writes()
    for _ in range(3):
        place.later()
        again = place.sync()
        assert (again.exit_code, again.refused) == (0, 0)
    assert place.writes() == before
    assert place.members() == set(place.keys[:20])


@everywhere()
def test_somebody_deleted_between_plan_and_apply(place: Place) -> None:
    """Who joins is refused, or made anew where that may be; who leaves is gone, which is what was wanted."""
    place.fill()
    joins, leaves = place.keys[22], place.keys[0]
    place.want(place.keys[2:26])
    plan = place.plan()
    with place.hands():
        place.delete(joins)
        place.delete(leaves)
    report = place.apply(plan)
    left_out = set() if place.returns else {joins}
    assert place.members() == {*place.keys[2:26]} - left_out
    assert (report.refused, report.unfinished) == (len(left_out), 0)
    assert report.destinations[0].removed == 2
    place.later()
    assert not place.plan().pending


@everywhere("consent")
def test_who_is_suppressed_is_left_out_and_leaves(place: Place) -> None:
    """A newcomer who bounced is not even tried; a member who bounces is out with the next run."""
    place.fill()
    with place.hands():
        place.suppress(place.keys[20])
        place.suppress(place.keys[5])
    place.want(place.keys[:22])
    plan = place.plan()
    assert plan.audiences[0].skipped == {"suppressed": 2}
    assert place.apply(plan).exit_code == 0
    assert place.members() == {*place.keys[:22]} - {place.keys[20], place.keys[5]}


@everywhere("consent")
def test_who_opts_out_at_the_store_between_plan_and_apply_is_not_sent(place: Place) -> None:
    """Consent is read again at the last moment; a member leaves with the next plan."""
    place.fill()
    place.want(place.keys[:22])
    plan = place.plan()
    for number in (place.keys[20], place.keys[5]):
        place.rig.change(number, email_status="UNSUBSCRIBED")
    report = place.apply(plan)
    assert (report.exit_code, report.destinations[0].dropped) == (0, 1)
    assert place.members() == {*place.keys[:20], place.keys[21]}
    place.later()
    assert place.sync().exit_code == 0
    assert place.members() == {*place.keys[:20], place.keys[21]} - {place.keys[5]}


@everywhere("consent")
def test_who_opts_out_there_between_plan_and_apply_stays_opted_out(place: Place) -> None:
    """Whatever the one request does, nobody is subscribed by it, and the next run has them out."""
    place.fill()
    place.want(place.keys[:22])
    plan = place.plan()
    with place.hands():
        place.unsubscribe(place.keys[20])
        place.unsubscribe(place.keys[5])
    place.apply(plan)
    place.later()
    assert place.sync().exit_code == 0
    assert place.members() == {*place.keys[:20], place.keys[21]} - {place.keys[5]}
    place.later()
    assert not place.plan().pending


@everywhere()
def test_addresses_in_capitals_and_with_a_plus_are_told_apart_and_found(place: Place) -> None:
    """Letter case is none of an address, a plus part is: two people of one mailbox are two."""
    place.fill()
    capital, plus, plain = place.keys[20:23]
    with place.hands():
        place.readdress(capital, "Kim.Lee@Example.ORG")
        place.readdress(plus, "kim.lee+news@example.org")
        place.readdress(plain, "kim+lee@example.org")
    for number in (capital, plus, plain):
        address = place.addresses[number]
        place.rig.change(number, email=address, email_key=address.lower())
    place.want(place.keys[:23])
    assert place.sync().exit_code == 0, place.said
    assert place.members() == set(place.keys[:23])
    place.later()
    place.want([*place.keys[:21], plain])
    assert place.sync().exit_code == 0
    assert place.members() == {*place.keys[:21], plain}


@everywhere("lateness")
def test_what_is_acknowledged_counts_though_it_does_not_show_yet(place: Place) -> None:
    """Membership shows late: nothing is planned from what is seen, and nothing sent twice."""
    place.fill()
    place.want(place.keys[:22])
    assert place.sync().exit_code == 0
    shown = set(place.destination.members(place.audience()))
    assert len(shown) == 20
    assert place.members() == set(place.keys[:22])
    before = place.writes()
    assert not place.plan().pending
    assert place.sync().exit_code == 0
    assert place.writes() == before
    place.later()
    assert len(set(place.destination.members(place.audience()))) == 22


def test_mailchimp_holds_consent_of_its_own_for_who_subscribed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A purchase, or a mail to confirm, may allow some mail, and is no subscription."""
    for place in opened(MailchimpTags, tmp_path, caplog):
        assert isinstance(place, MailchimpTags)
        statuses = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional")
        with place.hands():
            for status in statuses:
                place.shop.add(f"{status}@shop.example.org", status)
        wanted = [f"{status}@shop.example.org" for status in statuses]
        profiles = [its for page in place.destination.lookup(wanted) for its in page]
        assert {its.email.split("@")[0] for its in profiles if its.subscribed} == {"subscribed"}
        everybody = {its.email: its for page in place.destination.changed(None) for its in page}
        assert [everybody[its.email] for its in profiles] == profiles


@everywhere("consent")
def test_a_destination_tells_its_own_consent_from_a_mere_acquaintance(place: Place) -> None:
    """Who opted out there is known, not subscribed, and not to be mailed."""
    with place.hands():
        place.unsubscribe(place.keys[3])
    asked = [place.addresses[number] for number in place.keys[3:5]]
    profiles = {its.email: its for page in place.destination.lookup(asked) for its in page}
    assert [(profiles[address].subscribed, profiles[address].mailable) for address in asked] == [
        (False, False),
        (True, True),
    ]
