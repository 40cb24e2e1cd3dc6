"""Destinations in the store itself: tags and labels on its own people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from destinations_rig import SAID, Place

from connector.base import Access, Destination, Reply
from connector.http import handler_transport
from connector.sandbox.records import Customer
from connector.sandbox.wire import Request, Simulator
from connector.sandbox.world import World
from connector.shopify import ShopifySettings
from connector.shopify import TagsSettings as ShopifyTagsSettings
from connector.shopify import platform as shopify
from connector.shopify.sandbox import ShopifySandbox
from connector.wix import TagsSettings as WixTagsSettings
from connector.wix import WixSettings
from connector.wix import platform as wix
from connector.wix.connection import API_KEY as WIX_KEY
from connector.wix.sandbox import API_KEY as SITE_KEY
from connector.wix.sandbox import SITE_ID, WixSandbox
from connector.wix.sandbox_labels import drop_label, work_of
from connector.wix.sandbox_site import Label
from sync.store import external


class ShopifyTags(Place):
    """Tags on the shop's own customers."""

    title, kind, call = "shopify", "tag", "TagsBatch"
    first = changing = "TagsBatch"
    writing, reading = ("TagsBatch",), ("ShopInfo",)
    consented = False
    secret = "shpat_contract_0123456789"

    def set_up(self, addresses: Sequence[str]) -> Simulator:
        self.world = World(clock=self.clock)
        for address in addresses:
            customer = self.world.add_customer(address, email_consent="SUBSCRIBED")
            self.addresses[customer.number] = address
        self.shop = ShopifySandbox(self.world, clock=self.clock, tokens=(self.secret,), faults=self.faults)
        return self.shop

    def open(self) -> Destination:
        settings = ShopifySettings(shop=self.world.domain)
        access = Access(settings, {"REGULARS_SHOPIFY_TOKEN": self.secret}, self.clock, handler_transport(self.handle))
        assert shopify.destination is not None
        return shopify.destination(access, ShopifyTagsSettings())

    def counts(self) -> Counter[str]:
        return self.shop.operations

    def members(self) -> set[int]:
        return {its.number for its in self.world.customers.values() if "seg-vip" in its.tags}

    def joined(self) -> Counter[int]:
        return Counter(number for action, number, _ in self.shop.site.touched if action == "tagsAdd")

    def consent(self) -> Mapping[str, Any]:
        return _consent(self.world)

    def names(self) -> list[str]:
        return sorted({tag for its in self.world.customers.values() for tag in its.tags.values()})

    def delete(self, number: int) -> None:
        self.world.delete_customer(self.world.customers[number])

    def readdress(self, number: int, address: str) -> None:
        self.addresses[number] = address
        self.world.change_email(self.world.customers[number], address)

    def refuse(self, number: int) -> None:
        self.delete(number)

    def writes_in(self, request: Request) -> bool:
        return b"TagsBatch" in request.body

    def refusal(self) -> Reply:
        headers = {"content-type": "application/json", "x-request-id": "contract-42"}
        return Reply(400, headers, orjson.dumps({"errors": {"query": SAID}}))

    def request_id(self, reply: Reply) -> str | None:
        return reply.headers.get("x-request-id")


class WixLabels(Place):
    """Labels on the contacts of a site."""

    title, kind, call = "wix", "label", "BulkAddRemoveLabels"
    first = changing = "BulkAddRemoveLabels"
    writing = ("BulkAddRemoveLabels", "LabelContact", "UnlabelContact", "FindOrCreateLabel", "UpdateLabel")
    reading = ("QueryLabels", "GetBulkJob", "GetContact", "QueryContacts")
    creating = "FindOrCreateLabel"
    stuck = ("BulkAddRemoveLabels", "stuck_job")
    consented = False
    secret = SITE_KEY

    def set_up(self, addresses: Sequence[str]) -> Simulator:
        self.world = World(clock=self.clock)
        self.contacts: dict[int, Customer] = {}
        for address in addresses:
            customer = self.world.add_customer(address, email_consent="SUBSCRIBED")
            number = external.key_of(customer.guid)
            self.contacts[number], self.addresses[number] = customer, address
        with self.rig.store.begin() as conn:
            external.note(conn, [its.guid for its in self.contacts.values()])
        self.sandbox = WixSandbox(self.world, clock=self.clock, faults=self.faults)
        self.site = self.sandbox.site
        return self.sandbox

    def open(self) -> Destination:
        access = Access(WixSettings(site_id=SITE_ID), {WIX_KEY: SITE_KEY}, self.clock, handler_transport(self.handle))
        assert wix.destination is not None
        return wix.destination(access, WixTagsSettings())

    def counts(self) -> Counter[str]:
        return self.sandbox.operations

    def label(self) -> Label:
        return self.site.labels[self.audience().remote_id or ""]

    def members(self) -> set[int]:
        work_of(self.site)
        ours = self.audience().remote_id
        living = self.world.customers
        return {
            number
            for number, its in self.contacts.items()
            if its.number in living and ours in self.site.states[its.number].labels
        }

    def joined(self) -> Counter[int]:
        came = work_of(self.site).joins(self.audience().remote_id or "")
        return Counter(external.key_of(guid) for guid in came)

    def consent(self) -> Mapping[str, Any]:
        return {**_consent(self.world), "written": list(self.site.consent_writes)}

    def names(self) -> list[str]:
        return sorted(its.display_name for its in self.site.labels.values() if its.kind != "SYSTEM")

    def delete(self, number: int) -> None:
        self.world.delete_customer(self.contacts[number])

    def readdress(self, number: int, address: str) -> None:
        self.addresses[number] = address
        self.world.change_email(self.contacts[number], address)

    def refuse(self, number: int) -> None:
        """Wix tells how many were not done, but neither whom nor why."""
        work_of(self.site).failing.add(self.contacts[number].guid)

    def add_audience(self, name: str) -> None:
        self.site.add_label(name)

    def rename(self, name: str) -> None:
        self.site.rename_label(self.label(), name)

    def drop(self) -> None:
        drop_label(self.site, self.label().key)

    def marks(self, number: int) -> tuple[str, ...]:
        return (self.contacts[number].guid,)

    def refusal(self) -> Reply:
        headers = {"content-type": "application/json", "x-wix-request-id": "1795000000.42"}
        return Reply(400, headers, orjson.dumps({"message": SAID, "details": {}}))

    def request_id(self, reply: Reply) -> str | None:
        return reply.headers.get("x-wix-request-id")


def _consent(world: World) -> dict[str, Any]:
    return {str(its.number): [its.email_consent, its.email_consent_at] for its in world.customers.values()}
