"""A simulator whose requests are counted."""

from __future__ import annotations

from bench import calls_klaviyo, calls_mailchimp, calls_shopify, calls_wix
from bench.sent import Tally
from connector.base import Reply
from connector.sandbox.wire import Request, Simulator

_READ = {
    "shopify": calls_shopify.read,
    "wix": calls_wix.read,
    "klaviyo": calls_klaviyo.read,
    "mailchimp": calls_mailchimp.read,
}


class Counted(Tally):
    """A simulator with the tally of what it was asked."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__()
        self.simulator = simulator
        self._read = _READ[simulator.platform]

    def handle(self, request: Request) -> Reply:
        reply = self.simulator.handle(request)
        self.note(self._read(request, reply))
        return reply
