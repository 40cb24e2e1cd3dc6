"""Every destination × every fault of the wire: what passes is outlived, what lasts is told and healed from later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from destinations import everywhere, opened
from destinations_rig import HTML, Place

from connector.base import Reply
from connector.errors import AuthError, PlatformError, ScopeError, TimedOut, Unavailable

TOO_MANY: Mapping[str, Any] = {"kind": "status", "status": 429}
DOWN: Mapping[str, Any] = {"kind": "status", "status": 503, "body": HTML}
FORBIDDEN: Mapping[str, Any] = {"kind": "status", "status": 403, "body": HTML}
NO_JSON: Mapping[str, Any] = {"kind": "status", "status": 200, "body": HTML}

PASSING: Mapping[str, Mapping[str, Any]] = {
    "429 with Retry-After": {**TOO_MANY, "retry_after": 7},
    "429 without any header": TOO_MANY,
    "503 in HTML": DOWN,
    "500 in HTML": {"kind": "html_500"},
    "200 that is no JSON": NO_JSON,
    "reset": {"kind": "reset"},
    "timeout": {"kind": "timeout"},
    "timeout once done": {"kind": "act_timeout"},
    "reset once done": {"kind": "act_reset"},
    "500 once done": {"kind": "act_500"},
}
LASTING: Mapping[str, tuple[Mapping[str, Any], type[PlatformError]]] = {
    "429 with Retry-After": ({**TOO_MANY, "retry_after": 2}, Unavailable),
    "429 that asks for an hour": ({**TOO_MANY, "retry_after": 3600}, Unavailable),
    "429 without any header": (TOO_MANY, Unavailable),
    "503 in HTML": (DOWN, Unavailable),
    "200 that is no JSON": (NO_JSON, Unavailable),
    "reset": ({"kind": "reset"}, Unavailable),
    "timeout": ({"kind": "timeout"}, TimedOut),
    "timeout once done": ({"kind": "act_timeout"}, TimedOut),
}


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Place]:
    yield from opened(request.param, tmp_path, caplog)


def told(place: Place, error: PlatformError | None) -> str:
    """The line of an error that names its platform, its operation, and the request where the platform names it."""
    assert error is not None
    line = str(error)
    assert line.startswith(f"{place.destination.platform}: {place.call}: ")
    assert "\n" not in line
    request_id = place.request_id(place.answer) if place.answer is not None else None
    assert (error.request_id, line.endswith(f"(request {request_id})")) == (request_id, request_id is not None)
    return line


@pytest.mark.parametrize("fault", PASSING)
@everywhere()
def test_what_passes_is_outlived_in_the_same_run(place: Place, fault: str) -> None:
    """First fill and difference both meet it twice; nobody joins twice, whatever was done before the answer broke."""
    for name in {place.first, place.changing, place.creating} - {""}:
        place.faults.add(name, times=2, **PASSING[fault])
    place.want(place.keys[:20])
    assert place.sync().exit_code == 0, place.said
    assert place.members() == set(place.keys[:20])
    assert len(place.names()) <= 1
    place.faults.script.clear()
    place.later()
    place.faults.add(place.changing, times=2, **PASSING[fault])
    place.want(place.keys[2:26])
    slept = place.clock.slept
    assert place.sync().exit_code == 0, place.said
    assert place.members() == set(place.keys[2:26])
    assert place.faults.script[0].fired == 2
    assert place.clock.slept - slept >= 2 * (PASSING[fault].get("retry_after") or 0)
    assert max(place.joined().values(), default=1) == 1


@pytest.mark.parametrize("fault", LASTING)
@everywhere()
def test_what_lasts_is_told_in_one_line_and_the_next_run_heals(place: Place, fault: str) -> None:
    """Exit 4: run again. Removals that went out stay out, and nobody joins twice."""
    place.fill()
    options, kind = LASTING[fault]
    place.faults.add(place.changing, times=0, **options)
    place.want(place.keys[2:26])
    report = place.sync()
    error = report.destinations[0].error
    told(place, error)
    assert isinstance(error, kind)
    assert (report.exit_code, error.exit_code) == (4, 4)
    assert report.unfinished > 0
    place.faults.script.clear()
    place.later()
    assert place.sync().exit_code == 0
    assert place.members() == set(place.keys[2:26])
    assert max(place.joined().values(), default=1) == 1
    place.later()
    assert not place.plan().pending


@pytest.mark.parametrize("status", [429, 503])
@everywhere()
def test_trouble_in_the_platforms_own_words_names_the_request(place: Place, status: int) -> None:
    """What support asks for is told where the platform gives it, and the address that it quotes is not."""
    place.fill()
    said = place.refusal()
    place.instead = lambda request: Reply(status, said.headers, said.body) if place.writes_in(request) else None
    place.want(place.keys[:26])
    report = place.sync()
    error = report.destinations[0].error
    assert told(place, error).endswith(f"(request {place.request_id(said)})")
    assert (report.exit_code, report.refused) == (4, 0)


@everywhere()
def test_a_403_without_json(place: Place) -> None:
    """A refusal of the key where the platform says nothing else by it; at Mailchimp's edge, too many requests."""
    place.fill()
    place.faults.add(place.changing, times=0, **FORBIDDEN)
    place.want(place.keys[2:26])
    if place.html_403 == 4:
        report = place.sync()
        told(place, report.destinations[0].error)
        assert report.exit_code == 4
    else:
        with pytest.raises(ScopeError) as caught:
            place.sync()
        told(place, caught.value)
        assert caught.value.exit_code == 1
    place.faults.script.clear()
    place.later()
    assert place.sync().exit_code == 0
    assert place.members() == set(place.keys[2:26])


@everywhere()
def test_a_refused_key_stops_the_run(place: Place) -> None:
    """Exit 1, and what the platform calls the request; with the right key the next run goes on."""
    place.fill()
    refusal = place.refusal()
    place.instead = lambda request: Reply(401, refusal.headers, refusal.body) if place.writes_in(request) else None
    place.want(place.keys[2:26])
    with pytest.raises(AuthError, match="key is refused") as caught:
        place.sync()
    assert caught.value.exit_code == 1
    assert caught.value.request_id == place.request_id(refusal)
    place.instead = lambda request: None
    place.later()
    assert place.sync().exit_code == 0
    assert place.members() == set(place.keys[2:26])


@everywhere()
def test_a_request_that_is_refused_for_everybody_blames_nobody(place: Place) -> None:
    """No person is refused for ever for what is wrong with all requests: once that is mended, all go out."""
    place.fill()
    place.instead = lambda request: place.refusal() if place.writes_in(request) else None
    place.want(place.keys[2:26])
    report = place.sync()
    error = report.destinations[0].error
    assert report.exit_code == (4 if error is None else error.exit_code)
    assert report.refused == 0
    assert error is None or "request contract-42" in told(place, error)
    place.instead = lambda request: None
    place.later()
    assert place.sync().exit_code == 0
    assert place.members() == set(place.keys[2:26])


@everywhere("a whole request is refused")
def test_one_bad_person_among_many_is_found_and_the_rest_goes_through(place: Place) -> None:
    """The refusal points at nobody, and quotes an address, which nobody gets to see."""
    place.fill()
    bad = place.keys[22]
    place.poison(bad)
    place.want(place.keys[2:26])
    report = place.sync()
    assert place.members() == {*place.keys[2:26]} - {bad}
    assert (report.exit_code, report.refused, report.unfinished) == (4, 1, 0)
    place.later()
    before = place.writes()
    again = place.sync()
    assert (again.exit_code, again.refused, place.writes()) == (0, 0, before)


@everywhere("jobs")
def test_a_job_that_never_ends_is_left_to_the_next_run(place: Place) -> None:
    """Patience ends, the people wait, and are in once however often they were sent."""
    assert place.stuck is not None
    begins, kind = place.stuck
    place.faults.add(begins, kind)
    place.want(place.keys[:20])
    report = place.sync()
    assert report.exit_code == 4
    assert report.unfinished > 0
    assert report.refused == 0
    place.later()
    assert place.sync().exit_code == 0
    assert place.members() == set(place.keys[:20])
    assert max(place.joined().values(), default=1) == 1


@everywhere("audiences of their own")
@pytest.mark.parametrize("kind", ["act_timeout", "act_reset", "act_500"])
def test_an_audience_whose_making_was_not_heard_of_is_not_made_again(place: Place, kind: str) -> None:
    """Even where no answer comes in the whole run."""
    place.faults.add(place.creating, kind, times=0)
    place.want(place.keys[:20])
    place.sync()
    place.faults.script.clear()
    place.later()
    assert place.sync().exit_code == 0
    assert len(place.names()) == 1
    assert place.members() == set(place.keys[:20])
