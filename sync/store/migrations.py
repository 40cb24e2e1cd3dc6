"""The schema's way forward. A step is never edited once it has been released; a change of `tables` is a new step.

`PRAGMA user_version` is the version; it changes in the transaction of its step. Before the first step a copy of the
database is made beside it with `VACUUM INTO`. The tables of `sync.metrics` have no steps: they are derived, so when the
vocabulary has changed they are made anew and every customer becomes dirty.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.schema import CreateIndex, CreateTable

from sync.errors import StoreError
from sync.store.tables import FACT_INDEXES, SQLModel

Step = Callable[[Connection], None]

STEPS: tuple[Step, ...] = ()
"""Step n leads from version n + 1 to version n + 2; version 1 is the first release."""


APPLICATION_ID = 0x52454755
"""`PRAGMA application_id` of our databases, which other programs' share their `user_version` with."""

_OURS = frozenset({"customers", "stream_state", "sync_run"})


def examine(path: Path, steps: Sequence[Step] = STEPS) -> None:
    """Refuse a database that is newer or not ours, before anything about the file is changed.

    Without a log beside it nobody has it open: read as immutable it gets none either.
    """
    if not os.access(path, os.R_OK) or not path.is_file() or path.stat().st_size == 0:
        return
    alone = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro{alone}", uri=True)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        ((version,),) = connection.execute("PRAGMA user_version")
        ((application,),) = connection.execute("PRAGMA application_id")
    unmarked_ours = application == 0 and (not tables or (version > 0 and tables >= _OURS))
    if application != APPLICATION_ID and not unmarked_ours:
        raise StoreError(f"{path}: is a database of another program; name another file in [database] url")
    if version > len(steps) + 1:
        raise StoreError(f"{path}: made by a newer regulars (schema {version} > {len(steps) + 1}); upgrade regulars")


def migrate(engine: Engine, path: Path, steps: Sequence[Step] = STEPS) -> None:
    """Make the schema, or bring it up to the newest version. The file has been examined."""
    newest = len(steps) + 1
    with engine.connect() as connection:
        version = _version(connection)
        marked = connection.exec_driver_sql("PRAGMA application_id").scalar_one() == APPLICATION_ID
    if 0 < version < newest:
        _back_up(engine, path, version)
    with engine.connect().execution_options(regulars_write=True) as connection:
        while version < newest:
            with connection.begin():
                version = _advance(connection, steps)
        with connection.begin():
            if not marked:
                connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            if _outdated(connection):
                _renew_derived(connection)
    _index_loaded(engine)


def _version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def _advance(connection: Connection, steps: Sequence[Step]) -> int:
    """One step, seen from the version as it is inside the transaction: another process may have gone ahead."""
    version = _version(connection)
    if version == 0:
        create(connection)
        reached = len(steps) + 1
    elif version <= len(steps):
        steps[version - 1](connection)
        reached = version + 1
    else:
        return version
    connection.exec_driver_sql(f"PRAGMA user_version = {reached}")
    return reached


def create(connection: Connection) -> None:
    """Every table with its own indexes, without those that wait for the first load."""
    _derived()
    for table in SQLModel.metadata.sorted_tables:
        _create_table(connection, table)


def build_indexes(connection: Connection, tables: Iterable[str] | None = None) -> None:
    """Build the secondary indexes of the facts (of these tables) where they are missing."""
    wanted = None if tables is None else set(tables)
    for index in FACT_INDEXES:
        if index.table is not None and (wanted is None or index.table.name in wanted):
            connection.execute(CreateIndex(index, if_not_exists=True))


def _create_table(connection: Connection, table: Table) -> None:
    connection.execute(CreateTable(table))
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        if index not in FACT_INDEXES:
            connection.execute(CreateIndex(index))


def _index_loaded(engine: Engine) -> None:
    """A database whose orders are loaded has all indexes, also those that this version added."""
    with engine.connect() as connection:
        loaded = connection.exec_driver_sql(
            "SELECT 1 FROM stream_state WHERE stream = 'orders' AND completed_at IS NOT NULL"
        ).first()
        present = {row[0] for row in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'index'")}
    if loaded and any(index.name not in present for index in FACT_INDEXES):
        with engine.connect().execution_options(regulars_write=True) as connection, connection.begin():
            build_indexes(connection)


def _derived() -> tuple[Table, ...]:
    """Imported late: the metrics package itself uses the store."""
    from sync.metrics import table

    return (
        table.customer_metrics,
        table.customer_gaps,
        table.store_gaps,
        table.store_figures,
        table.customer_before,
    )


def _outdated(connection: Connection) -> bool:
    """True when a derived table is not as the vocabulary now has it."""
    for table in _derived():
        wanted = [(column.name, str(column.type.compile(connection.dialect))) for column in table.columns]
        rows = connection.exec_driver_sql("SELECT name, type FROM pragma_table_info(?)", (table.name,))
        if wanted != [(row[0], row[1]) for row in rows]:
            return True
    return False


def _renew_derived(connection: Connection) -> None:
    for table in _derived():
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table.name}")
        _create_table(connection, table)
    connection.exec_driver_sql("INSERT OR IGNORE INTO dirty (customer_id) SELECT id FROM customers")


def _back_up(engine: Engine, path: Path, version: int) -> Path:
    """`VACUUM INTO` takes an existing empty file, so the copy is private from its first byte."""
    copy = path.with_name(f"{path.name}.v{version}.bak")
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("VACUUM INTO ?", (str(copy),))
    finally:
        raw.close()
    return copy
