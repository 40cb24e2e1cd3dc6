"""What an e-mail platform beside the shop knows of its people."""

from __future__ import annotations

from random import Random

from connector.sandbox.records import email_key
from connector.sandbox.world import World

DIFFERING = 0.03
"""The share of people whose consent there is not what the shop holds."""


def addresses(world: World) -> list[str]:
    """Every address of the shop's people, once, in the order in which they came."""
    return list(dict.fromkeys(key for person in world.customers.values() if (key := email_key(person.email))))


def consenting(world: World, rng: Random) -> set[str]:
    """Those who have agreed there: as the shop says, but for a few."""
    agreed = {email_key(its.email) for its in world.customers.values() if its.email_consent == "SUBSCRIBED"}
    return {address for address in addresses(world) if (address in agreed) != (rng.random() < DIFFERING)}
