"""What a plan says it will cost is what applying it then takes, over the real destinations on simulated platforms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plan_rig import PlanRig, Wish

from connector.base import Access, Destination
from connector.http import handler_transport
from connector.klaviyo import API_KEY as KLAVIYO_KEY
from connector.klaviyo import KlaviyoSettings
from connector.klaviyo.destination import open_destination as open_klaviyo
from connector.klaviyo.sandbox import KlaviyoSandbox
from connector.mailchimp import API_KEY as MAILCHIMP_KEY
from connector.mailchimp import MailchimpSettings
from connector.mailchimp.destination import open_destination as open_mailchimp
from connector.mailchimp.sandbox import MailchimpSandbox
from connector.sandbox.world import World
from connector.shopify import ShopifySettings
from connector.shopify import TagsSettings as ShopifyTags
from connector.shopify import platform as shopify
from connector.shopify.sandbox import ShopifySandbox
from connector.wix import TagsSettings as WixTags
from connector.wix import WixSettings
from connector.wix import platform as wix
from connector.wix.connection import API_KEY as WIX_KEY
from connector.wix.sandbox import API_KEY, SITE_ID, WixSandbox
from sync.store import external

VIP, NEW = Wish("vip", "VIPs", turnover="expected"), Wish("new", "Newcomers", turnover="expected")
PEOPLE = 700


class Site:
    """Seven hundred people in a world and in the store; `keys` are theirs here."""

    def __init__(self, path: Path) -> None:
        self.rig = PlanRig(path)
        self.world = World(clock=self.rig.clock)
        people = [self.world.add_customer(f"p{number}@shop.test") for number in range(PEOPLE)]
        self.emails = [f"p{number}@shop.test" for number in range(PEOPLE)]
        self.guids = [its.guid for its in people]
        self.keys = [its.number for its in people]

    def keep(self) -> None:
        """Everybody as a pull would leave them."""
        for number, email in zip(self.keys, self.emails, strict=True):
            self.rig.people([number], email_key=email)

    def differ(self) -> int:
        """Planned against sent calls of one run: how many too few were planned. Looking people up is planning."""
        plan = self.rig.plan("mass-remove")
        assert plan.changes
        assert not plan.held
        report = self.rig.apply(plan)
        assert report.exit_code == 0
        return sum(its.calls for its in report.destinations) - plan.calls_estimated


def shopify_tags(site: Site) -> Destination:
    sandbox = ShopifySandbox(site.world, clock=site.rig.clock)
    settings = ShopifySettings(shop=site.world.domain)
    secrets = {"REGULARS_SHOPIFY_TOKEN": "shpat_sandbox"}
    access = Access(settings, secrets, site.rig.clock, handler_transport(sandbox.handle))
    assert shopify.destination is not None
    return shopify.destination(access, ShopifyTags())


def wix_labels(site: Site) -> Destination:
    sandbox = WixSandbox(site.world)
    settings = WixSettings(site_id=SITE_ID)
    access = Access(settings, {WIX_KEY: API_KEY}, site.rig.clock, handler_transport(sandbox.handle))
    site.keys = list(map(external.key_of, site.guids))
    with site.rig.store.begin() as conn:
        external.note(conn, site.guids)
    assert wix.destination is not None
    return wix.destination(access, WixTags())


def klaviyo_lists(site: Site) -> Destination:
    sandbox = KlaviyoSandbox(clock=site.rig.clock)
    for email in site.emails[::2]:
        sandbox.account.add_person(email, consent="SUBSCRIBED")
    access = Access(
        KlaviyoSettings(), {KLAVIYO_KEY: sandbox.api_key}, site.rig.clock, handler_transport(sandbox.handle)
    )
    return open_klaviyo(access)


def mailchimp_tags(site: Site, *, adding: bool = False) -> Destination:
    sandbox = MailchimpSandbox(clock=site.rig.clock, refuse_example_com=False)
    for email in site.emails[:: 2 if adding else 1]:
        sandbox.audience.add(email)
    settings = MailchimpSettings(audience_id=sandbox.audience.id, add_consented=adding)
    secrets = {MAILCHIMP_KEY: sandbox.api_key}
    return open_mailchimp(Access(settings, secrets, site.rig.clock, handler_transport(sandbox.handle)))


def mailchimp_adding(site: Site) -> Destination:
    return mailchimp_tags(site, adding=True)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "shop.db")
    yield site
    site.rig.store.close()


@pytest.mark.parametrize(
    "opened", [shopify_tags, wix_labels, klaviyo_lists, mailchimp_tags, mailchimp_adding], ids=lambda its: its.__name__
)
def test_a_plan_says_what_applying_it_takes(site: Site, opened: Callable[[Site], Destination]) -> None:
    """Within a few calls: a first fill of two audiences, a day's difference, one more first fill beside it."""
    rig = site.rig
    rig.destinations = [opened(site)]
    site.keep()
    differences = []
    for wishes in ({VIP: (0, 600), NEW: (500, 650)}, {VIP: (5, 610), NEW: (520, 690)}, {Wish("all"): (0, 700)}):
        for wish, span in wishes.items():
            rig.segment(wish, site.keys[slice(*span)])
        differences.append(site.differ())
        rig.later(2)
        rig.read(rig.now)
    assert all(abs(its) <= 5 for its in differences), differences
