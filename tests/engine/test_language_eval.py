"""The language against a second reading of it in plain Python, on customers that Hypothesis makes."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from condition_rig import World, conditions, fill, worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from second_reading import truth
from sqlalchemy import Connection, StaticPool, create_engine
from sqlalchemy.dialects import postgresql

from sync.metrics.table import customer_metrics
from sync.segments import compile as compiling
from sync.segments import tree as t
from sync.segments.catalogue import Segment
from sync.segments.compile import Compiler, Moment
from sync.segments.evaluate import evaluate, members
from sync.segments.explain import Person as Explained
from sync.segments.language import Rule, parse
from sync.segments.problems import Origin
from sync.store.tables import SQLModel

READ = frozenset({"customers", "products", "orders", "carts", "events", "email_events"})
SOME = World(now=1_500_000_300, zone=ZoneInfo("Europe/Berlin"), people=[], figures={})


@pytest.fixture(scope="module")
def conn() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        SQLModel.metadata.create_all(connection)
        compiling.prepare(connection)
        yield connection
    engine.dispose()


def _segment(key: str, rule: Rule) -> Segment:
    return Segment(
        key=key, name=key, where=rule.text, rule=rule, origin=Origin("t"), rule_hash=key, sources=rule.sources
    )


def _rule(tree: t.Condition) -> Rule:
    return parse(t.to_text(tree))


def _expected(tree: t.Condition, world: World) -> list[int]:
    return [number for number, one in enumerate(world.people, start=1) if truth(tree, one, world) is True]


def _ids(conn: Connection, tree: t.Condition, at: Moment, *, joined: bool) -> list[int]:
    compiler = Compiler(at, joined=joined)
    condition = compiler.condition(tree)
    rows = compiler.select(customer_metrics.c.customer_id, where=condition, looks_at=[condition])
    return sorted(conn.execute(rows).scalars())


@given(conditions(SOME))
def test_printing_and_parsing_gives_the_same_tree(tree: t.Condition) -> None:
    """parse(to_text(tree)) == tree for every well-typed condition."""
    assert _rule(tree).tree == tree


@settings(max_examples=60)
@given(worlds().flatmap(lambda world: st.tuples(st.just(world), conditions(world))))
def test_sql_and_plain_python_agree(conn: Connection, pair: tuple[World, t.Condition]) -> None:
    """Members by grouped SQL, by per-person SQL and by hand are the same people."""
    world, tree = pair
    fill(conn, world)
    at = compiling.moment(world.now, world.settings)
    expected = _expected(tree, world)
    assert _ids(conn, tree, at, joined=True) == expected
    assert _ids(conn, tree, at, joined=False) == expected


@settings(max_examples=15)
@given(worlds().flatmap(lambda world: st.tuples(st.just(world), conditions(world))))
def test_explained_truths_are_the_readings_truths(conn: Connection, pair: tuple[World, t.Condition]) -> None:
    """Each clause of an explanation is true, false or unknown exactly as the condition's reading says."""
    world, tree = pair
    fill(conn, world)
    at = compiling.moment(world.now, world.settings)
    for number, person in enumerate(world.people, start=1):
        clause = Explained(conn, at, number, _rule(tree)).clause(tree)
        assert clause.truth is truth(tree, person, world)
        if isinstance(tree, t.And | t.Or):
            assert [part.truth for part in clause.parts] == [truth(part, person, world) for part in tree.parts]


@settings(max_examples=15)
@given(
    worlds().flatmap(
        lambda world: st.tuples(
            st.just(world), conditions(world), conditions(world, ("first",)), conditions(world, ("first", "second"))
        )
    )
)
def test_segments_over_segments_evaluate_as_read(
    conn: Connection, drawn: tuple[World, t.Condition, t.Condition, t.Condition]
) -> None:
    """IN SEGMENT is two-valued at any depth, and membership after evaluate() is what the reading says."""
    world, first, second, third = drawn
    fill(conn, world)
    trees = {"first": first, "second": second, "third": third}
    world.segments = trees
    segments = [_segment(key, _rule(tree)) for key, tree in trees.items()]
    evaluate(conn, segments, now=world.now, settings=world.settings, run_id=1, sources_read=READ)
    for key, tree in trees.items():
        assert members(conn, key) == _expected(tree, world)


@settings(max_examples=30)
@given(conditions(SOME))
def test_every_statement_compiles_for_postgresql(tree: t.Condition) -> None:
    """The same Core statement renders under the PostgreSQL dialect."""
    statement = compiling.members(_rule(tree), compiling.moment(SOME.now, SOME.settings))
    assert "SELECT" in str(statement.compile(dialect=postgresql.dialect()))
