"""The real shop served by one platform and by the other: the same people, metrics and segments, customer by customer.

Orders of more than 300 lines are left out on both sides, because one of the platforms has no such orders; guests and
test orders are as each platform serves them. REGULARS_PROOF_DATA names the folder of the shop's tables.
"""

from __future__ import annotations

import csv
import io
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connector import stores
from connector.base import Audience
from connector.http import handler_transport
from connector.sandbox.world import World
from mappings.vocabulary import load_vocabulary
from sync.cli.sandbox import install, write_project
from sync.cli.wiring import offline_view, workspace
from sync.clock import ManualClock
from sync.metrics.export import export_customers
from sync.runs import Steps, run

pytestmark = pytest.mark.proof

NOW = 1_795_219_200
HOUR = 3_600
LONGEST = 300
EVERYTHING = Steps(pull=True, derive=True, plan=True, apply=True)
OWN_LABELS = {"Customers"}
"""Labels that a platform gives by itself; they show among a customer's tags there and nowhere else."""


MAILED = {name for name, its in load_vocabulary().attributes.items() if its.source == "email_events"}
"""What one of the platforms has to say nothing about: nobody there was ever mailed."""


@dataclass
class Served:
    """The shop behind one store platform, in this process."""

    platform: str
    folder: Path
    denied: str = ""
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))

    def __post_init__(self) -> None:
        self.world = World.from_csv(Path(os.environ["REGULARS_PROOF_DATA"]), clock=self.clock)
        for order in [its for its in self.world.orders.values() if len(its.lines) > LONGEST]:
            self.world.delete_order(order)
        self.world.denied |= {self.denied} - {""}
        installed = install(self.world, clock=self.clock, scale=1.0)
        self.config = write_project(self.folder, installed, {}, self.platform)
        self.config.write_text(self.config.read_text().replace('packs = ["lifecycle", "carts"]', 'packs = ["all"]'))
        self.transports = {name: handler_transport(its.simulator) for name, its in installed.items()}
        name = installed[self.platform].record_id
        self.numbers = {name("customer", number): number for number in self.world.customers}

    def sync(self, *, write: bool = True) -> dict[str, Any]:
        """A run; its report as JSON."""
        with workspace(self.config, online=True, clock=self.clock, transports=self.transports) as work:
            return run(work, "sync", EVERYTHING if write else Steps(pull=True, derive=True)).to_json()

    def export(self) -> dict[int, dict[str, str]]:
        """Every metric of everybody as of the first sync, by the number of the person in the shop."""
        text = io.StringIO()
        with (
            workspace(self.config, online=False, clock=self.clock) as work,
            offline_view(work, NOW) as view,
        ):
            currency, read = view.settings.currency, view.sources_read
            export_customers(view.connection, text, format="csv", now=NOW, currency=currency, sources_read=read)
        rows = csv.DictReader(io.StringIO(text.getvalue()))
        return {self.numbers[row.pop("customer_id")]: _without_own(row) for row in rows}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "regulars.db")) as connection:
            return connection.execute(sql).fetchall()

    def members(self) -> dict[str, set[int]]:
        """Who is in which segment, by the number of the person in the shop."""
        own = dict(self.query("SELECT id, external FROM external_id"))
        found: dict[str, set[int]] = {}
        for segment, person in self.query("SELECT segment, customer_id FROM membership"):
            found.setdefault(segment, set()).add(self.numbers[own.get(person, str(person))])
        return found


def _without_own(row: dict[str, str]) -> dict[str, str]:
    tags = [tag for tag in row["customer_tags"].split("|") if tag not in OWN_LABELS]
    return {**row, "customer_tags": "|".join(tags)}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Served]:
    """Both, after their first sync."""
    made = {name: Served(name, tmp_path_factory.mktemp(name) / "project") for name in stores()}
    for shop in made.values():
        report = shop.sync()
        assert (report["exit"], report["notes"]) == (0, [])
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
    first, second = (shop.members() for shop in served.values())
    assert first == second
    assert len(first) > 40


def test_what_is_written_is_membership(served: Mapping[str, Served]) -> None:
    """What the store holds of ours is what the segments pushed there say: read back through its API."""
    for shop in served.values():
        members = shop.members()
        own = dict(shop.query("SELECT id, external FROM external_id"))
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
        assert own or shop.platform == stores()[0]


def test_a_second_sync_writes_nothing(served: Mapping[str, Served]) -> None:
    """An hour later only those move whom the hour moved, and one run after that nobody."""
    for shop in served.values():
        shop.sync()
        report = shop.sync()
        assert all(its["added"] == its["removed"] == 0 for its in report["destinations"])
        assert all(its["new"] == its["changed"] == 0 for its in report["streams"])
        assert report["metrics"] == {"recomputed": 0, "store_wide": 0}


CATEGORY = {name for name, its in load_vocabulary().attributes.items() if "products" in its.needs}


def test_a_withheld_catalogue_costs_categories_and_nothing_else(served: Mapping[str, Served], tmp_path: Path) -> None:
    """Category metrics are empty, `status` and `doctor` say why, everything else is as it was."""
    shop = Served("wix", tmp_path / "project", denied="SCOPE.DC-STORES.READ-PRODUCTS")
    report = shop.sync(write=False)
    assert any("products" in note for note in report["notes"])
    whole, found = served["wix"].export(), shop.export()
    assert {row[name] for row in found.values() for name in CATEGORY} == {""}
    assert any(row["top_category"] for row in whole.values())
    others = [name for name in next(iter(found.values())) if name not in {*CATEGORY, "customer_tags"}]
    assert all(found[number][name] == row[name] for number, row in whole.items() for name in others)
    with workspace(shop.config, online=True, clock=shop.clock, transports=shop.transports) as work:
        assert work.source is not None
        told = [its for its in work.source.doctor() if its.level != "ok"]
    assert any("READ-PRODUCTS" in its.text + its.fix for its in told)
