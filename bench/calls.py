"""The requests of two syncs of one shop, operation by operation, beside the fewest that the platforms' limits allow.

Least: a page holds 250 records, further lines of long orders go together up to the points of one request, a request
holds tag mutations up to its points, a list takes a thousand profiles a request and an import ten thousand. Where
nothing changed one page still has to be asked for. Requests that no limit bounds (polling a job, reading back what it
made, looking at flows) are shown and not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from bench.runner import Bench, Result, at_most
from connector.base import Reply
from connector.http import handler_transport
from connector.klaviyo.limits import limits as klaviyo_limits
from connector.sandbox.wire import Request, Simulator
from connector.sandbox.world import World
from connector.shopify.limits import limits as shopify_limits
from connector.shopify.wire import Costs
from sync.cli.sandbox import install, make_world, write_project
from sync.cli.wiring import workspace
from sync.clock import ManualClock
from sync.runs import RunReport, Steps
from sync.runs import run as run_steps

NOW = 1_795_219_200
HOUR = 3_600
EVERYTHING = Steps(pull=True, derive=True, plan=True, apply=True, force=("truncated-history",))
PAGES = {"customers": "CustomersPage", "orders": "OrdersPage", "carts": "AbandonedCheckoutsPage"}
LOOKUP, CREATE = "GET /api/profiles by address", "POST /api/lists"
LISTS = "/api/lists/*/relationships/profiles"
IMPORT = "POST /api/profile-bulk-import-jobs"


@dataclass(slots=True)
class Counted:
    """A simulator whose requests are counted by operation, and what they carried by group."""

    simulator: Simulator
    requests: Counter[str] = field(default_factory=Counter)
    carried: Counter[tuple[str, str]] = field(default_factory=Counter)

    def handle(self, request: Request) -> Reply:
        name, group, number = _read(request)
        self.requests[name] += 1
        self.carried[name, group] += number
        return self.simulator.handle(request)

    def forget(self) -> None:
        self.requests.clear()
        self.carried.clear()


def run(bench: Bench) -> Iterator[Result]:
    clock = ManualClock(NOW)
    world = make_world(clock, data=bench.data, customers=bench.size(3_000, 600), seed=7)
    installed = install(world, clock=clock, scale=1.0)
    folder = bench.folder / "calls"
    folder.mkdir()
    config = write_project(folder, installed, urls={})
    counted = {name: Counted(place.simulator) for name, place in installed.items()}
    transports = {name: handler_transport(one.handle) for name, one in counted.items()}
    for number, label in enumerate(("first", "second"), start=1):
        with workspace(config, online=True, clock=clock, transports=transports) as work:
            report = run_steps(work, "sync", EVERYTHING)
        made, carried = _together(counted)
        shop = f"{len(world.customers):,} customers, {len(world.orders):,} orders"
        yield _row(f"calls {number}", f"requests of the {label} sync", shop, made,
                   _least(report, made, carried, world if number == 1 else None))  # fmt: skip
        for one in counted.values():
            one.forget()
        clock.advance(HOUR)


def _together(counted: Mapping[str, Counted]) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    made: Counter[str] = Counter()
    carried: Counter[tuple[str, str]] = Counter()
    for one in counted.values():
        made += one.requests
        carried += one.carried
    return made, carried


def _row(number: str, what: str, shop: str, made: Counter[str], least: Mapping[str, int]) -> Result:
    judged = sum(made[name] for name in least)
    fewest = sum(least.values())
    others = sorted(name for name in made if name not in least)
    figures = [f"{shop}: {judged} requests, at least {fewest}"]
    figures += [f"{name:44} {made[name]:>6,} of {fewest_:>6,}" for name, fewest_ in least.items()]
    figures += [f"{name:44} {made[name]:>6,}" for name in others]
    return at_most(number, what, 1.05, judged / fewest, "\n".join(figures))


def _least(
    report: RunReport, made: Counter[str], carried: Counter[tuple[str, str]], world: World | None
) -> dict[str, int]:
    """The fewest requests by operation; `world` for a first reading, when every order is read."""
    assert report.pulled is not None
    pages, points = shopify_limits().pages, shopify_limits().points
    least = {"ShopInfo": 1, "ShopCounts": 1}
    for stream in report.pulled.streams:
        least[PAGES[stream.stream]] = max(1, _up(stream.read, pages.records))
    if world is not None:
        further = [_up(len(order.lines), pages.lines) - 1 for order in world.orders.values()]
        if sum(further) > 0:
            cost = Costs().of("OrderLinesBatch", pages.lines)
            least["OrderLinesBatch"] = max(*further, _up(int(sum(further) * cost), points.query))
    if made["TagsBatch"]:
        least["TagsBatch"] = _up(carried["TagsBatch", ""] * points.mutation, points.query)
    writes = klaviyo_limits().writes
    most = {LOOKUP: klaviyo_limits().pages.profiles, CREATE: 1, IMPORT: writes.import_profiles}
    most |= dict.fromkeys((f"POST {LISTS}", f"DELETE {LISTS}"), writes.relationship)
    for name, size in most.items():
        if made[name]:
            least[name] = sum(_up(number, size) for (its, _), number in carried.items() if its == name)
    return least


def _read(request: Request) -> tuple[str, str, int]:
    """Operation, what it belongs with, and how much it carries."""
    if request.path.endswith("graphql.json"):
        body = orjson.loads(request.body)
        return str(body["operationName"]), "", len(body["variables"]) // 2
    steps = request.path.strip("/").split("/")
    if len(steps) > 2 and steps[0] == "api":
        steps[2] = "*"
    name = f"{request.method} /{'/'.join(steps)}"
    body = orjson.loads(request.body) if request.body.startswith(b"{") else {}
    return _klaviyo(name, request, body)


def _klaviyo(name: str, request: Request, body: Any) -> tuple[str, str, int]:
    if name.endswith(LISTS):
        return name, request.path, len(body.get("data", ()))
    if name == IMPORT:
        data = body["data"]
        lists = orjson.dumps(data.get("relationships", {})).decode()
        return name, lists, len(data["attributes"]["profiles"]["data"])
    asked = dict(request.query).get("filter", "")
    if name == "GET /api/profiles" and asked.startswith("any(email"):
        return LOOKUP, "", asked.count('","') + 1
    return name, "", 1


def _up(number: int, size: int) -> int:
    return -(-number // size)
