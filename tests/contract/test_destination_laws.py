"""Whatever breaks, and wherever: in the end everybody is where the segment has them, and came there once."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from destinations import PLACES
from destinations_rig import Place, leaks
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import PlatformError

KINDS = ("html_500", "reset", "timeout", "malformed", "act_timeout", "act_reset", "act_500")
FAULT = st.tuples(st.integers(0, 30), st.sampled_from(KINDS), st.integers(1, 4), st.sampled_from([1, 3, 8, 20]))


@pytest.mark.parametrize("kind", PLACES, ids=lambda its: its.title)
@given(scripts=st.lists(st.lists(FAULT, max_size=4), min_size=2, max_size=2))
@settings(max_examples=12)
def test_after_any_faults_an_undisturbed_run_leaves_all_as_wanted(
    kind: type[Place], scripts: list[list[tuple[int, str, int, int]]]
) -> None:
    """Faults strike any call, reads as well as writes, at the first fill and at a change; then they stop."""
    with tempfile.TemporaryDirectory() as folder:
        place = kind(Path(folder) / "shop.db")
        calls = ["", *kind.writing, *sorted(place.reading)]
        for script, wanted in zip(scripts, (place.keys[:20], place.keys[2:26]), strict=True):
            for which, fault, nth, times in script:
                place.faults.add(calls[which % len(calls)], fault, nth=nth, times=times)
            place.want(wanted)
            with suppress(PlatformError):
                place.sync()
            place.faults.script.clear()
            place.later()
        for _ in range(2):
            place.sync()
            place.later()
        assert place.members() == set(place.keys[2:26])
        assert len(place.names()) <= 1
        assert max(place.joined().values(), default=1) == 1
        assert not place.plan().pending
        place.check_consent()
        assert not leaks(place, ())
        place.rig.store.close()
