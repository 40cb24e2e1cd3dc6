"""The requests that many people take: the first load of each destination, and a day on which one in a hundred moves.

Everybody is in one of four audiences; who moves leaves one and enters the next. The real destinations work against the
simulated platforms: they learn who is known there, find and make audiences, and push.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from bench import calls_klaviyo, calls_mailchimp, calls_shopify, calls_wix
from bench.counted import Counted
from bench.runner import Bench, Result
from bench.sent import Line, row
from connector import load_platform
from connector.base import Access, Audience, Destination, Op, Person
from connector.http import handler_transport
from connector.klaviyo.sandbox import KlaviyoSandbox
from connector.mailchimp.sandbox import MailchimpSandbox
from connector.sandbox.world import World
from connector.shopify.sandbox import ShopifySandbox
from connector.wix.sandbox import API_KEY, SITE_ID, WixSandbox
from sync.clock import ManualClock

NOW = 1_795_000_000
PEOPLE, QUICK = 100_000, 10_000
AUDIENCES = 4
TOKEN = "shpat_bench"


@dataclass(frozen=True, slots=True)
class _Place:
    """A destination over a simulator of so many people, with the lines that judge its requests."""

    title: str
    destination: Destination
    counted: Counted
    people: Sequence[Person]
    lines: Callable[[], Iterator[Line]]


def run(bench: Bench) -> Iterator[Result]:
    size = bench.size(PEOPLE, QUICK)
    for make in (_shopify, _wix, _klaviyo, _mailchimp):
        yield from _load_and_day(make(size))


def _load_and_day(place: _Place) -> Iterator[Result]:
    destination, people = place.destination, _known(place)
    destination.check()
    names = [destination.audience_name(f"stage-{number}", f"Stage {number}") for number in range(AUDIENCES)]
    audiences = [Audience(f"stage-{number}", name) for number, name in enumerate(names)]
    destination.find(names)
    if destination.limits.keyed:
        audiences = [replace(each, remote_id=destination.create(each)) for each in audiences]
    else:
        audiences = [replace(each, remote_id=each.name) for each in audiences]
    quiet = [replace(each, quiet=True) for each in audiences]
    stage = {person.customer_id: number % AUDIENCES for number, person in enumerate(people)}
    wanted = [Op(number, "add", quiet[stage[person.customer_id]], person) for number, person in enumerate(people, 1)]
    _push(destination, wanted)
    size = f"{len(people):,} people into {AUDIENCES} audiences"
    yield row("calls 100k", f"requests of a first load: {place.title}", size, place.counted, list(place.lines()))
    place.counted.forget()
    moving = Random(3).sample(people, len(people) // 100)
    ops: list[Op] = []
    for person in moving:
        now = stage[person.customer_id]
        for action, at in (("remove", now), ("add", (now + 1) % AUDIENCES)):
            ops.append(Op(len(ops) + 1, action, audiences[at], person))  # type: ignore[arg-type]
    _push(destination, ops)
    size = f"{len(moving):,} people move from one audience to the next"
    yield row(
        "calls 100k", f"requests of a daily change of 1 %: {place.title}", size, place.counted, list(place.lines())
    )


def _known(place: _Place) -> Sequence[Person]:
    """The people as the destination knows them: by its own ids where it goes by address."""
    destination = place.destination
    if not destination.limits.by_email:
        return place.people
    if destination.limits.scanned:
        parts = destination.changed(None)
    else:
        parts = destination.lookup([person.email or "" for person in place.people])
    ids = {profile.email: profile.remote_id for part in parts for profile in part}
    return [replace(person, remote_id=ids[person.email or ""]) for person in place.people]


def _push(destination: Destination, ops: Sequence[Op]) -> None:
    for batch in destination.batches(ops):
        receipts = destination.push(batch)
        assert all(one.outcome == "done" for one in receipts), [one for one in receipts if one.outcome != "done"][:3]


def _shopify(size: int) -> _Place:
    clock = ManualClock(NOW)
    world = _world(size, clock)
    counted = Counted(ShopifySandbox(world, tokens=(TOKEN,)))
    settings = {"shop": "bench", "api_url": "http://127.0.0.1:9"}
    tags = _open("shopify", counted, clock, settings, {"REGULARS_SHOPIFY_TOKEN": TOKEN})
    people = [Person(number) for number in world.customers]
    return _Place("Shopify tags", tags, counted, people, lambda: calls_shopify.writing(counted))


def _wix(size: int) -> _Place:
    clock = ManualClock(NOW)
    world = _world(size, clock)
    counted = Counted(WixSandbox(world, clock=clock))
    labels = _open("wix", counted, clock, {"site_id": SITE_ID}, {"REGULARS_WIX_API_KEY": API_KEY})
    people = [Person(each.number, id=each.guid) for each in world.customers.values()]
    return _Place("Wix labels", labels, counted, people, lambda: calls_wix.writing(counted))


def _klaviyo(size: int) -> _Place:
    clock = ManualClock(NOW)
    sandbox = KlaviyoSandbox(clock=clock)
    people = [Person(number, f"person{number}@example.org") for number in range(1, size + 1)]
    for person in people:
        sandbox.account.add_person(person.email or "")
    counted = Counted(sandbox)
    lists = _open("klaviyo", counted, clock, {}, {"REGULARS_KLAVIYO_API_KEY": sandbox.api_key})
    return _Place("Klaviyo lists", lists, counted, people, lambda: calls_klaviyo.writing(counted))


def _mailchimp(size: int) -> _Place:
    clock = ManualClock(NOW)
    sandbox = MailchimpSandbox(clock=clock)
    people = [Person(number, f"person{number}@example.org") for number in range(1, size + 1)]
    for person in people:
        sandbox.audience.add(person.email or "", at=NOW - 86_400 - person.customer_id)
    counted = Counted(sandbox)
    settings = {"audience_id": sandbox.audience.id}
    tags = _open("mailchimp", counted, clock, settings, {"REGULARS_MAILCHIMP_API_KEY": sandbox.api_key})
    return _Place("Mailchimp tags", tags, counted, people, lambda: calls_mailchimp.writing(counted))


def _world(size: int, clock: ManualClock) -> World:
    world = World(clock=clock)
    for number in range(1, size + 1):
        world.add_customer(f"person{number}@example.org", at=NOW - 400 * 86_400 + number)
    return world


def _open(
    name: str, counted: Counted, clock: ManualClock, settings: dict[str, Any], secrets: dict[str, str]
) -> Destination:
    platform = load_platform(name)
    access = Access(platform.settings(**settings), secrets, clock, handler_transport(counted.handle))
    assert platform.destination is not None
    return platform.destination(access, platform.tags_settings() if platform.tags_settings else access.settings)
