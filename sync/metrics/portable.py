"""The few spellings on which SQLite and PostgreSQL differ, said once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Float, Insert, Table, Text, cast, func
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


def upsert(dialect: str, table: Table, rows: Select[Any], keys: Iterable[str], changed: Iterable[str]) -> Insert:
    """INSERT ... SELECT that writes over the `changed` columns where the keys are there already; none: leaves the row.

    The SELECT needs a WHERE: without one SQLite reads ON CONFLICT as the condition of a join
    (https://www.sqlite.org/lang_upsert.html, "Parsing Ambiguity").
    """
    columns = [column.name for column in rows.selected_columns]
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    statement = insert.from_select(columns, rows)
    values = {name: statement.excluded[name] for name in changed}
    if not values:
        return statement.on_conflict_do_nothing(index_elements=list(keys))
    return statement.on_conflict_do_update(index_elements=list(keys), set_=values)


def division(above: ColumnElement[Any], below: ColumnElement[Any]) -> ColumnElement[Any]:
    """A true quotient; nothing over nothing is unknown."""
    return cast(above, Float) / func.nullif(cast(below, Float), 0.0)
