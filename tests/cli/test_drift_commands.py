"""`undo` and `audit` against a served shop: what they print, their machine form, their exit codes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_shop import open_local
from shop import TestShop, open_shop

from sync.runs import Steps

FORCE = [word for guard in ("mass-remove", "mass-add", "emptied") for word in ("--force", guard)]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[TestShop]:
    """A small shop after its first sync."""
    with open_shop(tmp_path / "project", customers=20) as made:
        made.sync()
        yield made


def test_a_run_is_shown_held_and_taken_back(shop: TestShop) -> None:
    """Dry first, then held with the flags that let it pass, then done; the next run leaves it so; and back again."""
    tags, lists, mail_tags = shop.our_tags(), shop.lists(), shop.mail_tags()
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
    assert before + removed == sum(map(len, [*tags.values(), *lists.values(), *mail_tags.values()]))
    assert not any(shop.our_tags().values())
    assert shop.lists().keys() == lists.keys()
    assert not any([*shop.lists().values(), *shop.mail_tags().values()])
    again = shop.call("sync")
    assert again.code == 5
    assert "run 1 was taken back here" in again.out
    assert not any(shop.lists().values())
    back = shop.call("undo", str(found["run"]), *FORCE)
    assert back.code == 0, back
    there = [*shop.our_tags().values(), *shop.lists().values(), *shop.mail_tags().values()]
    assert sum(map(len, there)) == removed


def test_a_run_that_wrote_nothing_is_one_line(shop: TestShop) -> None:
    """Exit 2, and no run is made of it."""
    shop.call("pull")
    for run, said in (("99", "no run 99"), ("2", "run 2 was a pull and wrote nothing"), ("x", "valid integer")):
        ran = shop.call("undo", run)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err
    assert shop.query("SELECT count(*) FROM sync_run") == [(2,)]


def test_what_hands_did_is_told_and_put_back(shop: TestShop) -> None:
    """Nothing at first; then a tag that somebody took off, and one that somebody put on; then as it was."""
    tags = shop.our_tags()
    clean = shop.call("audit")
    assert (clean.code, clean.err) == (0, "")
    assert clean.out.endswith("Next: regulars status\n")
    with sqlite3.connect(shop.folder / "regulars.db") as database:
        database.execute("UPDATE outbox SET updated_at = updated_at - 3600")
    loser = next(number for number, its in tags.items() if "seg-lost" in its)
    joiner = next(number for number in shop.world.customers if "seg-lost" not in tags.get(number, ()))
    shop.world.remove_tags(shop.world.customers[loser], ["seg-lost"])
    shop.world.add_tags(shop.world.customers[joiner], ["seg-lost"])
    told = shop.call("audit", "--removals", "ignore")
    assert told.code == 0
    assert "1 person taken out by others: left as they are" in told.out
    assert "1 person put in by others: left to whoever put them there" in told.out
    found = shop.call("audit", "--json", "--additions", "revert:lost").json()
    [its] = [its for its in found["audiences"] if (its["destination"], its["segment"]) == ("tags", "lost")]
    assert its.keys() >= {"name", "members", "ours", "young", "choice"}
    assert (its["added"], its["removed"], its["put_back"], its["taken_out"]) == (1, 1, 1, 1)
    assert its["people"] == {"added": [str(joiner)], "removed": [str(loser)]}
    assert shop.call("sync").code == 0
    assert shop.our_tags() == tags
    wrong = shop.call("audit", "--additions", "keep")
    assert (wrong.code, wrong.out) == (2, "")


def test_a_sync_goes_on_with_what_was_begun_to_be_taken_back(tmp_path: Path) -> None:
    """A mail platform stops in the midst of it; the next sync finishes, says so, and writes nothing else there."""
    with open_local(tmp_path / "project", customers=40) as shop:
        assert shop.go().code == 0
        shop.faults.add("/relationships/profiles", "status", status=503, times=0)
        undo = Steps(undo=1, apply=True, force=("mass-remove", "emptied"))
        stopped = shop.go(undo)
        assert stopped.code == 4, stopped
        assert any(shop.lists().values())
        shop.faults.script.clear()
        ran = shop.go()
        assert ran.code == 5
        assert "went on taking back run 1: 0 added, " in ran.err
        assert next(its["removed"] for its in ran.json()["destinations"] if its["destination"] == "klaviyo") > 0
        assert not any(shop.lists().values())
