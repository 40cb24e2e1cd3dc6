"""Target 13: the requests that a difference takes at the simulated platforms, beside the fewest their limits allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random

from bench.calls import Counted
from bench.runner import Bench, Result, at_most
from connector.base import Access, Audience, Destination, Op, Person
from connector.http import handler_transport
from connector.klaviyo import API_KEY, KlaviyoSettings
from connector.klaviyo import platform as klaviyo
from connector.klaviyo.limits import limits as klaviyo_limits
from connector.klaviyo.sandbox import KlaviyoSandbox
from connector.sandbox.world import World
from connector.shopify import ShopifySettings, TagsSettings
from connector.shopify import platform as shopify
from connector.shopify.limits import limits as shopify_limits
from connector.shopify.sandbox import ShopifySandbox
from sync.clock import ManualClock

NOW = 1_795_000_000
TOKEN = "shpat_bench"
SEGMENTS = 8


def run(bench: Bench) -> Iterator[Result]:
    yield _tags(bench)
    yield _lists(bench)


def _tags(bench: Bench) -> Result:
    clock = ManualClock(NOW)
    world = World.generate(4, bench.size(5_000, 500), clock=clock)
    server = Counted(ShopifySandbox(world, tokens=(TOKEN,)))
    settings = ShopifySettings(shop="bench", api_url="http://127.0.0.1:9")
    access = Access(settings, {"REGULARS_SHOPIFY_TOKEN": TOKEN}, clock, handler_transport(server.handle))
    assert shopify.destination is not None
    tags = shopify.destination(access, TagsSettings())
    audiences = [Audience(f"segment-{n}", f"seg-segment-{n}", f"seg-segment-{n}") for n in range(SEGMENTS)]
    people = [Person(number) for number in world.customers]
    ops = _difference(people, audiences)
    _push(tags, ops)
    mutations = len({(op.person.customer_id, op.action) for op in ops})
    points, most = shopify_limits().points, shopify_limits().tags.mutations
    least = -(-mutations // min(most, points.query // points.mutation))
    made = server.requests["TagsBatch"]
    figures = (
        f"{len(ops):,} changes of {SEGMENTS} tags on {len({op.person.customer_id for op in ops}):,} people are "
        f"{mutations:,} mutations of {points.mutation} points: {made} requests, at {points.query} points a request "
        f"at least {least}; all requests {server.requests.total()}"
    )
    return at_most("13a", "requests for changed tags (Shopify) beside the fewest possible", 1.05, made / least, figures)


def _lists(bench: Bench) -> Result:
    clock = ManualClock(NOW)
    sandbox = KlaviyoSandbox(clock=clock)
    known = [sandbox.account.add_person(f"known{n}@example.org") for n in range(bench.size(6_000, 1_200))]
    server = Counted(sandbox)
    access = Access(KlaviyoSettings(), {API_KEY: sandbox.api_key}, clock, handler_transport(server.handle))
    assert klaviyo.destination is not None
    lists = klaviyo.destination(access, KlaviyoSettings())
    audiences = [Audience(f"segment-{n}", f"Segment {n}", sandbox.account.add_list(f"Segment {n}").id)
                 for n in range(SEGMENTS)]  # fmt: skip
    people = [Person(number, one.email, one.id) for number, one in enumerate(known)]
    strangers = [Person(10**6 + n, f"new{n}@example.org") for n in range(bench.size(1_500, 300))]
    ops = _difference(people, audiences)
    ops += [Op(10**6 + n, "add", audiences[n % 2], one) for n, one in enumerate(strangers)]
    _push(lists, ops)
    writes = klaviyo_limits().writes
    groups = Counter((op.action, op.audience.segment) for op in ops)
    least = -(-len(strangers) // writes.import_profiles) + sum(-(-n // writes.relationship) for n in groups.values())
    made = sum(number for name, number in server.requests.items() if not name.startswith("GET"))
    figures = (
        f"{len(ops):,} changes of {SEGMENTS} lists, {len(strangers):,} of them of people unknown there: "
        f"{made} writes, at least {least}; with polling and reading back {server.requests.total()} requests"
    )
    return at_most("13b", "writes for changed lists (Klaviyo) beside the fewest possible", 1.05, made / least, figures)


def _difference(people: Sequence[Person], audiences: Sequence[Audience]) -> list[Op]:
    """What a busy day changes: some enter, some leave, many of them several audiences at once."""
    rng = Random(8)
    ops: list[Op] = []
    for person in people:
        if rng.random() < 0.7:
            for audience in rng.sample(audiences, rng.choice((1, 1, 2, 3))):
                ops.append(Op(len(ops) + 1, "add" if rng.random() < 0.6 else "remove", audience, person))
    return ops


def _push(destination: Destination, ops: Sequence[Op]) -> None:
    for batch in destination.batches(ops):
        receipts = destination.push(batch)
        assert all(one.outcome == "done" for one in receipts), receipts
