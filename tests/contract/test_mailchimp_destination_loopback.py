"""The destination and the simulator with real sockets between them."""

from __future__ import annotations

from mailchimp_rig import NOW
from mailchimp_tagging import adds, removes

from connector.base import Access, Audience
from connector.mailchimp import API_KEY, MailchimpSettings
from connector.mailchimp.destination import open_destination
from connector.mailchimp.sandbox import MailchimpSandbox
from connector.mailchimp.wire_members import subscriber_hash
from connector.sandbox.serve import Server
from sync.clock import ManualClock


def test_tags_are_kept_over_http() -> None:
    """Plus signs, times with a zone, batches and their archives survive the wire."""
    clock = ManualClock(NOW)
    sandbox = MailchimpSandbox(clock=clock)
    people = [f"p+{number}@shop.test" for number in range(130)]
    for address in people:
        sandbox.audience.add(address)
    server = Server(sandbox).start()
    try:
        settings = MailchimpSettings(audience_id=sandbox.audience.id, api_url=server.url)
        access = Access(settings, {API_KEY: sandbox.api_key}, clock)
        with access.closing:
            destination = open_destination(access)
            tag = destination.create(Audience("vip", "seg:vip"))
            first = Audience("vip", "seg:vip", tag, quiet=True)
            later = Audience("vip", "seg:vip", tag)
            receipts = [
                receipt
                for ops in (adds(first, people), removes(later, people[:5]))
                for batch in destination.batches(ops)
                for receipt in destination.push(batch)
            ]
            changed = [profile for page in destination.changed(NOW) for profile in page]
            members = set(destination.members(later))
    finally:
        server.stop()

    assert {receipt.outcome for receipt in receipts} == {"done"}
    assert members == {subscriber_hash(address) for address in people[5:]}
    assert len(changed) == 130
