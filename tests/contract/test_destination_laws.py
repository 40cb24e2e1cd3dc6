"""Whatever breaks, and wherever: in the end everybody is where the segment has them, and came there once."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from destinations import ABSENT, PLACES
from destinations_rig import Place, leaks
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import PlatformError

KINDS = ("html_500", "reset", "timeout", "malformed", "act_timeout", "act_reset", "act_500")
FAULT = st.tuples(st.integers(0, 30), st.sampled_from(KINDS), st.integers(1, 4), st.sampled_from([1, 3, 8, 20]))
STEP = st.one_of(
    st.tuples(st.just("want"), st.sets(st.integers(0, 25), min_size=1)),
    st.tuples(st.just("fault"), FAULT),
    st.tuples(st.sampled_from(["sync", "drop", "rename", "mend"]), st.none()),
)


def strike(place: Place, fault: tuple[int, str, int, int]) -> None:
    """A fault of one of the place's calls, or of any."""
    calls = ["", *place.writing, *place.reading]
    which, kind, nth, times = fault
    place.faults.add(calls[which % len(calls)], kind, nth=nth, times=times)


@pytest.mark.parametrize("kind", PLACES, ids=lambda its: its.title)
@given(scripts=st.lists(st.lists(FAULT, max_size=4), min_size=2, max_size=2))
@settings(max_examples=12)
def test_after_any_faults_an_undisturbed_run_leaves_all_as_wanted(
    kind: type[Place], scripts: list[list[tuple[int, str, int, int]]]
) -> None:
    """Faults strike any call, reads as well as writes, at the first fill and at a change; then they stop."""
    with tempfile.TemporaryDirectory() as folder:
        place = kind(Path(folder) / "shop.db")
        for script, wanted in zip(scripts, (place.keys[:20], place.keys[2:26]), strict=True):
            for fault in script:
                strike(place, fault)
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


@pytest.mark.parametrize(
    "kind", [its for its in PLACES if its.title not in ABSENT["audiences of their own"]], ids=lambda its: its.title
)
@given(steps=st.lists(STEP, max_size=10))
@settings(max_examples=6)
def test_after_any_hands_there_is_one_audience_with_the_right_people(
    kind: type[Place], steps: list[tuple[str, Any]]
) -> None:
    """Faults, runs, and an owner who deletes and renames the audience, in any order. What was deleted is noticed when
    somebody is to move: so in the end somebody is."""
    force = ("mass-remove", "mass-add", "emptied")
    with tempfile.TemporaryDirectory() as folder:
        place = kind(Path(folder) / "shop.db")
        for what, how in [("want", range(15)), ("sync", None), *steps, ("mend", None)]:
            if what == "want":
                place.want(place.keys[number] for number in sorted(how))
            elif what == "fault":
                strike(place, how)
            elif what == "mend":
                place.faults.script.clear()
            elif what == "sync":
                with suppress(PlatformError):
                    place.sync(*force)
                place.later()
            else:
                with place.hands(), suppress(KeyError, ValueError):  # there is none, or it is gone already
                    place.drop() if what == "drop" else place.rename("Something else")
        for size in (20, 28):
            place.want(place.keys[:size])
            for _ in range(3):
                place.sync(*force)
                place.later()
        assert place.members() == set(place.keys[:28])
        assert len(place.names()) == 1
        assert not place.plan().pending
        place.check_consent()
        assert not leaks(place, ())
        place.rig.store.close()
