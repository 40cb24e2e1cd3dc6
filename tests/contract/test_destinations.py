"""What every destination does when nothing goes wrong, and when hands at the platform are quicker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from destinations import everywhere, opened
from destinations_rig import Place

from sync.push.present import plan_text


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Place]:
    yield from opened(request.param, tmp_path, caplog)


@everywhere()
def test_the_audience_follows_the_segment_and_then_nothing_is_written(place: Place) -> None:
    """First fill, differences, silence: an unchanged second push writes nothing."""
    place.want(place.keys[:20])
    assert place.sync().exit_code == 0
    assert place.members() == set(place.keys[:20])
    for wanted in (place.keys[2:26], place.keys[2:26]):
        place.later()
        place.want(wanted)
        assert place.sync().exit_code == 0
        assert place.members() == set(wanted)
    before = place.writes()
    place.later()
    assert not place.plan().pending
    assert place.sync().exit_code == 0
    assert place.writes() == before
    assert max(place.joined().values(), default=1) == 1


@everywhere("audiences of their own")
def test_an_audience_deleted_by_hand_is_made_and_filled_anew(place: Place) -> None:
    """The run that meets it says so and counts nobody as in; the next one puts everybody back. No third is made."""
    place.fill()
    with place.hands():
        place.drop()
    place.want(place.keys[:26])
    report = place.sync()
    assert report.exit_code == 4
    assert any("no longer exists" in reason for reason in report.destinations[0].reasons)
    place.later()
    assert place.sync().exit_code == 0
    assert place.members() == set(place.keys[:26])
    assert len(place.names()) == 1


@everywhere("audiences of their own")
def test_an_audience_renamed_by_hand_stays_ours(place: Place) -> None:
    """It is known by its id: it keeps the name that the owner gave it, and no second one is made."""
    place.fill()
    with place.hands():
        place.rename("Best friends")
    place.want(place.keys[2:26])
    assert place.sync().exit_code == 0
    assert place.members() == set(place.keys[2:26])
    assert place.names() == ["Best friends"]
    place.later()
    assert not place.plan().pending


@everywhere("audiences of their own")
def test_an_audience_of_our_name_is_taken_over_only_when_told_so(place: Place) -> None:
    """Until then it is left alone; no second one of the name is made in either case."""
    name = place.destination.audience_name("vip", "VIPs")
    with place.hands():
        place.add_audience(name)
    place.want(place.keys[:20])
    place.later()
    before = place.writes()
    plan = place.plan()
    assert [its.guard for its in plan.guards] == ["unknown-ledger"]
    place.apply(plan)
    assert place.writes() == before
    place.later()
    assert place.sync("mass-add", adopt=True).exit_code == 0
    assert place.names() == [name]
    assert place.members() == set(place.keys[:20])


@everywhere("one name for several audiences")
def test_two_audiences_of_our_name_are_left_to_the_owner(place: Place) -> None:
    """Nobody can say which of them is meant: nothing is written, taken over or made."""
    name = place.destination.audience_name("vip", "VIPs")
    with place.hands():
        place.add_audience(name)
        place.add_audience(name)
    place.want(place.keys[:20])
    place.later()
    before = place.writes()
    for adopt in (False, True):
        plan = place.plan(adopt=adopt)
        assert [its.guard for its in plan.guards] == ["unknown-ledger"]
        assert "rename all but one" in plan.guards[0].text
        place.apply(plan)
    assert (place.writes(), place.names()) == (before, [name, name])


@everywhere()
def test_the_plan_calls_an_audience_as_the_platform_does(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags, labels and lists: by the word that the owner sees in the platform's own screens."""
    monkeypatch.setattr("sync.push.audiences.PLATFORMS", (place.destination.platform,))
    place.want(place.keys[:20])
    plan = place.plan()
    assert plan.audiences[0].kind == place.kind
    text = "\n".join(plan_text(plan))
    assert f'{place.kind} "{plan.audiences[0].name}"' in text
    assert ("carry no consent" in text) != place.consented


@everywhere()
def test_the_plan_says_where_a_first_fill_starts_no_automation(place: Place) -> None:
    """It is said of the first fill alone, and only where the platform lets people join in silence."""
    quiet = "joining starts no automation: this is the first fill"
    place.want(place.keys[:20])
    first = place.plan()
    assert any(quiet in line for line in plan_text(first)) == place.destination.limits.silent
    place.apply(first)
    place.want(place.keys[:21])
    assert not any(quiet in line for line in plan_text(place.plan()))
