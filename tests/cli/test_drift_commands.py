"""`undo` against a served shop: what it prints, its machine form, its exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import TestShop, open_shop

FORCE = [word for guard in ("mass-remove", "mass-add", "emptied") for word in ("--force", guard)]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[TestShop]:
    """A small shop after its first sync."""
    with open_shop(tmp_path / "project", customers=20) as made:
        made.sync()
        yield made


def test_a_run_is_shown_held_and_taken_back(shop: TestShop) -> None:
    """Dry first, then held with the flags that let it pass, then done; the next run leaves it so; and back again."""
    tags, lists = shop.our_tags(), shop.lists()
    assert any(lists.values())
    dry = shop.call("undo", "1", "--dry-run")
    assert "taking back run 1" in dry.out
    assert dry.out.endswith("Dry run: nothing was written.\n")
    held = shop.call("undo", "1")
    assert held.code == 5
    assert "regulars undo 1 --force " in held.out
    taken = shop.call("undo", "1", "--json", *FORCE)
    assert taken.code == 0, taken
    found = taken.json()
    assert (found["undo"]["undoes"], found["undo"]["disabled"], found["exit"]) == (1, [], 0)
    before = sum(its["skipped"].get("taken_back", 0) for its in found["undo"]["audiences"])
    removed = sum(its["removed"] for its in found["destinations"])
    assert before + removed == sum(map(len, [*tags.values(), *lists.values()]))
    assert not any(shop.our_tags().values())
    assert shop.lists().keys() == lists.keys()
    assert not any(shop.lists().values())
    again = shop.call("sync")
    assert again.code == 5
    assert "run 1 was taken back here" in again.out
    assert not any(shop.lists().values())
    back = shop.call("undo", str(found["run"]), *FORCE)
    assert back.code == 0, back
    there = [*shop.our_tags().values(), *shop.lists().values()]
    assert sum(map(len, there)) == removed


def test_a_run_that_wrote_nothing_is_one_line(shop: TestShop) -> None:
    """Exit 2, and no run is made of it."""
    shop.call("pull")
    for run, said in (("99", "no run 99"), ("2", "run 2 was a pull and wrote nothing"), ("x", "valid integer")):
        ran = shop.call("undo", run)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err
    assert shop.query("SELECT count(*) FROM sync_run") == [(2,)]
