"""The Klaviyo sandbox as `regulars sandbox` and `regulars demo` set it up."""

from __future__ import annotations

from random import Random

from connector.base import Clock
from connector.klaviyo import API_KEY
from connector.klaviyo.sandbox import KlaviyoSandbox
from connector.sandbox.faults import Faults
from connector.sandbox.wire import Installed
from connector.sandbox.world import World

KEY = "pk_sandbox_only_0123456789abcdef"
KNOWN, UNSUBSCRIBED, SUPPRESSED = 0.7, 0.04, 0.03


def install(world: World, *, clock: Clock, scale: float, faults: Faults | None) -> Installed:
    """An account that knows most of the shop's people; a few of them have opted out or bounced there."""
    simulator = KlaviyoSandbox(clock=clock, api_key=KEY, scale=scale, faults=faults)
    addresses = sorted({person.email.strip().lower() for person in world.customers.values() if person.email})
    simulator.seed(addresses, Random(1), known=KNOWN, unsubscribed=UNSUBSCRIBED, suppressed=SUPPRESSED)  # noqa: S311
    return Installed(simulator, {}, {API_KEY: KEY})
