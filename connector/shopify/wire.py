"""Calls to Shopify's Admin API, built from values, and what their replies hold. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from connector.base import Call, Reply, Stream
from connector.shopify.documents import document, tags_batch
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
    """What a stream's operations are called, and by what connection and GraphQL type its records go."""

    page: str
    root: str
    by_ids: str
    gid: str
    ids: str | None = None
    lines: str | None = None
    lines_root: str = ""


SHAPES: Mapping[str, Shape] = {
    "customers": Shape("CustomersPage", "customers", "CustomersByIds", "Customer", "CustomerIdsPage"),
    "orders": Shape("OrdersPage", "orders", "OrdersByIds", "Order", "OrderIdsPage", "OrderLineItemsPage", "order"),
    "carts": Shape(
        "AbandonedCheckoutsPage",
        "abandonedCheckouts",
        "AbandonedCheckoutsByIds",
        "AbandonedCheckout",
        None,
        "AbandonedCheckoutLineItemsPage",
        "node",
    ),
}


class Costs:
    """Requested cost per kind of call: the formula fitted to recorded costs at first, then what the server said.

    A connection of n costs 2 + f(n) x (1 + its node), f(n) = max(1, floor(2 ln n)); an object 1; a Count 10. The rules
    but the connection's: shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], float] = {}

    def of(self, operation: str, first: int = 0, lines: int = 0) -> float:
        """Points to set aside for a call."""
        return self._known.get((operation, first, lines)) or self._guess(operation, first, lines)

    def learn(self, call: Call, points: float) -> None:
        """Take the server's number for calls of this kind."""
        self._known[_kind(call)] = points

    @staticmethod
    def _guess(operation: str, first: int, lines: int) -> float:
        if operation == "TagsBatch":
            return first * limits().points.mutation
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
    "OrderLineItemsPage": (1, 2, 0),
    "AbandonedCheckoutsPage": (0, 1, 1),
    "AbandonedCheckoutsByIds": (2, 0, 1),
    "AbandonedCheckoutLineItemsPage": (1, 1, 0),
}
"""Points of the objects outside the paged connection, in one of its nodes, and in one line of a node."""


def _connection(first: int, node: float) -> float:
    return 2 + max(1, math.floor(2 * math.log(max(first, 1)))) * (1 + node)


def _kind(call: Call) -> tuple[str, int, int]:
    variables = call.json["variables"]
    if call.operation == "TagsBatch":
        return call.operation, len(variables) // 2, 0
    return call.operation, variables.get("first", 0), variables.get("lineItems", 0)


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


def tags(costs: Costs, changes: Sequence[tuple[str, int, Sequence[str]]]) -> Call:
    """One request for many tag changes: (alias, customer, tags), in the order in which the server shall run them."""
    variables: dict[str, Any] = {}
    for alias, customer, names in changes:
        variables[f"{alias}id"] = gid("Customer", customer)
        variables[alias] = list(names)
    text = tags_batch([alias for alias, _, _ in changes])
    return _call("TagsBatch", text, variables, costs.of("TagsBatch", len(changes)))


def _call(operation: str, text: str, variables: Mapping[str, Any], cost: float) -> Call:
    body = {"query": text, "operationName": operation, "variables": dict(variables)}
    return Call(operation, "POST", limits().api.path, json=body, cost=cost, budget=BUDGET)


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


def answer(body: Mapping[str, Any]) -> Answer:
    """Read the body of a reply that was judged Ok."""
    errors = tuple(body.get("errors") or ())
    cost = (body.get("extensions") or {}).get("cost") or {}
    denied = dict.fromkeys(
        ".".join(step for step in error.get("path") or () if isinstance(step, str))
        for error in errors
        if code(error) == "ACCESS_DENIED"
    )
    return Answer(body["data"], tuple(denied), errors, cost.get("requestedQueryCost"), cost.get("actualQueryCost"))


def code(error: Mapping[str, Any]) -> str:
    """The machine-readable code of an error; empty where it has none."""
    return str((error.get("extensions") or {}).get("code") or "")


TRANSIENT = frozenset({"INTERNAL_SERVER_ERROR", "THROTTLED", "TIMEOUT"})
"""Codes of errors that another try may mend."""
