"""The whole way, in a process of its own against the simulators: what is pushed is what the rules say, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from checks import check_nothing_doubled, check_remote_sides
from shop import TestShop, open_shop

from connector.sandbox.changes import happen
from mappings.vocabulary import load_vocabulary

CHANGED_BY_TIME = 1
TOLD_ONCE = ("events", "email_events")
"""Streams of which a platform shows the latest only, or those of living contacts: a fresh run cannot know as much."""


@pytest.fixture(params=["shopify", "wix"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestShop]:
    """A seeded shop of about 100 people, on each store platform."""
    with open_shop(tmp_path / "project", platform=request.param, customers=100) as made:
        yield made


def test_a_first_sync_puts_everybody_where_the_rules_say(shop: TestShop) -> None:
    """Tags = membership, lists = consented and unsuppressed membership, other tags and all consent untouched."""
    before, consent = shop.other_tags(), shop.consent()
    report = shop.sync()
    assert {its["stream"] for its in report["streams"]} == set(shop.store.streams)
    assert sum(its["quarantined"] for its in report["streams"]) == 0
    assert shop.our_tags(), "somebody is tagged"
    assert any(shop.lists().values()), "somebody is on a list"
    assert any(shop.mail_tags().values()), "somebody is tagged in Mailchimp"
    check_remote_sides(shop)
    check_nothing_doubled(shop)
    assert shop.other_tags() == before
    for side, states in shop.consent().items():
        assert {who: states[who] for who in consent[side]} == consent[side]
        assert all(states[who] == "NEVER_SUBSCRIBED" for who in states.keys() - consent[side].keys()), side


def test_a_second_sync_writes_nothing_and_recomputes_nobody(shop: TestShop) -> None:
    """No write anywhere, no personal metrics but time-driven ones, calls for windows and counts only."""
    shop.sync()
    writes, calls = shop.writes, shop.requests()
    report = shop.sync()
    assert shop.writes == writes
    assert report["metrics"]["recomputed"] <= CHANGED_BY_TIME
    assert all(its["new"] == its["changed"] == 0 for its in report["streams"])
    assert all(its["added"] == its["removed"] == 0 for its in report["destinations"])
    pages = sum(its["calls"] for its in report["streams"])
    assert shop.requests() - calls <= pages + 12


MEMBERSHIP = "SELECT segment, customer_id FROM membership ORDER BY 1, 2"
COUNTED = "(SELECT count(*) FROM membership WHERE segment = key)"
SIZES = f"SELECT key, size, {COUNTED} FROM segment_state WHERE missing IS NULL"


def test_changes_move_only_the_people_they_touch_and_equal_a_fresh_run(shop: TestShop, tmp_path: Path) -> None:
    """After 50 changes personal columns move for the touched alone, and everything equals a run from nothing."""
    shop.sync()
    layers = {"personal": [], "store": []}  # type: dict[str, list[str]]
    stored = {row[1] for row in shop.query("PRAGMA table_info(customer_metrics)")}
    for name, its in load_vocabulary().attributes.items():
        if name in stored and its.layer in layers:
            layers[its.layer].append(name)
    attributes = load_vocabulary().attributes
    again = [name for name in (*layers["personal"], *layers["store"]) if attributes[name].source not in TOLD_ONCE]
    columns, everything = ", ".join(layers["personal"]), ", ".join(again)
    before = {row[0]: row[1:] for row in shop.query(f"SELECT customer_id, {columns} FROM customer_metrics")}
    known = shop.people()
    changes = happen(shop.world, Random(3), 50)
    keys = {person.number: key for key, person in [*known.items(), *shop.people().items()]}
    # Who came and went between the two syncs is nobody that either of them saw.
    touched = {keys[number] for change in changes for number in change.people if number in keys}
    assert len(changes) == 50
    let_the_index_catch_up(shop)
    shop.sync("--force", "mass-add", "--force", "mass-remove")
    assert all(size == counted for _, size, counted in shop.query(SIZES))
    after = {row[0]: row[1:] for row in shop.query(f"SELECT customer_id, {columns} FROM customer_metrics")}
    moved = {person for person in before.keys() | after.keys() if before.get(person) != after.get(person)}
    assert moved
    assert moved <= touched
    check_remote_sides(shop)
    check_nothing_doubled(shop)
    twin = shop.copied_to(tmp_path / "fresh")
    for command in ("pull", "derive"):
        assert twin.run(command).code == 0
    for sql in (f"SELECT customer_id, {everything} FROM customer_metrics ORDER BY 1", MEMBERSHIP):
        assert twin.query(sql) == shop.query(sql)


def let_the_index_catch_up(shop: TestShop) -> None:
    """Changes show in filtered lists a moment later."""
    shop.world.clock.sleep(1.5)
