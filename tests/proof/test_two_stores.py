"""The real shop served by one platform and by the other: the same people, metrics and segments, customer by customer.

Orders of more than 300 lines are left out on both sides, because one of the platforms has no such orders; guests and
test orders are as each platform serves them. REGULARS_PROOF_DATA names the folder of the shop's tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from connector import stores
from connector.base import Audience
from mappings.vocabulary import load_vocabulary
from sync.cli.wiring import workspace
from sync.runs import Steps
from tests.proof.served import HOUR, Served

pytestmark = pytest.mark.proof

MAILED = {name for name, its in load_vocabulary().attributes.items() if its.source == "email_events"}
"""What one of the platforms has to say nothing about: nobody there was ever mailed."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Served]:
    """Both, after their first sync."""
    made = {name: Served.open(name, tmp_path_factory.mktemp(name) / "project") for name in stores()}
    for shop in made.values():
        report = shop.go()
        assert (report.exit, report.notes) == (0, [])
    return made


def test_metrics_are_the_same_customer_by_customer(served: Mapping[str, Served]) -> None:
    """All columns of all customers, to the last digit."""
    first, second = (shop.export() for shop in served.values())
    assert len(first) == len(second) == 4372
    wrong = [
        f"{number} {name}: {value!r} and {second[number][name]!r}"
        for number, row in first.items()
        for name, value in row.items()
        if second[number][name] != value and name not in MAILED
    ]
    assert wrong == []


def test_segments_have_the_same_members(served: Mapping[str, Served]) -> None:
    """Every segment of the catalogue that both can answer."""
    first, second = (shop.membership() for shop in served.values())
    assert first == second
    assert len(first) > 40


def test_what_is_written_is_membership(served: Mapping[str, Served]) -> None:
    """What the store holds of ours is what the segments pushed there say: read back through its API."""
    for shop in served.values():
        members = shop.membership()
        held: dict[str, set[int]] = {}
        with workspace(shop.config, online=True, clock=shop.clock, transports=shop.transports) as work:
            tags = next(its for its in work.destinations if its.name == "tags")
            shop.clock.advance(HOUR)
            for segment, name, remote_id in shop.query(
                "SELECT segment, name, remote_id FROM audience WHERE destination = 'tags'"
            ):
                people = {shop.numbers[person] for person in tags.members(Audience(segment, name, remote_id))}
                held[segment] = people
        assert held == {segment: members[segment] for segment in held}
        pushed = {row[0] for row in shop.query("SELECT DISTINCT segment FROM ledger WHERE destination = 'tags'")}
        assert pushed == set(held)


def test_a_second_sync_writes_nothing(served: Mapping[str, Served]) -> None:
    """An hour later only those move whom the hour moved, and one run after that nobody."""
    for shop in served.values():
        shop.go()
        report = shop.go().to_json()
        assert all(its["added"] == its["removed"] == 0 for its in report["destinations"])
        assert all(its["new"] == its["changed"] == 0 for its in report["streams"])
        assert report["metrics"] == {"recomputed": 0, "store_wide": 0}


CATEGORY = {name for name, its in load_vocabulary().attributes.items() if "products" in its.needs}


def test_a_withheld_catalogue_costs_categories_and_nothing_else(served: Mapping[str, Served], tmp_path: Path) -> None:
    """Category metrics are empty, `status` and `doctor` say why, everything else is as it was."""
    shop = Served.open("wix", tmp_path / "project", denied="SCOPE.DC-STORES.READ-PRODUCTS")
    report = shop.go(Steps(pull=True, derive=True))
    assert any("products" in note for note in report.notes)
    whole, found = served["wix"].export(), shop.export()
    assert {row[name] for row in found.values() for name in CATEGORY} == {""}
    assert any(row["top_category"] for row in whole.values())
    others = [name for name in next(iter(found.values())) if name not in {*CATEGORY, "customer_tags"}]
    assert all(found[number][name] == row[name] for number, row in whole.items() for name in others)
    with workspace(shop.config, online=True, clock=shop.clock, transports=shop.transports) as work:
        assert work.source is not None
        told = [its for its in work.source.doctor() if its.level != "ok"]
    assert any("READ-PRODUCTS" in its.text + its.fix for its in told)
