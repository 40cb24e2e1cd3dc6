"""Why a person entered or left when they last did: their own facts, time, or a figure of the store that moved.

The condition is asked again as things stood before and after that run, one thing changed back at a time. A cause is
what the move would not have happened without.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, select

from mappings.money import to_text as money_text
from sync.metrics.counting import DAY, customers
from sync.metrics.table import PERSONAL, customer_before, customer_metrics
from sync.segments import tree as t
from sync.segments.catalogue import Segment
from sync.segments.compile import Moment
from sync.segments.flips import instants_of, ladder, leaves, tests
from sync.segments.measures import INPUTS, behind, is_beyond, label, scales, shown_yardstick, yardsticks_of
from sync.segments.supposed import WINDOWS, Incomparable, Standing, Supposed, person_row, supposing
from sync.segments.yardsticks import Values, around, evaluation
from sync.store.external import outward_of
from sync.store.tables import SQLModel

membership_event: Table = SQLModel.metadata.tables["membership_event"]
_OWN_GAP = ("median_days_between_purchase_days", "purchase_days")
_MADE_OF: dict[str, tuple[str, ...]] = {
    "lifecycle_stage": (
        "last_order_date",
        "number_of_orders",
        "active_quarters",
        "open_carts_last_30d",
        *_OWN_GAP,
    ),
    "order_gap_ratio": ("last_order_date", *_OWN_GAP),
    "expected_days_between_orders": _OWN_GAP,
    "last_gap_ratio_before_order": ("last_order_date", *_OWN_GAP),
    "days_since_last_order": ("last_order_date",),
    "days_since_first_order": ("first_order_date",),
}


@dataclass(frozen=True, slots=True)
class Cause:
    """`kind`: figure, time, own, first (the first evaluation), rule (new or changed), unknown (no longer kept).

    A figure has a `name` and its values `before` and `after`; so have a person's own facts.
    """

    kind: str
    text: str
    name: str | None = None
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """The last entry or exit, at the run's `now`; `since` is when it was evaluated before."""

    entered: bool
    at: int
    run: int
    since: int | None
    causes: tuple[Cause, ...]


def last_move(conn: Connection, segment: Segment, at: Moment, customer_id: int) -> Move | None:
    """Why the person last entered or left the segment; None if they never did."""
    c = membership_event.c
    own = select(c.entered, c.at, c.run_id, c.rule_hash).where(c.customer_id == customer_id, c.segment == segment.key)
    event = conn.execute(own.order_by(c.id.desc()).limit(1)).first()
    if event is None or segment.rule is None:
        return None
    run = conn.execute(select(evaluation).where(evaluation.c.run_id == event.run_id)).first()
    causes: tuple[Cause, ...]
    if run is None:
        causes = (Cause("unknown", "what moved it is no longer kept"),)
    elif run.since is None:
        causes = (Cause("first", "it was the first run"),)
    elif segment.key in json.loads(run.ruled):
        causes = (Cause("rule", "the segment was new then, or its condition had changed"),)
    elif event.rule_hash != segment.rule_hash:
        causes = (Cause("unknown", "the condition has changed since"),)
    else:
        inquiry = Inquiry.open(conn, segment, at, customer_id, entered=event.entered, run=run)
        causes = tuple(inquiry.causes(conn))
    return Move(bool(event.entered), event.at, event.run_id, run.since if run else None, causes)


@dataclass(slots=True)
class Inquiry:
    """A move between two evaluations: `since` and `until`, the person and the yardsticks `before` and `after`.

    A person is None where they were not among the customers.
    """

    tree: t.Condition
    at: Moment
    customer_id: int
    entered: bool
    since: int
    until: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    old: Values
    new: Values
    tests: list[t.Condition] = field(default_factory=list)

    @classmethod
    def open(
        cls, conn: Connection, segment: Segment, at: Moment, customer_id: int, *, entered: bool, run: Any
    ) -> Inquiry:
        """Read what is kept of the move."""
        assert segment.rule is not None
        before, after = _person_around(conn, customer_id, run.since, run.at)
        old, new = around(conn, run.run_id)
        every = list(leaves(segment.rule.tree, at))
        return cls(segment.rule.tree, at, customer_id, entered, run.since, run.at, before, after, old, new, every)

    def causes(self, conn: Connection) -> Iterator[Cause]:
        """At least one."""
        if self.after is None:
            yield Cause("own", "they are no longer among the shop's customers")
        elif self.before is None:
            yield Cause("own", "they were new among the shop's customers")
        else:
            names = {one.name for test in self.tests for one in t.walk(test) if isinstance(one, t.Attribute)}
            names |= {one.attribute for test in self.tests for one in t.walk(test) if isinstance(one, t.Percentile)}
            store_wide = any(behind(name) for name in names)
            with supposing(conn, self.at, self.customer_id, store_wide=store_wide) as person:
                try:
                    found = list(self._asked(person, self.before, self.after))
                except Incomparable:
                    found = [*self._facts(self.before, self.after), *(self._figure(name) for name in self._moved())]
            yield from found or [Cause("own", self._merged(conn) or self._record())]

    def _asked(self, person: Supposed, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Cause]:
        def turns(row: Mapping[str, Any], yardsticks: Values, now: int) -> bool:
            """Whether they would be where the move led."""
            return person.holds(self.tree, Standing(row, yardsticks, now)) == self.entered

        if not turns(after, self.new, self.until):
            yield Cause("unknown", "their own record has changed again since, and what it was then is not kept")
            return
        acted = any(before[name] != after[name] for name in PERSONAL if name not in (*WINDOWS, "next_eval_at"))
        figures = self._needed(turns, after) if not turns(after, self.old, self.until) else []
        facts = acted and not turns(before, self.new, self.until)
        if acted and not figures and not facts and not turns(before, self.old, self.until):
            facts = True
        if facts:
            yield from self._facts(before, after)
        yield from (self._figure(name) for name in figures)
        if not facts and not figures and not turns(before, self.old, self.since):
            yield from self._time(person, before, after)

    def _needed(self, turns: Any, row: Mapping[str, Any]) -> list[str]:
        """The yardsticks whose move was needed: each alone if that is so, else the fewest that do it together."""
        moved = [name for name in self._moved() if self._matters(name, row)]

        def without(names: list[str]) -> bool:
            return not turns(row, self.new | {name: self.old.get(name) for name in names}, self.until)

        alone = [name for name in moved if without([name])]
        if alone:
            return alone
        together = list(moved)
        for name in moved:
            rest = [one for one in together if one != name]
            if without(rest):
                together = rest
        return together

    def _moved(self) -> list[str]:
        """Yardsticks of the condition that were others before."""
        names = dict.fromkeys(name for test in self.tests for name in yardsticks_of(test))
        return [name for name in names if self.old.get(name) != self.new.get(name)]

    def _matters(self, name: str, row: Mapping[str, Any]) -> bool:
        """A cut of a score matters only to those whom it has passed."""
        if "_cut_" not in name:
            return True
        was, now = (is_beyond(name, row, values.get(name), self.until) for values in (self.old, self.new))
        return was is not now

    def _figure(self, name: str) -> Cause:
        was, now = (shown_yardstick(name, values.get(name), self.at) for values in (self.old, self.new))
        text = f"{label(name)} moved from {was or 'nothing'} to {now or 'nothing'}"
        return Cause("figure", text, name, was, now)

    def _facts(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Cause]:
        changed = [name for name in self._read() if before[name] != after[name]]
        for name in changed:
            was, now = self._shown(name, before[name]), self._shown(name, after[name])
            yield Cause("own", f"their {_said(name)} went from {was} to {now}", name, was, now)
        if not changed:
            yield Cause("own", self._record())

    def _merged(self, conn: Connection) -> str | None:
        """Membership and history come along with a customer who is merged into this one."""
        c = customers.c
        theirs = select(outward_of(c.id)).where(c.merged_into == self.customer_id, c.gone_at > self.since)
        found = conn.execute(theirs.order_by(c.id)).scalars().all()
        return f"customer {', '.join(found)} was merged into them, with what they were in" if found else None

    def _record(self) -> str:
        """What of the person is read that the metrics do not hold."""
        attributes = self.at.vocabulary.attributes
        texts = [
            t.to_text(test)
            for test in self.tests
            if isinstance(test, t.Matches)
            or any(isinstance(one, t.Attribute) and attributes[one.name].layer == "profile" for one in t.walk(test))
        ]
        return "their own record changed" + (f", of which is read: {'; '.join(texts)}" if texts else "")

    def _read(self) -> list[str]:
        """Personal columns behind the condition."""
        found: list[str] = []
        for test in self.tests:
            for node in () if isinstance(test, t.Matches) else t.walk(test):
                if isinstance(node, t.Attribute | t.Percentile | t.Flag | t.Anniversary):
                    name = node.name if isinstance(node, t.Attribute | t.Flag) else node.attribute
                    found += [name.removesuffix("_percentile"), *_MADE_OF.get(name, ())]
                    found += [INPUTS[scale.kind] for scale in scales(name)]
        return [name for name in dict.fromkeys(found) if name in PERSONAL]

    def _time(self, person: Supposed, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Cause]:
        """The day on which time alone did it, and what passed which limit then."""
        begun = Standing(before, self.old, self.since)
        person.stand(begun)
        due = before["next_eval_at"] if before != after else None
        expected = person.value(t.Attribute("expected_days_between_orders"), begun)
        marks = dict(self._marks(before, expected))
        at = self._then(self.since)
        instants = {*marks, *instants_of(person.conn, self.tree, at, self.customer_id), *([due] if due else [])}
        for instant in [*sorted(one for one in instants if self.since < one <= self.until), self.until]:
            row = after if due and instant >= due else before
            then = Standing(row, self.old, instant)
            if person.holds(self.tree, then) == self.entered:
                was, now = tests(person, self.tree, begun), tests(person, self.tree, then)
                texts = [text for text in now if now[text] != was[text]]
                yield self._passed(instant, texts, marks, before, row)
                return

    def _passed(
        self,
        instant: int,
        texts: list[str],
        marks: Mapping[int, str],
        before: Mapping[str, Any],
        row: Mapping[str, Any],
    ) -> Cause:
        day = datetime.fromtimestamp(instant, self.at.zone).date()
        slid = [name for name in self._read() if name in WINDOWS and before[name] != row[name]]
        if slid:
            name = slid[0]
            was, now = self._shown(name, before[name]), self._shown(name, row[name])
            return Cause("time", f"time passed: {_said(name)} went from {was} to {now} on {day}", name, was, now)
        passed = marks.get(instant)
        return Cause("time", f"time passed: {passed or ', '.join(texts) + ' turned'} on {day}")

    def _marks(self, row: Mapping[str, Any], expected: float | None) -> Iterator[tuple[int, str]]:
        """Instants at which the days since the last order pass a limit, and how to say so."""
        begun = row["last_order_date"]
        if begun is None:
            return
        limits: list[tuple[float, str]] = []
        for test in self.tests:
            for node in () if isinstance(test, t.Matches) else t.walk(test):
                name = node.name if isinstance(node, t.Attribute) else ""
                constants = [value for value in map(_constant, t.children(test)) if value is not None]
                if name == "days_since_last_order":
                    limits += [(value, f"days_since_last_order passed {value:.1f}") for value in constants]
                if name == "order_gap_ratio" and expected:
                    limits += [(value * expected, f"order_gap_ratio passed {value:.10g}") for value in constants]
                if scales(name):
                    names = [one for scale in scales(name) for one in scale.names if scale.kind == "recency"]
                    cuts = [(one, self.old.get(one)) for one in names]
                    limits += [
                        (cut, f"days_since_last_order reached {label(one)}, {cut:.0f}") for one, cut in cuts if cut
                    ]
        for days, text in limits:
            for turn in (int(begun + days * DAY), int(begun + days * DAY) + 1):
                yield turn, text
        if any(
            isinstance(one, t.Attribute) and one.name == "lifecycle_stage"
            for test in self.tests
            for one in t.walk(test)
        ):
            for turn in ladder({**row, "expected_days_between_orders": expected}):
                days = (turn - begun) / DAY
                multiple = f" ({days / expected:.2g} times the expected {expected:.1f})" if expected else ""
                yield turn, f"days_since_last_order passed {days:.1f}{multiple}"

    def _then(self, now: int) -> Moment:
        return Moment(now, self.at.settings, self.at.segments, self.at.vocabulary)

    def _shown(self, name: str, value: Any) -> str:
        if value is None:
            return "nothing"
        one = self.at.vocabulary.attributes[name]
        if one.money:
            return money_text(round(value), self.at.scale)
        if one.kind == "date":
            return datetime.fromtimestamp(value, self.at.zone).isoformat(timespec="minutes")
        return f"{value:.4g}" if isinstance(value, float) else str(value)


def _person_around(
    conn: Connection, customer_id: int, since: int, until: int
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """The personal columns at the earlier and at the later of two evaluations."""
    c = customer_before.c
    rows = conn.execute(select(customer_before).where(c.customer_id == customer_id, c.at > since).order_by(c.at))
    replaced = [dict(row) for row in rows.mappings()]
    present = person_row(conn, customer_metrics, customer_id)
    now = present and {name: present[name] for name in PERSONAL}
    later = next((row for row in replaced if row["at"] > until), None)
    earlier = replaced[0] if replaced else None
    after = _there(later) if later else now
    return (_there(earlier) if earlier else now), after


def _there(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """A kept row; all NULL stands for somebody who was not there."""
    return None if row["number_of_orders"] is None else {name: row[name] for name in PERSONAL}


def _constant(node: t.Node) -> float | None:
    found = t.constant(node) if isinstance(node, t.VALUES) else None
    return None if found is None else float(found)


def _said(name: str) -> str:
    return name.replace("_", " ")
