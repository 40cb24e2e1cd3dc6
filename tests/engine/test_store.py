"""The file: private, whole, one version, one writer; each failure is one line."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from fake_source import NOW, FakeSource, order
from rig import fresh

from sync.clock import ManualClock
from sync.errors import BusyError, StoreError
from sync.store import migrations, state
from sync.store.engine import Connection, Store, open_store
from sync.store.lock import RunLock
from sync.store.tables import FACT_INDEXES

CLOCK = ManualClock(NOW)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")
def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    """Database, write-ahead log and shared memory are 0600 under any umask; an open database is closed to others."""
    path = tmp_path / "shop.db"
    before = os.umask(0)
    try:
        store = open_store(path, clock=CLOCK)
        with store.begin() as connection:
            state.set_meta(connection, "a", 1)
        assert {each.name: mode(each) for each in tmp_path.iterdir()} == {
            "shop.db": 0o600, "shop.db-wal": 0o600, "shop.db-shm": 0o600,
        }  # fmt: skip
        store.close()
        path.chmod(0o644)
        open_store(path, clock=CLOCK).close()
    finally:
        os.umask(before)
    assert mode(path) == 0o600


def test_a_write_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """What a transaction wrote before an error is undone."""
    store = open_store(tmp_path / "shop.db", clock=CLOCK)
    with suppress(ZeroDivisionError), store.begin() as connection:
        state.set_meta(connection, "a", 1)
        raise ZeroDivisionError
    with store.read() as connection:
        assert state.get_meta(connection, "a", "nothing") == "nothing"
    store.close()


def test_temporary_tables_end_with_their_view(tmp_path: Path) -> None:
    """What a reader makes for itself is invisible to the next one."""
    store = open_store(tmp_path / "shop.db", clock=CLOCK)
    for _ in range(2):
        with store.read() as connection:
            connection.exec_driver_sql("CREATE TEMP TABLE customers (id INTEGER)")
            connection.exec_driver_sql("INSERT INTO customers VALUES (1)")
    assert store.query("SELECT count(*) FROM customers") == [(0,)]
    store.close()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"no database at all, but long enough to be taken for one" * 40, "damaged or no database"),
        (None, "is a folder"),
    ],
)
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes | None, text: str) -> None:
    """A file of something else and a folder are named in one line."""
    path = tmp_path / "shop.db"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(StoreError, match=text) as caught:
        open_store(path, clock=CLOCK)
    assert "\n" not in str(caught.value)
    assert content is None or path.read_bytes() == content


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """The folder is not made behind the owner's back."""
    with pytest.raises(StoreError, match="its folder does not exist"):
        open_store(tmp_path / "nowhere" / "shop.db", clock=CLOCK)


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    """A schema of a later version stops with both numbers, and nothing is written."""
    path = tmp_path / "shop.db"
    open_store(path, clock=CLOCK).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA journal_mode = DELETE")
        raw.execute("PRAGMA user_version = 9")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"made by a newer regulars \(schema 9 > 1\); upgrade regulars"):
        open_store(path, clock=CLOCK)
    assert path.read_bytes() == before


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
@pytest.mark.parametrize(
    "marks", [(), ("user_version = 1",), ("application_id = 7",), ("application_id = 7", "user_version = 1")]
)
def test_another_programs_database_is_left_alone(tmp_path: Path, marks: tuple[str, ...], journal: str) -> None:
    """Tables that are not ours are not added to; contents, journal, rights and neighbours stay as they are."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA journal_mode = {journal}")
        raw.execute("CREATE TABLE songs (id INTEGER)")
        for mark in marks:
            raw.execute(f"PRAGMA {mark}")
    raw.close()
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        open_store(path, clock=CLOCK)
    assert path.read_bytes() == before
    assert mode(path) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["other.db"]


def test_a_database_in_use_is_examined_through_its_log(tmp_path: Path) -> None:
    """What another process has written and not yet folded in is seen."""
    path = tmp_path / "shop.db"
    first = open_store(path, clock=CLOCK)
    with first.begin() as connection:
        state.set_meta(connection, "a", 1)
    second = open_store(path, clock=CLOCK)
    with second.read() as connection:
        assert state.get_meta(connection, "a") == 1
    second.close()
    first.close()


def test_a_full_disk_is_one_line_and_keeps_what_was_committed(tmp_path: Path) -> None:
    """Writing stops with one line; the pages before are there, and the same pull goes on once there is room."""
    source = FakeSource(20, orders=[order(number, NOW - 9000 + number, 1) for number in range(1, 400)])
    for each in source.records["orders"]:
        each["lines"] = [{"id": n, "product_id": n, "quantity": 1, "net": 1} for n in range(20)]
    with fresh(tmp_path, source) as rig:
        with rig.store.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 40}")
        with pytest.raises(StoreError, match="the disk is full") as caught:
            rig.pull()
        assert "\n" not in str(caught.value)
        kept = rig.one("SELECT count(*) FROM orders")
        assert 0 < kept < 399
        assert rig.one("SELECT count(*) FROM order_lines") == kept * 20
    with fresh(tmp_path, source) as rig:
        rig.pull()
        assert rig.one("SELECT count(*) FROM orders") == 399


def test_indexes_come_after_the_first_load(tmp_path: Path) -> None:
    """A new store has none of the facts' secondary indexes; after a pull it has them all."""
    wanted = {index.name for index in FACT_INDEXES}
    with fresh(tmp_path, FakeSource()) as rig:
        names = "SELECT name FROM sqlite_master WHERE type = 'index'"
        assert not wanted & {row[0] for row in rig.store.query(names)}
        rig.pull()
        assert wanted <= {row[0] for row in rig.store.query(names)}
        with rig.store.begin() as connection:
            connection.exec_driver_sql("DROP INDEX ix_orders_email")
    with fresh(tmp_path, FakeSource()) as rig:
        assert wanted <= {row[0] for row in rig.store.query(names)}


def test_a_changed_vocabulary_makes_the_derived_tables_anew(tmp_path: Path) -> None:
    """Metrics of another shape are dropped, and everybody is computed again."""
    with fresh(tmp_path, FakeSource()) as rig, rig.store.begin() as connection:
        connection.exec_driver_sql("INSERT INTO customers (id) VALUES (1), (2)")
        connection.exec_driver_sql("ALTER TABLE customer_metrics ADD COLUMN shoe_size INTEGER")
    with fresh(tmp_path, FakeSource()) as rig:
        assert rig.dirty() == {1, 2}
        columns = rig.store.query("SELECT name FROM pragma_table_info('customer_metrics')")
        assert ("shoe_size",) not in columns


def add_shoes(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE customers ADD COLUMN shoes INTEGER")


def fail(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE customers ADD COLUMN hats INTEGER")
    raise ZeroDivisionError


def test_a_migration_keeps_a_private_copy_first(tmp_path: Path) -> None:
    """Each step is whole with its version number; the state before the first is beside the file."""
    path = tmp_path / "shop.db"
    store = open_store(path, clock=CLOCK)
    with store.begin() as connection:
        connection.exec_driver_sql("INSERT INTO customers (id) VALUES (5)")
    store.close()
    store = Store(path, CLOCK)
    with pytest.raises(ZeroDivisionError):
        migrations.migrate(store._engine, path, (add_shoes, fail))
    store.close()
    copy = tmp_path / "shop.db.v1.bak"
    with sqlite3.connect(path) as raw, sqlite3.connect(copy) as old:
        assert raw.execute("PRAGMA user_version").fetchone() == (2,)
        assert [row[1] for row in raw.execute("PRAGMA table_info(customers)")][-1] == "shoes"
        assert old.execute("PRAGMA user_version").fetchone() == (1,)
        assert old.execute("SELECT id FROM customers").fetchall() == [(5,)]
    raw.close()
    old.close()
    assert mode(copy) == 0o600


def test_every_old_schema_leads_to_the_present_one(tmp_path: Path) -> None:
    """A database of each released version, brought up to date, has the schema of a new one."""
    schemas = sorted((Path(__file__).parent / "schemas").glob("v*.sql"))
    assert len(schemas) == len(migrations.STEPS) + 1, "a schema file for each version"
    open_store(tmp_path / "new.db", clock=CLOCK).close()
    for number, schema in enumerate(schemas, 1):
        old = tmp_path / schema.with_suffix(".db").name
        with sqlite3.connect(old) as raw:
            raw.executescript(schema.read_text())
            raw.execute(f"PRAGMA user_version = {number}")
        raw.close()
        open_store(old, clock=CLOCK).close()
        assert described(old) == described(tmp_path / "new.db"), "tables changed: a step and a schema file are missing"


def described(path: Path) -> dict[str, object]:
    """Tables with their columns and keys, and the indexes: not the text that made them."""
    with sqlite3.connect(path) as raw:
        names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        found: dict[str, object] = {name: raw.execute(f"PRAGMA table_info('{name}')").fetchall() for name in names}
        found["indexes"] = raw.execute(
            "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
        ).fetchall()
    raw.close()
    return found


HOLD = """
import sys
from sync.clock import SystemClock
from sync.store.lock import RunLock
with RunLock(sys.argv[1], SystemClock(), "sync"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_run_at_a_time_and_a_killed_one_frees_the_store(tmp_path: Path) -> None:
    """The second comer is told who holds the store; after `kill -9` the lock is free."""
    path = tmp_path / "shop.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=rf"`sync` \(process {holder.pid}\) .* for \d+ \w+; wait") as caught:
            RunLock(path, ManualClock(NOW)).__enter__()
        assert "\n" not in str(caught.value)
        holder.send_signal(signal.SIGKILL)
    with RunLock(path, CLOCK):
        assert mode(tmp_path / "shop.db.lock") == 0o600


def test_without_system_locks_the_text_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead process, and another one that has its number by now, hold nothing; a living one does."""
    from sync.store import lock

    path = tmp_path / "shop.db"
    with RunLock(path, CLOCK):
        written = (tmp_path / "shop.db.lock").read_bytes()
    monkeypatch.setattr(lock, "_lock", lambda descriptor: None)
    (tmp_path / "shop.db.lock").write_bytes(written)
    with pytest.raises(BusyError):
        RunLock(path, CLOCK).__enter__()
    if Path("/proc/self/stat").exists():
        (tmp_path / "shop.db.lock").write_bytes(written.replace(b'"began":"', b'"began":"another'))
        with RunLock(path, CLOCK):
            pass
    (tmp_path / "shop.db.lock").write_bytes(b'{"pid": 4194305, "began": null}')
    with RunLock(path, CLOCK):
        pass


def test_runs_are_kept_with_their_reports(tmp_path: Path) -> None:
    """An open run has no end; a closed one has exit code and report."""
    store = open_store(tmp_path / "shop.db", clock=CLOCK)
    with store.begin() as connection:
        first = state.open_run(connection, "sync", now=NOW, started_at=NOW)
        second = state.open_run(connection, "pull", now=NOW, started_at=NOW + 1)
        state.close_run(connection, first, finished_at=NOW + 5, exit_code=4, report={"a": [1]})
        newest, older = state.last_runs(connection, 5)
    assert (newest.id, newest.finished_at, newest.report) == (second, None, None)
    assert (older.command, older.exit_code, older.report) == ("sync", 4, {"a": [1]})
    store.close()
