"""The same path where people carry labels by the store's own ids, and where they are tagged only if they are known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plan_rig import PlanRig, Wish

from connector.base import Access, Audience
from connector.http import handler_transport
from connector.mailchimp import API_KEY as MAIL_KEY
from connector.mailchimp import MailchimpSettings
from connector.mailchimp.destination import open_destination
from connector.mailchimp.sandbox import MailchimpSandbox
from connector.sandbox.world import World
from connector.wix import TagsSettings, WixSettings, platform
from connector.wix.connection import API_KEY as SITE_KEY
from connector.wix.sandbox import API_KEY, SITE_ID, WixSandbox
from sync.store import external

VIP = Wish("vip", "VIPs")


class Mail:
    """An audience that knows the first forty of sixty people, with a field and a journey that begins at the tag."""

    def __init__(self, path: Path) -> None:
        self.rig = PlanRig(path)
        self.sandbox = MailchimpSandbox(clock=self.rig.clock, refuse_example_com=False)
        self.audience, self.journal = self.sandbox.audience, self.sandbox.account.journal
        for number in range(1, 41):
            self.audience.add(f"p{number}@example.com")
        self.audience.automate("seg:vip")
        settings = MailchimpSettings(audience_id=self.audience.id, merge_fields=("last_order_date",))
        transport = handler_transport(self.sandbox.handle)
        access = Access(settings, {MAIL_KEY: self.sandbox.api_key}, self.rig.clock, transport)
        self.rig.destinations = [open_destination(access)]
        self.rig.people(range(1, 61))
        self.rig.sql(
            "INSERT INTO customer_metrics (customer_id, last_order_date) VALUES (?, ?)",
            [(number, number * 86_400) for number in range(1, 61)],
        )

    def tagged(self) -> set[str]:
        return self.audience.tagged("seg:vip")


def addresses(*numbers: int) -> set[str]:
    return {f"p{number}@example.com" for number in numbers}


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[Mail]:
    mail = Mail(tmp_path / "shop.db")
    yield mail
    mail.rig.store.close()


def test_known_people_are_tagged_quietly_at_first_and_aloud_later(mail: Mail) -> None:
    """Nobody is added, the journey begins for newcomers alone, fields are written, then silence."""
    rig = mail.rig
    rig.segment(VIP, range(1, 51))
    plan = rig.plan()
    assert plan.audiences[0].skipped == {"not_in_audience": 10}
    assert rig.apply(plan).exit_code == 0
    assert mail.tagged() == addresses(*range(1, 41))
    assert (mail.journal.joins, mail.journal.created) == ([], [])
    [member] = [its for its in mail.audience.members.values() if its.address == "p3@example.com"]
    assert "1970-01-04" in member.merge_fields.values()
    rig.later(2)
    rig.read(rig.now)
    assert not rig.plan().pending
    mail.audience.subscribe("p50@example.com")
    mail.audience.unsubscribe("p1@example.com")
    rig.segment(VIP, range(1, 51))
    report = rig.sync()
    assert (report.exit_code, report.destinations[0].added, report.destinations[0].removed) == (0, 1, 1)
    assert mail.tagged() == addresses(*range(2, 41), 50)
    assert [its.address for its in mail.journal.joins] == ["p50@example.com"]
    rig.later(2)
    rig.read(rig.now)
    assert not rig.plan().pending


class Site:
    """Thirty contacts, whose ids are GUIDs, read into the store."""

    def __init__(self, path: Path) -> None:
        self.rig = PlanRig(path)
        self.world = World(clock=self.rig.clock)
        people = [self.world.add_customer(f"p{number}@example.org") for number in range(30)]
        self.sandbox = WixSandbox(self.world)
        access = Access(
            WixSettings(site_id=SITE_ID), {SITE_KEY: API_KEY}, self.rig.clock, handler_transport(self.sandbox.handle)
        )
        assert platform.destination is not None
        self.rig.destinations = [platform.destination(access, TagsSettings())]
        guids = [its.guid for its in people]
        self.guids = dict(zip(map(external.key_of, guids), guids, strict=True))
        self.keys = list(self.guids)
        with self.rig.store.begin() as conn:
            external.note(conn, guids)
        self.rig.people(self.keys, email_status=None)

    def wear(self, *slices: int) -> bool:
        """Whether the first so many people wear the label that we keep, and nobody else any label of its name."""
        [(name, key)] = self.rig.rows("SELECT name, remote_id FROM audience")
        named = [its.key for its in self.sandbox.site.labels.values() if its.display_name == name]
        audience = Audience("vip", name, key)
        worn = set(self.rig.destinations[0].members(audience))
        return named == [key] and worn == {self.guids[number] for number in self.keys[slice(*slices)]}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "shop.db")
    yield site
    site.rig.store.close()


def settle(site: Site) -> None:
    """The site's index shows what was done."""
    site.rig.later(1)
    site.rig.read(site.rig.now)


def test_contacts_wear_the_label_that_stands_for_the_segment(site: Site) -> None:
    """Made once, kept when the owner renames it, made and filled again when the owner deletes it."""
    rig = site.rig
    rig.segment(VIP, site.keys[:20])
    assert rig.sync().exit_code == 0
    settle(site)
    assert site.wear(20)
    rig.segment(VIP, site.keys[2:24])
    assert rig.sync().exit_code == 0
    settle(site)
    assert site.wear(2, 24)
    assert not rig.plan().pending
    [label] = [its for its in site.sandbox.site.labels.values() if its.display_name == "seg-vip"]
    site.sandbox.site.rename_label(label, "Best of all")
    rig.segment(VIP, site.keys[2:25])
    assert rig.sync().exit_code == 0
    settle(site)
    assert [its.display_name for its in site.sandbox.site.labels.values() if its.key == label.key] == ["Best of all"]
    assert not [its for its in site.sandbox.site.labels.values() if its.display_name == "seg-vip"]
    site.sandbox.site.delete_label(label)
    settle(site)
    rig.segment(VIP, site.keys[2:26])
    assert [rig.sync().exit_code for _ in range(2)] == [4, 0]
    settle(site)
    assert site.wear(2, 26)
    assert not rig.plan().pending


def test_a_label_of_our_name_is_taken_over_with_those_who_wear_it(site: Site) -> None:
    """As they were last read, and only if the owner says so."""
    rig, real = site.rig, site.sandbox.site
    label = real.add_label("seg-vip")
    for number in list(real.world.customers)[:5]:
        real.relabel(number, add=[label.key])
    rig.sql("INSERT INTO customer_tags VALUES (?, 'seg-vip', 1)", [(key,) for key in site.keys[:5]])
    settle(site)
    rig.segment(VIP, site.keys[2:10])
    assert [guard.guard for guard in rig.plan().guards] == ["unknown-ledger"]
    report = rig.sync(adopt=True)
    assert (report.destinations[0].added, report.destinations[0].removed) == (5, 2)
    settle(site)
    assert site.wear(2, 10)
