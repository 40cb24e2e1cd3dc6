"""Scripted days in a shop's life."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from connector.sandbox.changes import KINDS, happen
from connector.sandbox.world import StillClock, World

NOW = 1_795_000_000


def portrait(world: World) -> dict[int, str]:
    """What can be known of each person, guest orders under their address included."""
    return {
        person.number: repr((person, world.orders_of(person), world.carts_of(person)))
        + repr([o for o in world.orders.values() if o.customer is None and world.by_email(o.email) == [person]])
        for person in world.customers.values()
    }


@pytest.mark.parametrize("seed", range(5))
def test_changes_name_everybody_they_touch(seed: int) -> None:
    """Who is not named by a change looks exactly as before it; who is named does not."""
    world = World.generate(seed=seed, customers=40, now=NOW)
    clock = world.clock
    assert isinstance(clock, StillClock)
    rng = Random(seed)
    before = portrait(world)
    for turn in range(28):
        clock.sleep(3600)
        [change] = happen(world, rng, 1, first=turn)
        after = portrait(world)
        moved = {number for number in before.keys() | after.keys() if before.get(number) != after.get(number)}
        assert moved <= change.people
        assert moved == change.people or change.kind in ("merge", "deletion")
        before = after


def test_all_kinds_take_their_turn() -> None:
    """Fifty changes hold each kind at least three times, and the same seed gives the same changes."""
    first, second = (World.generate(seed=1, customers=200, now=NOW) for _ in range(2))
    changes = happen(first, Random(4), 50)
    assert min(Counter(change.kind for change in changes)[kind] for kind in KINDS) >= 3
    assert happen(second, Random(4), 50) == changes


def test_an_empty_shop_gets_its_first_person() -> None:
    """Kinds that find nobody make room for those that need nobody."""
    world = World(clock=StillClock(NOW))
    [change] = happen(world, Random(0), 1)
    assert (change.kind, change.people) == ("newcomer", frozenset(world.customers))
