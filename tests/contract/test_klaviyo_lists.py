"""Lists in the simulated Klaviyo account: found, made, renamed, and what hangs on them."""

from __future__ import annotations

import pytest
from klaviyo_rig import Rig
from scripted import times

from connector.base import Audience
from connector.klaviyo.wire import DailyLimit
from connector.sandbox.wire import Drop


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_names_are_compared_whole_and_may_repeat(rig: Rig) -> None:
    """Two lists of one name both come back; a longer name does not; quotes and commas are part of a name."""
    names = ["Regulars: VIP", 'Regulars: "so", they say', "Regulars: missing"]
    first, second = rig.account.add_list(names[0]), rig.account.add_list(names[0])
    rig.account.add_list("Regulars: VIP gold")
    quoted = rig.account.add_list(names[1])

    found = rig.destination.find(names)

    assert {name: set(ids) for name, ids in found.items()} == {
        names[0]: {first.id, second.id},
        names[1]: {quoted.id},
        names[2]: set(),
    }


def test_a_list_is_found_by_when_it_was_made(rig: Rig) -> None:
    """Within the span, and five minutes more on either side for clocks that differ."""
    mine = rig.account.add_list("Regulars: VIP")
    made = int(mine.created)
    for span, found in (
        ((made - 900, made), True),
        ((made, made + 900), True),
        ((made + 301, made + 900), False),
        ((made - 900, made - 301), False),
    ):
        assert rig.destination.find(["Regulars: VIP"], made=span) == {"Regulars: VIP": [mine.id] if found else []}


def test_find_follows_pages_of_ten(rig: Rig) -> None:
    """25 lists are found in three calls."""
    names = [f"list {number}" for number in range(25)]
    ids = {name: [rig.account.add_list(name).id] for name in names}

    assert rig.destination.find(names) == ids
    assert len(rig.seen) == 3


def test_a_list_is_created_and_renamed(rig: Rig) -> None:
    """The prefix leads the name; renaming keeps the id."""
    name = rig.destination.audience_name("vip", "Very important")
    list_id = rig.destination.create(Audience("vip", name))
    rig.destination.rename(Audience("vip", "Regulars: new", list_id))

    assert name == "Regulars: Very important"
    assert rig.account.lists[list_id].name == "Regulars: new"


def test_a_list_whose_creation_was_not_answered_is_not_made_twice(rig: Rig) -> None:
    """The server acted, the connection broke: the list that appeared is taken."""
    rig.afterwards = times(1, Drop(timeout=True), "POST", "/api/lists")

    list_id = rig.destination.create(Audience("vip", "VIP"))

    assert [*rig.account.lists] == [list_id]


def test_a_list_that_was_never_made_is_made_again(rig: Rig) -> None:
    """The connection broke before the server acted; an older list of that name is left alone."""
    old = rig.account.add_list("VIP")
    rig.clock.advance(86_400)
    rig.instead = times(1, Drop(), "POST", "/api/lists")

    list_id = rig.destination.create(Audience("vip", "VIP"))

    assert list_id != old.id
    assert len(rig.account.lists) == 2


def test_more_lists_than_a_day_allows_is_a_clear_error(rig: Rig) -> None:
    """The 151st list fails at once with the number and the wait, and nothing sleeps until tomorrow."""
    for number in range(150):
        rig.destination.create(Audience("s", f"list {number}"))
    slept = rig.clock.slept

    with pytest.raises(DailyLimit, match=r"klaviyo: CreateList: the limit of 150 new lists a day is used up; .* hours"):
        rig.destination.create(Audience("s", "one too many"))

    assert rig.clock.slept - slept < 60
    assert len(rig.account.lists) == 150


def test_only_live_flows_count(rig: Rig) -> None:
    """Drafts do not mail anybody; a list that is not there starts nothing."""
    audience = rig.audience()
    rig.account.add_flow(rig.roll(audience), "Welcome back")
    rig.account.add_flow(rig.roll(audience), "Idea", status="draft")

    assert rig.destination.live_flows(audience) == ["Welcome back"]
    assert rig.destination.live_flows(Audience("x", "X", "GONE01")) == []
    assert rig.destination.live_flows(Audience("x", "X")) == []
