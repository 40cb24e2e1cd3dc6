"""What would change the answer: the next instant at which time alone does, and the clauses that stand in the way."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, select

from sync.metrics.counting import DAY
from sync.metrics.table import customer_metrics
from sync.segments import tree as t
from sync.segments.compile import Compiler, Moment
from sync.segments.days import add_months, start
from sync.segments.events import events
from sync.segments.language import Rule

_TRIED = 60
_EVENTS = 20


@dataclass(frozen=True, slots=True)
class Flip:
    """From `at` (epoch seconds, store-zone `day`) on, membership is the opposite if nothing else happens.

    `because` are the tests that turn then.
    """

    at: int
    day: date
    enters: bool
    because: tuple[str, ...]


class _Clause(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def truth(self) -> bool | None: ...
    @property
    def need(self) -> str | None: ...
    @property
    def parts(self) -> Sequence[_Clause]: ...


def needs(clause: _Clause, *, wanted: bool) -> list[str]:
    """The fewest tests that would have to turn for the clause to become `wanted`."""
    if clause.truth is wanted:
        return []
    match clause.kind:
        case "not":
            return needs(clause.parts[0], wanted=not wanted)
        case "segment":
            return needs(clause.parts[0], wanted=wanted)
        case "and" | "or":
            ways = [needs(part, wanted=wanted) for part in clause.parts if part.truth is not wanted]
            if (clause.kind == "and") is wanted:
                return [line for way in ways for line in way]
            return min(ways, key=len, default=[])
        case _:
            turned = "must hold" if wanted else "must no longer hold"
            return [f"{clause.text} {turned}" + (f" ({clause.need})" if clause.need else "")]


def next_flip(conn: Connection, rule: Rule, at: Moment, customer_id: int, member: bool) -> Flip | None:
    """The first of the instants that the condition's own dates name at which the answer is another."""
    candidates = sorted({instant for instant in _instants(conn, rule.tree, at, customer_id) if instant > at.now})
    for instant in candidates[:_TRIED]:
        if _holds(conn, rule.tree, replace(at, now=instant), customer_id) != member:
            day = datetime.fromtimestamp(instant, at.zone).date()
            before, after = (_tests(conn, rule.tree, replace(at, now=now), customer_id) for now in (at.now, instant))
            turned = tuple(text for text in after if after[text] != before[text])
            return Flip(instant, day, enters=not member, because=turned)
    return None


def _tests(conn: Connection, tree: t.Condition, at: Moment, customer_id: int) -> dict[str, bool]:
    """The truth of each test, those of named segments included."""
    found: dict[str, bool] = {}
    for node in t.walk(tree):
        if isinstance(node, t.InSegment):
            found |= _tests(conn, at.segments[node.key].tree, at, customer_id)
        elif not isinstance(node, (*t.VALUES, t.And, t.Or, t.Not)):
            found[t.to_text(node)] = _holds(conn, node, at, customer_id)
    return found


def _holds(conn: Connection, tree: t.Condition, at: Moment, customer_id: int) -> bool:
    compiler = Compiler(at, joined=False)
    condition = compiler.condition(tree)
    own = customer_metrics.c.customer_id == customer_id
    rows = compiler.select(condition, where=own, looks_at=[condition])
    return conn.execute(rows).scalar() in (True, 1)


def _instants(conn: Connection, tree: t.Condition, at: Moment, customer_id: int) -> Iterator[int]:
    for node in t.walk(tree):
        match node:
            case t.InSegment(key):
                yield from _instants(conn, at.segments[key].tree, at, customer_id)
            case t.Matches():
                yield from _of_events(conn, node, at, customer_id)
            case t.Compare() | t.Between() | t.In():
                yield from _of_test(conn, node, at, customer_id)
            case _:
                pass


def _of_test(conn: Connection, node: t.Compare | t.Between | t.In, at: Moment, customer_id: int) -> Iterator[int]:
    sides = t.children(node)
    for one in sides:
        if not isinstance(one, t.Attribute | t.Anniversary):
            continue
        name = one.name if isinstance(one, t.Attribute) else one.attribute
        attribute = at.vocabulary.attributes[name]
        if attribute.layer == "age":
            begun = _read(conn, t.Attribute(attribute.of or ""), at, customer_id)
            rate = _read(conn, t.Attribute("expected_days_between_orders"), at, customer_id) if "ratio" in name else 1
            for side in sides:
                limit = None if isinstance(side, t.Attribute) else _read(conn, side, at, customer_id)
                if begun is not None and rate is not None and limit is not None:
                    turn = begun + float(limit) * float(rate) * DAY
                    yield from (math.ceil(turn), math.floor(turn) + 1)
        elif attribute.kind == "date":
            instant = _read(conn, t.Attribute(name), at, customer_id)
            offsets = [side for side in sides if isinstance(side, t.Relative)]
            if instant is not None:
                yield from _of_date(int(instant), offsets, at, yearly=isinstance(one, t.Anniversary))


def _of_date(instant: int, offsets: Sequence[t.Relative], at: Moment, *, yearly: bool) -> Iterator[int]:
    """Midnights at which `date` and today + offset can change places."""
    day = datetime.fromtimestamp(instant, at.zone).date()
    days = [day]
    if yearly:
        year = datetime.fromtimestamp(at.now, at.zone).year
        days = [add_months(day, 12 * (later - day.year)) for later in range(year, year + 3)]
    for offset in offsets:
        for one in days:
            turn = _before(one, offset)
            for step in range(-3, 5) if offset.unit in "my" else range(3):
                yield start(turn + timedelta(days=step), at.zone)


def _before(day: date, offset: t.Relative) -> date:
    match offset.unit:
        case "d":
            return day - timedelta(days=offset.amount)
        case "w":
            return day - timedelta(weeks=offset.amount)
        case "m":
            return add_months(day, -offset.amount)
        case _:
            return add_months(day, -12 * offset.amount)


def _of_events(conn: Connection, node: t.Matches, at: Moment, customer_id: int) -> Iterator[int]:
    found = events(node.function, settings=at.settings, now=at.now, scale=at.scale)
    if found is None:
        return
    date_of = found.arguments["date"].sql
    rows = select(date_of).select_from(found.source).where(found.counts, found.customer_id == customer_id)
    instants = [int(row[0]) for row in conn.execute(rows.order_by(date_of.desc()).limit(_EVENTS)) if row[0] is not None]
    for argument in node.arguments:
        inside = [one for one in t.walk(argument) if isinstance(one, t.Relative | t.Number)]
        offsets = [one for one in inside if isinstance(one, t.Relative)]
        aged = any(isinstance(one, t.Attribute) and one.name == "age_hours" for one in t.walk(argument))
        for instant in instants:
            yield from _of_date(instant, offsets, at, yearly=False)
            if aged:
                for number in inside:
                    if isinstance(number, t.Number):
                        turn = instant + float(number.value) * 3600
                        yield from (math.ceil(turn), math.floor(turn) + 1)


def _read(conn: Connection, node: Any, at: Moment, customer_id: int) -> Any:
    """A value of the person's, as it is kept."""
    compiler = Compiler(at, joined=False)
    value = compiler.value(node)
    if value.constant is not None:
        return value.constant
    own = customer_metrics.c.customer_id == customer_id
    return conn.execute(compiler.select(value.sql, where=own, looks_at=[value.sql])).scalar()
