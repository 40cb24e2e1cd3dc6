"""The same path over the real destinations and the simulated platforms behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_destination import Killed
from plan_rig import PlanRig, Wish

from connector.base import Access, Destination, Reply
from connector.http import handler_transport
from connector.klaviyo import API_KEY, KlaviyoSettings
from connector.klaviyo.destination import open_destination
from connector.klaviyo.sandbox import KlaviyoSandbox
from connector.sandbox.wire import Request
from connector.sandbox.world import World
from connector.shopify import ShopifySettings, TagsSettings, platform
from connector.shopify.sandbox import ShopifySandbox

VIP = Wish("vip", "VIPs")
TOKEN = "shpat_sandbox"


class Shop:
    """Sixty people in a world, read into the store, with Shopify tags and Klaviyo lists to write to."""

    def __init__(self, path: Path) -> None:
        self.rig = PlanRig(path)
        self.clock = self.rig.clock
        self.world = World(clock=self.clock)
        self.people = [
            self.world.add_customer(
                email=f"p{number}@example.org",
                at=self.rig.now - 10_000 + number,
                email_consent="SUBSCRIBED" if number % 3 else "UNSUBSCRIBED",
                tags=("friend",),
            )
            for number in range(60)
        ]
        self.klaviyo = KlaviyoSandbox(clock=self.clock)
        self.dies_at = ""
        self.shopify = ShopifySandbox(self.world, clock=self.clock)
        access = Access(
            ShopifySettings(shop=self.world.domain),
            {"REGULARS_SHOPIFY_TOKEN": TOKEN},
            self.clock,
            handler_transport(self.shopify.handle),
        )
        assert platform.destination is not None
        tags: Destination = platform.destination(access, TagsSettings())
        mail = Access(KlaviyoSettings(), {API_KEY: self.klaviyo.api_key}, self.clock, handler_transport(self._mail))
        self.rig.destinations = [tags, open_destination(mail)]
        self.numbers = [its.number for its in self.people]
        self.read()

    def _mail(self, request: Request) -> Reply:
        if self.dies_at and self.dies_at in f"{request.method} {request.path}":
            raise Killed
        return self.klaviyo.handle(request)

    def read(self) -> None:
        """Customers as a pull would leave them."""
        for its in self.people:
            self.rig.people(
                [its.number], created_at=its.created_at, email_key=its.email, email_status=its.email_consent
            )

    def tagged(self, tag: str) -> list[int]:
        return sorted(its.number for its in self.people if tag in its.tags)

    def listed(self, name: str) -> list[str]:
        account = self.klaviyo.account
        [roll] = [its for its in account.lists.values() if its.name == name]
        return sorted(str(account.people[number].email) for number in roll.members)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path / "shop.db")
    yield shop
    shop.rig.store.close()


def consented(shop: Shop, numbers: list[int]) -> list[str]:
    return sorted(str(its.email) for its in shop.people if its.number in numbers and its.email_consent == "SUBSCRIBED")


def test_tags_and_lists_follow_the_segment(shop: Shop) -> None:
    """First fill with known, unknown and suppressed people; then differences; then silence."""
    rig, account = shop.rig, shop.klaviyo.account
    for its in shop.people[:20]:
        account.add_person(its.email)
    account.suppress(account.add_person(shop.people[4].email), "HARD_BOUNCE")
    rig.segment(VIP, shop.numbers[:40])
    plan = rig.plan()
    mail = next(its for its in plan.audiences if its.destination == "klaviyo")
    assert (mail.matched, mail.size, mail.skipped) == (40, 25, {"not_subscribed": 14, "suppressed": 1})
    report = rig.apply(plan)
    assert report.exit_code == 0, report.to_json()
    wanted = [address for address in consented(shop, shop.numbers[:40]) if address != shop.people[4].email]
    assert shop.tagged("seg-vip") == shop.numbers[:40]
    assert shop.listed("Regulars: VIPs") == wanted
    assert all("friend" in its.tags for its in shop.people)

    shop.clock.advance(3600)
    rig.now += 3600
    shop.world.withdraw_consent(shop.people[1])
    shop.read()
    rig.segment(VIP, [*shop.numbers[:38], *shop.numbers[50:53]])
    assert rig.sync().exit_code == 0
    assert shop.tagged("seg-vip") == [*shop.numbers[:38], *shop.numbers[50:53]]
    wanted = consented(shop, [*shop.numbers[:38], *shop.numbers[50:53]])
    assert shop.listed("Regulars: VIPs") == [address for address in wanted if address != shop.people[4].email]

    shop.clock.advance(3600)
    rig.now += 3600
    plan = rig.plan()
    assert not plan.pending
    assert sum(its.added + its.removed for its in rig.apply(plan).destinations) == 0


def test_people_new_to_klaviyo_are_imported_once_for_all_their_lists(shop: Shop) -> None:
    """And planned so: the calls of the first fill are those that were estimated."""
    rig, account, server = shop.rig, shop.klaviyo.account, shop.klaviyo
    account.add_person(shop.people[1].email)
    rig.destinations = rig.destinations[1:]
    lists = {f"List {number}": shop.numbers[number : 30 + number] for number in range(4)}
    for name, numbers in lists.items():
        rig.segment(Wish(name.lower(), name), numbers)
    plan = rig.plan()
    server.requests.clear()
    report = rig.apply(plan)
    assert report.exit_code == 0, report.to_json()
    assert {name: shop.listed(f"Regulars: {name}") for name in lists} == {
        name: consented(shop, numbers) for name, numbers in lists.items()
    }
    assert (server.requests["CreateImportJob"], server.requests["AddProfilesToList"]) == (1, 4)
    assert server.requests.total() - server.requests["GetAccounts"] == plan.calls_estimated
    assert not rig.plan().pending


@pytest.mark.parametrize("dies_at", ["POST /api/profile-bulk", "GET /api/profile-bulk", "POST /api/lists/"])
def test_dying_around_an_import_heals(shop: Shop, dies_at: str) -> None:
    """Before it is sent, while it is waited for, and before the first membership."""
    rig, account = shop.rig, shop.klaviyo.account
    rig.segment(VIP, shop.numbers[:20])
    rig.segment(Wish("new", "New"), shop.numbers[10:30])
    shop.dies_at = dies_at
    with pytest.raises(Killed):
        rig.sync()
    shop.dies_at = ""
    shop.clock.advance(600)
    rig.now += 600
    rig.reopen()
    report = rig.sync()
    assert report.exit_code == 0, report.to_json()
    assert shop.listed("Regulars: VIPs") == consented(shop, shop.numbers[:20])
    assert shop.listed("Regulars: New") == consented(shop, shop.numbers[10:30])
    assert account.writes["members_repeated"] == 0
    assert not rig.plan().pending


def test_who_withdraws_between_plan_and_apply_is_not_even_imported(shop: Shop) -> None:
    """An import is for those who may be written to now."""
    rig, account = shop.rig, shop.klaviyo.account
    rig.segment(VIP, shop.numbers[:20])
    rig.segment(Wish("new", "New"), shop.numbers[:20])
    plan = rig.plan()
    shop.world.withdraw_consent(shop.people[1])
    shop.read()
    report = rig.apply(plan)
    assert report.destinations[1].dropped == 2
    assert account.find_person(shop.people[1].email) is None
    assert shop.listed("Regulars: VIPs") == consented(shop, shop.numbers[:20])
