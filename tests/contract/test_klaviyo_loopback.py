"""The destination and the simulator with real sockets between them."""

from __future__ import annotations

from klaviyo_rig import adds, removes, strangers

from connector.base import Access, Audience
from connector.klaviyo import API_KEY, KlaviyoSettings
from connector.klaviyo.destination import open_destination
from connector.klaviyo.sandbox import KlaviyoSandbox
from connector.sandbox.serve import Server
from sync.clock import ManualClock

NOW = 1_795_000_020


def test_lists_are_kept_over_http() -> None:
    """Bodies of DELETE, plus signs, page links and late imports survive the wire."""
    clock = ManualClock(NOW)
    sandbox = KlaviyoSandbox(clock=clock)
    people = [sandbox.account.add_person(f"p+{number}@example.org") for number in range(130)]
    server = Server(sandbox).start()
    try:
        settings = KlaviyoSettings(api_url=server.url)
        destination = open_destination(Access(settings, {API_KEY: sandbox.api_key}, clock))
        found = [profile for page in destination.lookup([person.email for person in people]) for profile in page]
        audience = Audience("vip", "VIP", destination.create(Audience("vip", "VIP")))
        ops = [*adds(audience, people), *strangers(audience, ["new+1@example.org"], first=500)]
        receipts = [receipt for batch in destination.batches(ops) for receipt in destination.push(batch)]
        gone = [
            receipt
            for batch in destination.batches(removes(audience, people[:5], first=900))
            for receipt in destination.push(batch)
        ]
        clock.advance(60)
        members = set(destination.members(audience))
        destination.close()
    finally:
        server.stop()

    assert [profile.remote_id for profile in found] == [person.id for person in people]
    assert {receipt.outcome for receipt in (*receipts, *gone)} == {"done"}
    assert len(members) == 126
    assert members >= {person.id for person in people[5:]}


def test_properties_and_events_are_kept_over_http() -> None:
    """PATCH, answers without a body, and values of people new and known."""
    clock = ManualClock(NOW)
    sandbox = KlaviyoSandbox(clock=clock)
    people = [sandbox.account.add_person(f"p+{number}@example.org") for number in range(5)]
    audience = Audience("vip", "vip", "vip")
    server = Server(sandbox).start()
    try:
        settings = KlaviyoSettings(api_url=server.url, mode="properties", events=True)
        destination = open_destination(Access(settings, {API_KEY: sandbox.api_key}, clock))
        ops = [*strangers(audience, ["new+1@example.org"], first=500), *adds(audience, people)]
        receipts = [receipt for batch in destination.batches(ops) for receipt in destination.push(batch)]
        members = set(destination.members(audience))
        findings = destination.doctor()
        destination.close()
    finally:
        server.stop()

    assert {receipt.outcome for receipt in receipts} == {"done"}
    assert members == set(sandbox.account.people)
    assert len(sandbox.account.events) == 6
    assert {finding.level for finding in findings} == {"ok"}
