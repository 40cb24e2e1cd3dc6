"""The shop behind the API: the root fields of queries and mutations over one world."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Any

import orjson

from connector.sandbox.records import Cart, Order
from connector.sandbox.world import World
from connector.shopify.sandbox_index import COUNT_FILTERS, FILTERS, SORTS, Key, Lists
from connector.shopify.sandbox_objects import TYPES, VALUE_TYPES, kind_of
from connector.shopify.sandbox_search import DAY, Search, parse
from connector.shopify.sandbox_types import MAX_PAGE, Field, Refused, Run, Schema, Slice

ALL_SCOPES = frozenset(
    {"read_customers", "write_customers", "read_orders", "read_all_orders", "read_products", "read_customer_merge"}
)
ORDER_WINDOW = 60 * DAY
MAX_TAGS = 250
MAX_TAG_LENGTH = 255
DEFAULT_COUNT_LIMIT = 10_000
TABLES = {"Customer": "customers", "Order": "orders", "AbandonedCheckout": "carts"}


class Site:
    """What a request is answered from. `writes` counts tag mutations, `touched` lists those with an effect."""

    def __init__(self, world: World, *, lag: float, client_id: str) -> None:
        self.world = world
        self.client_id = client_id
        self.lists = Lists(world, lag=lag)
        self.writes: Counter[str] = Counter()
        self.touched: list[tuple[str, int, tuple[str, ...]]] = []

    def scopes(self) -> frozenset[str]:
        """Granted scopes; a write scope implies its read scope unless that one is denied itself."""
        return ALL_SCOPES - self.world.denied

    def visible(self, record: Any) -> bool:
        """Orders of the last 60 days only without `read_all_orders`; checkouts are purged on Mondays."""
        if isinstance(record, Order):
            return "read_all_orders" in self.scopes() or record.created_at >= self.world.now() - ORDER_WINDOW
        if isinstance(record, Cart) and self.world.retention_days is not None:
            now = self.world.now()
            monday = now - now % DAY - (now // DAY + 3) % 7 * DAY
            return record.created_at >= monday - self.world.retention_days * DAY
        return True

    def page(
        self, kind: str, table: Mapping[int, Any], root: str, default: str, arguments: Mapping[str, Any], run: Run
    ) -> Slice:
        """One page of a root list. Filtered lists are answered by the search index."""
        sort_key = arguments.get("sortKey") or default
        sort = SORTS[kind].get(sort_key)
        if sort is None:
            raise Refused(f"Argument 'sortKey' has an invalid value ({sort_key}).", "argumentLiteralsIncompatible")
        search = self.search(kind, root, arguments.get("query"), run)
        listing = self.lists.indexed(kind) if search is not None else self.lists.live(kind)
        after = _decode(arguments["after"]) if arguments.get("after") else None
        size = int(arguments["first"])
        keys: list[Key] = []
        nodes: list[Any] = []
        for key in listing.walk(sort, search, after, reverse=bool(arguments.get("reverse"))):
            record = table.get(key[1])
            if record is None or not self.visible(record):
                continue
            keys.append(key)
            nodes.append(record)
            if len(nodes) > size:
                break
        return Slice(nodes[:size], lambda at: _encode(keys[at]), len(nodes) > size, after is not None)

    def search(self, kind: str, root: str, query: str | None, run: Run, *, counting: bool = False) -> Search | None:
        """Parse a filter and note its warnings."""
        if not query or not query.strip():
            return None
        search = parse(query, (COUNT_FILTERS if counting else FILTERS)[kind])
        if search.warnings:
            run.warnings.append({"path": [root], "query": query, "warnings": search.warnings})
        return search

    def count(self, kind: str, root: str, arguments: Mapping[str, Any], run: Run) -> tuple[int, str]:
        """Exact up to `limit`, which is 10,000 unless given; null lifts it."""
        search = self.search(kind, root, arguments.get("query"), run, counting=True)
        table: Mapping[int, Any] = getattr(
            self.world, {"customer": "customers", "order": "orders", "cart": "carts"}[kind]
        )
        if search is None:
            found = sum(1 for record in table.values() if self.visible(record))
        else:
            keys = self.lists.indexed(kind).walk("id", search, None)
            found = sum(1 for _, number in keys if number in table and self.visible(table[number]))
        limit = arguments.get("limit", DEFAULT_COUNT_LIMIT)
        return (limit, "AT_LEAST") if limit is not None and found > limit else (found, "EXACT")

    def node(self, wanted: str) -> Any:
        """The live record behind a gid, or None."""
        kind, number = _read_gid(wanted)
        table = TABLES.get(kind)
        record = getattr(self.world, table).get(number) if table else None
        return record if record is not None and self.visible(record) else None

    def nodes(self, wanted: list[str]) -> list[Any]:
        if len(wanted) > MAX_PAGE:
            raise Refused(
                f"The input array size of {len(wanted)} is greater than the maximum allowed of {MAX_PAGE}.",
                "MAX_INPUT_SIZE_EXCEEDED",
            )
        return [self.node(one) for one in wanted]

    def change_tags(self, action: str, arguments: Mapping[str, Any], run: Run) -> dict[str, Any] | None:
        """tagsAdd and tagsRemove on customers: commas split, spaces are trimmed, case does not matter."""
        kind, number = _read_gid(str(arguments["id"]))
        if kind != "Customer":
            run.errors.append({"message": f"Invalid id: {arguments['id']}", "extensions": {"code": "INVALID_ID"}})
            return None
        given = arguments["tags"]
        self.writes[action] += 1
        customer = self.world.customers.get(number)
        if customer is None:
            return _problem("Customer does not exist", ["id"])
        parts = [part.strip() for one in ([given] if isinstance(given, str) else given) for part in one.split(",")]
        tags = [part for part in parts if part]
        if action == "tagsAdd":
            if any(len(tag) > MAX_TAG_LENGTH for tag in tags):
                return _problem(f"Tags is too long (maximum is {MAX_TAG_LENGTH} characters)", ["tags"])
            if len({*customer.tags, *(tag.casefold() for tag in tags)}) > MAX_TAGS:
                return _problem(f"Tags cannot be more than {MAX_TAGS}", ["tags"])
            changed = self.world.add_tags(customer, tags)
        else:
            changed = self.world.remove_tags(customer, tags)
        if changed:
            self.touched.append((action, number, tuple(tags)))
        return {"node": customer, "userErrors": []}


def _problem(message: str, path: list[str]) -> dict[str, Any]:
    return {"node": None, "userErrors": [{"field": path, "message": message}]}


def _read_gid(text: str) -> tuple[str, int]:
    parts = text.removeprefix("gid://shopify/").split("/")
    if not text.startswith("gid://shopify/") or len(parts) != 2 or not parts[1].isdigit():
        raise Refused(f"Invalid global id '{text}'", "argumentLiteralsIncompatible", typeName="CoercionError")
    return parts[0], int(parts[1])


def _encode(key: Key) -> str:
    return base64.b64encode(orjson.dumps({"last_id": key[1], "last_value": str(key[0])})).decode()


def _decode(cursor: str) -> Key:
    try:
        place = orjson.loads(base64.b64decode(cursor, validate=True))
        return int(place["last_value"]), int(place["last_id"])
    except (binascii.Error, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise Refused("Invalid cursor for current pagination sort.", "INVALID_CURSOR") from None


_LIST_ARGS = ("first", "after", "query", "reverse", "sortKey")


def _list(kind: str, table: str, root: str, of: str, default: str, needs: str) -> Field:
    def get(_: Any, arguments: Mapping[str, Any], run: Run) -> Slice:
        site: Site = run.site
        return site.page(kind, getattr(site.world, table), root, default, arguments, run)

    return Field(get, of, connection=True, args=_LIST_ARGS, needs=needs)


def _count(kind: str, root: str, needs: str) -> Field:
    return Field(
        lambda _, arguments, run: run.site.count(kind, root, arguments, run),
        "Count",
        args=("limit", "query"),
        needs=needs,
    )


def _one(kind: str, needs: str) -> Field:
    def get(_: Any, arguments: Mapping[str, Any], run: Run) -> Any:
        found = run.site.node(arguments["id"])
        return found if found is not None and kind_of(found) == kind else None

    return Field(get, kind, args=("id",), needs=needs)


def _events(_: Any, arguments: Mapping[str, Any], run: Run) -> Slice:
    """The timeline of what was destroyed, filtered by subject_type and action."""
    site: Site = run.site
    events = {event.number: event for event in site.world.events}
    values = {
        n: {"id": n, "subject_type": e.kind, "action": e.action, "created_at": e.at, "text": e.action}
        for n, e in events.items()
    }
    fields = {"id": "id", "subject_type": "text", "action": "text", "created_at": "time"}
    query = arguments.get("query")
    search = parse(query, fields) if query else None
    if search is not None and search.warnings:
        run.warnings.append({"path": ["events"], "query": query, "warnings": search.warnings})
    after = _decode(arguments["after"])[1] if arguments.get("after") else 0
    found = [n for n in sorted(events) if n > after and (search is None or search.matches(values[n]))]
    size = int(arguments["first"])
    page = list(islice(found, size))
    return Slice([events[n] for n in page], lambda at: _encode((page[at], page[at])), len(found) > size, after > 0)


def _tags(action: str) -> Field:
    return Field(
        lambda _, arguments, run: run.site.change_tags(action, arguments, run),
        "TagsPayload",
        args=("id", "tags"),
        mutation=True,
        needs="write_customers",
    )


ROOTS: dict[str, dict[str, Field]] = {
    "QueryRoot": {
        "shop": Field(lambda _, arguments, run: run.site.world, "Shop", active=True),
        "currentAppInstallation": Field(lambda _, arguments, run: run.site, "AppInstallation", active=True),
        "customers": _list("customer", "customers", "customers", "Customer", "ID", "read_customers"),
        "orders": _list("order", "orders", "orders", "Order", "PROCESSED_AT", "read_orders"),
        "abandonedCheckouts": _list("cart", "carts", "abandonedCheckouts", "AbandonedCheckout", "ID", "read_orders"),
        "customersCount": _count("customer", "customersCount", "read_customers"),
        "ordersCount": _count("order", "ordersCount", "read_orders"),
        "abandonedCheckoutsCount": _count("cart", "abandonedCheckoutsCount", "read_orders"),
        "customer": _one("Customer", "read_customers"),
        "order": _one("Order", "read_orders"),
        "node": Field(lambda _, arguments, run: run.site.node(arguments["id"]), "Node", args=("id",)),
        "nodes": Field(lambda _, arguments, run: run.site.nodes(arguments["ids"]), "Node", many=True, args=("ids",)),
        "events": Field(_events, "BasicEvent", connection=True, args=_LIST_ARGS),
    },
    "Mutation": {"tagsAdd": _tags("tagsAdd"), "tagsRemove": _tags("tagsRemove")},
    "TagsPayload": {
        "node": Field(lambda payload: payload["node"], "Node"),
        "userErrors": Field(lambda payload: payload["userErrors"], "UserError", many=True),
    },
}
SCHEMA = Schema({**TYPES, **ROOTS}, frozenset({"Node", "Event"}), VALUE_TYPES, kind_of)
