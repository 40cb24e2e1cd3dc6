"""The Mailchimp sandbox as `regulars sandbox` and `regulars demo` set it up."""

from __future__ import annotations

from random import Random

from connector.base import Clock
from connector.mailchimp import API_KEY
from connector.mailchimp.sandbox import MailchimpSandbox
from connector.sandbox.faults import Faults
from connector.sandbox.mailing import addresses, consenting
from connector.sandbox.wire import Installed
from connector.sandbox.world import World

KEY = "sandbox_only_0000000000-us19"


def install(world: World, *, clock: Clock, scale: float, faults: Faults | None) -> Installed:
    """An audience that knows most of the shop's people, and holds the same consent as the shop for nearly all of them.

    A few opted out, bounced or only ever bought something. The shop's people live at example.com, which Mailchimp
    otherwise takes for made up.
    """
    simulator = MailchimpSandbox(
        clock=clock,
        api_key=KEY,
        scale=scale,
        faults=faults,
        refuse_example_com=False,
        forbidden=set(world.denied),
    )
    rng = Random(7)  # noqa: S311
    agreed = consenting(world, rng)
    simulator.seed(
        addresses(world), rng, known=0.8, unsubscribed=0.02, cleaned=0.01, transactional=0.03, consenting=agreed
    )
    return Installed(simulator, {"audience_id": simulator.audience.id}, {API_KEY: KEY})
