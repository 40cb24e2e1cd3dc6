"""Values of a condition as SQL, with what is needed to set two of them side by side.

Money is kept in minor units; a literal beside it is scaled, so that the comparison stays one of integers. Only where
money meets a plain number is it brought to its own unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import BigInteger, Boolean, ColumnElement, Double, Text, and_, cast, false, func, literal, null, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from mappings.keys import key, own_id
from sync.segments.tree import calculate

Truth = ColumnElement[bool]
UNKNOWN: Truth = cast(null(), Boolean)
Kind = Literal["number", "date", "text", "bool", "list", "id", "anniversary"]
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}


class fold(GenericFunction[str]):  # noqa: N801
    """Lower case of any script. SQLite's own `lower` knows ASCII alone, so a function of ours stands in (`prepare`)."""

    type = Text()
    inherit_cache = True


@compiles(fold)
def _fold(element: fold, compiler: SQLCompiler, **options: Any) -> str:
    name = "lower" if compiler.dialect.name == "postgresql" else "regulars_fold"
    return f"{name}({compiler.process(element.clauses, **options)})"


@dataclass(frozen=True, slots=True)
class Typed:
    """An expression and its kind. `scale`: decimals of the minor units it is in; `constant`: what a literal says.

    `day` is set for a literal day, with `bounds` its instants; `holds` tells of a list whether it has an entry.
    """

    kind: Kind
    sql: ColumnElement[Any]
    scale: int = 0
    constant: Decimal | None = None
    day: date | None = None
    bounds: tuple[int, int] = (0, 0)
    folded: bool = False
    holds: Callable[[str], Truth] | None = field(default=None, compare=False)
    empty: Truth | None = field(default=None, compare=False)


def number(value: Decimal | None, scale: int = 0) -> Typed:
    """A literal number, in minor units where `scale` says so; None is unknown."""
    if value is None:
        return Typed("number", cast(null(), Double))
    scaled = value.scaleb(scale)
    whole = scaled == scaled.to_integral_value() and abs(scaled) < 2**62
    sql = literal(int(scaled), BigInteger()) if whole else literal(float(scaled), Double())
    return Typed("number", sql, scale=scale, constant=value)


def plain(value: Typed) -> Typed:
    """Money in its own unit, as a plain number."""
    if not value.scale:
        return value
    if value.constant is not None:
        return number(value.constant)
    return Typed("number", cast(value.sql, Double) / literal(float(10**value.scale), Double()))


def aligned(left: Typed, right: Typed) -> tuple[Typed, Typed]:
    """The two in one unit."""
    if left.scale == right.scale:
        return left, right
    if right.constant is not None and not right.scale:
        return left, number(right.constant, left.scale)
    if left.constant is not None and not left.scale:
        return number(left.constant, right.scale), right
    return plain(left), plain(right)


def arithmetic(operator: str, left: Typed, right: Typed) -> Typed:
    """Division is a true one, and by zero unknown; dates subtract to exact days."""
    if left.kind == "date":
        return Typed("number", cast(left.sql - right.sql, Double) / literal(86400.0, Double()))
    if left.constant is not None and right.constant is not None:
        return number(calculate(operator, left.constant, right.constant))
    if operator in "+-":
        left, right = aligned(left, right)
        sql = left.sql + right.sql if operator == "+" else left.sql - right.sql
        return Typed("number", sql, scale=left.scale)
    if operator == "*":
        if left.scale and right.scale:
            right = plain(right)
        return Typed("number", left.sql * right.sql, scale=left.scale or right.scale)
    if right.scale and not left.scale:
        right = plain(right)
    scale = left.scale if not right.scale else 0
    return Typed("number", cast(left.sql, Double) / func.nullif(right.sql, 0), scale=scale)


def compare(operator: str, left: Typed, right: Typed) -> Truth:
    """The comparison, unknown where a side is."""
    if left.day is not None and right.day is None:
        return compare(_FLIPPED[operator], right, left)
    if left.kind == "date" and right.day is not None:
        return _with_day(operator, left.sql, *right.bounds)
    if left.kind == "number":
        left, right = aligned(left, right)
    a, b = left.sql, right.sql
    if left.folded or right.folded:
        a, b = func.lower(a), func.lower(b)
    match operator:
        case "=":
            return a == b
        case "!=":
            return a != b
        case "<":
            return a < b
        case "<=":
            return a <= b
        case ">":
            return a > b
        case _:
            return a >= b


def said(value: Typed) -> str:
    """What a literal text says."""
    return str(getattr(value.sql, "value", ""))


def identity(wanted: Typed) -> ColumnElement[int]:
    """The key of the record that a literal, text or number, names by the platform's own id."""
    external = said(wanted) if wanted.constant is None else str(int(wanted.constant))
    return literal(key(own_id(external)), BigInteger())


def one_of(value: Typed, options: list[Typed]) -> Truth:
    """Whether the value is one of the literals, as one IN however many they are."""
    match value.kind:
        case "number":
            return value.sql.in_([number(one.constant, value.scale).sql for one in options])
        case "id":
            return value.sql.in_([identity(one) for one in options])
        case _ if value.folded:
            return func.lower(value.sql).in_([func.lower(one.sql) for one in options])
        case _:
            return value.sql.in_([one.sql for one in options])


def _with_day(operator: str, instant: ColumnElement[Any], begins: int, ends: int) -> Truth:
    match operator:
        case "=":
            return and_(instant >= begins, instant < ends)
        case "!=":
            return or_(instant < begins, instant >= ends)
        case "<":
            return instant < begins
        case "<=":
            return instant < ends
        case ">":
            return instant >= ends
        case _:
            return instant >= begins


def within(ranges: list[tuple[int, int]], instant: ColumnElement[Any]) -> Truth:
    """Whether the instant lies in one of the half-open ranges; unknown where it is."""
    if not ranges:
        return and_(instant.is_(None), UNKNOWN)
    return or_(*(and_(instant >= begins, instant < ends) for begins, ends in ranges))


def has_part(text: ColumnElement[Any], part: str) -> Truth:
    """Whether `part` occurs in the text, letter by letter (LIKE would ignore case on SQLite)."""
    return func.replace(text, literal(part), "") != text if part else text.is_not(None)


def certainly(condition: Truth) -> Truth:
    """Two-valued: unknown counts as no."""
    return func.coalesce(condition, false())
