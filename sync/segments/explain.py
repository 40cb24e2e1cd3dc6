"""Why a person is or is not in a segment: the condition clause by clause with the person's own values.

Truths come from the same compiler as membership, node by node, so that an explanation cannot say otherwise than the
segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from mappings.money import to_text as money_text
from mappings.vocabulary import Attribute
from sync.metrics import attributes
from sync.metrics.counting import MetricSettings
from sync.metrics.table import customer_metrics
from sync.segments import compile as compiling
from sync.segments import tree as t
from sync.segments.catalogue import Segment
from sync.segments.compile import Compiler, Moment, argument_name, matching
from sync.segments.evaluate import missing_sources
from sync.segments.events import events
from sync.segments.flips import Flip, needs, next_flip
from sync.segments.language import Rule
from sync.segments.measures import sentences, shown_yardstick, yardsticks_of
from sync.segments.moved import Move, last_move
from sync.segments.supposed import closure, person_row
from sync.segments.ways import Ways
from sync.segments.words import words
from sync.segments.yardsticks import today

EVIDENCE = 5
_BEHIND = {
    "rfm_group": ("recency_score", "frequency_score", "monetary_score"),
    "rfm_group_classic": ("recency_score", "frequency_score", "monetary_score"),
    "rfm_group_klaviyo": ("last_order_date", "number_of_orders", "amount_spent"),
    "recency_score": ("last_order_date",),
    "frequency_score": ("number_of_orders",),
    "monetary_score": ("amount_spent",),
    "order_gap_ratio": ("days_since_last_order", "expected_days_between_orders"),
    "days_since_last_order": ("last_order_date",),
    "days_since_first_order": ("first_order_date",),
    "amount_spent_percentile": ("amount_spent",),
    "average_order_value_percentile": ("average_order_value",),
    "lifecycle_stage": (
        "order_gap_ratio",
        "days_since_last_order",
        "number_of_orders",
        "active_quarters",
        "open_carts_last_30d",
    ),
}
"""What an attribute that compares or combines was made of."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A node of the condition. `truth` None is unknown; `values` are the person's, as shown; `evidence` up to 5 events.

    `need` says what would turn the clause, where it can be told; `measured` how what compares the person with the store
    comes about, by the `yardsticks` of the store it is read off.
    """

    kind: str
    text: str
    words: str
    truth: bool | None
    values: Mapping[str, str | None]
    evidence: tuple[Mapping[str, str | None], ...] = ()
    need: str | None = None
    parts: tuple[Clause, ...] = ()
    measured: tuple[str, ...] = ()
    yardsticks: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """One person and one segment. `turns` is when time alone changes it; `needs` what would; `moved` why they last
    entered or left, where that is known."""

    key: str
    name: str
    customer_id: int
    member: bool
    clause: Clause | None
    turns: Flip | None = None
    needs: tuple[str, ...] = ()
    missing: str | None = None
    moved: Move | None = None


def explain(
    conn: Connection,
    segment: Segment,
    customer_id: int,
    segments: Sequence[Segment],
    *,
    now: int,
    settings: MetricSettings,
    sources_read: frozenset[str],
    past: bool = False,
) -> Explanation:
    """The clause tree with this person's values, and what would flip it. At a `past` instant nothing has moved yet."""
    missing = missing_sources(segments, sources_read).get(segment.key)
    if segment.rule is None or missing:
        return Explanation(segment.key, segment.name, customer_id, False, None, missing=missing)
    compiling.prepare(conn)
    rules = {one.key: one.rule for one in segments if one.rule}
    person = Person(conn, compiling.moment(now, settings, rules), customer_id, segment.rule)
    clause = person.clause(segment.rule.tree)
    member = clause.truth is True
    return Explanation(
        key=segment.key,
        name=segment.name,
        customer_id=customer_id,
        member=member,
        clause=clause,
        turns=next_flip(conn, segment.rule, person.at, customer_id, member),
        needs=tuple(needs(clause, wanted=not member)),
        moved=None if past else last_move(conn, segment, person.at, customer_id),
    )


class Person:
    """One customer's truths and values under a Moment."""

    def __init__(self, conn: Connection, at: Moment, customer_id: int, rule: Rule) -> None:
        self.conn = conn
        self.at = at
        self.customer_id = customer_id
        self.row = person_row(conn, customer_metrics, customer_id)
        self.yardsticks = today(conn, {**{key: at.segments[key] for key in closure(rule.tree, at)}, "": rule}, at.now)
        self.ways = Ways(at, self.row, self.yardsticks)

    def clause(self, condition: t.Condition) -> Clause:
        """The clause tree of a condition, all truths in one statement."""
        compiler = Compiler(self.at, joined=False)
        nodes = list(self._nodes(condition))
        columns: dict[str, ColumnElement[Any]] = {}
        for number, node in enumerate(nodes):
            columns[f"t{number}"] = compiler.condition(node)
        names = sorted({name for node in nodes for name in self._names(node)})
        for name in names:
            columns[f"v_{name}"] = self._value(compiler, name)
        own = customer_metrics.c.customer_id == self.customer_id
        labelled = [column.label(label) for label, column in columns.items()]
        row = self.conn.execute(compiler.select(*labelled, where=own, looks_at=[*columns.values()])).mappings().first()
        truths = [None if row is None or row[f"t{n}"] is None else bool(row[f"t{n}"]) for n in range(len(nodes))]
        values = {name: None if row is None else row[f"v_{name}"] for name in names}
        return self._build(condition, dict(zip(map(id, nodes), truths, strict=True)), values)

    def _nodes(self, node: t.Condition) -> Iterator[t.Condition]:
        yield node
        match node:
            case t.And(parts) | t.Or(parts):
                for part in parts:
                    yield from self._nodes(part)
            case t.Not(part):
                yield from self._nodes(part)
            case t.InSegment(key):
                yield from self._nodes(self.at.segments[key].tree)
            case _:
                return

    def _names(self, node: t.Condition) -> list[str]:
        """What to show beside a test: its attributes, what they are made of, ranks and figures."""
        if isinstance(node, t.And | t.Or | t.Not | t.InSegment):
            return []
        names: list[str] = []
        inner = node.arguments if isinstance(node, t.Matches) else ()
        for one in (*t.walk(node), *(deep for argument in inner for deep in t.walk(argument))):
            match one:
                case t.Attribute(name) | t.Flag(name) if not isinstance(node, t.Matches):
                    names += [name, *_BEHIND.get(name, ())]
                case t.Percentile(name):
                    names += [f"percentile({name})", name]
                case t.Anniversary(name):
                    names.append(name)
                case t.Figure(name):
                    names.append(f"store('{name}')")
                case _:
                    pass
        return names

    def _value(self, compiler: Compiler, name: str) -> ColumnElement[Any]:
        if name.startswith("percentile("):
            return compiler.value(t.Percentile(name[11:-1])).sql
        if name.startswith("store("):
            return compiler.value(t.Figure(name[7:-2])).sql
        one = self.at.vocabulary.attributes[name]
        if one.kind != "list":
            return compiler.value(t.Attribute(name)).sql
        entries = attributes.list_entries(name).subquery()
        own = select(func.group_concat(entries.c.entry, ", ")).where(entries.c.customer_id == self.customer_id)
        return own.scalar_subquery()

    def _build(self, node: t.Condition, truths: Mapping[int, bool | None], values: Mapping[str, Any]) -> Clause:
        truth = truths[id(node)]
        match node:
            case t.And(parts) | t.Or(parts):
                kind = "and" if isinstance(node, t.And) else "or"
                below = tuple(self._build(part, truths, values) for part in parts)
                return Clause(kind, t.to_text(node), words(node), truth, {}, parts=below)
            case t.Not(part):
                below = (self._build(part, truths, values),)
                return Clause("not", t.to_text(node), words(node), truth, {}, parts=below)
            case t.InSegment(key):
                below = (self._build(self.at.segments[key].tree, truths, values),)
                return Clause("segment", t.to_text(node), words(node), truth, {}, parts=below)
            case _:
                shown = {name: self.shown(name, values[name]) for name in dict.fromkeys(self._names(node))}
                evidence: tuple[Mapping[str, str | None], ...] = ()
                if isinstance(node, t.Matches):
                    evidence = tuple(self._evidence(node))
                return Clause(
                    "test",
                    t.to_text(node),
                    words(node),
                    truth,
                    shown,
                    evidence,
                    self.ways.of(node, values, wanted=truth is not True),
                    measured=tuple(sentences(node, self.row, self.yardsticks, self.at)),
                    yardsticks={
                        name: shown_yardstick(name, self.yardsticks.get(name), self.at) for name in yardsticks_of(node)
                    },
                )

    def _evidence(self, node: t.Matches) -> Iterator[Mapping[str, str | None]]:
        """The latest events that meet every argument about one event."""
        at = self.at
        found = events(node.function, settings=at.settings, now=at.now, scale=at.scale)
        if found is None:
            return
        aggregates = at.vocabulary.functions[node.function].aggregates
        of_one = tuple(one for one in node.arguments if argument_name(one) not in aggregates)
        rows = matching(Compiler(at, joined=False), found, of_one).where(found.customer_id == self.customer_id)
        latest = rows.with_only_columns(*(column.label(name) for name, column in found.shown.items()))
        for row in self.conn.execute(latest.order_by(found.shown["date"].desc()).limit(EVIDENCE)).mappings():
            yield {name: self._event_value(name, value) for name, value in row.items()}

    def _event_value(self, name: str, value: Any) -> str | None:
        if value is None:
            return None
        match name:
            case "date":
                return self.instant(value)
            case "amount":
                return money_text(int(value), self.at.scale)
            case _:
                return str(value)

    def instant(self, value: float) -> str:
        """An instant in the store's zone."""
        return datetime.fromtimestamp(value, self.at.zone).isoformat(timespec="minutes")

    def shown(self, name: str, value: Any) -> str | None:
        """A value as people read it: money in its own unit, instants in the store's zone."""
        if value is None:
            return None
        if name.startswith("percentile("):
            return f"{value:.2f}"
        one: Attribute = (
            self.at.vocabulary.figures[name[7:-2]] if name.startswith("store(") else self.at.vocabulary.attributes[name]
        )
        if one.money:
            return money_text(round(value), self.at.scale)
        match one.kind:
            case "date":
                return self.instant(value)
            case "float":
                return f"{value:.4g}" if abs(value) < 1 else f"{value:.2f}"
            case _:
                return str(value)
