"""The few spellings on which SQLite and PostgreSQL differ, said once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, CursorResult, Float, Insert, Table, Text, cast, func
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.sql.selectable import Select


class after_at(GenericFunction[str]):  # noqa: N801
    """The part of an address behind its first @."""

    type = Text()
    inherit_cache = True


class by_code_point(GenericFunction[str]):  # noqa: N801
    """Text that sorts and compares by code point, whatever the database's locale."""

    type = Text()
    inherit_cache = True


@compiles(after_at)
def _after_at(element: after_at, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    place = "strpos" if compiler.dialect.name == "postgresql" else "instr"
    return f"substr({text}, {place}({text}, '@') + 1)"


@compiles(by_code_point)
def _by_code_point(element: by_code_point, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    return f'{text} COLLATE "C"' if compiler.dialect.name == "postgresql" else text


def dialect_insert(dialect: str, table: Table) -> Any:
    """The INSERT that knows ON CONFLICT; both databases spell it alike, SQLAlchemy keeps it apart."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def upsert(dialect: str, table: Table, rows: Select[Any], keys: Iterable[str], changed: Iterable[str]) -> Insert:
    """INSERT ... SELECT that writes over the `changed` columns where the keys are there already; none: leaves the row.

    The SELECT needs a WHERE: without one SQLite reads ON CONFLICT as the condition of a join
    (https://www.sqlite.org/lang_upsert.html, "Parsing Ambiguity").
    """
    columns = [column.name for column in rows.selected_columns]
    insert = dialect_insert(dialect, table).from_select(columns, rows)
    values = {name: insert.excluded[name] for name in changed}
    statement: Insert = (
        insert.on_conflict_do_update(index_elements=list(keys), set_=values)
        if values
        else insert.on_conflict_do_nothing(index_elements=list(keys))
    )
    return statement


def rows_written(connection: Connection, result: CursorResult[Any]) -> int:
    """The row count of a write. Python's sqlite3 tells none for statements that begin with WITH."""
    if result.rowcount >= 0:
        return result.rowcount
    return int(connection.exec_driver_sql("SELECT changes()").scalar_one())


def division(above: ColumnElement[Any], below: ColumnElement[Any]) -> ColumnElement[Any]:
    """A true quotient; nothing over nothing is unknown."""
    return cast(above, Float) / func.nullif(cast(below, Float), 0.0)
