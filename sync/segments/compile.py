"""Tree to SQL, as SQLAlchemy Core: the same statement for SQLite and PostgreSQL, every literal bound.

Inside a condition logic has three values, as SQL's has; at the top only true is a member. Functions read the facts in
one grouped pass per set of arguments, joined to the customers (`joined`), or per customer where one person is meant.
A person without matching events has 0 of them: `count` and sums compare as 0.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    Dialect,
    Float,
    FromClause,
    Select,
    Subquery,
    Table,
    and_,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import visitors

from mappings.money import exponent
from mappings.vocabulary import Vocabulary, load_vocabulary
from sync.metrics import attributes
from sync.metrics.counting import MetricSettings, customers, live
from sync.metrics.table import customer_metrics, store_figures
from sync.segments import tree as t
from sync.segments.days import anniversaries, bounds, resolve
from sync.segments.events import Events, events
from sync.segments.language import Rule
from sync.segments.typed import (
    UNKNOWN,
    Truth,
    Typed,
    aligned,
    arithmetic,
    certainly,
    compare,
    fold,
    has_part,
    identity,
    number,
    one_of,
    said,
    within,
)


@dataclass(frozen=True, slots=True)
class Sql:
    """A statement as text with named parameters, and the attributes it reads."""

    text: str
    params: Mapping[str, Any]
    reads: frozenset[str]


@dataclass(frozen=True, slots=True)
class Moment:
    """What a condition means depends on: the pinned now, and how orders count. `segments` are the rules others name."""

    now: int
    settings: MetricSettings
    segments: Mapping[str, Rule]
    vocabulary: Vocabulary

    @property
    def zone(self) -> ZoneInfo:
        return self.settings.zone

    @property
    def scale(self) -> int:
        return exponent(self.settings.currency)


def moment(now: int, settings: MetricSettings, segments: Mapping[str, Rule] | None = None) -> Moment:
    """A Moment with the product's own vocabulary."""
    return Moment(now, settings, segments or {}, load_vocabulary())


def prepare(conn: Connection) -> None:
    """Give an SQLite connection the one function it lacks; once, for it cannot be replaced while statements run."""
    driver = conn.connection.driver_connection
    if isinstance(driver, sqlite3.Connection) and "regulars_fold" not in conn.info:
        driver.create_function("regulars_fold", 1, _fold, deterministic=True)
        conn.info["regulars_fold"] = True


def _fold(text: object) -> str | None:
    return None if text is None else str(text).lower()


def compile(  # noqa: A001
    rule: Rule, vocabulary: Vocabulary, now: int, settings: MetricSettings, segments: Mapping[str, Rule] | None = None
) -> Sql:
    """The members of a rule as one SQLite statement."""
    return as_sql(members(rule, Moment(now, settings, segments or {}, vocabulary)), rule.reads)


def as_sql(statement: Select[Any], reads: frozenset[str] = frozenset(), dialect: Dialect | None = None) -> Sql:
    """A statement as text for people and for `exec_driver_sql`."""
    compiled = statement.compile(
        dialect=dialect or sqlite.dialect(paramstyle="named"), compile_kwargs={"render_postcompile": True}
    )
    return Sql(str(compiled), dict(compiled.params), reads)


def members(rule: Rule, at: Moment) -> Select[Any]:
    """Ids of the customers for whom the rule is true."""
    compiler = Compiler(at)
    condition = compiler.condition(rule.tree)
    return compiler.select(customer_metrics.c.customer_id, where=condition, looks_at=[condition])


class Compiler:
    """Compiles conditions of one statement; what they share is joined once."""

    def __init__(self, at: Moment, *, joined: bool = True) -> None:
        self.at = at
        self.joined = joined
        self._groups: dict[tuple[str, tuple[t.Condition, ...]], Subquery] = {}
        self._ranks: dict[str, Subquery] = {}
        self._segments: dict[str, Truth] = {}
        self._scope: Mapping[str, Typed] | None = None

    def select(self, *columns: ColumnElement[Any], where: Truth, looks_at: list[Any]) -> Select[Any]:
        """Columns over all customers that are there; `looks_at` are the expressions used."""
        source, there = self.source(looks_at)
        return select(*columns).select_from(source).where(there, where)

    def source(self, looks_at: list[Any]) -> tuple[FromClause, Truth]:
        """What to read from, and who is there: metrics alone (a row per live customer) unless profiles are read."""
        source: FromClause = customer_metrics
        there: Truth = true()
        if any(_mentions(one, customers) for one in looks_at):
            source = customer_metrics.join(customers, customers.c.id == customer_metrics.c.customer_id)
            there = live()
        for group in (*self._groups.values(), *self._ranks.values()):
            source = source.outerjoin(group, group.c.customer_id == customer_metrics.c.customer_id)
        return source, there

    def condition(self, node: t.Condition) -> Truth:
        """The node's truth: true, false or unknown."""
        match node:
            case t.And(parts):
                return and_(*(self.condition(part) for part in parts))
            case t.Or(parts):
                return or_(*(self.condition(part) for part in parts))
            case t.Not(part):
                return not_(self.condition(part))
            case t.Flag(name):
                return self.value(t.Attribute(name)).sql == literal(True, Boolean())
            case t.InSegment(key):
                return self._in_segment(key)
            case t.Matches():
                return self._matches(node)
            case t.Contains(value, text):
                subject = self.value(value)
                return subject.holds(text) if subject.holds else has_part(subject.sql, text)
            case t.IsNull(value):
                subject = self.value(value)
                return subject.empty if subject.empty is not None else subject.sql.is_(None)
            case t.Compare(operator, left, right):
                return self._compare(operator, self.value(left), self.value(right))
            case t.In(value, options):
                subject, wanted = self.value(value), [self.value(option) for option in options]
                if subject.kind in ("text", "number", "id") and all(isinstance(one, t.LITERALS) for one in options):
                    return one_of(subject, wanted)
                return or_(*(self._compare("=", subject, option) for option in wanted))
            case t.Between(value, low, high):
                subject, least, most = self.value(value), self.value(low), self.value(high)
                if subject.kind == "anniversary":
                    assert least.day is not None
                    assert most.day is not None
                    return within(list(anniversaries(least.day, most.day, self.at.zone)), subject.sql)
                return and_(compare(">=", subject, least), compare("<=", subject, most))

    def value(self, node: t.Value) -> Typed:
        """A value as SQL."""
        match node:
            case t.Number(value):
                return number(value)
            case t.Text(value):
                return Typed("text", literal(value))
            case t.Truth(value):
                return Typed("bool", literal(value, Boolean()))
            case t.Day() | t.Relative():
                day = resolve(node, self.at.now, self.at.zone)
                instants = bounds(day, self.at.zone)
                return Typed("date", literal(instants[0], BigInteger()), day=day, bounds=instants)
            case t.Attribute(name):
                return self._scope[name] if self._scope is not None else self._attribute(name)
            case t.Percentile(name):
                return Typed("number", self._percentile(name))
            case t.Anniversary(name):
                return Typed("anniversary", self._attribute(name).sql)
            case t.Figure(name):
                figure = self.at.vocabulary.figures[name]
                read = select(store_figures.c.value).where(store_figures.c.name == name).scalar_subquery()
                return Typed("number", read, scale=self.at.scale if figure.money else 0)
            case t.Arithmetic(operator, left, right):
                return arithmetic(operator, self.value(left), self.value(right))

    def _compare(self, operator: str, left: Typed, right: Typed) -> Truth:
        if left.kind == "anniversary":
            assert right.day is not None
            return within(list(anniversaries(right.day, right.day, self.at.zone)), left.sql)
        if left.kind == "list":
            assert left.holds is not None
            held = left.holds(said(right))
            return held if operator == "=" else not_(held)
        if left.kind == "id":
            wanted = identity(right)
            return left.sql == wanted if operator == "=" else left.sql != wanted
        return compare(operator, left, right)

    def _attribute(self, name: str) -> Typed:
        one = self.at.vocabulary.attributes[name]
        if one.kind == "list":
            return self._list(name)
        if one.layer == "rank":
            return Typed("number", self._percentile(name.removesuffix("_percentile")))
        sql = attributes.expression(name, now=self.at.now)
        match one.kind:
            case "date" | "text" | "bool":
                return Typed(one.kind, sql, folded=name == "customer_email_domain")
            case _:
                return Typed("number", sql, scale=self.at.scale if one.money else 0)

    def _list(self, name: str) -> Typed:
        if not attributes.is_available(name):
            return Typed("list", customers.c.id, holds=lambda text: UNKNOWN, empty=UNKNOWN)
        entries = attributes.list_entries(name).order_by(None).subquery()
        own = entries.c.customer_id == customers.c.id

        def holds(text: str) -> Truth:
            if name == "customer_tags" and not text.isascii():
                same = fold(entries.c.entry) == literal(text.lower())
                return select(literal(1)).select_from(entries).where(own, same).correlate(customers).exists()
            return attributes.list_contains(name, text)

        empty = not_(select(literal(1)).select_from(entries).where(own).correlate(customers).exists())
        return Typed("list", customers.c.id, holds=holds, empty=empty)

    def _percentile(self, name: str) -> ColumnElement[Any]:
        if not self.joined:
            return attributes.percentile(name, now=self.at.now)
        if name not in self._ranks:
            value = self._attribute(name).sql
            share = literal(100.0, Float()) * func.count().over(order_by=value) / func.count().over()
            buyers = and_(customer_metrics.c.number_of_orders > 0, value.is_not(None))
            ranks = select(customer_metrics.c.customer_id, share.label("share")).where(buyers)
            self._ranks[name] = ranks.subquery(f"rank_of_{name}")
        share_: ColumnElement[Any] = self._ranks[name].c.share
        return share_

    def _in_segment(self, key: str) -> Truth:
        if key not in self._segments:
            self._segments[key] = certainly(self.condition(self.at.segments[key].tree))
        return self._segments[key]

    def _matches(self, node: t.Matches) -> Truth:
        found = events(node.function, settings=self.at.settings, now=self.at.now, scale=self.at.scale)
        if found is None:
            return UNKNOWN
        aggregates = self.at.vocabulary.functions[node.function].aggregates
        of_all = tuple(one for one in node.arguments if argument_name(one) in aggregates)
        of_one = tuple(one for one in node.arguments if argument_name(one) not in aggregates)
        if self.joined:
            return self._grouped(node.function, found, of_one, of_all)
        rows = matching(self, found, of_one).where(found.customer_id == customer_metrics.c.customer_id)
        if not of_all:
            return rows.with_only_columns(literal(1)).correlate(customer_metrics).exists()
        sums = {
            name: Typed(
                "number",
                rows.with_only_columns(value.sql).correlate(customer_metrics).scalar_subquery(),
                scale=value.scale,
            )
            for name, value in found.aggregates.items()
        }
        return self.within_scope(sums, of_all)

    def _grouped(
        self, function: str, found: Events, of_one: tuple[t.Condition, ...], of_all: tuple[t.Condition, ...]
    ) -> Truth:
        key = (function, of_one)
        if key not in self._groups:
            columns = [value.sql.label(name) for name, value in found.aggregates.items()]
            rows = matching(self, found, of_one).with_only_columns(found.customer_id.label("customer_id"), *columns)
            grouped = rows.where(found.customer_id.is_not(None)).group_by(found.customer_id)
            self._groups[key] = grouped.subquery(f"events_{len(self._groups) + 1}")
        group = self._groups[key]
        if not of_all:
            return group.c.customer_id.is_not(None)
        sums = {
            name: Typed("number", func.coalesce(group.c[name], 0), scale=value.scale)
            for name, value in found.aggregates.items()
        }
        return self.within_scope(sums, of_all)

    def within_scope(self, scope: Mapping[str, Typed], tests: tuple[t.Condition, ...]) -> Truth:
        """Tests whose names are arguments of an event (or of all that match), not attributes of a customer."""
        before, self._scope = self._scope, scope
        try:
            return and_(*(self.condition(test) for test in tests))
        finally:
            self._scope = before


def argument_name(test: t.Condition) -> str:
    """The argument a test inside MATCHES is about."""
    inner = test.part if isinstance(test, t.Not) else test
    subject = t.children(inner)[0]
    assert isinstance(subject, t.Attribute)
    return subject.name


def matching(compiler: Compiler, found: Events, of_one: tuple[t.Condition, ...]) -> Select[Any]:
    """The events that count and meet every argument about one event."""
    rows = select(literal(1)).select_from(found.source).where(found.counts)
    return rows.where(compiler.within_scope(found.arguments, of_one)) if of_one else rows


def _mentions(element: Any, table: Table) -> bool:
    return any(one is table or getattr(one, "table", None) is table for one in visitors.iterate(element))


__all__ = ["Compiler", "Moment", "Sql", "aligned", "as_sql", "compile", "members", "moment", "prepare"]
