"""The real shop with Klaviyo and Mailchimp beside the store's own tags: what is written is what the segments say, once,
and it can be taken back. The tests of one store follow one another on the same shop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import orjson
import pytest
from checks import check_nothing_doubled, check_remote_sides

from connector import stores
from connector.sandbox.changes import KINDS, happen
from sync.runs import RunReport, Steps
from tests.proof.served import DAY, EVERYTHING, HOUR, Served

pytestmark = pytest.mark.proof

WRITES = {"shopify": "TagsBatch", "wix": "BulkAddRemoveLabels"}
EVERYWHERE = ("klaviyo", "mailchimp", "tags")
SALES = ("order", "reduced order", "refund", "cancellation", "cart", "recovered cart", "consent given")
"""What moves people between segments and takes nobody's leave to be written to."""


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module", params=stores())
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The shop after its first sync. Everybody's consent is as before when the last test is through."""
    shop = Served.open(request.param, tmp_path_factory.mktemp(request.param) / "project")
    before = shop.consents()
    shop.hang_flows()
    report = shop.go()
    assert (report.exit, report.notes) == (0, [])
    yield shop
    held = shop.consents()
    assert orjson.dumps({key: held[key] for key in before}) == orjson.dumps(before)
    assert {its for key, its in held.items() if key not in before} <= {("NEVER_SUBSCRIBED", ())}
    assert shop.mailchimp.consent_writes == []
    assert shop.store.consent_writes() == 0
    assert shop.klaviyo.account.writes["consent_changed"] == 0


def night(shop: Served, rng: Random, changes: int) -> None:
    """A day in which so much happens, the last of it an hour ago."""
    shop.clock.advance(DAY - HOUR)
    happen(shop.world, rng, changes)
    shop.clock.advance(HOUR)


def written(report: RunReport) -> dict[str, tuple[int, int]]:
    """Additions and removals by destination."""
    return {its["destination"]: (its["added"], its["removed"]) for its in report.to_json()["destinations"]}


def test_every_side_holds_what_membership_says(shop: Served) -> None:
    """Tags are the members; lists and Mailchimp's tags those of them who may be written to, and are known there."""
    check_remote_sides(shop)
    check_nothing_doubled(shop)
    assert {destination for destination, _ in shop.audiences()} == set(EVERYWHERE)
    assert shop.mailchimp.joins == [], "a first fill starts no automation"


def test_a_first_fill_is_taken_back(shop: Served) -> None:
    """A guard holds it; forced, nothing of ours is left; filled again, everything is as it was."""
    filled = shop.sides()
    held = shop.go(Steps(undo=1), "undo")
    assert held.plan is not None
    assert {guard.guard for guard in held.plan.guards} == {"mass-remove", "emptied"}
    assert shop.sides() == filled
    report = shop.go(Steps(undo=1, apply=True, force=("mass-remove", "emptied")), "undo")
    assert (report.exit, shop.audiences()) == (0, {})
    report = shop.go(replace(EVERYTHING, force=("undone", "mass-add")))
    assert (report.exit, shop.sides()) == (0, filled)


def test_nobody_joins_by_a_run_without_changes(shop: Served) -> None:
    """Nor by applying its plan, or the one before, again."""
    shop.hang_flows()
    night(shop, Random(4), 50)
    last = shop.go()
    before, asked = shop.joins(), shop.writes
    assert last.plan is not None
    assert last.plan.changes
    assert shop.go(Steps(apply=True, plan_id=last.plan.id), "apply").exit == 0
    report = shop.go()
    assert report.plan is not None
    assert not report.plan.changes
    assert shop.go(Steps(apply=True, plan_id=report.plan.id), "apply").exit == 0
    assert (shop.joins(), shop.writes) == (before, asked)


@pytest.mark.parametrize("place", [*EVERYWHERE, "every answer lost"])
def test_nobody_joins_twice_by_a_healed_run(shop: Served, place: str) -> None:
    """A run dies right after a write at one side, or hears of none at all: the next does the rest, and no more."""
    shop.hang_flows()
    night(shop, Random(place), 150)
    before, joined = shop.pairs(), shop.joins()
    writes = {"tags": WRITES[shop.store.platform], "klaviyo": "AddProfilesToList", "mailchimp": "postListsIdSegmentsId"}
    if place in writes:
        shop.faults.after(writes[place], _die)
        with pytest.raises(Killed):
            shop.go()
    else:
        for match in writes.values():
            shop.faults.add(match, "act_reset", times=0)
        report = shop.go()
        assert report.exit == 4
    assert all(fault.fired for fault in shop.faults.script)
    shop.faults.script.clear()
    report = shop.go()
    assert (report.exit, report.plan.guards if report.plan else None) == (0, ())
    check_remote_sides(shop)
    new, there = shop.joins() - joined, {pair[:2] for pair in before}
    came = shop.pairs() - before
    assert set(new.values()) == {1}
    assert {pair for pair in came if pair[:2] in there} <= set(new) <= came
    shop.go()
    assert shop.joins() - joined == new


def _die() -> None:
    raise Killed


def test_a_days_changes_are_taken_back(shop: Served) -> None:
    """Every side is as it was the day before; then the day is written again."""
    shop.go()
    before = shop.sides()
    rng = Random(8)
    shop.clock.advance(DAY - HOUR)
    for turn in range(200):
        KINDS[SALES[turn % len(SALES)]](shop.world, rng)
    shop.clock.advance(HOUR)
    report = shop.go()
    after = shop.sides()
    assert (report.exit, after == before) == (0, False)
    assert all(min(its) > 0 for its in written(report).values()), written(report)
    back = shop.go(Steps(undo=report.run, apply=True), "undo")
    assert (back.exit, shop.sides()) == (0, before)
    assert written(back) == {name: (removed, added) for name, (added, removed) in written(report).items()}
    held = shop.go()
    assert held.plan is not None
    assert {guard.guard for guard in held.plan.guards} == {"undone"}
    assert shop.sides() == before
    shop.go(replace(EVERYTHING, force=("undone",)))
    assert shop.sides() == after
