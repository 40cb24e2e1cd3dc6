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
from connector.sandbox.records import email_key
from sync.push.audit import Audit
from sync.runs import RunReport, Steps
from tests.proof.served import DAY, EVERYTHING, HOUR, Join, Served

pytestmark = pytest.mark.proof

WRITES = {"shopify": "TagsBatch", "wix": "BulkAddRemoveLabels"}
STRANGER = "stranger@example.net"
"""Known to both e-mail platforms, and no customer of the shop."""

EVERYWHERE = ("klaviyo", "mailchimp", "tags")
SALES = ("order", "reduced order", "refund", "cancellation", "cart", "recovered cart", "consent given")
"""What moves people between segments and takes nobody's leave to be written to."""


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module", params=stores())
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The shop after its first sync. Everybody's consent is as before when the last test is through."""
    shop = Served.open(request.param, tmp_path_factory.mktemp(request.param) / "project")
    shop.klaviyo.account.add_person(STRANGER, consent="SUBSCRIBED")
    shop.mailchimp.audience.add(STRANGER)
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
    """A guard holds it; forced, nothing of ours is left but empty audiences; then it can be filled again."""
    filled = shop.sides()
    held = shop.go(Steps(undo=1), "undo")
    assert held.plan is not None
    assert {guard.guard for guard in held.plan.guards} == {"mass-remove", "emptied"}
    assert shop.sides() == filled
    report = shop.go(Steps(undo=1, apply=True, force=("mass-remove", "emptied")), "undo")
    assert (report.exit, shop.audiences()) == (0, {})
    assert shop.go(replace(EVERYTHING, force=("undone", "mass-add"))).exit == 0
    check_remote_sides(shop)


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
    assert ({its[0] for its in new}, set(new.values())) == (set(EVERYWHERE), {1})
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
    assert (report.exit, shop.sides() == before) == (0, False)
    assert all(min(its) > 0 for its in written(report).values()), written(report)
    back = shop.go(Steps(undo=report.run, apply=True), "undo")
    assert (back.exit, shop.sides()) == (0, before)
    assert written(back) == {name: (removed, added) for name, (added, removed) in written(report).items()}
    held = shop.go()
    assert held.plan is not None
    assert {guard.guard for guard in held.plan.guards} == {"undone"}
    assert shop.sides() == before
    assert shop.go(replace(EVERYTHING, force=("undone",))).exit == 0
    check_remote_sides(shop)


def settle(shop: Served) -> None:
    """Run every half an hour until nothing changes."""
    for _ in range(10):
        shop.clock.advance(HOUR / 2)
        plan = shop.go().plan
        assert plan is not None
        if not plan.changes:
            return
    raise AssertionError("something changes in every half an hour")


def hand_edits(shop: Served, rng: Random, number: int) -> tuple[set[Join], set[Join]]:
    """Put people of the shop into audiences and take others out: whom was put in, and whom taken out."""
    audiences, pairs = shop.audiences(), shop.pairs()
    everybody = {
        "tags": {str(number) for number in shop.world.customers},
        "klaviyo": set[str](),
        "mailchimp": set[str](),
    }
    for person in shop.world.customers.values():
        address = email_key(person.email)
        if address and len(shop.world.by_email(address)) == 1:
            everybody["klaviyo"] |= {address} if shop.klaviyo.account.find_person(address) else set()
            everybody["mailchimp"] |= {address} if shop.mailchimp.audience.find(address) else set()
    put: set[Join] = set()
    taken: set[Join] = set()
    while len(put) + len(taken) < number:
        name = rng.choice([its for its in sorted(audiences) if its[0] == "klaviyo" or its[1].startswith("seg")])
        to = rng.random() < 0.5
        pair = (*name, rng.choice(sorted(everybody[name[0]])))
        if (pair in pairs) != to:
            (put if to else taken).add(pair)
    for pair in sorted(put | taken):
        shop.move(pair, to=pair in put)
    return put, taken


def put_in_strangers(shop: Served) -> set[Join]:
    """Somebody on a list and under a tag of ours who is no customer of the shop."""
    names = sorted(name for name in shop.audiences() if name[0] != "tags")
    strangers = {(*name, STRANGER) for name in (names[0], names[-1])}
    for pair in strangers:
        shop.move(pair, to=True)
    return strangers


def audited(shop: Served, found: Audit) -> tuple[set[Join], set[Join], int]:
    """Whom the audit says others put in and took out, and how many are no customers."""
    people = {shop.store.id_of(person): person for person in shop.world.customers.values()}
    sets: dict[str, set[Join]] = {"added": set(), "removed": set()}
    for its in found.to_json()["audiences"]:
        assert its["state"] == "there"
        for kind, pairs in sets.items():
            for ident in its["people"][kind]:
                person = people[ident]
                named = str(person.number) if its["destination"] == "tags" else str(email_key(person.email))
                pairs.add((its["destination"], its["name"], named))
    return sets["added"], sets["removed"], sum(its["not_customers"] for its in found.to_json()["audiences"])


def test_a_hundred_hand_edits_are_found_and_mended(shop: Served) -> None:
    """Audience by audience and by person; the next sync puts back whom others took out, and leaves whom they put in."""
    settle(shop)
    before = shop.pairs()
    put, taken = hand_edits(shop, Random(100), 100)
    strangers = put_in_strangers(shop)
    assert {pair[0] for pair in put} == {pair[0] for pair in taken} == set(EVERYWHERE)
    shop.clock.advance(60)
    assert audited(shop, shop.audit()) == (put, taken, len(strangers))
    report = shop.go()
    assert report.exit == 0
    assert shop.pairs() == before | put | strangers
    shop.clock.advance(HOUR / 2)
    assert audited(shop, shop.audit()) == (put, set(), len(strangers))
