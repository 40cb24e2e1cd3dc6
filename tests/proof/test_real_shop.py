"""The real shop's year, carried by the command through both simulators as an owner would: sandbox, sync, questions.

REGULARS_PROOF_DATA names the folder of the shop's tables.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connector.base import Audience, Cursor, Destination, Source
from sync.cli.wiring import connect
from sync.clock import SystemClock
from sync.config import load_project
from tests.proof.online_retail import rows

pytestmark = pytest.mark.proof

COMMAND = (sys.executable, "-c", "from sync.cli.main import main; main()")
AS_OF = "2026-11-21T00:00:00Z"

MONEY = {
    "gross_spent": "gross_amount",
    "discounts": "amount_discounted",
    "paid_spent": "amount_paid",
    "refunded": "amount_refunded",
    "net_spent": "amount_spent",
    "open_carts_value": "open_cart_value",
}
EXACT = {
    "orders_count": "number_of_orders",
    "purchase_days": "purchase_days",
    "orders_30d": "orders_last_30d",
    "orders_90d": "orders_last_90d",
    "orders_365d": "orders_last_365d",
    "items_count": "items_purchased",
    "distinct_products": "distinct_products",
    "distinct_categories": "distinct_categories",
    "top_category": "top_category",
    "r_score": "recency_score",
    "f_score": "frequency_score",
    "m_score": "monetary_score",
    "open_carts_count": "open_carts",
    "open_carts_30d": "open_carts_last_30d",
    "open_carts_30d_no_later_order": "open_carts_without_later_order",
    "first_order_at": "first_order_date",
    "last_order_at": "last_order_date",
    "last_open_cart_at": "abandoned_checkout_date",
}
FLOATS = {
    "aov": "average_order_value",
    "recency_days_exact": "days_since_last_order",
    "mean_interval_days": "mean_days_between_orders",
    "median_interval_days": "median_days_between_orders",
    "mean_interval_by_day": "mean_days_between_purchase_days",
    "median_interval_by_day": "median_days_between_purchase_days",
    "discount_share_of_spend": "discount_share",
    "discounted_orders_share": "discounted_orders_share",
    "coupon_orders_share": "coupon_orders_share",
    "full_price_orders_share": "full_price_orders_share",
    "refund_rate": "refund_rate",
    "refunded_orders_share": "refunded_orders_share",
    "nov_dec_orders_share": "nov_dec_orders_share",
    "weekend_orders_share": "weekend_orders_share",
    "top_category_share": "top_category_share",
}
WHOLE_DAYS = {"recency_days": "days_since_last_order", "tenure_days": "days_since_first_order"}
"""The mapping from the expected table to the exported columns; what is missing here our vocabulary does not have."""


@dataclass(frozen=True)
class RealShop:
    """The served shop after its first sync."""

    data: Path
    folder: Path
    first: dict[str, Any]

    def run(self, *words: str) -> str:
        """`regulars WORDS`; its stdout."""
        command = [*COMMAND, *words, "--config", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def sandbox(data: Path, folder: Path, port: int) -> Iterator[None]:
    """`regulars sandbox` over the real shop, ready."""
    words = ["sandbox", "--data", str(data), "--folder", str(folder), "--port-base", str(port), "--time-scale", "50"]
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        try:
            for line in served.stdout:
                if line.startswith("ready"):
                    break
            yield
        finally:
            served.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealShop]:
    """The shop, synced once with the thirteen segments."""
    data = Path(os.environ["REGULARS_PROOF_DATA"])
    folder = tmp_path_factory.mktemp("real") / "project"
    with sandbox(data, folder, 9101):
        shutil.copy(Path(__file__).with_name("segments.toml"), folder / "segments.toml")
        made = RealShop(data, folder, {})
        first = json.loads(made.run("sync", "--json"))
        yield RealShop(data, folder, first)


@pytest.fixture(scope="module")
def ids(shop: RealShop) -> dict[str, str]:
    """The shop's own id of each customer of the tables."""
    with (shop.folder / "ids.csv").open(encoding="utf-8") as file:
        return {row["source_id"]: row["shopify"] for row in csv.DictReader(file) if row["source_id"].startswith("OR")}


def equal(name: str, found: str, wanted: str) -> bool:
    if not found or not wanted:
        return found == wanted or (name == "refund_rate" and found == wanted)
    if name in MONEY:
        return Decimal(found) == Decimal(wanted)
    if name in WHOLE_DAYS:
        return int(float(found)) == int(wanted)
    if name in FLOATS:
        return abs(float(found) - float(wanted)) <= 1e-9 * max(1.0, abs(float(wanted)))
    if name.endswith("_at"):
        return datetime.fromisoformat(found) == datetime.fromisoformat(wanted)
    return found == wanted


def test_exported_metrics_equal_the_expected_ones(shop: RealShop, ids: dict[str, str]) -> None:
    """`customers export --as-of` is right for every customer and every column that corresponds."""
    exported = {
        row["customer_id"]: row
        for row in csv.DictReader(shop.run("customers", "export", "--as-of", AS_OF).splitlines())
    }
    expected = list(rows(shop.data, "expected_metrics"))
    assert len(exported) == len(expected)
    columns = {**MONEY, **EXACT, **FLOATS, **WHOLE_DAYS}
    wrong = [
        f"{row['customer_id']} {name}: {mine!r}, expected {row[name]!r}"
        for row in expected
        for name, ours in columns.items()
        if not equal(name, mine := exported[ids[row["customer_id"]]][ours], row[name])
    ]
    assert wrong == []


def test_the_thirteen_segments_have_the_expected_members(shop: RealShop, ids: dict[str, str]) -> None:
    """`segments members --as-of` gives exactly the expected people."""
    expected = json.loads((shop.data / "expected_segments.json").read_text(encoding="utf-8"))["segments"]
    assert len(expected) == 13
    for key, wanted in expected.items():
        found = shop.run("segments", "members", key, "--as-of", AS_OF).split()
        assert sorted(found) == sorted(ids[person] for person in wanted["customer_ids"]), key


def test_both_remote_sides_hold_what_membership_says(shop: RealShop) -> None:
    """Tags at the store = membership now; lists = its consented, unsuppressed members."""
    with ExitStack() as stack:
        source, destinations = connect(load_project(shop.folder), SystemClock(), {}, stack)
        check_both(shop, source, destinations)


def check_both(shop: RealShop, source: Source, destinations: Sequence[Destination]) -> None:
    """Read everything back through the platforms' own APIs."""
    klaviyo = next(its for its in destinations if its.name == "klaviyo")
    pushed = [(row["key"], row["push"]) for row in json.loads(shop.run("segments", "list", "--json")) if row["push"]]
    members = {key: set(shop.run("segments", "members", key).split()) for key, _ in pushed}
    stream = next(its for its in source.streams if its.name == "customers")
    tags: dict[str, set[str]] = {}
    consented: dict[str, str] = {}
    to_rows, columns = source.to_rows(stream), source.columns(stream)
    for page in source.pages(stream, Cursor()):
        for record in page.records:
            mapped = to_rows(record)
            person = dict(zip(columns["customers"], mapped["customers"][0], strict=True))
            for row in mapped.get("customer_tags", []):
                tag = dict(zip(columns["customer_tags"], row, strict=True))["tag"]
                if tag.startswith("seg-"):
                    tags.setdefault(tag.removeprefix("seg-"), set()).add(str(person["id"]))
            if person["email_status"] == "SUBSCRIBED" and person["email_key"]:
                consented[str(person["id"])] = person["email_key"]
    assert tags == {key: members[key] for key, push in pushed if "tags" in push and members[key]}
    profiles = {profile.email: profile for page in klaviyo.lookup(sorted(set(consented.values()))) for profile in page}
    names = dict(_audiences(shop))
    for key, push in pushed:
        if "klaviyo" not in push:
            continue
        wanted = {
            profiles[consented[person]].remote_id
            for person in members[key]
            if person in consented and profiles[consented[person]].mailable
        }
        if wanted:
            assert set(klaviyo.members(Audience(key, "", names[key]))) == wanted, key


def _audiences(shop: RealShop) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(shop.folder / "regulars.db")) as connection:
        return connection.execute("SELECT segment, remote_id FROM audience WHERE destination = 'klaviyo'").fetchall()


def test_a_second_sync_changes_nothing(shop: RealShop) -> None:
    """No write, and nobody recomputed but for time."""
    report = json.loads(shop.run("sync", "--json"))
    assert all(its["added"] == its["removed"] == 0 for its in report["destinations"] if its["destination"] == "tags")
    assert all(its["new"] == its["changed"] == 0 for its in report["streams"])
