"""Search syntax of the simulated Admin API, leniencies included."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from shopify_sandbox_rig import CUSTOMERS, DAY, NOW, ORDERS, Rig

from connector.shopify.sandbox_search import parse

MIDNIGHT = NOW - NOW % DAY


def stamp(at: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"updated_at:>='{stamp(NOW - 100)}'", [1, 2]),
        (f"updated_at:>'{stamp(NOW - 100)}'", [1, 2]),
        (f"updated_at:<'{stamp(NOW - 100)}'", [0, 1]),
        (f"updated_at:>='{stamp(NOW - 200)}' updated_at:<='{stamp(NOW - 100)}'", [0, 1]),
        (f"updated_at:>='{stamp(NOW - 50).replace('Z', '+05:00')}'", [2]),
        ("updated_at:<'2026-11-18'", []),
        (f"updated_at:>='{stamp(NOW - 50)}' OR updated_at:<='{stamp(NOW - 200)}'", [0, 2]),
        (f"-updated_at:>='{stamp(NOW - 100)}'", [0]),
        (f"NOT (updated_at:>='{stamp(NOW - 50)}' OR test:false)", []),
        ("test:false", [0, 1, 2]),
        ("name:'#1002'", [1]),
        ("name:#100*", [0, 1, 2]),
        ("financial_status:paid", [0, 1, 2]),
    ],
)
def test_times_are_exact_and_bounds_inclusive(query: str, found: list[int]) -> None:
    """Orders filter by the second; > and < include their value; an offset is ignored."""
    rig = Rig()
    orders = [rig.world.place_order(None, [(rig.mug, 1)], at=NOW - ago, email="a@example.com") for ago in (200, 100, 0)]
    rig.open()
    assert rig.ids(ORDERS, "orders", first=9, lineItems=1, query=query) == [orders[n].number for n in found]


def test_customers_match_whole_days() -> None:
    """A time of day in a customers filter widens to its whole day, both ways."""
    rig = Rig()
    people = [rig.world.add_customer(at=at) for at in (MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 7200)]
    rig.open()
    numbers = [person.number for person in people]
    after = f"updated_at:>='{stamp(MIDNIGHT + 7000)}'"
    assert rig.ids(CUSTOMERS, "customers", first=9, query=after) == numbers[1:]
    assert rig.ids(CUSTOMERS, "customers", first=9, query=f"updated_at:<'{stamp(MIDNIGHT - 80_000)}'") == numbers[:1]


def test_an_unknown_filter_fails_open_with_a_warning() -> None:
    """The term is dropped, the rest filters on, and only extensions.search tells."""
    rig = Rig()
    ana, ben = rig.world.add_customer(tags=["vip"]), rig.world.add_customer()
    rig.open()
    answer = rig.ask(CUSTOMERS, first=9, query="updatedat:>='2026-11-01'")
    assert [node["id"][-1] for node in answer["data"]["customers"]["nodes"]] == [
        str(n)[-1] for n in (ana.number, ben.number)
    ]
    assert answer["extensions"]["search"][0]["warnings"][0]["field"] == "updatedat"
    assert answer["extensions"]["search"][0]["warnings"][0]["code"] == "invalid_field"
    assert rig.ids(CUSTOMERS, "customers", first=9, query="tag:VIP nonsense:1") == [ana.number]
    assert "search" not in rig.ask(CUSTOMERS, first=9, query="tag_not:vip")["extensions"]


def test_an_unquoted_time_is_no_filter() -> None:
    """A time without quotes is dropped with a warning; a bare date works."""
    rig = Rig()
    rig.world.place_order(None, [(rig.mug, 1)], at=NOW - 100 * DAY, email="a@example.com")
    rig.open()
    answer = rig.ask(ORDERS, first=9, lineItems=1, query="updated_at:>=2026-11-01T00:00:00Z")
    assert len(answer["data"]["orders"]["nodes"]) == 1
    assert answer["extensions"]["search"]
    assert rig.ids(ORDERS, "orders", first=9, lineItems=1, query="updated_at:>=2026-11-01") == []


def test_valid_fields_differ_per_root() -> None:
    """customersCount does not know the tag filter that customers knows."""
    rig = Rig()
    rig.world.add_customer(tags=["vip"])
    rig.world.add_customer()
    rig.open()
    answer = rig.ask('{ customersCount(query: "tag:vip") { count } }')
    assert answer["data"]["customersCount"]["count"] == 2
    assert answer["extensions"]["search"][0]["path"] == ["customersCount"]


WORDS = st.sampled_from(
    ["(", ")", "-", "NOT", "OR", "AND", "test:true", "id:7", "id:<9", "nope:1", "x", "'", "tag:'a b'"]
)


@example("NOT )")
@given(st.lists(st.one_of(WORDS, st.text(max_size=4)), max_size=8).map(" ".join))
def test_any_text_is_searched_without_failing(query: str) -> None:
    """However broken the query, it finds something, nothing, or warns."""
    search = parse(query, {"id": "id", "test": "bool", "tag": "tag"})
    values = {"id": 7, "test": "True", "tag": frozenset({"a b"}), "text": "x"}
    assert search.matches(values) in (True, False)
    assert all(warning["code"] in ("invalid_field", "invalid_value") for warning in search.warnings)


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("id:7 test:true", True),
        ("id:7 test:false", False),
        ("-id:7", False),
        ("(id:1 OR id:7) tag:'A B'", True),
        ("NOT (id:1 OR test:false)", True),
        ("id:1 OR id:2 OR id:7", True),
        ("id:>=8 OR -test:true", False),
    ],
)
def test_terms_combine(query: str, matches: bool) -> None:
    """A space is AND and binds closer than OR; NOT and - negate one term or group."""
    search = parse(query, {"id": "id", "test": "bool", "tag": "tag"})
    assert search.matches({"id": 7, "test": "True", "tag": frozenset({"a b"}), "text": ""}) is matches
