"""Settings that change between two runs, and what stored rows owe to them, also without a pull."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_shop import LocalShop, open_local

from sync.runs import Steps

STEPS = Steps(derive=True, plan=True, apply=True)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[LocalShop]:
    """One segment; three people carry a tag that somebody made by hand."""
    with open_local(tmp_path / "project", customers=20) as shop:
        for person in list(shop.world.customers.values())[:3]:
            shop.world.add_tags(person, ["cust-all"])
        (shop.folder / "segments.toml").write_text('[segment.all]\nname = "All"\nwhere = "number_of_orders >= 0"\n')
        setting(shop, 'packs = ["lifecycle", "carts"]', "packs = []")
        shop.clock.advance(60)
        assert shop.go().code == 0
        yield shop


def setting(shop: LocalShop, before: str, after: str) -> None:
    text = shop.config.read_text()
    assert before in text
    shop.config.write_text(text.replace(before, after))


@pytest.mark.parametrize("pulled", [False, True])
def test_tags_of_a_new_prefix_that_stand_already_are_not_taken_for_ours(shop: LocalShop, pulled: bool) -> None:
    """Whether or not the shop was read since the prefix changed."""
    before = {person.number: set(person.tag_list) for person in shop.world.customers.values()}
    setting(shop, '"seg-"', '"cust-"')
    shop.clock.advance(3600)
    ran = shop.go(Steps(pull=pulled, derive=True, plan=True, apply=True))
    assert (ran.code, "unknown-ledger" in ran.err) == (5, True), ran.err
    assert {person.number: set(person.tag_list) for person in shop.world.customers.values()} == before


def test_a_new_zone_is_not_planned_on_days_of_the_old_one(shop: LocalShop) -> None:
    """Days are counted anew at once, and members with the next derivation."""
    days = shop.query("SELECT id, local_day FROM orders ORDER BY id")
    setting(shop, "[store]", '[store]\ntimezone = "Pacific/Kiritimati"')
    ran = shop.go(Steps(plan=True))
    assert (ran.code, "not evaluated since the last pull" in ran.err) == (5, True), ran.err
    assert shop.query("SELECT id, local_day FROM orders ORDER BY id") != days
    assert shop.go(STEPS).code == 0
