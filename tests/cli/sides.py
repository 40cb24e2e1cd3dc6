"""The store's side of a test, in words that hold for every store platform; and what was written on the other sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from connector.klaviyo.sandbox import KlaviyoSandbox
from connector.mailchimp.sandbox import MailchimpSandbox
from connector.sandbox.records import Customer
from connector.sandbox.wire import Installed
from connector.sandbox.world import World
from connector.shopify.sandbox import ShopifySandbox
from connector.wix.sandbox import WixSandbox
from connector.wix.sandbox_labels import work_of
from mappings.keys import key


class StoreSide(Protocol):
    """A simulated store. `streams` are those that its source always reads, in their order."""

    platform: str
    streams: tuple[str, ...]

    def id_of(self, person: Customer) -> str:
        """The platform's own id of somebody."""

    def labels(self, person: Customer) -> set[str]:
        """What somebody is tagged or labelled with, by the names that people see."""

    def asked_to_write(self) -> int:
        """Requests so far that were to change something."""

    def requests(self) -> int:
        """All requests so far."""

    def doubled(self) -> list[object]:
        """Whoever got the same tag more than once, where the platform notes it."""

    def consent_writes(self) -> int:
        """Requests so far that spoke of consent."""


class ShopifySide:
    """Tags on the world's customers."""

    platform = "shopify"
    streams = ("customers", "orders", "carts")

    def __init__(self, simulator: ShopifySandbox) -> None:
        self.simulator = simulator

    def id_of(self, person: Customer) -> str:
        return str(person.number)

    def labels(self, person: Customer) -> set[str]:
        return set(person.tag_list)

    def asked_to_write(self) -> int:
        return self.simulator.operations["TagsBatch"]

    def requests(self) -> int:
        return self.simulator.operations.total()

    def doubled(self) -> list[object]:
        return []

    def consent_writes(self) -> int:
        return 0


class WixSide:
    """Labels on the site's contacts, which the world does not know."""

    platform = "wix"
    streams = ("customers", "products", "orders", "carts", "events", "email_events")

    WRITES = (
        "FindOrCreateLabel", "UpdateLabel", "DeleteLabel", "LabelContact", "UnlabelContact", "BulkAddRemoveLabels",
    )  # fmt: skip

    def __init__(self, simulator: WixSandbox) -> None:
        self.simulator = simulator

    def id_of(self, person: Customer) -> str:
        return person.guid

    def labels(self, person: Customer) -> set[str]:
        site = self.simulator.site
        work_of(site)
        return {site.labels[label].display_name for label in site.states[person.number].labels if label in site.labels}

    def asked_to_write(self) -> int:
        return sum(self.simulator.operations[name] for name in self.WRITES)

    def requests(self) -> int:
        return self.simulator.operations.total()

    def doubled(self) -> list[object]:
        history = work_of(self.simulator.site).history
        times = Counter((change.contact, change.key) for change in history if change.action == "add")
        return [join for join, number in times.items() if number > 1]

    def consent_writes(self) -> int:
        return len(self.simulator.site.consent_writes)


SIDES = {"shopify": (ShopifySandbox, ShopifySide), "wix": (WixSandbox, WixSide)}


def store_side(installed: Mapping[str, Installed], platform: str) -> StoreSide:
    """The store among what was installed."""
    simulator = installed[platform].simulator
    kind, side = SIDES[platform]
    assert isinstance(simulator, kind)
    made: StoreSide = side(simulator)  # type: ignore[operator]
    return made


def known_people(world: World, store: StoreSide) -> dict[int, Customer]:
    """Everybody alive, by the key by which the database knows them."""
    return {key(store.id_of(person)): person for person in world.customers.values()}


def mailers(installed: Mapping[str, Installed]) -> tuple[KlaviyoSandbox, MailchimpSandbox]:
    """Both e-mail platforms among what was installed."""
    klaviyo, mailchimp = (installed[name].simulator for name in ("klaviyo", "mailchimp"))
    assert isinstance(klaviyo, KlaviyoSandbox)
    assert isinstance(mailchimp, MailchimpSandbox)
    return klaviyo, mailchimp
