"""What people are measured against, run by run: the figures of the store, and the cuts of the ranks that rules name.

A rank is "above 95" for those whose value is at least the smallest value with more than 95 % of all values up to it:
that value is the cut, kept under a name such as `percentile(amount_spent) > 95`. What is kept reaches `KEPT_DAYS` back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, Table, and_, delete, func, insert, select

from sync.metrics import attributes
from sync.metrics.counting import DAY, MetricSettings
from sync.metrics.table import customer_before, customer_metrics, store_figures
from sync.segments import tree as t
from sync.segments.catalogue import Segment
from sync.segments.evaluate import missing_sources
from sync.segments.language import Rule
from sync.store.tables import SQLModel

KEPT_DAYS = 90
Values = dict[str, float | None]
_tables = SQLModel.metadata.tables
evaluation: Table = _tables["evaluation"]
yardstick: Table = _tables["yardstick"]
segment_state: Table = _tables["segment_state"]
FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}


@dataclass(frozen=True, slots=True)
class Cut:
    """The limit of a rank: above it (`strict`) or from it on."""

    attribute: str
    limit: Decimal
    strict: bool

    @property
    def name(self) -> str:
        return f"percentile({self.attribute}) {'>' if self.strict else '>='} {format(self.limit.normalize(), 'f')}"


def ranked(value: t.Value) -> str | None:
    """The attribute of which the value is the rank."""
    match value:
        case t.Percentile(name):
            return name
        case t.Attribute(name) if name.endswith("_percentile"):
            return name.removesuffix("_percentile")
        case _:
            return None


def rank_test(node: t.Condition) -> tuple[Cut, bool] | None:
    """The cut that a comparison of a rank with a number is about, and whether the test asks to be above it."""
    if not isinstance(node, t.Compare):
        return None
    operator, left, right = node.operator, node.left, node.right
    if ranked(left) is None:
        operator, left, right = FLIPPED[operator], right, left
    attribute, limit = ranked(left), t.constant(right)
    if attribute is None or limit is None or operator in ("=", "!="):
        return None
    return Cut(attribute, limit, strict=operator in (">", "<=")), operator in (">", ">=")


def spelled_out(node: t.Condition) -> t.Condition:
    """BETWEEN of a rank as the two comparisons that it is."""
    if isinstance(node, t.Between) and ranked(node.value):
        return t.And((t.Compare(">=", node.value, node.low), t.Compare("<=", node.value, node.high)))
    return node


def cuts(tree: t.Condition) -> Iterator[Cut]:
    """Every cut that a condition is about; segments it names have their own."""
    for node in t.walk(tree):
        if isinstance(node, t.Between) and ranked(node.value):
            yield from cuts(spelled_out(node))
        elif isinstance(node, t.Compare) and (found := rank_test(node)):
            yield found[0]


def measure_cuts(conn: Connection, wanted: Sequence[Cut], now: int) -> Values:
    """Where the cuts are now, in the attribute's own (minor) unit. None: nobody is above."""
    found: Values = {}
    for attribute in sorted({one.attribute for one in wanted}):
        value = attributes.expression(attribute, now=now)
        buyers = and_(customer_metrics.c.number_of_orders > 0, value.is_not(None))
        number = conn.execute(select(func.count()).select_from(customer_metrics).where(buyers)).scalar_one()
        in_order = select(value).select_from(customer_metrics).where(buyers).order_by(value)
        for one in wanted:
            if one.attribute == attribute:
                place = one.limit * number / 100
                rank = math.floor(place) + 1 if one.strict else max(1, math.ceil(place))
                held = conn.execute(in_order.offset(max(rank, 1) - 1).limit(1)).scalar_one_or_none()
                found[one.name] = None if held is None else float(held)
    return found


def today(conn: Connection, rules: Mapping[str, Rule], now: int) -> Values:
    """All yardsticks as they are."""
    wanted = list({one.name: one for rule in rules.values() for one in cuts(rule.tree)}.values())
    figures: Values = {row.name: row.value for row in conn.execute(select(store_figures))}
    return figures | measure_cuts(conn, wanted, now)


def note_yardsticks(
    conn: Connection,
    segments: Sequence[Segment],
    *,
    now: int,
    settings: MetricSettings,
    run_id: int,
    sources_read: frozenset[str],
) -> None:
    """Write down what has moved since the last evaluation. To be called in the transaction of `evaluate`, before it."""
    missing = missing_sources(segments, sources_read)
    alive = {one.key: one for one in segments if one.rule and one.key not in missing}
    c = segment_state.c
    known = {row.key: row.rule_hash for row in conn.execute(select(c.key, c.rule_hash).where(c.missing.is_(None)))}
    ruled = sorted(key for key, one in alive.items() if known.get(key) != one.rule_hash)
    since = conn.execute(select(func.max(evaluation.c.at))).scalar()
    kept = _as_of(conn, run_id)
    for name, value in sorted(today(conn, {key: one.rule for key, one in alive.items() if one.rule}, now).items()):
        if name not in kept or kept[name] != value:
            moved = {"name": name, "run_id": run_id, "before": kept.get(name), "value": value}
            conn.execute(insert(yardstick).values(**moved))
    conn.execute(insert(evaluation).values(run_id=run_id, at=now, since=since, ruled=json.dumps(ruled)))
    _forget(conn, now - KEPT_DAYS * DAY)


def around(conn: Connection, run_id: int) -> tuple[Values, Values]:
    """All yardsticks before a run and in it."""
    return _as_of(conn, run_id - 1), _as_of(conn, run_id)


def _as_of(conn: Connection, run_id: int) -> Values:
    """As the run left them: the last move up to it; of what moved only later, what it was before."""
    c = yardstick.c
    last = select(c.name, func.max(c.run_id).label("run_id")).where(c.run_id <= run_id).group_by(c.name).subquery()
    first = select(c.name, func.min(c.run_id).label("run_id")).where(c.run_id > run_id).group_by(c.name).subquery()
    found: Values = {}
    for runs, column in ((first, c.before), (last, c.value)):
        rows = select(c.name, column.label("value")).join(runs, and_(runs.c.name == c.name, runs.c.run_id == c.run_id))
        found |= {row.name: row.value for row in conn.execute(rows)}
    return found


def _forget(conn: Connection, limit: int) -> None:
    """What is older than `limit`, the last move of each yardstick excepted."""
    old = select(func.max(evaluation.c.run_id)).where(evaluation.c.at < limit).scalar_subquery()
    c, later = yardstick.c, yardstick.alias("later")
    newer = select(later.c.name).where(later.c.name == c.name, later.c.run_id > c.run_id).correlate(yardstick).exists()
    conn.execute(delete(yardstick).where(c.run_id <= old, newer))
    conn.execute(delete(evaluation).where(evaluation.c.at < limit))
    conn.execute(delete(customer_before).where(customer_before.c.at < limit))
