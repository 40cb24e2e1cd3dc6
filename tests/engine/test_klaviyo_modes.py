"""Klaviyo's ways of keeping a segment, from a plan to the simulated account and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_destination import Killed
from plan_rig import PlanRig, Wish

from connector.base import Access, Audience, Reply
from connector.http import handler_transport
from connector.klaviyo import API_KEY, KlaviyoSettings
from connector.klaviyo.destination import open_destination
from connector.klaviyo.sandbox import KlaviyoSandbox
from connector.klaviyo.sandbox_account import Person
from connector.sandbox.wire import Request
from sync.errors import StoreError
from sync.push.accounts import claim

VIP, NEW = Wish("vip", "VIPs"), Wish("new", "Newcomers")
PROPERTY = "regulars_segments"
FORCE = ("mass-add", "mass-remove", "emptied", "live-flow", "unknown-ledger")


class Shop:
    """Thirty people, of whom twenty have a profile; one of these is suppressed and one has opted out."""

    def __init__(self, path: Path, **settings: object) -> None:
        self.rig = PlanRig(path)
        self.server = KlaviyoSandbox(clock=self.rig.clock)
        self.account = self.server.account
        self.answer: Callable[[Request], Reply] = self.server.handle
        self.rig.people(range(30))
        for number in range(20):
            self.account.add_person(f"p{number}@example.com", consent="SUBSCRIBED")
        self.account.suppress(self.person(0), "HARD_BOUNCE")
        self.account.unsubscribe(self.person(1))
        self.configure(**settings)

    def configure(self, **settings: object) -> None:
        """The destination as the next process opens it."""
        transport = handler_transport(self._handle)
        section = KlaviyoSettings.model_validate(settings)
        access = Access(section, {API_KEY: self.server.api_key}, self.rig.clock, transport)
        self.rig.destinations = [open_destination(access)]

    def _handle(self, request: Request) -> Reply:
        return self.answer(request)

    def person(self, number: int) -> Person:
        found = self.account.find_person(f"p{number}@example.com")
        assert found is not None
        return found

    def enter(self, segment: str, *numbers: int) -> None:
        """Newcomers; who was in before has been in since then."""
        rows = [(segment, number, self.rig.now, self.rig.run) for number in numbers]
        self.rig.sql("INSERT INTO membership (segment, customer_id, since, run_id) VALUES (?, ?, ?, ?)", rows)

    def having(self, value: str) -> list[int]:
        """People whose profile carries the value."""
        return sorted(
            int(its.email.removeprefix("p").partition("@")[0])
            for its in self.account.people.values()
            if value in its.properties.get(PROPERTY, [])
        )

    def listed(self, name: str) -> list[int]:
        [roll] = [its for its in self.account.lists.values() if its.name == name]
        people = (self.account.people[number].email for number in roll.members)
        return sorted(int(email.removeprefix("p").partition("@")[0]) for email in people)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path / "shop.db")
    yield shop
    shop.rig.store.close()


def test_properties_follow_the_segments(shop: Shop) -> None:
    """First fill, differences, silence; the calls are those that were estimated; no list is made."""
    rig = shop.rig
    shop.configure(mode="properties")
    rig.segment(VIP, range(25))
    rig.segment(NEW, range(15, 25))
    plan = rig.plan()
    shop.server.requests.clear()
    assert rig.apply(plan).exit_code == 0
    assert shop.having("vip") == [*range(2, 25)]
    assert shop.having("new") == [*range(15, 25)]
    assert not shop.account.lists
    assert shop.server.requests.total() - shop.server.requests["GetAccounts"] == plan.calls_estimated
    assert shop.server.requests["ImportProfile"] == 5

    rig.later(5)
    rig.segment(VIP, range(3, 26))
    assert rig.sync().exit_code == 0
    assert shop.having("vip") == [*range(3, 26)]
    members = set(rig.destinations[0].members(Audience("vip", "vip", "vip")))
    assert members == {shop.person(number).id for number in range(3, 26)}

    rig.later(5)
    plan = rig.plan()
    assert not plan.pending
    writes = dict(shop.account.writes)
    rig.apply(plan)
    assert dict(shop.account.writes) == writes


def test_a_segment_of_another_name_keeps_its_value(shop: Shop) -> None:
    """The key is what stands on the profile, so that a new name writes nothing."""
    rig = shop.rig
    shop.configure(mode="properties")
    rig.segment(VIP, range(10))
    rig.sync()
    rig.later(5)
    rig.segment(Wish("vip", "Very important"), range(10))

    assert not rig.plan().pending


@pytest.mark.parametrize("mode", ["lists", "properties", "both"])
@pytest.mark.parametrize("nth", [1, 4, 9])
def test_a_run_that_died_is_finished_by_the_next(shop: Shop, mode: str, nth: int) -> None:
    """Wherever it died: everybody is in, nobody came onto a list twice, and nobody's consent has moved."""
    rig, account = shop.rig, shop.account
    shop.configure(mode=mode, events=True)
    consent = account.consent_states()
    left = [nth]

    def handle(request: Request) -> Reply:
        if request.method != "GET":
            left[0] -= 1
            if left[0] == 0:
                shop.server.handle(request)
                raise Killed
        return shop.server.handle(request)

    shop.answer = handle
    rig.segment(VIP, range(25))
    plan = rig.plan()
    with pytest.raises(Killed):
        rig.apply(plan)
    rig.reopen()
    shop.configure(mode=mode, events=True)
    rig.later(1)
    report = rig.sync()

    assert report.exit_code == 0, report.to_json()
    wanted = [*range(2, 25)]
    assert mode == "properties" or shop.listed("Regulars: VIPs") == wanted
    assert mode == "lists" or shop.having("vip") == wanted
    assert not account.joins or max(account.joins.values()) == 1
    assert len({event.profile_id for event in account.events.values()}) == len(account.events) == 23
    assert {key: account.consent_states()[key] for key in consent} == consent


def test_events_once_per_entry_whatever_is_repeated(shop: Shop) -> None:
    """The first fill is history and starts no flow; newcomers start it once; a healed list sends nobody again."""
    rig, account = shop.rig, shop.account
    shop.configure(events=True)
    account.add_metric_flow("Entered segment", "Hello")
    rig.segment(VIP, range(10))
    rig.sync()
    assert len(account.events) == 8
    assert all(event.quiet for event in account.events.values())
    assert account.flow_joins == []

    rig.later(5)
    shop.enter("vip", 12, 25)
    plan = rig.plan()
    assert [its.flows for its in plan.audiences] == [("Hello",)]
    rig.apply(plan)
    assert sorted(join.profile_id for join in account.flow_joins) == sorted(shop.person(its).id for its in (12, 25))

    [roll] = account.lists.values()
    account.delete_list(roll.id)
    account.writes.clear()
    shop.enter("vip", 13)
    for _ in range(3):
        rig.later(5)
        rig.sync(*FORCE)
    assert shop.listed("Regulars: VIPs") == [*range(2, 10), 12, 13, 25]
    assert (account.writes["events"], account.writes["events_repeated"]) == (1, 10)


def test_who_leaves_gets_an_event_only_with_consent_of_klaviyo_s_own(shop: Shop) -> None:
    """Nobody knows why somebody leaves: who has opted out meanwhile, or is known there without consent, gets none."""
    rig, account = shop.rig, shop.account
    shop.configure(events=True)
    rig.segment(VIP, range(2, 26))
    rig.sync()
    rig.later(5)
    account.unsubscribe(shop.person(5))
    account.delete_person(shop.person(6))
    before = account.consent_states()
    rig.segment(VIP, range(8, 24))

    assert rig.sync(*FORCE).exit_code == 0

    left = [event for event in account.events.values() if event.metric == "Left segment"]
    assert sorted(event.profile_id for event in left) == sorted(shop.person(its).id for its in (2, 3, 4, 7))
    assert account.consent_states() == before


def test_both_keep_list_and_value_alike(shop: Shop) -> None:
    """Additions and removals reach both; a list renamed by hand keeps its name and its members."""
    rig, account = shop.rig, shop.account
    shop.configure(mode="both")
    rig.segment(VIP, range(25))
    rig.sync()
    [roll] = account.lists.values()
    account.rename_list(roll, "Our darlings")
    rig.later(5)
    rig.segment(VIP, range(3, 26))

    assert rig.sync().exit_code == 0

    assert shop.having("vip") == shop.listed("Our darlings") == [*range(3, 26)]
    assert [*account.lists.values()] == [roll]


def test_no_more_lists_than_a_day_allows(shop: Shop) -> None:
    """The hundred and fifty-first waits for tomorrow, and is not even asked for."""
    rig = shop.rig
    for number in range(153):
        rig.segment(Wish(f"s{number}", f"Segment {number}"), [5])
    report = rig.sync()
    assert len(shop.account.lists) == 150
    assert shop.server.requests["CreateList"] == 150
    assert report.destinations[0].reasons == {"150 new lists a day is the limit; the rest follow tomorrow": 3}

    rig.later(24)
    rig.sync()
    assert len(shop.account.lists) == 153


def test_a_change_of_mode_leaves_the_lists_as_they_were(shop: Shop) -> None:
    """The values are filled; the list stays with its people, for the owner to decide about."""
    rig = shop.rig
    rig.segment(VIP, range(25))
    rig.sync()
    rig.later(5)
    shop.configure(mode="properties")

    for _ in range(3):
        rig.later(5)
        rig.sync(*FORCE)

    assert shop.having("vip") == shop.listed("Regulars: VIPs") == [*range(2, 25)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"mode": "lists"}, {"mode": "both"}),
        ({"mode": "both"}, {"mode": "lists"}),
        ({"mode": "properties"}, {"mode": "lists"}),
        ({"mode": "both"}, {"mode": "both", "property": "groups"}),
    ],
)
def test_a_ledger_of_one_mode_is_not_another_s(shop: Shop, before: dict[str, str], after: dict[str, str]) -> None:
    """Values would never be filled, or stay on people for ever: it is told before anything is written."""
    shop.configure(**before)
    claim(shop.rig.store, shop.rig.destinations)
    shop.configure(**after)
    claim(shop.rig.store, shop.rig.destinations)
    shop.configure(**before)
    claim(shop.rig.store, shop.rig.destinations)
    shop.rig.segment(VIP, range(25))
    shop.rig.sync()
    claim(shop.rig.store, shop.rig.destinations)
    shop.configure(**after)
    with pytest.raises(StoreError, match="23 entries of the ledger"):
        claim(shop.rig.store, shop.rig.destinations)
