"""Membership over time: differences, events, masks, segments that cannot be evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, StaticPool, create_engine, select
from sqlalchemy.dialects import postgresql

from sync.metrics.table import customer_metrics
from sync.segments.catalogue import Segment, load
from sync.segments.compile import moment
from sync.segments.evaluate import (
    WORD,
    Changes,
    evaluate,
    members,
    members_at,
    membership,
    membership_event,
    membership_mask,
    rebuild_masks,
    retire,
    scan,
    segment_state,
)
from sync.segments.fixtures import NOW, SETTINGS, Fixture
from sync.segments.language import parse
from sync.segments.problems import Origin
from sync.store.tables import SQLModel

READ = frozenset({"customers", "orders", "carts"})
DAY = 86400


@pytest.fixture(scope="module")
def shared() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        SQLModel.metadata.create_all(connection)
        yield connection
    engine.dispose()


@pytest.fixture
def conn(shared: Connection) -> Connection:
    Fixture(shared).clear()
    return shared


def _segment(key: str, where: str) -> Segment:
    rule = parse(where)
    return Segment(
        key=key, name=key, where=where, rule=rule, origin=Origin("t"), rule_hash=f"h-{where}", sources=rule.sources
    )


def _evaluate(
    conn: Connection, *segments: Segment, run: int = 1, days: float = 0, read: frozenset[str] = READ
) -> Changes:
    now = NOW + int(days * DAY)
    return evaluate(conn, segments, now=now, settings=SETTINGS, run_id=run, sources_read=read)


def _set(conn: Connection, person: int, **values: object) -> None:
    conn.execute(customer_metrics.update().where(customer_metrics.c.customer_id == person).values(**values))


def _bits(conn: Connection) -> dict[str, int]:
    return {row.key: row.bit for row in conn.execute(select(segment_state.c.key, segment_state.c.bit))}


def _replayed(conn: Connection) -> dict[str, set[int]]:
    """Membership as the events tell it, each entry and exit checked against what was before."""
    held: dict[str, set[int]] = {}
    for row in conn.execute(select(membership_event).order_by(membership_event.c.id)):
        people = held.setdefault(row.segment, set())
        assert (row.customer_id in people) is not row.entered
        (people.add if row.entered else people.remove)(row.customer_id)
    return held


def test_people_enter_and_leave_by_data_and_by_time_alone(conn: Connection) -> None:
    """Counts, since, run and rule hash of each change; a second evaluation changes nothing."""
    fixture = Fixture(conn)
    young, old = (fixture.person({"number_of_orders": n, "days_since_last_order": 10 * n}) for n in (1, 2))
    late = _segment("late", "days_since_last_order > 15")
    repeat = _segment("repeat", "number_of_orders >= 2")
    first = _evaluate(conn, late, repeat)
    assert [(one.key, one.size, one.entered, one.left) for one in first.segments] == [
        ("late", 1, 1, 0),
        ("repeat", 1, 1, 0),
    ]
    assert _evaluate(conn, late, repeat, run=2).moved == 0
    after = _evaluate(conn, late, repeat, run=3, days=10)
    assert [(one.size, one.entered, one.left) for one in after.segments] == [(2, 1, 0), (1, 0, 0)]
    assert members(conn, "late") == [young, old]
    row = conn.execute(select(membership).where(membership.c.customer_id == young)).one()
    assert (row.since, row.run_id) == (NOW + 10 * DAY, 3)
    _set(conn, old, last_order_date=NOW + 10 * DAY)
    assert _evaluate(conn, late, repeat, run=4, days=10).segments[0].left == 1
    event = conn.execute(select(membership_event).order_by(membership_event.c.id.desc())).first()
    assert event is not None
    assert (event.customer_id, event.entered, event.run_id, event.rule_hash) == (old, False, 4, late.rule_hash)


def test_an_unchanged_evaluation_writes_nothing(conn: Connection) -> None:
    """Not one row of any table differs after it, at a later now."""
    fixture = Fixture(conn)
    for number in range(5):
        fixture.person({"number_of_orders": number})
    segments = [_segment("a", "number_of_orders > 1"), _segment("b", "email.opened MATCHES ()")]
    _evaluate(conn, *segments)
    tables = (membership, membership_event, membership_mask, segment_state)
    before = [conn.execute(select(table)).all() for table in tables]
    changes = conn.connection.driver_connection.total_changes  # type: ignore[union-attr]
    _evaluate(conn, *segments, run=2, days=1)
    assert [conn.execute(select(table)).all() for table in tables] == before
    assert conn.connection.driver_connection.total_changes - changes == 1  # type: ignore[union-attr]


def test_who_vanishes_leaves(conn: Connection) -> None:
    """A person without metrics (deleted, merged) is in no segment any more."""
    fixture = Fixture(conn)
    person = fixture.person({"number_of_orders": 3})
    segment = _segment("a", "number_of_orders > 1")
    _evaluate(conn, segment)
    conn.execute(customer_metrics.delete().where(customer_metrics.c.customer_id == person))
    assert _evaluate(conn, segment, run=2).segments[0].left == 1
    assert members(conn, "a") == []


def test_a_segment_whose_source_was_never_read_is_left_as_it_is(conn: Connection) -> None:
    """Neither it nor what names it is diffed; NOT MATCHES does not mean everybody."""
    fixture = Fixture(conn)
    fixture.person({"number_of_orders": 3})
    quiet = _segment("quiet", "email.clicked NOT MATCHES (date > -90d)")
    naming = replace(_segment("naming", "NOT IN SEGMENT 'quiet'"), sources=quiet.sources)
    changes = _evaluate(conn, quiet, naming)
    assert [(one.size, one.missing) for one in changes.segments] == [(0, "email_events never read")] * 2
    carts = _segment("carts", "open_carts = 0")
    assert _evaluate(conn, carts, run=2).segments[0].size == 1
    lost = _evaluate(conn, carts, run=3, read=frozenset({"customers", "orders"})).segments[0]
    assert (lost.size, lost.left, lost.missing) == (0, 0, "carts never read")
    assert members(conn, "carts") == []
    assert conn.execute(select(membership.c.customer_id).where(membership.c.segment == "carts")).all() != []
    back = _evaluate(conn, carts, run=4).segments[0]
    assert (back.size, back.entered, back.missing) == (1, 0, None)


def test_a_blocked_entry_blocks_who_names_it(conn: Connection) -> None:
    """An entry of the catalogue without a rule says why, and so does the one that reads it."""
    blocked = replace(_segment("x", "number_of_orders > 0"), rule=None, blocked="not read")
    change = _evaluate(conn, blocked).segments[0]
    assert (change.size, change.missing) == (0, "not read")


def test_bits_stay_and_are_free_after_retiring(conn: Connection) -> None:
    """70 segments use two words; a retired one's bit is cleared everywhere before it is used again."""
    fixture = Fixture(conn)
    people = [fixture.person({"number_of_orders": number}) for number in range(4)]
    segments = [_segment(f"s{number}", f"number_of_orders >= {number % 4}") for number in range(70)]
    _evaluate(conn, *segments)
    bits = _bits(conn)
    assert sorted(bits.values()) == list(range(70))
    assert retire(conn, "s1", now=NOW, run_id=2) == 3
    kept = [one for one in segments if one.key != "s1"]
    changes = _evaluate(conn, *kept, _segment("fresh", "number_of_orders = 0"), run=3)
    assert _bits(conn)["fresh"] == bits["s1"]
    assert changes.moved == 1
    assert members(conn, "fresh") == people[:1]


def test_masks_can_be_rebuilt_from_membership(conn: Connection) -> None:
    """The rebuilt cache says the same, so that nothing moves after it."""
    fixture = Fixture(conn)
    for number in range(6):
        fixture.person({"number_of_orders": number})
    segments = [_segment(f"s{number}", f"number_of_orders > {number % 6}") for number in range(65)]
    _evaluate(conn, *segments)
    rebuild_masks(conn)
    assert _evaluate(conn, *segments, run=2).moved == 0


def test_members_at_another_instant_writes_nothing(conn: Connection) -> None:
    """The condition is asked of the facts as they stand, at any now, without touching membership."""
    fixture = Fixture(conn)
    person = fixture.person({"days_since_last_order": 10})
    segment = _segment("late", "days_since_last_order > 15")
    found = members_at(conn, [segment], "late", now=NOW + 6 * DAY, settings=SETTINGS, sources_read=READ)
    assert found == [person]
    assert members(conn, "late") == []


WHERES = ("number_of_orders >= 2", "amount_spent > 3", "percentile(amount_spent) > 50", "days_since_last_order > 20")
STEP = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 8), st.booleans()), min_size=1, max_size=3
)


@settings(max_examples=25)
@given(st.lists(st.tuples(STEP, st.integers(0, 30), st.integers(0, len(WHERES) - 1)), min_size=1, max_size=4))
def test_small_steps_lead_where_one_evaluation_leads(
    shared: Connection, story: list[tuple[list[tuple[int, int, int, bool]], int, int]]
) -> None:
    """Incremental equals fresh after any history, and the events replay to membership."""
    Fixture(shared).clear()
    fixture = Fixture(shared)
    people = [fixture.person({"days_since_last_order": 1}) for _ in range(5)]
    base = [_segment(f"s{number}", where) for number, where in enumerate(WHERES)]
    both = replace(_segment("both", "IN SEGMENT 's0' AND NOT IN SEGMENT 's2'"), rule_hash="both")
    days = 0
    for run, (steps, passed, changed) in enumerate(story, start=1):
        days += passed
        for place, orders, spent, gone in steps:
            _set(shared, people[place], number_of_orders=orders, amount_spent=spent * 100)
            if gone:
                shared.execute(customer_metrics.delete().where(customer_metrics.c.customer_id == people[place]))
        base[changed] = _segment(f"s{changed}", WHERES[(changed + run) % len(WHERES)])
        segments = [*base, both]
        changes = _evaluate(shared, *segments, run=run, days=days)
        for change, segment in zip(changes.segments, segments, strict=True):
            held = members(shared, segment.key)
            at = {"now": NOW + days * DAY, "settings": SETTINGS, "sources_read": READ}
            assert held == members_at(shared, segments, segment.key, **at)  # type: ignore[arg-type]
            assert change.size == len(held)
            assert _replayed(shared).get(segment.key, set()) == set(held)


def test_long_lists_and_long_chains_run(conn: Connection) -> None:
    """3,000 ids in one IN, and as many tests as a condition may have."""
    person = Fixture(conn).person({"number_of_orders": 7, "orders": [{"days": 1, "lines": [{"product": 2999}]}]})
    ids = ", ".join(str(number) for number in range(3000))
    chain = " OR ".join(f"number_of_orders = {number}" for number in range(400))
    both = [_segment("ids", f"products_purchased MATCHES (id IN ({ids}))"), _segment("chain", chain)]
    _evaluate(conn, *both)
    assert members(conn, "ids") == members(conn, "chain") == [person]


def test_the_scan_of_the_whole_catalogue_compiles_for_postgresql() -> None:
    """The statement that makes the masks is Core as well: nothing in it is SQLite's own."""
    rules = {segment.key: segment.rule for segment in load(["all"]) if segment.rule}
    masks = {key: 1 << place for place, key in enumerate(list(rules)[:WORD])}
    statement = scan(moment(NOW, SETTINGS, rules), 0, masks, rules)
    assert "membership_mask" in str(statement.compile(dialect=postgresql.dialect()))
