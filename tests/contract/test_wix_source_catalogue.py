"""A site's catalogue run after run: categories that are renamed, and runs in which nothing happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from wix_rig import DAY, NOW, Rig
from wix_source_rig import Reader, clock, small_pages

from connector.base import Reply
from connector.sandbox.records import guid
from connector.sandbox.wire import Request
from connector.wix.wire import iso
from sync.pull.extract import StreamReport
from sync.pull.pull import pull
from sync.store.engine import Store, open_store

LINES = "SELECT DISTINCT title, category FROM order_lines ORDER BY title"


class Shop:
    """A site with version 3 of the catalogue whose categories the owner renames, run after run."""

    def __init__(self, store: Store) -> None:
        self.rig = Rig(check=False, catalogue="v3", per_minute=100_000)
        self.rig.order(self.rig.person())
        self.rig.open()
        self.names: dict[str, str] = {}
        self.dates: dict[str, float] = {}
        self.more: list[dict[str, Any]] = []
        self._store = store
        self._runs = 0

    def rename(self, name: str, to: str, at: float) -> None:
        """Give a category another name and the date of that."""
        self.names[name], self.dates[name] = to, at

    def run(self) -> StreamReport:
        """An hour later; what became of the products."""
        clock(self.rig).advance(3600)
        self._runs += 1
        source = Reader(self.rig, self._answer, requests_per_minute=100_000).source
        now = int(self.rig.clock.now())
        report = pull(source, self._store, run_id=self._runs, now=now, zone=ZoneInfo("UTC"), prefix="seg-")
        return next(each for each in report.streams if each.stream == "products")

    def idle(self) -> None:
        """A run that asks for the version, the categories and one window, which is empty."""
        found = self.run()
        assert (found.calls, found.pages, found.read) == (3, 1, 0)

    def lines(self) -> dict[str, str | None]:
        """Category by title of what was bought."""
        return {row[0]: row[1] for row in self._store.query(LINES)}

    def _answer(self, request: Request) -> Reply:
        reply = self.rig.handle(request)
        if request.path != "/categories/v1/categories/query":
            return reply
        body = orjson.loads(reply.body)
        for each in body["categories"]:
            old = each["name"]
            each["name"] = self.names.get(old, old)
            each["updatedDate"] = iso(self.dates[old]) if old in self.dates else each["updatedDate"]
        body["categories"] += self.more
        return Reply(reply.status, reply.headers, orjson.dumps(body))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    small_pages(monkeypatch, products=1)
    clock_ = Rig().clock
    with closing(open_store(tmp_path / "wix.db", clock=clock_)) as store:
        yield Shop(store)


def test_idle_runs_ask_for_one_window(shop: Shop) -> None:
    """All products have the date of an import: even so they are not read again."""
    assert shop.run().read == 2
    for _ in range(3):
        shop.idle()


def test_a_renamed_category_reaches_the_lines_in_the_next_run(shop: Shop) -> None:
    """All products are read again once, and then none."""
    shop.run()
    assert shop.lines() == {"Earl Grey": "Tea", "Stoneware mug": "Mugs"}
    shop.rename("Mugs", "Cups", at=shop.rig.clock.now() + 60)
    found = shop.run()
    assert (found.read, found.changed) == (2, 1)
    assert shop.lines() == {"Earl Grey": "Tea", "Stoneware mug": "Cups"}
    for _ in range(3):
        shop.idle()


def test_categories_newer_than_all_products_cost_one_window(shop: Shop) -> None:
    """As in any shop whose categories were arranged after its products."""
    shop.rename("Tea", "Teas", at=NOW - DAY + 0.5)
    assert shop.run().read == 2
    for _ in range(3):
        shop.idle()


def test_a_new_category_without_products_does_not_stay_ahead(shop: Shop) -> None:
    """It makes all products be read again once."""
    shop.run()
    made = iso(shop.rig.clock.now() + 60)
    shop.more.append({"id": guid("category", 1), "name": "Empty", "updatedDate": made})
    assert shop.run().read == 2
    for _ in range(3):
        shop.idle()


def test_what_was_renamed_just_now_is_read_again_until_it_shows(shop: Shop) -> None:
    """Within the stream's lag a change may not be complete; after it, it is known."""
    shop.run()
    shop.rename("Mugs", "Cups", at=shop.rig.clock.now() + 3600 - 10)
    assert shop.run().read == 2
    assert shop.run().read == 2
    for _ in range(2):
        shop.idle()


def test_a_changed_product_is_read_alone(shop: Shop) -> None:
    """Though its categories were renamed since it was made."""
    shop.rename("Mugs", "Cups", at=NOW - DAY)
    shop.run()
    changed = shop.rig.clock.now() + 60
    was = shop.rig.handle

    def handle(request: Request) -> Reply:
        reply = was(request)
        if request.path != "/stores/v3/products/query":
            return reply
        asked = orjson.loads(request.body)["query"].get("filter", {})
        after = asked.get("updatedDate", {}).get("$gte", "")
        body = orjson.loads(reply.body)
        if after and after <= iso(changed):
            product = {"id": shop.rig.mug.guid, "name": "Big mug", "updatedDate": iso(changed)}
            body["products"] = [product]
        return Reply(reply.status, reply.headers, orjson.dumps(body))

    shop.rig.handle = handle  # type: ignore[method-assign]
    assert shop.run().read == 1
    shop.idle()
