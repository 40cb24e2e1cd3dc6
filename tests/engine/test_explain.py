"""Why a person is in or out: values, evidence, and what would turn it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from sqlalchemy import Connection, StaticPool, create_engine

from sync.segments.catalogue import Segment, load
from sync.segments.evaluate import evaluate, members
from sync.segments.explain import Explanation, explain
from sync.segments.fixtures import NOW, SETTINGS, Fixture
from sync.segments.language import parse
from sync.segments.problems import Origin
from sync.segments.show import show
from sync.store.tables import SQLModel

READ = frozenset({"customers", "products", "orders", "carts", "events"})
DAY = 86400


@pytest.fixture
def conn() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        SQLModel.metadata.create_all(connection)
        yield connection
    engine.dispose()


def _segment(where: str, key: str = "s") -> Segment:
    rule = parse(where)
    return Segment(key=key, name=key, where=where, rule=rule, origin=Origin("t"), rule_hash=where, sources=rule.sources)


def _explain(conn: Connection, where: str, person: int, *others: Segment, read: frozenset[str] = READ) -> Explanation:
    segment = _segment(where)
    return explain(conn, segment, person, [*others, segment], now=NOW, settings=SETTINGS, sources_read=read)


def test_values_are_shown_in_their_own_unit(conn: Connection) -> None:
    """Money as decimals, instants in the store's zone, what a ratio is made of beside it, lists as they are."""
    person = Fixture(conn).person(
        {"amount_spent": 320.5, "days_since_last_order": 60, "order_gap_ratio": 2, "customer_tags": ["a", "b"]}
    )
    found = _explain(conn, "amount_spent > 400 AND order_gap_ratio > 1 AND customer_tags CONTAINS 'b'", person)
    assert found.clause is not None
    money, ratio, tags = found.clause.parts
    assert (money.truth, money.values) == (False, {"amount_spent": "320.50"})
    assert money.need == "amount spent rises above 400.00 (320.50 now, 79.50 away)"
    assert ratio.values == {
        "order_gap_ratio": "2.00",
        "days_since_last_order": "60.00",
        "expected_days_between_orders": "30.00",
    }
    assert (tags.truth, tags.values) == (True, {"customer_tags": "a, b"})
    assert found.needs == ("amount spent rises above 400.00 (320.50 now, 79.50 away)",)


def test_the_day_on_which_time_alone_decides_is_named(conn: Connection) -> None:
    """Entering and leaving, exact days and calendar days, with the test that turns."""
    person = Fixture(conn).person({"number_of_orders": 1, "days_since_last_order": 80})
    enters = _explain(conn, "number_of_orders = 1 AND days_since_last_order > 90", person).turns
    assert enters is not None
    assert (enters.day, enters.enters, enters.because) == (date(2026, 12, 1), True, ("days_since_last_order > 90",))
    assert enters.at == NOW + 10 * DAY + 1
    leaves = _explain(conn, "last_order_date >= -85d", person).turns
    assert leaves is not None
    assert (leaves.day, leaves.enters) == (date(2026, 11, 27), False)
    assert _explain(conn, "number_of_orders > 5 AND days_since_last_order > 90", person).turns is None


def test_events_are_evidence_and_their_age_turns_the_answer(conn: Connection) -> None:
    """At most five, latest first; a cart grows out of its window to the second."""
    person = Fixture(conn).person(
        {"orders": [{"days": n + 1, "total": 10 + n} for n in range(7)], "carts": [{"hours": 3, "total": 9.5}]}
    )
    orders = _explain(conn, "orders_placed MATCHES (amount > 10, count >= 2)", person)
    assert orders.clause is not None
    assert [row["amount"] for row in orders.clause.evidence] == ["11.00", "12.00", "13.00", "14.00", "15.00"]
    cart = _explain(conn, "checkouts_abandoned MATCHES (age_hours < 24)", person)
    assert cart.member
    assert cart.clause is not None
    assert [row["amount"] for row in cart.clause.evidence] == ["9.50"]
    assert cart.turns is not None
    assert cart.turns.at == NOW + 21 * 3600


def test_what_people_did_is_evidence_too(conn: Connection) -> None:
    """E-mails by their campaign, everything else by its name, each with its date; windows over them turn as others."""
    did = [
        {"name": "email.clicked", "days": 3, "campaign": "Spring"},
        {"name": "email.opened", "days": 2, "campaign": "Spring"},
        {"name": "FORM_SUBMITTED", "days": 1},
    ]
    person = Fixture(conn).person({"events": did, "email_clicks_last_90d": 1})
    read = READ | {"email_events"}
    clicked = _explain(conn, "email.clicked MATCHES (campaign = 'Spring', date >= -30d)", person, read=read)
    assert clicked.clause is not None
    assert clicked.clause.words.startswith("an e-mail was clicked (campaign is 'Spring'")
    assert clicked.clause.evidence == ({"date": "2026-11-18T12:00+00:00", "campaign": "Spring"},)
    assert clicked.member
    assert clicked.turns is not None
    assert (clicked.turns.day, clicked.turns.enters) == (date(2026, 12, 19), False)
    any_name = _explain(conn, "events MATCHES (count >= 1)", person)
    assert any_name.clause is not None
    assert [row["name"] for row in any_name.clause.evidence] == ["FORM_SUBMITTED"]
    number = _explain(conn, "email_clicks_last_90d >= 3", person, read=read)
    assert number.needs == ("email clicks last 90d reaches 3 (1 now, 2 away)",)


def test_a_rank_names_the_cut_it_missed(conn: Connection) -> None:
    """The person's own value and the smallest value that is above the limit now."""
    fixture = Fixture(conn)
    people = [fixture.person({"number_of_orders": 1, "amount_spent": 10 * n}) for n in range(1, 11)]
    found = _explain(conn, "percentile(amount_spent) > 100 - 20", people[0])
    assert found.clause is not None
    assert found.clause.values == {"percentile(amount_spent)": "10.00", "amount_spent": "10.00"}
    assert found.clause.need == "amount spent reaches the cut of 90.00 (10.00 now)"
    assert found.clause.yardsticks == {"percentile(amount_spent) > 80": "90.00"}
    assert found.clause.measured == ("amount_spent: the cut above 80 is at 90.00",)


def test_scores_and_stages_show_what_they_are_read_off(conn: Connection) -> None:
    """The inputs beside the shop's own figures, and the cut above and below."""
    fixture = Fixture(conn)
    fixture.figures({"store_gap": 34, **{f"monetary_cut_{k}_of_5": 200 * k for k in range(1, 5)}})
    person = fixture.person(
        {
            "number_of_orders": 4, "amount_spent": 712, "monetary_score": 4, "lifecycle_stage": "at-risk",
            "days_since_last_order": 51, "expected_days_between_orders": 30, "purchase_days": 4,
            "median_days_between_purchase_days": 28.1,
        }
    )  # fmt: skip
    found = _explain(conn, "monetary_score >= 4 AND lifecycle_stage = 'loyal'", person).clause
    assert found is not None
    score, stage = found.parts
    assert score.measured == ("monetary_score = 4: amount_spent 712.00; 5 above 800.00, 4 above 600.00",)
    assert score.yardsticks["monetary_cut_4_of_5"] == "800.00"
    (text,) = stage.measured
    assert text == (
        "order_gap_ratio = 1.70 (days_since_last_order 51.0 / expected_days_between_orders 30.0; "
        "own median gap 28.1 over 3 gaps, shop's gap 34.0), at-risk beyond 1.5 up to 2"
    )


@pytest.mark.parametrize(
    ("where", "person", "needs"),
    [
        ("lifecycle_stage = 'loyal'", {"lifecycle_stage": "loyal"}, "more than 45.0 days pass since the last order"),
        ("lifecycle_stage = 'new'", {"lifecycle_stage": "new"}, "a second order is placed, or more than 45.0 days"),
        ("lifecycle_stage = 'lost'", {"lifecycle_stage": "lost"}, "one more order is placed"),
        ("lifecycle_stage = 'at-risk'", {"lifecycle_stage": "active"}, "more than 45.0 days pass since the last order"),
        ("order_gap_ratio > 2", {}, "more than 60.0 days pass since the last order (2 × the expected 30.0; 20.0 now)"),
        ("days_since_last_order < 10", {}, "one more order is placed"),
        ("number_of_orders = 1", {}, "one more order is placed"),
        ("orders_last_90d >= 3", {"orders_last_90d": 1}, "2 more orders are placed within 90 days (1 now)"),
        ("frequency_score > 3", {"frequency_score": 3}, "number of orders rises above 6 (1 now)"),
        ("recency_score >= 2", {"recency_score": 2}, "40 days pass since the last order (20.0 now)"),
        ("email_subscription_status = 'SUBSCRIBED'", {}, "email subscription status becomes 'SUBSCRIBED'"),
    ],
)
def test_what_would_turn_it_is_said_in_days_orders_and_money(
    conn: Connection, where: str, person: dict[str, object], needs: str
) -> None:
    """No condition of the language: what has to happen, from where the person stands."""
    fixture = Fixture(conn)
    fixture.figures({"frequency_cut_3_of_5": 6, "recency_cut_1_of_5": 40})
    fields = {"number_of_orders": 1, "days_since_last_order": 20, "expected_days_between_orders": 30, **person}
    found = _explain(conn, where, fixture.person(fields))
    assert len(found.needs) == 1
    assert found.needs[0].startswith(needs)


def test_unknown_is_told_apart_from_no(conn: Connection) -> None:
    """A comparison with nothing is unknown, and so is its NOT; neither is a member."""
    person = Fixture(conn).person({})
    found = _explain(conn, "NOT average_order_value > 3", person)
    assert found.clause is not None
    assert (found.member, found.clause.truth, found.clause.parts[0].truth) == (False, None, None)


def test_named_segments_are_opened(conn: Connection) -> None:
    """IN SEGMENT shows the other segment's clauses with the person's values, and needs look into it."""
    person = Fixture(conn).person({"number_of_orders": 1})
    found = _explain(conn, "IN SEGMENT 'loyal'", person, _segment("number_of_orders >= 3", "loyal"))
    assert found.clause is not None
    assert found.clause.parts[0].values == {"number_of_orders": "1"}
    assert found.needs == ("2 more orders are placed (1 now)",)


def test_an_unavailable_segment_says_why(conn: Connection) -> None:
    """No clauses, no membership, the missing source."""
    person = Fixture(conn).person({})
    found = _explain(conn, "email.clicked NOT MATCHES ()", person)
    assert (found.member, found.clause, found.missing) == (False, None, "email_events never read")


def test_explanations_equal_membership_over_the_catalogue(conn: Connection) -> None:
    """Every person of every entry's tests, against every entry: explain and evaluate never differ."""
    segments = load(["lifecycle", "carts", "discount"])
    fixture = Fixture(conn)
    fixture.figures({"order_value_p80": 120, "second_order_gap_p25": 20, "second_order_gap_p75": 60})
    people = [fixture.person(one) for segment in segments[::3] for one in segment.tests.get("in", ())[:1]]
    evaluate(conn, segments, now=NOW, settings=SETTINGS, run_id=1, sources_read=READ)
    for segment in segments:
        held = members(conn, segment.key)
        for person in people:
            found = explain(conn, segment, person, segments, now=NOW, settings=SETTINGS, sources_read=READ)
            assert found.member == (person in held), (segment.key, person)


def test_show_tells_condition_meaning_sql_and_size(conn: Connection) -> None:
    """All that `segments show` prints; the SQL runs as it is printed."""
    fixture = Fixture(conn)
    person = fixture.person({"number_of_orders": 2})
    fixture.person({"number_of_orders": 1})
    segments = [_segment("number_of_orders >= 2")]
    evaluate(conn, segments, now=NOW, settings=SETTINGS, run_id=1, sources_read=READ)
    shown = show(conn, segments[0], segments, now=NOW, settings=SETTINGS, sources_read=READ)
    assert (shown.condition, shown.meaning) == ("number_of_orders >= 2", "number of orders is at least 2")
    assert (shown.reads, shown.size, shown.missing) == (("number_of_orders",), 1, None)
    assert conn.exec_driver_sql(shown.sql, shown.params).scalars().all() == [person]
