"""The Shopify sandbox as `regulars sandbox` and `regulars demo` set it up."""

from __future__ import annotations

from connector.base import Clock
from connector.sandbox.faults import Faults
from connector.sandbox.wire import Installed
from connector.sandbox.world import World
from connector.shopify.sandbox import ShopifySandbox

TOKEN = "shpat_sandbox_only"  # noqa: S105 - this key opens a toy


def install(world: World, *, clock: Clock, scale: float, faults: Faults | None) -> Installed:
    """The world's shop with one static token."""
    simulator = ShopifySandbox(world, clock=clock, tokens=(TOKEN,), scale=scale, faults=faults)
    secrets = {"REGULARS_SHOPIFY_TOKEN": TOKEN}
    return Installed(simulator, {"shop": world.domain}, secrets, record_id=lambda _, number: str(number))
