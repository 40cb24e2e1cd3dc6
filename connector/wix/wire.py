"""Requests for orders, abandoned checkouts and the site itself, and what all answers have in common. Pure.

Orders: `POST /ecom/v1/orders/search`, everything under `search`. PENDING and REJECTED are left out unless statuses are
named; INITIALIZED is never found. Checkouts: `POST /ecom/v1/abandoned-checkout/query`, everything under `query`. With a
cursor neither filter nor sort may be sent: both are locked in it.
Site: `GET /site-properties/v4/properties` answers `{version, properties: {siteDisplayName, businessName, timeZone,
paymentCurrency}}` (dev.wix.com, Get Site Properties; types, business-tools_site-properties), permission
SCOPE.DC.MANAGE-YOUR-APP. An app is told the same but the zone by `GET /apps/v1/instance`: `{site: {siteId,
siteDisplayName, paymentCurrency}}` (dev.wix.com, Get App Instance).
Refunds: `POST /ecom/v1/payments/list-by-ids` `{orderIds}` answers `orderTransactions[]{orderId, refunds[]{id,
createdDate, transactions[]{amount, refundStatus}}}` (types, ecom_order-transactions; dev.wix.com, List Transactions For
Multiple Orders), permission as orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connector.base import Call, Stream
from connector.wix.limits import limits

CUSTOMERS = Stream("customers", ordered=False)
PRODUCTS = Stream("products", ordered=False, optional=True)
ORDERS = Stream("orders")
CARTS = Stream("carts")
EVENTS = Stream("events", optional=True)
EMAIL_EVENTS = Stream("email_events", ordered=False, lag=86_400, table="events", optional=True)
"""Opens and clicks are dated when they happened, and reach the statistics later."""

STREAMS = (CUSTOMERS, PRODUCTS, ORDERS, CARTS, EVENTS, EMAIL_EVENTS)

STATUSES = ("APPROVED", "CANCELED", "PENDING", "REJECTED")

_BY_CHANGE = ({"fieldName": "updatedDate", "order": "ASC"}, {"fieldName": "number", "order": "ASC"})
_BY_CREATION = ({"fieldName": "createdDate", "order": "ASC"},)


def iso(instant: float) -> str:
    """A date as Wix's filters take it."""
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def after(mark: int) -> str:
    """Where a range behind `mark` begins, as a filter takes it: the second after.

    A mark is never younger than a stream's lag. Whatever changed in its second was there when it was read, and is not
    read again on each run.
    """
    return iso(mark + 1)


def epoch(text: Any) -> float | None:
    """UTC epoch seconds of a date as Wix writes it; None for anything else."""
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except ValueError:
        return None


def site_properties() -> Call:
    """Name, currency and zone."""
    return Call("GetSiteProperties", "GET", "/site-properties/v4/properties")


def app_instance() -> Call:
    """Where the app is installed; for apps only."""
    return Call("GetAppInstance", "GET", "/apps/v1/instance")


def orders_changed(since: str | None, cursor: str | None, limit: int | None = None) -> Call:
    """A page of orders that changed at `since` or later, oldest change first."""
    matching: dict[str, Any] = {} if since is None else {"updatedDate": {"$gte": since}}
    return _search_orders(matching, _BY_CHANGE, cursor, limit or limits().pages.orders)


def orders_listed(cursor: str | None) -> Call:
    """A page of all orders in the order of their creation: nothing moves while they are read."""
    return _search_orders({}, _BY_CREATION, cursor, limits().pages.orders)


def orders_by_ids(ids: Sequence[str], cursor: str | None) -> Call:
    """These orders."""
    return _search_orders({"id": {"$in": list(ids)}}, _BY_CREATION, cursor, limits().pages.orders)


def transactions(orders: Sequence[str]) -> Call:
    """Payments and refunds of these orders."""
    return Call("ListTransactions", "POST", "/ecom/v1/payments/list-by-ids", json={"orderIds": list(orders)})


def carts_changed(since: str | None, cursor: str | None, limit: int | None = None) -> Call:
    """A page of abandoned checkouts that changed at `since` or later, oldest change first."""
    matching: dict[str, Any] = {} if since is None else {"updatedDate": {"$gte": since}}
    return _query_carts(matching, _BY_CHANGE[:1], cursor, limit or limits().pages.carts)


def carts_by_ids(ids: Sequence[str], cursor: str | None) -> Call:
    """These abandoned checkouts."""
    return _query_carts({"id": {"$in": list(ids)}}, _BY_CREATION, cursor, limits().pages.carts)


def records(body: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of a page; what is no object is left out."""
    found = body.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def following(body: Mapping[str, Any], key: str = "metadata") -> str | None:
    """The cursor of the next page: None where `hasNext` is false or no cursor is given."""
    metadata = mapping(body.get(key))
    if metadata.get("hasNext") is False:
        return None
    return text(mapping(metadata.get("cursors")).get("next"))


def mapping(value: Any) -> Mapping[str, Any]:
    """The object that should stand there; empty where something else or nothing does."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str | None:
    """Text that says something."""
    return value if isinstance(value, str) and value.strip() else None


def items(value: Any) -> list[Any]:
    """The `items` of a wrapped list."""
    found = mapping(value).get("items")
    return found if isinstance(found, list) else []


def _search_orders(matching: dict[str, Any], sort: Sequence[Any], cursor: str | None, limit: int) -> Call:
    matching = {**matching, "status": {"$in": list(STATUSES)}}
    return Call(
        "SearchOrders", "POST", "/ecom/v1/orders/search", json={"search": _paged(matching, sort, cursor, limit)}
    )


def _query_carts(matching: dict[str, Any], sort: Sequence[Any], cursor: str | None, limit: int) -> Call:
    return Call(
        "QueryAbandonedCheckouts",
        "POST",
        "/ecom/v1/abandoned-checkout/query",
        json={"query": _paged(matching, sort, cursor, limit)},
    )


def _paged(matching: Mapping[str, Any], sort: Sequence[Any], cursor: str | None, limit: int) -> dict[str, Any]:
    if cursor is not None:
        return {"cursorPaging": {"limit": limit, "cursor": cursor}}
    return {"filter": dict(matching), "sort": list(sort), "cursorPaging": {"limit": limit}}
