"""Every destination: what hands at the platform change is found and put back, and a run is taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pytest
from destinations import everywhere, opened
from destinations_rig import Place

from connector.base import Op, Person
from sync.progress import Silent
from sync.push.audit import AudienceAudit, audit, parse
from sync.push.undo import plan_undo
from sync.store.external import outward


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Place]:
    yield from opened(request.param, tmp_path, caplog)


def by_hand(place: Place, action: Literal["add", "remove"], numbers: Sequence[int]) -> None:
    """Others change members as we do ourselves."""
    known = dict(
        place.rig.rows(
            "SELECT c.id, i.remote_id FROM customers c JOIN identity i ON i.email_key = c.email_key "
            "AND i.remote_id IS NOT NULL"
        )
    )
    ids = own_ids(place, numbers)
    audience = place.audience()
    people = [Person(its, place.addresses[its].lower(), known.get(its), id=ids[its]) for its in numbers]
    ops = [Op(10_000 + index, action, audience, person, since=1) for index, person in enumerate(people)]
    for batch in place.destination.batches(ops):
        assert all(its.outcome == "done" for its in place.destination.push(batch))


def own_ids(place: Place, numbers: Sequence[int]) -> dict[int, str]:
    with place.rig.store.read() as conn:
        return outward(conn, numbers)


def look(place: Place) -> AudienceAudit:
    """An audit with the default choices."""
    place.rig.run += 1
    [its] = audit(
        place.rig.store,
        place.rig.destinations,
        parse([], [], []),
        now=place.clock.now,
        run_id=place.rig.run,
        progress=Silent(),
    ).audiences
    return its


@everywhere()
def test_what_hands_changed_is_found_and_put_back(place: Place) -> None:
    """Each by the person's id at the store; who was put in stays, who was taken out comes back."""
    place.fill()
    assert not look(place).differs
    taken, put = place.keys[:3], place.keys[20:23]
    with place.hands():
        by_hand(place, "remove", taken)
        by_hand(place, "add", put)
    place.later()
    writes = place.writes()
    found = look(place).to_json()
    assert {name: set(its) for name, its in found["people"].items()} == {
        "removed": set(own_ids(place, taken).values()),
        "added": set(own_ids(place, put).values()),
    }
    assert (found["members"], found["ours"], found["young"], found["state"]) == (20, 20, 0, "there")
    assert place.writes() == writes
    assert place.sync().exit_code == 0
    assert place.members() == set(place.keys[:23])


@everywhere()
def test_a_run_is_taken_back(place: Place) -> None:
    """Whoever came goes, whoever went comes back."""
    place.fill()
    place.want(place.keys[2:24])
    assert place.sync().exit_code == 0
    rig = place.rig
    rig.sql("INSERT INTO sync_run (id, command, now, started_at) VALUES (?, 'sync', 0, 0)", (rig.run,))
    target, rig.run = rig.run, rig.run + 1
    place.later()
    plan = plan_undo(rig.store, rig.wishes, rig.destinations, target=target, now=rig.now, run_id=rig.run)
    assert place.apply(plan).exit_code == 0
    assert place.members() == set(place.keys[:20])
    assert [guard.guard for guard in place.plan().guards] == ["undone"]


@everywhere("audiences of their own")
def test_one_that_was_deleted_or_renamed_is_told(place: Place) -> None:
    """The one goes on under its id; the other is made anew."""
    place.fill()
    place.rename("Something else")
    place.later()
    assert look(place).state == "renamed"
    assert place.members() == set(place.keys[:20])
    place.drop()
    place.later()
    assert look(place).state == "gone"
    assert place.sync().exit_code == 0
    assert place.members() == set(place.keys[:20])
