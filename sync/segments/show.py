"""All there is to say of one segment: `segments show`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from sync.metrics.counting import MetricSettings
from sync.segments import compile as compiling
from sync.segments import tree as t
from sync.segments.catalogue import Segment
from sync.segments.evaluate import missing_sources
from sync.segments.words import stages, words
from sync.store import reports


@dataclass(frozen=True, slots=True)
class Shown:
    """A segment as its owner sees it. `size` is that of the last evaluation; None: never evaluated, or unavailable, and
    then `missing` says why. `stages` are the limits of the stages that the condition names."""

    segment: Segment
    condition: str
    meaning: str
    stages: tuple[str, ...]
    sql: str
    params: dict[str, object]
    reads: tuple[str, ...]
    functions: tuple[str, ...]
    figures: tuple[str, ...]
    size: int | None
    missing: str | None


def show(
    conn: Connection,
    segment: Segment,
    segments: Sequence[Segment],
    *,
    now: int,
    settings: MetricSettings,
    sources_read: frozenset[str],
) -> Shown:
    """Condition, meaning in words, SQL, what is read, size."""
    missing = missing_sources(segments, sources_read).get(segment.key)
    rule = segment.rule
    rules = {one.key: one.rule for one in segments if one.rule}
    sql = compiling.as_sql(compiling.members(rule, compiling.moment(now, settings, rules))) if rule else None
    return Shown(
        segment=segment,
        condition=t.to_text(rule.tree) if rule else "",
        meaning=words(rule.tree) if rule else "",
        stages=tuple(stages(rule.tree)) if rule else (),
        sql=sql.text if sql else "",
        params=dict(sql.params) if sql else {},
        reads=tuple(sorted(rule.reads)) if rule else (),
        functions=tuple(sorted(rule.functions)) if rule else (),
        figures=tuple(sorted(rule.figures)) if rule else (),
        size=None if missing else reports.sizes(conn).get(segment.key),
        missing=missing,
    )
