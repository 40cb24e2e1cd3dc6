"""The real shop behind one store platform, in this process, with every e-mail platform beside it. Its clock moves only
by waits and by what a test lets pass.

Orders of more than 300 lines are left out, because one of the store platforms has no such orders.
REGULARS_PROOF_DATA names the folder of the shop's tables.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson
from shop import TestShop
from sides import mailers, store_side

from connector.http import handler_transport
from connector.sandbox.faults import Faults
from connector.sandbox.records import Customer
from connector.sandbox.world import World
from connector.wix.sandbox_labels import work_of
from sync.cli.sandbox import install, write_project
from sync.cli.wiring import offline_view, workspace
from sync.clock import ManualClock
from sync.metrics.export import export_customers
from sync.push.audit import Audit
from sync.runs import RunReport, Steps, run, run_audit

NOW = 1_795_219_200
HOUR, DAY = 3_600, 86_400
LONGEST = 300
EVERYTHING = Steps(pull=True, derive=True, plan=True, apply=True)
OWN_LABELS = {"Customers"}
"""Labels that a platform gives by itself; they show among a customer's tags there and nowhere else."""

Join = tuple[str, str, str]


@dataclass(kw_only=True)
class Served(TestShop):
    """The shop, its remote sides open to a test's hands. `numbers` are its people by the store platform's own ids."""

    __test__ = False

    clock: ManualClock
    transports: Mapping[str, Any]
    numbers: Mapping[str, int]
    tagged: Counter[Join] = field(default_factory=Counter)

    @classmethod
    def open(cls, platform: str, folder: Path, *, denied: str = "") -> Self:
        """The shop as nothing of ours has touched it yet, and a project folder with every segment of the catalogue."""
        clock = ManualClock(NOW)
        world = World.from_csv(Path(os.environ["REGULARS_PROOF_DATA"]), clock=clock)
        for order in [its for its in world.orders.values() if len(its.lines) > LONGEST]:
            world.delete_order(order)
        world.denied |= {denied} - {""}
        faults = Faults()
        installed = install(world, clock=clock, scale=1.0, faults=faults)
        config = write_project(folder, installed, {}, platform)
        config.write_text(config.read_text().replace('packs = ["lifecycle", "carts"]', 'packs = ["all"]'))
        name = installed[platform].record_id
        assert name is not None
        shop = cls(
            world,
            store_side(installed, platform),
            *mailers(installed),
            folder,
            faults,
            clock=clock,
            transports={name: handler_transport(its.simulator) for name, its in installed.items()},
            numbers={name("customer", number): number for number in world.customers},
        )
        shop._note_tags()
        return shop

    def go(self, steps: Steps = EVERYTHING, command: str = "sync") -> RunReport:
        """A run in this process."""
        with workspace(self.config, online=True, clock=self.clock, transports=self.transports) as work:
            return run(work, command, steps)

    def audit(self) -> Audit:
        """What others changed, with nothing chosen."""
        with workspace(self.config, online=True, clock=self.clock, transports=self.transports) as work:
            return run_audit(work, (), ())

    def export(self) -> dict[int, dict[str, str]]:
        """Every metric of everybody as of the first sync, by the number of the person in the shop."""
        text = io.StringIO()
        with (
            workspace(self.config, online=False, clock=self.clock) as work,
            offline_view(work, NOW) as view,
        ):
            currency, read = view.settings.currency, view.sources_read
            export_customers(view.connection, text, format="csv", now=NOW, currency=currency, sources_read=read)
        rows = csv.DictReader(io.StringIO(text.getvalue()))
        return {self.numbers[row.pop("customer_id")]: _without_own(row) for row in rows}

    def membership(self) -> dict[str, set[int]]:
        """Who is in which segment, by the number of the person in the shop."""
        known = self.people()
        found: dict[str, set[int]] = {}
        for segment, person in self.query("SELECT segment, customer_id FROM membership"):
            found.setdefault(segment, set()).add(known[person].number)
        return found

    def audiences(self) -> dict[tuple[str, str], set[str]]:
        """Who is in what by destination and name of the audience, whoever put them there; nothing that is empty.

        People go by number at the store and by address elsewhere.
        """
        found: dict[tuple[str, str], set[str]] = {}
        for person in self.world.customers.values():
            for label in self.store.labels(person) - OWN_LABELS:
                found.setdefault(("tags", label), set()).add(str(person.number))
        found |= {("klaviyo", name): its for name, its in self.lists().items() if its}
        for tag in self.mailchimp.audience.segments.values():
            if tag.members:
                found["mailchimp", tag.name] = {member.address.lower() for member in tag.members}
        return found

    def sides(self) -> bytes:
        """The same, sorted, to be compared byte by byte."""
        found = self.audiences()
        return orjson.dumps([[*name, sorted(found[name])] for name in sorted(found)])

    def pairs(self) -> set[Join]:
        """The same, one by one: destination, audience, person."""
        return {(*name, person) for name, people in self.audiences().items() for person in people}

    def move(self, pair: Join, *, to: bool) -> None:
        """Put somebody into an audience, or take them out, as a hand in the platform's screens would."""
        destination, name, person = pair
        if destination == "klaviyo":
            account = self.klaviyo.account
            roll = next(its for its in account.lists.values() if its.name == name)
            profile = account.find_person(person)
            assert profile is not None
            (account.join if to else account.leave)(roll, profile)
        elif destination == "mailchimp":
            audience = self.mailchimp.audience
            tag, member = audience.tag_named(name), audience.find(person)
            assert tag is not None
            assert member is not None
            (audience.tag if to else audience.untag)(tag, member)
        elif self.store.platform == "wix":
            site = self.wix.site
            label = [its.key for its in site.labels.values() if its.display_name == name]
            site.relabel(int(person), **{"add" if to else "remove": label})
        else:
            (self.world.add_tags if to else self.world.remove_tags)(self.world.customers[int(person)], [name])

    def consents(self) -> dict[str, Any]:
        """What both e-mail platforms hold of everybody's consent, by their own ids."""
        mailchimp = self.mailchimp.audience.members.values()
        return {
            **{f"klaviyo {key}": its for key, its in self.klaviyo.account.consent_states().items()},
            **{f"mailchimp {its.contact_id}": (its.status, its.compliance) for its in mailchimp},
        }

    def hang_flows(self) -> None:
        """From now on a live flow begins for who joins a list, and one for who gets a tag of ours at Mailchimp."""
        account, audience = self.klaviyo.account, self.mailchimp.audience
        for roll in account.lists.values():
            if roll.id not in {flow.list_id for flow in account.flows.values()}:
                account.add_flow(roll, roll.name)
        with workspace(self.config, online=False, clock=self.clock) as work:
            for segment in work.segments:
                audience.automate(f"seg:{segment.key}")

    def joins(self) -> Counter[Join]:
        """How often who came to what, as the sides (or, of Shopify's, the world) noted it; of Klaviyo's lists and
        Mailchimp's tags those that a flow hangs on."""
        account = self.klaviyo.account
        found = Counter(self.tagged)
        found.update(("klaviyo", its.flow, account.people[its.profile_id].email) for its in account.flow_joins)
        found.update(("mailchimp", its.tag, its.address.lower()) for its in self.mailchimp.joins)
        if self.store.platform == "wix":
            site = self.wix.site
            history = [its for its in work_of(site).history if its.action == "add"]
            found.update(
                ("tags", site.labels[its.key].display_name, str(site.numbered(its.contact))) for its in history
            )
        return found

    def _note_tags(self) -> None:
        """Note every tag that comes to somebody: a Wix site's labels are not the world's, and are noted there."""
        held = {person.number: set(person.tags.values()) for person in self.world.customers.values()}

        def changed(_kind: str, record: object, gone: bool) -> None:
            if isinstance(record, Customer) and not gone:
                now = set(record.tags.values())
                self.tagged.update(("tags", tag, str(record.number)) for tag in now - held.get(record.number, set()))
                held[record.number] = now

        self.world.watchers.append(changed)


def _without_own(row: dict[str, str]) -> dict[str, str]:
    tags = [tag for tag in row["customer_tags"].split("|") if tag not in OWN_LABELS]
    return {**row, "customer_tags": "|".join(tags)}
