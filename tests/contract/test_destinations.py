"""What every destination does when nothing goes wrong, and when hands at the platform are quicker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from destinations import everywhere, opened
from destinations_rig import Place



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
