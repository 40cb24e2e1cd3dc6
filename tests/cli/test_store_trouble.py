"""Databases, disks and runs in each other's way: one line, the right exit code, and a plain sync goes on."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from checks import check_nothing_doubled, check_one_line, check_private, check_remote_sides, check_untouched
from shop import COMMAND, Ran, TestShop, open_shop

from sync.store.migrations import APPLICATION_ID


def newer(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE later (x)")
        connection.execute("PRAGMA user_version = 99")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.commit()
    return "made by a newer regulars (schema 99 > "


def foreign(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE bills (x)")
        connection.commit()
    return "is a database of another program; name another file in [database] url"


def garbage(database: Path) -> str:
    database.write_bytes(b"Dear diary, today I learned about databases. " * 50)
    return "the file is damaged or no database"


def a_folder(database: Path) -> str:
    database.mkdir()
    return "is a folder; name a file in [database] url"


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize("spoil", [newer, foreign, garbage, a_folder])
def test_a_file_that_is_not_our_database(spoil: Callable[[Path], str], shop: TestShop) -> None:
    """Exit 1 before a call is made; the file stays as it is."""
    database = shop.folder / "regulars.db"
    text = spoil(database)
    before = database.read_bytes() if database.is_file() else b""
    calls = shop.requests()
    check_untouched(shop, shop.call("sync"), 1, "regulars.db: ", text, database=True)
    assert shop.requests() == calls
    doctor = shop.call("doctor")
    assert doctor.code == 1
    _, _, finding = doctor.out.partition("FAIL  database: ")
    assert text in " ".join(finding.split()), doctor.out
    assert "ok    key: accepted by" in doctor.out
    if database.is_file():
        assert database.read_bytes() == before


def test_the_database_of_another_shop_is_not_mixed(shop: TestShop) -> None:
    """Exit 1 with both names; facts stay as they were."""
    assert shop.call("pull").code == 0
    with closing(sqlite3.connect(shop.folder / "regulars.db")) as connection:
        connection.execute(
            "UPDATE meta SET value = json_set(value, '$.id', '99', '$.name', 'Other') WHERE key = 'shop'"
        )
        connection.commit()
    ran = shop.call("sync")
    check_untouched(
        shop, ran, 1, "regulars.db: holds the shopify shop Other (99), not", "[database] url", database=True
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.usefixtures("unwritten")
def test_a_folder_that_may_not_be_written(shop: TestShop) -> None:
    """Exit 1 and one line."""
    shop.folder.chmod(0o500)
    try:
        check_untouched(shop, shop.call("sync"), 1, "cannot be opened for writing", "rights", database=False)
    finally:
        shop.folder.chmod(0o700)


PAGES = """
from sqlalchemy import Engine, event

@event.listens_for(Engine, "connect")
def small(connection, record):
    connection.execute("PRAGMA max_page_count = 120").close()
"""
BYTES = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
"""


@pytest.mark.parametrize(("limit", "said"), [(PAGES, "the disk is full"), (BYTES, "the disk")], ids=["pages", "bytes"])
def test_a_full_disk_loses_nothing(limit: str, said: str, served: TestShop, shop: TestShop) -> None:
    """One line, exit 1, no write at either side; with room again a plain sync reads the rest."""
    before = served.writes
    ran = shop.run("sync", prelude=(sys.executable, "-c", f"{limit}\nfrom sync.cli.main import main\nmain()"))
    check_untouched(shop, ran, 1, f"regulars.db: {said}", "run", database=True)
    assert served.writes == before
    healed = shop.call("pull", "--json")
    assert (healed.code, healed.err) == (0, "")
    assert shop.query("SELECT count(*) FROM customers WHERE gone_at IS NULL") == [(len(shop.world.customers),)]
    assert shop.query("SELECT count(*) FROM orders WHERE gone_at IS NULL") == [(len(shop.world.orders),)]


def test_two_at_once(tmp_path: Path) -> None:
    """The second is told who is at work and since when, exit 1; the first goes on to its end."""
    with open_shop(tmp_path / "project", customers=20) as shop:
        second: list[Ran] = []
        shop.faults.before("OrdersPage", lambda: second.append(shop.run("sync")))
        first = shop.call("sync")
        assert (first.code, first.err) == (0, "")
        [ran] = second
        text = f"`sync` (process {os.getpid()}) has been at work on this database for"
        check_untouched(shop, ran, 1, text, " s; ", "wait for its end", database=True)
        check_remote_sides(shop)
        check_nothing_doubled(shop)


def test_ctrl_c_in_mid_pull(tmp_path: Path) -> None:
    """Exit 130 and one line; the next sync goes on, and nothing is missing."""
    with open_shop(tmp_path / "project", customers=20) as shop:
        children: list[subprocess.Popen[str]] = []
        shop.faults.before("OrdersPage", lambda: children[0].send_signal(signal.SIGINT))
        shop.faults.add("OrdersPage", "delay", seconds=1.0)
        child = subprocess.Popen(
            [*COMMAND, "sync"],
            env={**os.environ, "REGULARS_CONFIG": str(shop.config)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        out, err = child.communicate(timeout=60)
        assert (child.returncode, out) == (130, "")
        check_one_line(err, shop, "interrupted; what was done is kept")
        assert shop.query("SELECT exit_code FROM sync_run") == [(130,)]
        assert shop.writes == 0
        assert shop.call("sync").code == 0
        check_remote_sides(shop)
        check_nothing_doubled(shop)


def test_a_bug_looks_like_a_bug(shop: TestShop) -> None:
    """Exit 3, one line, and a private report without secrets."""
    broken = "import sync.runs\nsync.runs._do = None\nfrom sync.cli.main import main\nmain()"
    ran = shop.run("pull", prelude=(sys.executable, "-c", broken))
    assert (ran.code, ran.out) == (3, "")
    check_one_line(ran.err, shop, "this is a bug in regulars: TypeError", "please report it with ")
    report = Path(ran.err.split()[-1])
    assert report.stat().st_mode & 0o077 == 0
    text = report.read_text()
    report.unlink()
    assert "Traceback" in text
    check_private(text.replace("Traceback", ""), shop)
