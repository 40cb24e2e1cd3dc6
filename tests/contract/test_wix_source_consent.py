"""Consent that has to be asked for beside the contact: it is neither lost nor won because nobody answers."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from wix_rig import DAY, NOW, Rig
from wix_source_rig import Reader

from connector.base import Reply
from sync.pull.pull import PullReport, pull
from sync.store.engine import open_store

SUBSCRIPTIONS = "SCOPE.DC-MANAGE.EMAIL-SUBSCRIPTIONS"
STATES = "SELECT email, email_status FROM customers ORDER BY 1"


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A site of two whose contacts do not say whether mail may go to them."""
    rig = Rig()
    rig.person("ana@example.com", email_consent="SUBSCRIBED", email_consent_at=NOW - DAY)
    rig.person("bob@example.com")
    rig.open()
    shown = rig.handle

    def bare(request: Any) -> Reply:
        reply: Reply = shown(request)
        if "/v4/contacts" not in request.path or reply.status != 200:
            return reply
        body = json.loads(reply.body)
        for contact in body.get("contacts", ()):
            contact.pop("primaryEmail", None)
        return replace(reply, body=json.dumps(body).encode())

    monkeypatch.setattr(rig, "handle", bare)
    return rig


def test_consent_stays_while_it_may_not_be_read(rig: Rig, tmp_path: Path) -> None:
    """Whoever changes meanwhile would leave every e-mail audience, below every guard."""
    with closing(open_store(tmp_path / "wix.db", clock=rig.clock)) as store:
        known = [("ana@example.com", "SUBSCRIBED"), ("bob@example.com", "NOT_SUBSCRIBED")]
        _run(rig, store, 1)
        assert [tuple(row) for row in store.query(STATES)] == known

        rig.world.denied.add(SUBSCRIPTIONS)
        for person in rig.world.customers.values():
            rig.world.add_tags(person, ["Wholesale"])
        rig.settle()
        report = _run(rig, store, 2)
        assert [tuple(row) for row in store.query(STATES)] == known
        assert report.partly
        assert "email_status" in report.notes[0]

        rig.world.denied.clear()
        rig.world.withdraw_consent(next(iter(rig.world.customers.values())))
        rig.settle()
        _run(rig, store, 3)
        assert store.query(STATES)[0][1] == "UNSUBSCRIBED"


def test_an_address_that_wix_refuses_to_look_for_spoils_nobody_elses(rig: Rig, tmp_path: Path) -> None:
    """The query is halved until the address stands alone; no consent is known of it."""
    rig.person("ana\\@x@example.com", email_consent="SUBSCRIBED", email_consent_at=NOW - DAY)
    rig.settle()
    answered = rig.handle

    def picky(request: Any) -> Reply:
        if "email-subscriptions" in request.path and b"ana\\\\@x" in request.body:
            return Reply(400, {}, b'{"message":"not an address","details":{}}')
        return answered(request)

    rows = Reader(rig, picky).rows("customers")
    assert {row["email"]: row["email_status"] for row in rows} == {
        "ana@example.com": "SUBSCRIBED",
        "bob@example.com": "NOT_SUBSCRIBED",
        "ana\\@x@example.com": "NOT_SUBSCRIBED",
    }


def _run(rig: Rig, store: Any, run: int) -> PullReport:
    rig.clock.advance(3600)
    source = Reader(rig, requests_per_minute=100_000).source
    return pull(source, store, run_id=run, now=int(rig.clock.now()), zone=ZoneInfo("UTC"), prefix="seg-")
