"""Calls to Shopify's Admin API, built from values, and what their replies hold. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from connector.base import Call, Reply, Stream
from connector.shopify.documents import document, lines_batch, tags_batch
from connector.shopify.limits import limits

STREAMS: tuple[Stream, ...] = (
    Stream("customers", grain=86_400),
    Stream("orders"),
    Stream("carts", ordered=False),
)
"""`customers` filters `updated_at` by whole days; `abandonedCheckouts` cannot be sorted by it."""

BUDGET = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a stream's operations are called, and by what connection and GraphQL type its records go.

    `lines` asks for further lines of its records, whose fields are in the fragment `line`.
    """

    page: str
    root: str
    by_ids: str
    gid: str
    ids: str | None = None
    lines: str = ""
    line: str = ""


SHAPES: Mapping[str, Shape] = {
    "customers": Shape("CustomersPage", "customers", "CustomersByIds", "Customer", "CustomerIdsPage"),
    "orders": Shape(
        "OrdersPage", "orders", "OrdersByIds", "Order", "OrderIdsPage", "OrderLinesBatch", "LineItemFields"
    ),
    "carts": Shape(
        "AbandonedCheckoutsPage",
        "abandonedCheckouts",
        "AbandonedCheckoutsByIds",
        "AbandonedCheckout",
        None,
        "CheckoutLinesBatch",
        "CheckoutLineFields",
    ),
}
_BATCHES = {"TagsBatch", *(shape.lines for shape in SHAPES.values())}
_BY_IDS = {shape.by_ids for shape in SHAPES.values()}


class Costs:
    """Requested cost per kind of call: the formula fitted to recorded costs at first, then what the server said.

    A request of several like parts costs so many times one part.

    A connection of n costs 2 + f(n) x (1 + its node), f(n) = max(1, floor(2 ln n)); an object 1; a Count 10. The rules
    but the connection's: shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], float] = {}

    def of(self, operation: str, first: int = 0, lines: int = 0, parts: int = 1) -> float:
        """Points to set aside for a call."""
        return parts * (self._known.get((operation, first, lines)) or self._guess(operation, first, lines))

    def learn(self, call: Call, points: float) -> None:
        """Take the server's number for calls of this kind."""
        self._known[_kind(call)] = points / _parts(call)

    @staticmethod
    def _guess(operation: str, first: int, lines: int) -> float:
        if operation == "TagsBatch":
            return limits().points.mutation
        outside, node, line = _OBJECTS[operation]
        nested = _connection(lines, line) if lines else 0.0
        return outside + (_connection(first, node + nested) if first else nested)


_OBJECTS: Mapping[str, tuple[float, float, float]] = {
    "ShopInfo": (3, 0, 0),
    "ShopCounts": (20, 0, 0),
    "CustomersPage": (0, 4, 0),
    "CustomerIdsPage": (0, 0, 0),
    "CustomersByIds": (5, 0, 0),
    "CustomerTagsByIds": (1, 0, 0),
    "OrdersPage": (0, 2, 2),
    "OrderIdsPage": (0, 0, 0),
    "OrdersByIds": (3, 0, 2),
    "OrderLinesBatch": (1, 2, 0),
    "AbandonedCheckoutsPage": (0, 1, 1),
    "AbandonedCheckoutsByIds": (2, 0, 1),
    "CheckoutLinesBatch": (1, 1, 0),
}
"""Points of the objects outside the paged connection, in one of its nodes, and in one line of a node."""


def _connection(first: int, node: float) -> float:
    return 2 + max(1, math.floor(2 * math.log(max(first, 1)))) * (1 + node)


def _kind(call: Call) -> tuple[str, int, int]:
    variables = call.json["variables"]
    return call.operation, variables.get("first", 0), variables.get("lineItems", 0)


def _parts(call: Call) -> int:
    """Each part of a batch brings two variables; all share `first`."""
    return len(call.json["variables"]) // 2 if call.operation in _BATCHES else 1


def size(call: Call) -> int:
    """How many records or lines a call asks for, where fewer could be asked for; else 0."""
    variables = (call.json or {}).get("variables", {})
    if call.operation in _BY_IDS:
        return len(variables["ids"])
    return int(variables["first"]) * _parts(call) if "first" in variables else 0


def query(costs: Costs, operation: str, **variables: Any) -> Call:
    """A call of one of the documents."""
    cost = costs.of(operation, variables.get("first", 0), variables.get("lineItems", 0))
    return _call(operation, document(operation), variables, cost)


def page(costs: Costs, stream: str, first: int, after: str | None, search: str | None) -> Call:
    """The next page of a stream."""
    shape = SHAPES[stream]
    lines = {"lineItems": limits().pages.lines} if shape.lines else {}
    return query(costs, shape.page, first=first, after=after, query=search, **lines)


def by_ids(costs: Costs, stream: str, ids: Sequence[int]) -> Call:
    """Whole records by their numbers."""
    shape = SHAPES[stream]
    lines = {"lineItems": limits().pages.lines} if shape.lines else {}
    return query(costs, shape.by_ids, ids=[gid(shape.gid, number) for number in ids], **lines)


def more_lines(costs: Costs, stream: str, behind: Sequence[tuple[str, str]], first: int) -> Call:
    """The next lines of several records, each (global id, cursor)."""
    shape = SHAPES[stream]
    variables: dict[str, Any] = {"first": first}
    for at, (record, after) in enumerate(behind):
        variables |= {f"id{at}": record, f"after{at}": after}
    text = lines_batch(shape.lines, shape.gid, shape.line, len(behind))
    return _call(shape.lines, text, variables, costs.of(shape.lines, first, parts=len(behind)))


def tags(costs: Costs, changes: Sequence[tuple[str, int, Sequence[str]]]) -> Call:
    """One request for many tag changes: (alias, customer, tags), in the order in which the server shall run them."""
    variables: dict[str, Any] = {}
    for alias, customer, names in changes:
        variables[f"{alias}id"] = gid("Customer", customer)
        variables[alias] = list(names)
    text = tags_batch([alias for alias, _, _ in changes])
    return _call("TagsBatch", text, variables, costs.of("TagsBatch", parts=len(changes)))


def _call(operation: str, text: str, variables: Mapping[str, Any], cost: float) -> Call:
    body = {"query": text, "operationName": operation, "variables": dict(variables)}
    return Call(operation, "POST", limits().api.path, json=body, cost=cost, budget=BUDGET)


_TOKEN = re.compile(r"(\d+(?:,\d+)*) (.+)")


def token(cursor: str | None, owed: Sequence[int]) -> str | None:
    """Where reading goes on: the cursor of the next page and the numbers of records passed by, to be read later."""
    return f"{','.join(map(str, owed))} {cursor}" if cursor and owed else cursor


def untoken(text: str | None) -> tuple[str | None, list[int]]:
    """Cursor and numbers of a token."""
    found = _TOKEN.fullmatch(text or "")
    return (found[2], [int(number) for number in found[1].split(",")]) if found else (text, [])


def gid(kind: str, number: int) -> str:
    """A global id."""
    return f"gid://shopify/{kind}/{number}"


def number(global_id: str) -> int:
    """The number of a global id."""
    return int(global_id.rpartition("/")[2])


def search_since(stream: Stream, since: int | None, zone: str) -> str | None:
    """The filter for records changed in [since - lag, ...); None for all. Dates are quoted and in UTC.

    Where the filter knows whole days only, the page does not say whether days are the shop's or UTC's
    (shopify.dev/docs/api/admin-graphql/2026-10/queries/customers): the earlier of the two is asked for.
    """
    if since is None:
        return None
    start = datetime.fromtimestamp(since - stream.lag, UTC)
    if stream.grain >= 86_400:
        start = _midnight(min(start.date(), start.astimezone(ZoneInfo(zone)).date()))
    return f"updated_at:>='{start:%Y-%m-%dT%H:%M:%SZ}'"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def search_tag(name: str) -> str:
    """The filter for customers with a tag (shopify.dev/docs/api/usage/search-syntax)."""
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"tag:'{escaped}'"


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a reply: its data, the paths that were refused (without list positions), and what it cost."""

    data: Mapping[str, Any]
    denied: tuple[str, ...]
    errors: tuple[Mapping[str, Any], ...]
    requested: float | None
    actual: float | None


class Bodies:
    """Parses each reply once: what a reply means, what it cost and what it holds are asked one after the other."""

    def __init__(self) -> None:
        self._last: tuple[bytes, Mapping[str, Any] | None] = (b"", None)

    def of(self, reply: Reply) -> Mapping[str, Any] | None:
        """The JSON object of a reply; None where it holds none."""
        raw, parsed = self._last
        if raw is not reply.body:
            try:
                body = orjson.loads(reply.body)
            except orjson.JSONDecodeError:
                body = None
            parsed = body if isinstance(body, dict) else None
            self._last = (reply.body, parsed)
        return parsed

    def forget(self) -> None:
        """Let go of the last reply."""
        self._last = (b"", None)


_ALIAS = re.compile(r"^o\d+$")


def answer(body: Mapping[str, Any]) -> Answer:
    """Read the body of a reply that was judged Ok."""
    errors = tuple(body.get("errors") or ())
    cost = (body.get("extensions") or {}).get("cost") or {}
    denied = dict.fromkeys(
        ".".join(_ALIAS.sub("node", step) for step in error.get("path") or () if isinstance(step, str))
        for error in errors
        if code(error) == "ACCESS_DENIED"
    )
    return Answer(body["data"], tuple(denied), errors, cost.get("requestedQueryCost"), cost.get("actualQueryCost"))


def code(error: Mapping[str, Any]) -> str:
    """The machine-readable code of an error; empty where it has none."""
    return str((error.get("extensions") or {}).get("code") or "")


TRANSIENT = frozenset({"INTERNAL_SERVER_ERROR", "THROTTLED", "TIMEOUT"})
"""Codes of errors that another try may mend."""
