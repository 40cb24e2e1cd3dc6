"""Plans applied to a simulated Wix site: labels follow the segments, whatever happens to them in the dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plan_rig import PlanRig, Wish

from connector.base import Access
from connector.http import handler_transport
from connector.sandbox.faults import Faults
from connector.sandbox.world import World
from connector.wix import TagsSettings, WixSettings, platform
from connector.wix.connection import API_KEY
from connector.wix.sandbox import API_KEY as KEY
from connector.wix.sandbox import SITE_ID, WixSandbox
from connector.wix.sandbox_labels import drop_label, work_of
from mappings.keys import key

VIP = Wish("vip", "VIPs")
LOST = Wish("lost", "Lost")


class Site:
    """Three hundred contacts of a Wix site, read into the store."""

    def __init__(self, path: Path) -> None:
        self.rig = PlanRig(path)
        self.world = World(clock=self.rig.clock)
        self.people = [self.world.add_customer(f"p{number}@example.org") for number in range(300)]
        self.faults = Faults()
        self.wix = WixSandbox(self.world, clock=self.rig.clock, faults=self.faults)
        self.work = work_of(self.wix.site)
        access = Access(
            WixSettings(site_id=SITE_ID), {API_KEY: KEY}, self.rig.clock, handler_transport(self.wix.handle)
        )
        assert platform.destination is not None
        self.rig.destinations = [platform.destination(access, TagsSettings())]
        self.keys = [key(customer.guid) for customer in self.people]
        self.rig.people(self.keys)
        for number, customer in zip(self.keys, self.people, strict=True):
            self.rig.sql("INSERT INTO external_id VALUES (?, ?)", (number, customer.guid))

    def next_day(self) -> None:
        """A day later everything has been read again."""
        self.rig.later(24)
        self.rig.read(self.rig.now)

    def labelled(self, name: str) -> set[int]:
        """Who carries the label of this name, by our keys."""
        [label] = [its for its in self.wix.site.labels.values() if its.display_name == name]
        states = self.wix.site.states
        living = [its for its in self.people if its.number in self.world.customers]
        return {key(its.guid) for its in living if label.key in states[its.number].labels}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "shop.db")
    yield site
    site.rig.store.close()


def test_labels_follow_the_segments_in_the_calls_that_were_estimated(site: Site) -> None:
    """First fill, differences, silence."""
    rig = site.rig
    rig.segment(VIP, site.keys[:200])
    rig.segment(LOST, site.keys[150:])
    plan = rig.plan()
    site.wix.operations.clear()
    report = rig.apply(plan)
    assert report.exit_code == 0, report.to_json()
    assert site.labelled("seg-vip") == set(site.keys[:200])
    assert site.labelled("seg-lost") == set(site.keys[150:])
    asked = site.wix.operations
    key_check = 2
    assert asked.total() - key_check == plan.calls_estimated

    site.next_day()
    rig.segment(VIP, site.keys[2:201])
    assert rig.sync().exit_code == 0
    assert site.labelled("seg-vip") == set(site.keys[2:201])
    site.next_day()
    assert not rig.plan().pending
    assert site.work.unfiltered == 0


def test_a_label_that_was_deleted_by_hand_is_made_and_filled_anew(site: Site) -> None:
    """The run that meets it says so; the next one puts everybody back."""
    rig = site.rig
    rig.segment(VIP, site.keys[:50])
    rig.sync()
    [label] = [its.key for its in site.wix.site.labels.values() if its.display_name == "seg-vip"]
    drop_label(site.wix.site, label)
    site.next_day()
    rig.segment(VIP, site.keys[:52])
    report = rig.sync()
    assert any("no longer exists in Wix" in reason for reason in report.destinations[0].reasons)
    site.next_day()
    assert rig.sync().exit_code == 0
    assert site.labelled("seg-vip") == set(site.keys[:52])


def test_a_label_renamed_by_hand_is_still_ours(site: Site) -> None:
    """It is known by its key: no second one is made."""
    rig = site.rig
    rig.segment(VIP, site.keys[:50])
    rig.sync()
    [label] = [its for its in site.wix.site.labels.values() if its.display_name == "seg-vip"]
    site.wix.site.rename_label(label, "Best friends")
    site.next_day()
    rig.segment(VIP, site.keys[:60])
    assert rig.sync().exit_code == 0
    assert site.labelled("Best friends") == set(site.keys[:60])
    assert "seg-vip" not in {its.display_name for its in site.wix.site.labels.values()}


def test_what_is_stuck_or_lost_is_sent_again_and_nobody_joins_twice(site: Site) -> None:
    """A job that never ends, an answer that never came, a contact that is gone."""
    rig = site.rig
    site.work.stuck = 1
    site.faults.add("BulkAddRemoveLabels", "act_timeout", nth=2)
    site.world.delete_customer(site.people[120])
    rig.segment(VIP, site.keys)
    first = rig.sync()
    assert (first.unfinished, first.refused) == (100, 1)
    site.next_day()
    rig.sync()
    assert site.labelled("seg-vip") == set(site.keys) - {site.keys[120]}
    [label] = [its.key for its in site.wix.site.labels.values() if its.display_name == "seg-vip"]
    assert len(site.work.joins(label)) == 299
