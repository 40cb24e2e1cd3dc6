"""The Klaviyo sandbox as `regulars sandbox` and `regulars demo` set it up."""

from __future__ import annotations

from random import Random

from connector.base import Clock
from connector.klaviyo import API_KEY
from connector.klaviyo.sandbox import ALL_SCOPES, KlaviyoSandbox
from connector.sandbox.faults import Faults
from connector.sandbox.mailing import addresses, consenting
from connector.sandbox.wire import Installed
from connector.sandbox.world import World

KEY = "pk_sandbox_only_0000000000"


def install(world: World, *, clock: Clock, scale: float, faults: Faults | None) -> Installed:
    """An account that knows most of the shop's people, and holds the same consent as the shop for nearly all of them.

    A few opted out, bounced or were suppressed there.
    """
    simulator = KlaviyoSandbox(
        clock=clock, api_key=KEY, scale=scale, faults=faults, scopes=ALL_SCOPES - set(world.denied)
    )
    rng = Random(7)  # noqa: S311
    agreed = consenting(world, rng)
    simulator.seed(addresses(world), rng, known=0.8, unsubscribed=0.02, suppressed=0.01, consenting=agreed)
    return Installed(simulator, {}, {API_KEY: KEY})
