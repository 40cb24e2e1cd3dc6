"""One SQLite file, opened so that a kill at any point loses nothing that was committed.

Statements go through `connection.exec_driver_sql(text, parameters)`; bulk rows as a list of tuples, which sqlite3 runs
as one `executemany`.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from connector.base import Clock
from sync.errors import StoreError
from sync.store import migrations

__all__ = ["Connection", "Store", "open_store"]

_CACHE_KIB = 32 * 1024
_BUSY_MS = 10_000
_WRITE = "regulars_write"


class Store:
    """An open database. `begin` is the one way to write; both contexts give the connection back at their end."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.clock = clock
        self._engine = create_engine(
            f"sqlite:///{path}", poolclass=QueuePool, connect_args={"check_same_thread": False}
        )
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction: takes the writer's place at once (BEGIN IMMEDIATE), commits at the end or undoes all."""
        with self._readable(), self._engine.connect().execution_options(**{_WRITE: True}) as one, one.begin():
            yield one

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view. What is written to temporary tables is undone at the end."""
        with self._readable(), self._engine.connect() as connection:
            yield connection

    def query(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of one statement, in a view of its own."""
        with self.read() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql, parameters)]

    def close(self) -> None:
        """Close every connection; the write-ahead log is folded into the file by the last one."""
        self._engine.dispose()

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            text = explain(error.orig, self.path)
            if text is None:
                raise
            raise StoreError(text) from error


def open_store(path: Path | str, *, clock: Clock) -> Store:
    """Open the database, making it (0600) or bringing its schema up to date first."""
    place = Path(path)
    try:
        migrations.examine(place)
    except sqlite3.Error as error:
        text = explain(error, place)
        if text is None:
            raise
        raise StoreError(text) from error
    _make_private(place)
    store = Store(place, clock)
    try:
        with store._readable():
            migrations.migrate(store._engine, place)
    except BaseException:
        store.close()
        raise
    return store


def explain(error: BaseException | None, path: Path) -> str | None:
    """The one line an owner gets for a database failure that is not ours, or None for one that is."""
    text = str(error)
    if "database or disk is full" in text:
        return f"{path}: the disk is full, nothing of this step was kept; free some space and run it again"
    if "readonly database" in text or "unable to open" in text:
        return f"{path}: cannot be written ({text}); check the rights of the file and of its folder"
    if "malformed" in text or "not a database" in text:
        return (
            f"{path}: the file is damaged or no database ({text}); put a backup in its place, "
            "or move it away and run `regulars sync` to read the shop anew"
        )
    if "database is locked" in text:
        return f"{path}: another program has held the database for {_BUSY_MS // 1000} s; close it and try again"
    if "disk I/O error" in text:
        return f"{path}: the disk does not answer ({text}); check it and run the same command again"
    return None


def _make_private(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except IsADirectoryError as error:
        raise StoreError(f"{path}: is a folder; name a file in [database] url") from error
    except FileNotFoundError as error:
        raise StoreError(f"{path}: its folder does not exist; make it, or mend [database] url") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened for writing ({error.strerror}); check its rights") from error
    try:
        if hasattr(os, "fchmod") and stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            os.fchmod(descriptor, 0o600)
    except PermissionError as error:
        raise StoreError(f"{path}: belongs to someone else and others may read it; take it over or move it") from error
    finally:
        os.close(descriptor)


def _prepare(connection: sqlite3.Connection, record: object) -> None:
    """Pragmas of each connection. sqlite3's own transaction control is off: `_begin` says how one begins."""
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {_BUSY_MS}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = OFF",
        f"cache_size = -{_CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
