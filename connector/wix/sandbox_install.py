"""The Wix sandbox as `regulars sandbox` and `regulars demo` set it up."""

from __future__ import annotations

from random import Random

from connector.base import Clock
from connector.sandbox.faults import Faults
from connector.sandbox.records import guid
from connector.sandbox.wire import Installed
from connector.sandbox.world import World
from connector.wix.sandbox import API_KEY, SITE_ID, WixSandbox
from connector.wix.sandbox_access import PER_MINUTE
from connector.wix.sandbox_history import remember

SHARE = 0.75
"""Of the site's limit, what one key should use: others of the same key pay from the same minute."""


def install(world: World, *, clock: Clock, scale: float, faults: Faults | None) -> Installed:
    """The world's shop as a Wix site with one key, with the previews of behaviour. Scaled time allows a faster pace.

    A generated shop gets newsletters and visits too; one from tables keeps to what they say.
    """
    simulator = WixSandbox(world, clock=clock, scale=scale, faults=faults, activity_log=True)
    if not world.source_ids:
        remember(simulator.site, Random(7))  # noqa: S311
    settings: dict[str, str | int] = {"platform": "wix", "site_id": SITE_ID}
    if scale != 1.0:
        settings["requests_per_minute"] = max(1, int(PER_MINUTE * SHARE * scale))
    return Installed(simulator, settings, {"REGULARS_WIX_API_KEY": API_KEY}, record_id=guid)
