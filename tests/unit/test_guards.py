"""What holds one audience, and what passes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.errors import UsageError
from sync.push.guards import GUARDS, Facts, check, is_passed, parse_force

NOW = 1_790_000_000


def facts(**more: object) -> Facts:
    return Facts(**{"destination": "mail", "segment": "vip", "name": "VIPs", **more})  # type: ignore[arg-type]


def tripped(**more: object) -> list[str]:
    return [guard.guard for guard in check(facts(**more), NOW)]


@pytest.mark.parametrize(
    ("before", "left", "held"),
    [(10, 3, False), (10, 4, True), (9, 9, False), (100, 30, False), (100, 31, True)],
)
def test_mass_remove_is_over_thirty_percent_of_ten_or_more(before: int, left: int, held: bool) -> None:
    """Exactly 30 % passes, and small audiences do."""
    assert (tripped(before=before, left=left, remove=left, matched=1, filled=True) == ["mass-remove"]) is held


def test_losses_never_count_as_leaving() -> None:
    """A hundred removals of which none left the segment hold nothing."""
    assert tripped(before=100, remove=100, left=0, matched=100, filled=True) == []


@pytest.mark.parametrize(
    ("filled", "adopted", "held"), [(True, False, True), (False, False, False), (False, True, True), (True, True, True)]
)
def test_mass_add_spares_the_first_fill_of_what_we_created(filled: bool, adopted: bool, held: bool) -> None:
    """An interrupted first fill may go on; an adopted audience has no first fill of ours."""
    assert (tripped(before=20, add=10, matched=30, filled=filled, adopted=adopted) == ["mass-add"]) is held


@pytest.mark.parametrize(
    ("before", "add", "held"),
    [(0, 9, False), (0, 10, True), (9, 191, True), (20, 9, False), (33, 10, True), (34, 10, False), (100, 31, True)],
)
def test_mass_add_is_over_thirty_percent_and_ten_people(before: int, add: int, held: bool) -> None:
    """A small audience counts as ten: it may not grow without bounds, and never trips over a handful."""
    assert (tripped(before=before, add=add, matched=before + add, filled=True) == ["mass-add"]) is held


def test_an_emptied_segment_is_held_at_any_size() -> None:
    """Two of two leaving is an empty segment, though no mass."""
    assert tripped(before=2, left=2, remove=2, filled=True) == ["emptied"]
    assert tripped(before=20, left=20, remove=20, filled=True) == ["mass-remove", "emptied"]


def test_expected_turnover_may_empty_but_not_flood() -> None:
    """Windows of carts and new customers come and go: they may double between two runs, not quadruple."""
    assert tripped(before=20, left=20, remove=20, changeable=True, filled=True) == []
    assert tripped(before=20, add=60, matched=80, changeable=True, filled=True) == []
    assert tripped(before=20, add=61, matched=81, changeable=True, filled=True) == ["mass-add"]


def test_live_flow_is_the_first_push_into_what_was_adopted() -> None:
    """A flow on a list of ours, or after the first fill, only gets named."""
    flows = ("Welcome", "Win back")
    assert tripped(add=1, matched=1, adopted=True, flows=flows) == ["live-flow"]
    assert tripped(add=1, matched=1, adopted=True, filled=True, flows=flows) == []
    assert tripped(add=1, matched=1, flows=flows) == []
    assert tripped(remove=1, before=5, matched=4, left=1, adopted=True, flows=flows) == []


def test_nothing_to_write_holds_nothing() -> None:
    """However stale or changed, an audience that stays as it is needs no guard."""
    assert tripped(rule_changed=True, stale=(("orders", None),), oldest_order=1, unclaimed="two lists") == []


def test_every_guard_speaks_on_one_line_with_its_way_out() -> None:
    """Fact, number and flag."""
    found = check(
        facts(
            before=20,
            left=20,
            remove=20,
            add=10,
            adopted=True,
            flows=("Welcome",),
            rule_changed=True,
            stale=(("orders", NOW - 90_000), ("carts", None)),
            oldest_order=NOW,
            unclaimed="a list stands there",
            undone=7,
        ),
        NOW,
    )
    assert {guard.guard for guard in found} == set(GUARDS)
    for guard in found:
        assert "\n" not in guard.text
        assert guard.text.startswith("mail: vip: ")
        assert guard.text.endswith(f"pass with --force {guard.guard}:vip")
    texts = {guard.guard: guard.text for guard in found}
    assert "20 of 20 members (100%, over 30%) would leave" in texts["mass-remove"]
    assert "orders last read 25 h ago, carts never read to the end" in texts["stale-source"]


def test_force_covers_a_guard_everywhere_or_in_one_segment() -> None:
    """Keys may hold colons."""
    guard = check(facts(segment="rfm:best", before=20, left=20, remove=20, matched=1, filled=True), NOW)[0]
    assert is_passed(guard, parse_force(["mass-remove"]))
    assert is_passed(guard, parse_force(["mass-remove:rfm:best"]))
    assert not is_passed(guard, parse_force(["mass-remove:rfm", "emptied"]))
    with pytest.raises(UsageError, match="no guard 'mass_remove'; did you mean 'mass-remove'"):
        parse_force(["mass_remove"])


@given(before=st.integers(0, 1000), left=st.integers(0, 1000), lost=st.integers(0, 1000), more=st.integers(0, 1000))
def test_losing_more_people_never_adds_a_guard(before: int, left: int, lost: int, more: int) -> None:
    """Guards look at those who left the segment, never at the others who go."""
    left = min(left, before)
    few = tripped(before=before, left=left, remove=left + lost, matched=1, filled=True)
    many = tripped(before=before, left=left, remove=left + lost + more, matched=1, filled=True)
    assert set(few) == set(many) or left + lost == 0
