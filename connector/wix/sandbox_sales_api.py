"""Orders, their payments, abandoned checkouts: what the e-commerce endpoints answer."""

from __future__ import annotations

from typing import Any

import orjson

from connector.wix import sandbox_checkouts as checkouts
from connector.wix.sandbox_filter import Filter, Test
from connector.wix.sandbox_pages import Page, cursor_page
from connector.wix.sandbox_route import Body, Problem, Route, Seen, envelope, invalid, refused
from connector.wix.sandbox_tables import CHECKOUT_QUERY, CHECKOUT_SEARCH, ORDERS

READ_ORDERS = ("SCOPE.DC-STORES.READ-ORDERS",)
MAX_ORDERS = 100
HIDDEN = frozenset({"PENDING", "REJECTED", "INITIALIZED"})


def search_orders(seen: Seen) -> Body:
    """PENDING and REJECTED orders come only if the filter names a status, INITIALIZED ones never. There is no total."""
    body = envelope(seen.body, "search")
    if "search" not in body:
        raise Problem(400, "search must not be empty")
    site = seen.site
    page = cursor_page(ORDERS, body["search"], site.index.now("order"), site.cursors, prepare=_without_hidden)
    orders = site.world.orders
    shown = [site.orders.show(orders[number]) for number in page.numbers if number in orders]
    metadata = {"count": len(shown), "cursors": page.cursors, "hasNext": page.next is not None}
    return b'{"orders":[' + b",".join(shown) + b'],"metadata":' + orjson.dumps(metadata) + b"}"


def _without_hidden(given: Any, wanted: Filter) -> Filter:
    hidden = frozenset({"INITIALIZED"}) if _names(given, "status") else HIDDEN
    test = wanted.test

    def shown(values: Any) -> bool:
        return values["status"] not in hidden and (test is None or test(values))

    checked: Test = shown
    return Filter(checked, wanted.lower, wanted.ids)


def _names(given: Any, field: str) -> bool:
    """Whether a filter names a field, at whatever depth."""
    if isinstance(given, dict):
        return any(name == field or (name.startswith("$") and _names(part, field)) for name, part in given.items())
    return isinstance(given, list) and any(_names(part, field) for part in given)


def get_order(seen: Seen) -> Body:
    """Every order, one in INITIALIZED too."""
    found = seen.site.orders.find(seen.path["id"])
    if found is None:
        raise refused(404, "NOT_FOUND", "Order not found")
    return b'{"order":' + seen.site.orders.show(found) + b"}"


def list_transactions(seen: Seen) -> Body:
    """Payments and refunds of up to 100 orders; orders that do not exist are missing from the answer.

    Shape: the SDK's types, ecom_order-transactions 1.0.108 (ListTransactionsForMultipleOrders).
    """
    body = envelope(seen.body, "orderIds")
    wanted = body.get("orderIds")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= MAX_ORDERS:
        raise invalid("orderIds", f"must have between 1 and {MAX_ORDERS} values", "SIZE")
    orders = seen.site.orders
    found = [order for each in wanted if (order := orders.find(str(each))) is not None]
    return {"orderTransactions": [orders.transactions(order) for order in found]}


def query_checkouts(seen: Seen) -> Body:
    body = envelope(seen.body, "query")
    if "query" not in body:
        raise Problem(400, "query must not be empty")
    page = cursor_page(CHECKOUT_QUERY, body["query"], seen.site.index.now("cart"), seen.site.cursors)
    shown = _documents(seen, page)
    metadata = {"count": len(shown), "cursors": page.cursors}
    return {"abandonedCheckouts": shown, "results": shown, "metadata": metadata}


def search_checkouts(seen: Seen) -> Body:
    """The same, but what `metadata` is called there is `pagingMetadata` here."""
    search = envelope(seen.body, "search").get("search", {})
    page = cursor_page(CHECKOUT_SEARCH, search, seen.site.index.now("cart"), seen.site.cursors)
    shown = _documents(seen, page)
    return {"abandonedCheckouts": shown, "pagingMetadata": {"count": len(shown), "cursors": page.cursors}}


def get_checkout(seen: Seen) -> Body:
    cart = seen.site.world.by_guid("cart", seen.path["id"])
    found = seen.site.world.carts.get(cart.number if cart is not None else -1)
    if found is None or not checkouts.serves(found):
        raise refused(404, "NOT_FOUND", "Abandoned checkout not found")
    return {"abandonedCheckout": checkouts.show(seen.site.world, found)}


def _documents(seen: Seen, page: Page) -> list[Any]:
    entries = seen.site.index.now("cart").entries
    return [entries[number].document for number in page.numbers]


ROUTES = (
    Route("SearchOrders", "POST", "/ecom/v1/orders/search", READ_ORDERS, search_orders),
    Route("ListTransactions", "POST", "/ecom/v1/payments/list-by-ids", READ_ORDERS, list_transactions),
    Route("GetOrder", "GET", "/ecom/v1/orders/{id}", READ_ORDERS, get_order),
    Route("QueryAbandonedCheckouts", "POST", "/ecom/v1/abandoned-checkout/query", READ_ORDERS, query_checkouts),
    Route("SearchAbandonedCheckouts", "POST", "/ecom/v1/abandoned-checkout/search", READ_ORDERS, search_checkouts),
    Route("GetAbandonedCheckout", "GET", "/ecom/v1/abandoned-checkout/{id}", READ_ORDERS, get_checkout),
)
