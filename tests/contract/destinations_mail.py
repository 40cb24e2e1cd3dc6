"""Destinations for e-mail: lists, properties and tags of people who are known by their addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson
from destinations_rig import SAID, Place

from connector.base import Access, Destination, Reply
from connector.http import handler_transport
from connector.klaviyo import API_KEY as KLAVIYO_KEY
from connector.klaviyo import KlaviyoSettings
from connector.klaviyo import platform as klaviyo
from connector.klaviyo.sandbox import KlaviyoSandbox
from connector.klaviyo.sandbox_account import Person, Roll
from connector.mailchimp import API_KEY as MAILCHIMP_KEY
from connector.mailchimp import MailchimpSettings
from connector.mailchimp import platform as mailchimp
from connector.mailchimp.sandbox import MailchimpSandbox
from connector.mailchimp.sandbox_account import Segment, address_hash
from connector.sandbox.wire import Request, Simulator


class KlaviyoLists(Place):
    """Lists, some of whose people Klaviyo does not know."""

    title, kind, call = "klaviyo", "list", "AddProfilesToList"
    first = changing = "AddProfilesToList"
    writing: ClassVar[tuple[str, ...]] = (
        "AddProfilesToList",
        "RemoveProfilesFromList",
        "CreateImportJob",
        "CreateList",
        "UpdateList",
    )
    reading = ("GetAccounts", "GetLists", "GetProfiles", "GetImportJob", "GetImportProfiles", "GetListFlowTriggers")
    creating = "CreateList"
    stuck: ClassVar[tuple[str, str] | None] = ("CreateImportJob", "stuck_import")
    returns = True
    strangers = range(10, 15)
    secret = "pk_contract_0123456789abcdef"
    settings: ClassVar[KlaviyoSettings] = KlaviyoSettings()

    def set_up(self, addresses: Sequence[str]) -> Simulator:
        self.sandbox = KlaviyoSandbox(clock=self.clock, api_key=self.secret, faults=self.faults)
        self.account = self.sandbox.account
        for number, address in enumerate(addresses, 1):
            self.addresses[number] = address
            if number not in self.strangers:
                self.account.add_person(address, consent="SUBSCRIBED")
        return self.sandbox

    def open(self) -> Destination:
        access = Access(self.settings, {KLAVIYO_KEY: self.secret}, self.clock, handler_transport(self.handle))
        assert klaviyo.destination is not None
        return klaviyo.destination(access, None)

    def counts(self) -> Counter[str]:
        return self.sandbox.requests

    def roll(self) -> Roll:
        return self.account.lists[self.audience().remote_id or ""]

    def person(self, number: int) -> Person:
        found = self.account.find_person(self.addresses[number])
        assert found is not None
        return found

    def members(self) -> set[int]:
        return set(self._numbers(self.roll().members))

    def joined(self) -> Counter[int]:
        ours = self.roll().id
        came = {profile: times for (roll, profile), times in self.account.joins.items() if roll == ours}
        return Counter(self._numbers(came))

    def _numbers(self, profiles: Mapping[str, Any]) -> dict[int, Any]:
        numbers = {address.lower(): number for number, address in self.addresses.items()}
        people = self.account.people
        return {numbers[people[each].email]: value for each, value in profiles.items() if each in people}

    def consent(self) -> Mapping[str, Any]:
        return {**self.account.consent_states(), "written": self.account.writes["consent_changed"]}

    def names(self) -> list[str]:
        return sorted(its.name for its in self.account.lists.values())

    def delete(self, number: int) -> None:
        self.account.delete_person(self.person(number))

    def forget(self, number: int) -> None:
        if self.account.find_person(self.addresses[number]):
            self.delete(number)
        self.account.unimportable[self.addresses[number]] = "Invalid email address."

    def readdress(self, number: int, address: str) -> None:
        self.delete(number)
        self.addresses[number] = address
        self.account.add_person(address, consent="SUBSCRIBED")

    def refuse(self, number: int) -> None:
        self.forget(number)

    def suppress(self, number: int) -> None:
        self.account.suppress(self.person(number), "HARD_BOUNCE")

    def unsubscribe(self, number: int) -> None:
        self.account.unsubscribe(self.person(number))

    def add_audience(self, name: str) -> None:
        self.account.add_list(name)

    def rename(self, name: str) -> None:
        self.account.rename_list(self.roll(), name)

    def drop(self) -> None:
        self.account.delete_list(self.roll().id)

    def marks(self, number: int) -> tuple[str, ...]:
        found = self.account.find_person(self.addresses[number])
        return (self.addresses[number], *([found.id] if found else []))

    def refusal(self) -> Reply:
        entry = {"id": "err-42", "code": "invalid", "title": "Invalid input.", "detail": SAID, "source": {}}
        return Reply(400, {"content-type": "application/vnd.api+json"}, orjson.dumps({"errors": [entry]}))

    def request_id(self, reply: Reply) -> str | None:
        found = _json(reply).get("errors") or [{}]
        return str(found[0]["id"]) if found[0].get("id") else None


class KlaviyoProperties(KlaviyoLists):
    """The segment's key in an array of each profile."""

    title, kind, call = "klaviyo-properties", "property", "UpdateProfile"
    first = changing = "UpdateProfile"
    writing = ("UpdateProfile", "ImportProfile", *KlaviyoLists.writing)
    creating, stuck = "", None
    settings = KlaviyoSettings(mode="properties")

    def members(self) -> set[int]:
        people = self.account.people
        found = {its: None for its in people if "vip" in people[its].properties.get("regulars_segments", ())}
        return set(self._numbers(found))

    def joined(self) -> Counter[int]:
        """Nothing begins with a value, and whether it stands there twice Klaviyo does not say."""
        return Counter(dict.fromkeys(self.members(), 1))

    def forget(self, number: int) -> None:
        self.delete(number)
        address = self.addresses[number].encode()

        def answer(request: Request) -> Reply | None:
            return self.refusal() if request.method == "POST" and address in request.body else None

        self.instead = answer

    def refuse(self, number: int) -> None:
        self.poison(number)


class MailchimpTags(Place):
    """Tags on the members of an audience, at which an automation begins."""

    title, kind, call = "mailchimp", "tag", "ChangeTag"
    first, changing = "postBatches", "postListsIdSegmentsId"
    writing = (
        "postBatches",
        "postListsIdSegmentsId",
        "postListMemberTags",
        "putListsIdMembersId",
        "postListsIdSegments",
        "patchListsIdSegmentsId",
    )
    reading = ("getPing", "getListsIdMembers", "previewASegment", "getBatchesId", "batchResults")
    creating = "postListsIdSegments"
    stuck = ("postBatches", "stuck_batch")
    html_403 = 4
    secret = "contract0123456789abcdef-us19"
    adding: ClassVar[bool] = False

    def set_up(self, addresses: Sequence[str]) -> Simulator:
        self.sandbox = MailchimpSandbox(clock=self.clock, api_key=self.secret, faults=self.faults)
        self.shop = self.sandbox.audience
        self.shop.automate("seg:vip")
        for number, address in enumerate(addresses, 1):
            self.addresses[number] = address
            if number not in self.strangers:
                self.shop.add(address)
        return self.sandbox

    def open(self) -> Destination:
        settings = MailchimpSettings(audience_id=self.shop.id, add_consented=self.adding)
        access = Access(settings, {MAILCHIMP_KEY: self.secret}, self.clock, handler_transport(self.handle))
        assert mailchimp.destination is not None
        return mailchimp.destination(access, None)

    def counts(self) -> Counter[str]:
        return self.sandbox.requests

    def tag(self) -> Segment:
        return self.shop.segments[int(self.audience().remote_id or 0)]

    def members(self) -> set[int]:
        return {self._number(its.address) for its in self.tag().members}

    def joined(self) -> Counter[int]:
        return Counter(self._number(its.address) for its in self.sandbox.joins)

    def _number(self, address: str) -> int:
        return next(number for number, its in self.addresses.items() if its.lower() == address.lower())

    def consent(self) -> Mapping[str, Any]:
        states = {its.contact_id: its.status for its in self.shop.members.values()}
        return {**states, "written": [repr(its) for its in self.sandbox.consent_writes]}

    def names(self) -> list[str]:
        return sorted(its.name for its in self.shop.segments.values())

    def delete(self, number: int) -> None:
        self.shop.delete_permanent(self.addresses[number])

    def readdress(self, number: int, address: str) -> None:
        self.shop.change_address(self.addresses[number], address)
        self.addresses[number] = address

    def refuse(self, number: int) -> None:
        """Nobody changes a tag by the five hundred for somebody archived; in a batch, an operation may fail."""
        self.sandbox.account.fake.add(self.addresses[number])
        if self.shop.find(self.addresses[number]):
            self.shop.archive(self.addresses[number])
        path = address_hash(self.addresses[number])
        self.sandbox.in_batch = lambda request: self.refusal() if path in request.path else None

    def suppress(self, number: int) -> None:
        self.shop.unsubscribe(self.addresses[number], cleaned=True)

    def unsubscribe(self, number: int) -> None:
        self.shop.unsubscribe(self.addresses[number])

    def add_audience(self, name: str) -> None:
        self.shop.add_tag(name)

    def rename(self, name: str) -> None:
        self.shop.rename_tag(self.tag(), name)

    def drop(self) -> None:
        self.shop.delete_tag(self.tag())

    def marks(self, number: int) -> tuple[str, ...]:
        return (self.addresses[number], address_hash(self.addresses[number]))

    def refusal(self) -> Reply:
        problem = {"title": "Invalid Resource", "status": 400, "detail": SAID, "instance": "beef-42"}
        return Reply(400, {"content-type": "application/problem+json"}, orjson.dumps(problem))

    def request_id(self, reply: Reply) -> str | None:
        found = _json(reply).get("instance")
        return str(found) if found else None


class MailchimpAdding(MailchimpTags):
    """The same where the owner wants people added whom the audience does not hold."""

    title = "mailchimp-adding"
    adding = True
    strangers = range(10, 15)


def _json(reply: Reply) -> dict[str, Any]:
    try:
        found = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
