"""Who is in which segment now, and who entered or left since: one scan for up to 60 segments at a time.

Each customer's truths become the bits of a mask. Masks that differ from the stored ones are the changes; they are
spread to `membership` and `membership_event` set-based. `membership` is the truth, the stored mask a cache that changes
in the same transaction (`rebuild_masks`). A segment's bit is its own as long as its state is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable, DropTable

from sync.metrics.counting import MetricSettings
from sync.metrics.table import customer_metrics
from sync.segments import compile as compiling
from sync.segments import tree as t
from sync.segments.catalogue import Segment
from sync.store.tables import SQLModel

WORD = 60
_tables = SQLModel.metadata.tables
membership: Table = _tables["membership"]
membership_event: Table = _tables["membership_event"]
membership_mask: Table = _tables["membership_mask"]
segment_state: Table = _tables["segment_state"]

_passing = MetaData()
_BIG = BigInteger().with_variant(Integer(), "sqlite")
changed_mask = Table(
    "changed_mask",
    _passing,
    Column("customer_id", _BIG, nullable=False),
    Column("word", Integer(), nullable=False),
    Column("old", _BIG, nullable=False),
    Column("new", _BIG, nullable=False),
    prefixes=["TEMPORARY"],
)
segment_bit = Table(
    "segment_bit",
    _passing,
    Column("segment", Text(), nullable=False),
    Column("word", Integer(), nullable=False),
    Column("bit", _BIG, nullable=False),
    Column("rule_hash", Text(), nullable=False),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True, slots=True)
class Change:
    """One segment after an evaluation. `missing`: why it could not be evaluated; its members stay."""

    key: str
    size: int
    entered: int
    left: int
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """All segments after an evaluation, in their order."""

    segments: tuple[Change, ...]

    @property
    def moved(self) -> int:
        """How many entries and exits there were."""
        return sum(one.entered + one.left for one in self.segments)


@dataclass(frozen=True, slots=True)
class _State:
    name: str
    rule_hash: str
    bit: int
    size: int
    missing: str | None


def missing_sources(segments: Sequence[Segment], sources_read: frozenset[str]) -> dict[str, str]:
    """Why segments are unavailable, by key: no rule that can run, or a source that was never read."""
    found: dict[str, str] = {}
    for segment in segments:
        unread = sorted(segment.sources - sources_read)
        if segment.blocked:
            found[segment.key] = segment.blocked
        elif unread:
            found[segment.key] = f"{' and '.join(unread)} never read"
    return found


def evaluate(
    conn: Connection,
    segments: Sequence[Segment],
    *,
    now: int,
    settings: MetricSettings,
    run_id: int,
    sources_read: frozenset[str],
) -> Changes:
    """Bring membership up to `now`. `segments` are in dependency order; the caller's transaction holds all of it."""
    compiling.prepare(conn)
    states = _read_states(conn)
    bits = _bits(states, segments)
    missing = missing_sources(segments, sources_read)
    alive = [segment for segment in segments if segment.key not in missing]
    rules = {segment.key: segment.rule for segment in segments if segment.rule}
    at = compiling.moment(now, settings, rules)
    with _temporary(conn):
        _name_bits(conn, alive, bits)
        words: dict[int, list[Segment]] = {}
        for segment in alive:
            words.setdefault(bits[segment.key] // WORD, []).append(segment)
        for word, members in sorted(words.items()):
            _scan(conn, at, word, {segment.key: 1 << bits[segment.key] % WORD for segment in members}, rules)
        entered, left = _counts(conn)
        if entered or left:
            _spread(conn, now, run_id)
            for word, members in sorted(words.items()):
                _store_masks(conn, word, sum(1 << bits[segment.key] % WORD for segment in members))
    changes = []
    for segment in segments:
        key, state = segment.key, states.get(segment.key)
        came, went = entered.get(key, 0), left.get(key, 0)
        if key in missing:
            change = Change(key, 0, 0, 0, missing[key])
        elif state is None or state.missing is not None:
            change = Change(key, _size(conn, key), came, went)
        else:
            change = Change(key, state.size + came - went, came, went)
        _write_state(conn, segment, change, bits[key], state, now)
        changes.append(change)
    return Changes(tuple(changes))


def _read_states(conn: Connection) -> dict[str, _State]:
    c = segment_state.c
    rows = conn.execute(select(c.key, c.name, c.rule_hash, c.bit, c.size, c.missing))
    return {row[0]: _State(*row[1:]) for row in rows}


def _bits(states: Mapping[str, _State], segments: Sequence[Segment]) -> dict[str, int]:
    """Bits by key; new segments get the lowest free ones. A kept state keeps its bit, configured or not."""
    bits = {key: state.bit for key, state in states.items()}
    taken = set(bits.values())
    free = (bit for bit in range(len(taken) + len(segments)) if bit not in taken)
    for segment in segments:
        if segment.key not in bits:
            bits[segment.key] = next(free)
    return bits


@contextmanager
def _temporary(conn: Connection) -> Iterator[None]:
    for table in _passing.sorted_tables:
        conn.execute(DropTable(table, if_exists=True))
        conn.execute(CreateTable(table))
    yield
    for table in _passing.sorted_tables:
        conn.execute(DropTable(table))


def _name_bits(conn: Connection, segments: Sequence[Segment], bits: Mapping[str, int]) -> None:
    rows = [
        {
            "segment": segment.key,
            "word": bits[segment.key] // WORD,
            "bit": 1 << bits[segment.key] % WORD,
            "rule_hash": segment.rule_hash,
        }
        for segment in segments
    ]
    if rows:
        conn.execute(insert(segment_bit), rows)


def scan(at: compiling.Moment, word: int, masks: Mapping[str, int], rules: Mapping[str, Any]) -> Any:
    """Customers whose mask differs from the stored one: (customer_id, word, old, new)."""
    compiler = compiling.Compiler(at)
    groups, rest = _grouped(masks, rules)
    conditions: list[Any] = [compiler.condition(rules[key].tree) for key in rest]
    new: Any = literal(0, _BIG)
    for key, condition in zip(rest, conditions, strict=True):
        new = new + case((condition, literal(masks[key], _BIG)), else_=0)
    for name, texts in groups.items():
        value = compiler.value(t.Attribute(name)).sql
        conditions.append(value)
        new = new + case({text: literal(mask, _BIG) for text, mask in texts.items()}, value=value, else_=0)
    whole = literal(sum(masks.values()), _BIG)
    stored = membership_mask.alias("stored")
    old = func.coalesce(stored.c.mask, 0).bitwise_and(whole)
    source, there = compiler.source(conditions)
    found = source.outerjoin(
        stored, and_(stored.c.customer_id == customer_metrics.c.customer_id, stored.c.word == word)
    )
    rows = select(customer_metrics.c.customer_id, old.label("old"), new.label("new")).select_from(found).where(there)
    both = rows.subquery()
    return select(both.c.customer_id, literal(word), both.c.old, both.c.new).where(both.c.old != both.c.new)


def _grouped(masks: Mapping[str, int], rules: Mapping[str, Any]) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Stages and groups are many segments over one attribute: those are told apart by looking at it once."""
    groups: dict[str, dict[str, int]] = {}
    rest: list[str] = []
    for key, mask in masks.items():
        match rules[key].tree:
            case t.Compare("=", t.Attribute(name), t.Text(text)) if name != "customer_email_domain":
                texts = groups.setdefault(name, {})
                texts[text] = texts.get(text, 0) | mask
            case _:
                rest.append(key)
    return groups, rest


def _scan(
    conn: Connection, at: compiling.Moment, word: int, masks: Mapping[str, int], rules: Mapping[str, Any]
) -> None:
    columns = ["customer_id", "word", "old", "new"]
    conn.execute(insert(changed_mask).from_select(columns, scan(at, word, masks, rules)))
    whole = literal(sum(masks.values()), _BIG)
    c = membership_mask.c
    held = c.mask.bitwise_and(whole)
    there = select(literal(1)).where(customer_metrics.c.customer_id == c.customer_id).correlate(membership_mask)
    vanished = select(c.customer_id, c.word, held, literal(0)).where(c.word == word, held != 0, ~there.exists())
    conn.execute(insert(changed_mask).from_select(columns, vanished))


def _differs() -> Any:
    c, bit = changed_mask.c, segment_bit.c.bit
    return and_(segment_bit.c.word == c.word, c.old.bitwise_and(bit) != c.new.bitwise_and(bit))


def _entered() -> Any:
    return changed_mask.c.new.bitwise_and(segment_bit.c.bit) != 0


def _counts(conn: Connection) -> tuple[dict[str, int], dict[str, int]]:
    into = func.sum(case((_entered(), 1), else_=0))
    rows = conn.execute(
        select(segment_bit.c.segment, into, func.count() - into)
        .select_from(changed_mask.join(segment_bit, _differs()))
        .group_by(segment_bit.c.segment)
    ).all()
    return {row[0]: int(row[1]) for row in rows}, {row[0]: int(row[2]) for row in rows}


def _spread(conn: Connection, now: int, run_id: int) -> None:
    """Changes as events, then as rows of membership."""
    segment, customer = segment_bit.c.segment, changed_mask.c.customer_id
    pairs = changed_mask.join(segment_bit, _differs())
    events = (
        select(segment, customer, cast(_entered(), Boolean), literal(now), literal(run_id), segment_bit.c.rule_hash)
        .select_from(pairs)
        .order_by(segment, customer)
    )
    names = ["segment", "customer_id", "entered", "at", "run_id", "rule_hash"]
    conn.execute(insert(membership_event).from_select(names, events))
    gone = select(segment, customer).select_from(pairs).where(~_entered())
    conn.execute(delete(membership).where(tuple_(membership.c.segment, membership.c.customer_id).in_(gone)))
    come = select(segment, customer, literal(now), literal(run_id)).select_from(pairs).where(_entered())
    columns = ["segment", "customer_id", "since", "run_id"]
    conn.execute(insert(membership).from_select(columns, come.order_by(segment, customer)))


def _store_masks(conn: Connection, word: int, whole: int) -> None:
    c = changed_mask.c
    rows = select(c.customer_id, c.word, c.new).where(c.word == word)
    make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    statement = make(membership_mask).from_select(["customer_id", "word", "mask"], rows)
    kept = membership_mask.c.mask.bitwise_and(literal(~whole, _BIG))
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=["customer_id", "word"], set_={"mask": kept.bitwise_or(statement.excluded.mask)}
        )
    )


def _size(conn: Connection, key: str) -> int:
    counted = select(func.count()).select_from(membership).where(membership.c.segment == key)
    return int(conn.execute(counted).scalar_one())


def _write_state(conn: Connection, segment: Segment, change: Change, bit: int, before: _State | None, now: int) -> None:
    """Only where something differs: an unchanged run writes nothing."""
    after = _State(segment.name, segment.rule_hash, bit, change.size, change.missing)
    if after == before:
        return
    values = {
        "name": after.name,
        "rule_hash": after.rule_hash,
        "bit": bit,
        "size": after.size,
        "missing": after.missing,
        "evaluated_at": now,
    }
    if before is None:
        conn.execute(insert(segment_state).values(key=segment.key, **values))
    else:
        conn.execute(update(segment_state).where(segment_state.c.key == segment.key).values(**values))


def rebuild_masks(conn: Connection) -> None:
    """Make the cache anew from membership."""
    conn.execute(delete(membership_mask))
    word = cast(segment_state.c.bit // WORD, Integer)
    shift = literal(1, _BIG).bitwise_lshift(segment_state.c.bit % WORD)
    rows = (
        select(membership.c.customer_id, word, func.sum(shift))
        .select_from(membership.join(segment_state, segment_state.c.key == membership.c.segment))
        .group_by(membership.c.customer_id, word)
        .order_by(membership.c.customer_id)
    )
    conn.execute(insert(membership_mask).from_select(["customer_id", "word", "mask"], rows))


def retire(conn: Connection, key: str, *, now: int, run_id: int) -> int:
    """Forget a segment that is no longer configured: its members leave, its bit becomes free. Returns how many left."""
    state = _read_states(conn).get(key)
    if state is None:
        return 0
    c = membership.c
    rows = select(
        c.segment, c.customer_id, literal(False), literal(now), literal(run_id), literal(state.rule_hash)
    ).where(c.segment == key)
    names = ["segment", "customer_id", "entered", "at", "run_id", "rule_hash"]
    conn.execute(insert(membership_event).from_select(names, rows))
    left = conn.execute(delete(membership).where(c.segment == key)).rowcount
    bit = 1 << state.bit % WORD
    mask = membership_mask.c
    conn.execute(
        update(membership_mask)
        .where(mask.word == state.bit // WORD, mask.mask.bitwise_and(literal(bit, _BIG)) != 0)
        .values(mask=mask.mask.bitwise_and(literal(~bit, _BIG)))
    )
    conn.execute(delete(segment_state).where(segment_state.c.key == key))
    return left


def members(conn: Connection, key: str) -> list[int]:
    """Members as last evaluated, by id; none while the segment is unavailable."""
    state = _read_states(conn).get(key)
    if state is None or state.missing:
        return []
    c = membership.c
    return list(conn.execute(select(c.customer_id).where(c.segment == key).order_by(c.customer_id)).scalars())


def members_at(
    conn: Connection,
    segments: Sequence[Segment],
    key: str,
    *,
    now: int,
    settings: MetricSettings,
    sources_read: frozenset[str],
) -> list[int]:
    """Members by the facts this connection sees (`sync.metrics.as_of`), worked out without writing anything."""
    if key in missing_sources(segments, sources_read):
        return []
    compiling.prepare(conn)
    rules = {segment.key: segment.rule for segment in segments if segment.rule}
    statement = compiling.members(rules[key], compiling.moment(now, settings, rules))
    return list(conn.execute(statement.order_by(customer_metrics.c.customer_id)).scalars())
