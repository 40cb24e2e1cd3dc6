"""What a condition would say of one person who stood otherwise: other facts, other figures of the store, another day.

The compiler is the one of membership. It is given temporary tables of the same names that hold this person alone, as
`sync.metrics.as_of` does for a whole shop, so ranks are asked as comparisons with their cuts. SQLite only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, MetaData, Table, delete, insert, select, update
from sqlalchemy.schema import CreateTable

from mappings.vocabulary import load_vocabulary
from sync.metrics.counting import Scope
from sync.metrics.lifecycle import stage
from sync.metrics.personal import personal_rows
from sync.metrics.storewide import write_store
from sync.metrics.table import PERSONAL, STORE, customer_metrics, derived_tables, store_figures
from sync.segments import tree as t
from sync.segments.compile import Compiler, Moment
from sync.segments.yardsticks import Values, rank_test, ranked, spelled_out

WINDOWS = tuple(one.name for one in load_vocabulary().attributes.values() if one.clock and one.name in PERSONAL)
"""Personal columns that time alone changes."""

_YES = t.Compare("=", t.Number(Decimal(1)), t.Number(Decimal(1)))
_NO = t.Compare("=", t.Number(Decimal(1)), t.Number(Decimal(0)))
_UNKNOWN = t.Compare("=", t.Number(Decimal(1)), t.Arithmetic("/", t.Number(Decimal(1)), t.Number(Decimal(0))))


class Incomparable(Exception):
    """The condition uses a rank in another way than against a number: there is no cut to ask by."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A person's columns (store-wide ones only where they are to be kept), the yardsticks, and the instant."""

    person: Mapping[str, Any]
    yardsticks: Values
    now: int


class Supposed:
    """One person, to be asked about under any Standing."""

    def __init__(self, conn: Connection, at: Moment, customer_id: int, *, store_wide: bool) -> None:
        self.conn = conn
        self.store_wide = store_wide
        self.at = at
        self.customer_id = customer_id
        self._standing: Standing | None = None

    def stand(self, standing: Standing) -> None:
        """Let the person stand so. Store-wide columns that are not given follow from the yardsticks."""
        if standing is self._standing:
            return
        conn, figures = self.conn, load_vocabulary().figures
        known = {name: standing.yardsticks.get(name) for name in figures}
        conn.execute(delete(store_figures))
        conn.execute(insert(store_figures), [{"name": name, "value": value} for name, value in known.items()])
        conn.execute(delete(customer_metrics))
        conn.execute(insert(customer_metrics).values(customer_id=self.customer_id, **standing.person))
        if self.store_wide and not set(STORE) & set(standing.person):
            conn.execute(write_store(known, standing.now))
        self._standing = standing

    def holds(self, tree: t.Condition, standing: Standing) -> bool:
        """Whether the condition is true of the person. Raises Incomparable."""
        return self.truths([tree], standing)[0] is True

    def truths(self, trees: list[t.Condition], standing: Standing) -> list[bool | None]:
        """What each condition is."""
        self.stand(standing)
        named = {key for tree in trees for key in closure(tree, self.at)}
        rules = {key: self.at.segments[key] for key in named}
        rules = {key: replace(rule, tree=self._by_cuts(rule.tree, standing)) for key, rule in rules.items()}
        compiler = Compiler(replace(self.at, now=standing.now, segments=rules), joined=False)
        columns = [compiler.condition(self._by_cuts(tree, standing)) for tree in trees]
        labelled = [column.label(f"t{number}") for number, column in enumerate(columns)]
        own = customer_metrics.c.customer_id == self.customer_id
        row = self.conn.execute(compiler.select(*labelled, where=own, looks_at=[*columns])).first()
        return [None if row is None or value is None else bool(value) for value in row or [None] * len(trees)]

    def value(self, node: t.Value, standing: Standing) -> Any:
        """A value of the person's, as it is kept."""
        self.stand(standing)
        compiler = Compiler(replace(self.at, now=standing.now), joined=False)
        found = compiler.value(node)
        if found.constant is not None:
            return found.constant
        own = customer_metrics.c.customer_id == self.customer_id
        return self.conn.execute(compiler.select(found.sql, where=own, looks_at=[found.sql])).scalar()

    def later(self, person: Mapping[str, Any], now: int, *, windows: bool) -> dict[str, Any]:
        """Who stands here already, as time alone makes them: the stage, and with `windows` the columns of windows."""
        then = dict(person)
        if windows:
            one = Scope(self.customer_id - 1, self.customer_id)
            row = self.conn.execute(personal_rows(one, now, self.at.settings)).mappings().first()
            if row is not None:
                then |= {name: row[name] for name in (*WINDOWS, "next_eval_at")}
        c = customer_metrics.c
        self.conn.execute(update(customer_metrics).values(**then))
        names = ("last_order_date", "number_of_orders", "active_quarters", "open_carts_last_30d")
        alone = select(c.expected_days_between_orders.label("expected"), *(c[name] for name in names)).subquery()
        then["lifecycle_stage"] = self.conn.execute(select(stage(alone.c, now))).scalar()
        self._standing = None
        return then

    def _by_cuts(self, node: t.Condition, standing: Standing) -> t.Condition:
        node = spelled_out(node)
        match node:
            case t.And(parts):
                return t.And(tuple(self._by_cuts(part, standing) for part in parts))
            case t.Or(parts):
                return t.Or(tuple(self._by_cuts(part, standing) for part in parts))
            case t.Not(part):
                return t.Not(self._by_cuts(part, standing))
            case _ if any(ranked(one) for one in t.walk(node) if isinstance(one, t.Percentile | t.Attribute)):
                return self._against_cut(node, standing)
            case _:
                return node

    def _against_cut(self, node: t.Condition, standing: Standing) -> t.Condition:
        found = rank_test(node)
        if found is None:
            raise Incomparable(t.to_text(node))
        cut, above = found
        own = self.value(t.Attribute(cut.attribute), standing)
        if own is None or not standing.person["number_of_orders"]:
            return _UNKNOWN
        limit = standing.yardsticks.get(cut.name)
        return _YES if (limit is not None and own >= limit) is above else _NO


def closure(tree: t.Condition, at: Moment) -> set[str]:
    """Keys of the segments that the condition names, and of those that these name."""
    found: set[str] = set()
    waiting = [tree]
    while waiting:
        for node in t.walk(waiting.pop()):
            if isinstance(node, t.InSegment) and node.key not in found:
                found.add(node.key)
                waiting.append(at.segments[node.key].tree)
    return found


@contextmanager
def supposing(conn: Connection, at: Moment, customer_id: int, *, store_wide: bool = True) -> Iterator[Supposed]:
    """Hide the store's metrics and figures behind tables for one person, until the end.

    Without `store_wide` the columns that compare with the store are not worked out: nothing is to ask for them.
    """
    made = [table for table in derived_tables(MetaData(), temporary=True) if table.name in _HIDDEN]
    aside = [name for name in _HIDDEN if _is_temporary(conn, name)]
    for name in aside:
        conn.exec_driver_sql(f"ALTER TABLE temp.{name} RENAME TO {name}_aside")
    for table in made:
        conn.execute(CreateTable(table))
    try:
        yield Supposed(conn, at, customer_id, store_wide=store_wide)
    finally:
        for table in made:
            conn.exec_driver_sql(f"DROP TABLE temp.{table.name}")
        for name in aside:
            conn.exec_driver_sql(f"ALTER TABLE temp.{name}_aside RENAME TO {name}")


_HIDDEN = (customer_metrics.name, store_figures.name)


def _is_temporary(conn: Connection, name: str) -> bool:
    found = conn.exec_driver_sql("SELECT 1 FROM temp.sqlite_master WHERE name = ?", (name,))
    return found.first() is not None


def person_row(conn: Connection, table: Table, customer_id: int) -> dict[str, Any] | None:
    """The person's columns in a table of metrics, all that it has but the key."""
    row = conn.execute(select(table).where(table.c.customer_id == customer_id)).mappings().first()
    return None if row is None else {name: value for name, value in row.items() if name not in ("customer_id", "at")}
