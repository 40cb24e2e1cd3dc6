"""What would change the answer: the next instant at which time alone does, and the clauses that stand in the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, select

from sync.metrics.counting import DAY
from sync.metrics.lifecycle import AT_RISK, LAPSED, LOST_DAYS, WINBACK
from sync.metrics.table import customer_metrics
from sync.segments import tree as t
from sync.segments.compile import Compiler, Moment
from sync.segments.days import add_months, start
from sync.segments.events import events
from sync.segments.language import Rule
from sync.segments.supposed import WINDOWS, Incomparable, Standing, Supposed, closure, person_row, supposing
from sync.segments.yardsticks import Values, ranked, today

_TRIED = 60
_EVENTS = 20
_MOVING = frozenset(("lifecycle_stage", *WINDOWS))
_BY_RECENCY = frozenset(("recency_score", "rfm_group", "rfm_group_klaviyo", "rfm_group_classic"))


@dataclass(frozen=True, slots=True)
class Flip:
    """From `at` (epoch seconds, store-zone `day`) on, membership is the opposite if nothing else happens.

    `because` are the tests that turn then; of a stage, what it becomes.
    """

    at: int
    day: date
    enters: bool
    because: tuple[str, ...]


class _Clause(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def truth(self) -> bool | None: ...
    @property
    def need(self) -> str | None: ...
    @property
    def parts(self) -> Sequence[_Clause]: ...


def needs(clause: _Clause, *, wanted: bool) -> list[str]:
    """The fewest tests that would have to turn for the clause to become `wanted`, each as what would turn it."""
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
            return min(ways, key=_ease, default=[])
        case _:
            return [clause.need] if clause.need else []


def _ease(way: list[str]) -> tuple[int, int]:
    """Few steps first, then those that an order or the calendar takes."""
    return len(way), sum("placed" not in step and "days pass" not in step for step in way)


def next_flip(conn: Connection, rule: Rule, at: Moment, customer_id: int, member: bool) -> Flip | None:
    """The first instant from now on at which the answer is another, if nothing happens but time.

    None also where time moves what the others are measured by: scores by recency and ranks of windows.
    """
    reads = set(reads_of(rule.tree, at))
    if any(_moves_with_all(name, at) for name in reads):
        return None
    instants = {instant for instant in instants_of(conn, rule.tree, at, customer_id) if instant > at.now}
    if not reads & _MOVING:
        return _first(
            sorted(instants), at, member, rule.tree, lambda tree, now: _holds(conn, tree, at, now, customer_id)
        )
    row = person_row(conn, customer_metrics, customer_id)
    if row is None:
        return None
    rules = {key: at.segments[key] for key in closure(rule.tree, at)}
    yardsticks = today(conn, {**rules, "": rule}, at.now)
    with supposing(conn, at, customer_id) as person:
        try:
            return _foreseen(person, row, yardsticks, rule, member, instants, reads)
        except Incomparable:
            return None


def _foreseen(
    person: Supposed,
    row: dict[str, Any],
    yardsticks: Values,
    rule: Rule,
    member: bool,
    instants: set[int],
    reads: set[str],
) -> Flip | None:
    """The same where time moves columns that are stored: they are worked out for each instant."""
    at = person.at
    windows = bool(reads & set(WINDOWS)) or not row["number_of_orders"]
    if "lifecycle_stage" in reads:
        instants = instants | {one for one in ladder(row) if one > at.now}
    waiting, instant = sorted(instants), at.now
    now = Standing(row, yardsticks, at.now)
    person.stand(now)
    for _ in range(_TRIED):
        then = Standing(person.later(row, instant, windows=windows), yardsticks, instant)
        if person.holds(rule.tree, then) != member:
            before, after = (tests(person, rule.tree, one) for one in (now, then))
            turned = dict.fromkeys(_turned(text, then) for text in after if after[text] != before[text])
            return Flip(instant, _day(instant, at), enters=not member, because=tuple(turned))
        change = then.person["next_eval_at"] if windows else None
        following = [one for one in waiting if one > instant][:1] + [one for one in (change,) if one and one > instant]
        if not following:
            return None
        instant = min(following)
    return None


def _first(
    instants: Sequence[int], at: Moment, member: bool, tree: t.Condition, holds: Callable[[t.Condition, int], bool]
) -> Flip | None:
    for instant in instants[:_TRIED]:
        if holds(tree, instant) != member:
            every = {t.to_text(one): one for one in leaves(tree, at)}
            turned = tuple(text for text, one in every.items() if holds(one, at.now) != holds(one, instant))
            return Flip(instant, _day(instant, at), enters=not member, because=turned)
    return None


def ladder(row: Mapping[str, Any]) -> Iterator[int]:
    """The instants at which the stage of a person with these columns may change while they do not."""
    begun, expected = row["last_order_date"], row["expected_days_between_orders"]
    if begun is None or expected is None:
        return
    for days in (AT_RISK * expected, WINBACK * expected, LAPSED * expected, LOST_DAYS):
        turn = begun + days * DAY
        yield from (math.ceil(turn), math.floor(turn) + 1)


def tests(person: Supposed, tree: t.Condition, standing: Standing) -> dict[str, bool]:
    """The truth of each test, those of named segments included."""
    every = {t.to_text(one): one for one in leaves(tree, person.at)}
    truths = person.truths(list(every.values()), standing)
    return {text: truth is True for text, truth in zip(every, truths, strict=True)}


def leaves(tree: t.Condition, at: Moment) -> Iterator[t.Condition]:
    """The tests a condition is made of, those of named segments included."""
    for node in t.walk(tree):
        if isinstance(node, t.InSegment):
            yield from leaves(at.segments[node.key].tree, at)
        elif not isinstance(node, (*t.VALUES, t.And, t.Or, t.Not)):
            yield node


def _turned(text: str, then: Standing) -> str:
    stage = then.person["lifecycle_stage"]
    return f"lifecycle_stage becomes '{stage}'" if text.startswith("lifecycle_stage = ") else text


def reads_of(tree: t.Condition, at: Moment) -> Iterator[str]:
    """Attributes by name, ranks as percentile(name), figures as store(name)."""
    for test in leaves(tree, at):
        for node in () if isinstance(test, t.Matches) else t.walk(test):
            match node:
                case t.Percentile(name):
                    yield f"percentile({name})"
                case t.Attribute(name) if ranked(node):
                    yield f"percentile({name.removesuffix('_percentile')})"
                case t.Attribute(name) | t.Flag(name) | t.Anniversary(name):
                    yield name
                case t.Figure(name):
                    yield f"store({name})"


def _moves_with_all(name: str, at: Moment) -> bool:
    if name.startswith("percentile("):
        return at.vocabulary.attributes[name[11:-1]].clock
    return name in _BY_RECENCY or name.startswith("store(recency_")


def _day(instant: int, at: Moment) -> date:
    return datetime.fromtimestamp(instant, at.zone).date()


def _holds(conn: Connection, tree: t.Condition, at: Moment, now: int, customer_id: int) -> bool:
    compiler = Compiler(replace(at, now=now), joined=False)
    condition = compiler.condition(tree)
    own = customer_metrics.c.customer_id == customer_id
    rows = compiler.select(condition, where=own, looks_at=[condition])
    return conn.execute(rows).scalar() in (True, 1)


def instants_of(conn: Connection, tree: t.Condition, at: Moment, customer_id: int) -> Iterator[int]:
    for node in t.walk(tree):
        match node:
            case t.InSegment(key):
                yield from instants_of(conn, at.segments[key].tree, at, customer_id)
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
