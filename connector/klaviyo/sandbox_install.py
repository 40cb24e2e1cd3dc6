"""The Klaviyo sandbox as `regulars sandbox` and `regulars demo` set it up."""

from __future__ import annotations

from random import Random

from connector.base import Clock
from connector.klaviyo import API_KEY
from connector.klaviyo.sandbox import ALL_SCOPES, KlaviyoSandbox
from connector.sandbox.faults import Faults
from connector.sandbox.records import email_key
from connector.sandbox.wire import Installed
from connector.sandbox.world import World

KEY = "pk_sandbox_only_0000000000"


def install(world: World, *, clock: Clock, scale: float, faults: Faults | None) -> Installed:
    """An account that knows most of the shop's people; a few of them opted out, bounced or were suppressed there."""
    simulator = KlaviyoSandbox(
        clock=clock, api_key=KEY, scale=scale, faults=faults, scopes=ALL_SCOPES - set(world.denied)
    )
    addresses = list(dict.fromkeys(key for person in world.customers.values() if (key := email_key(person.email))))
    simulator.seed(addresses, Random(7), known=0.8, unsubscribed=0.02, suppressed=0.01)  # noqa: S311
    return Installed(simulator, {}, {API_KEY: KEY})
