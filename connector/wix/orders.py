"""Reading orders and abandoned checkouts.

Both are walked by cursor, oldest change first. A cursor lives as long as its walk; where to go on after a stop is told
by the last change date instead, for Wix publishes no lifetime of cursors.

A checkout that became an order counts as recovered, though Wix may still show it as abandoned: the checkouts of a page
are looked up among the orders (`checkoutId` can be filtered there). And because no change date of a checkout need move
when its order comes later, the open checkouts of the contacts whose orders this run has read are looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from connector.base import Call, Cursor, Page
from connector.errors import ScopeError
from connector.wix import wire
from connector.wix.connection import Connection
from connector.wix.contacts import chunks
from connector.wix.judge import Refused
from connector.wix.limits import limits
from connector.wix.records import refunded_in_parts
from connector.wix.walk import Leaf, Meter, by_cursor
from connector.wix.wire import epoch, iso, mapping, records, text
from mappings.load import MappingError

_BUYERS = "buyers"
_PAYMENTS = "payments"


def begin(since: Cursor) -> str | None:
    """The change date at which a range begins: its mark, or where a walk through it was stopped."""
    stopped = (since.page_token or "").rpartition("/")[0]
    return stopped or (None if since.high_water is None else iso(since.high_water))


def in_order(leaves: Iterable[Leaf], start: str | None) -> Iterator[tuple[Leaf, str | None]]:
    """Each page with the token that resumes after it: the last change date, and a number that makes it unique."""
    reached = start or iso(0)
    for number, leaf in enumerate(leaves, 1):
        dates = [at for each in leaf.items if (at := text(each.get("updatedDate")))]
        reached = max([reached, *dates[-1:]])
        yield leaf, f"{reached}/{number}" if leaf.more else None


class Orders:
    """Orders of a site, those pending, rejected, cancelled and archived too."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pages(self, since: Cursor) -> Iterator[Page]:
        """Orders that changed at or after the mark."""
        meter, start = Meter(self._connection), begin(since)
        walk = by_cursor(self._connection, lambda cursor: wire.orders_changed(start, cursor), "orders")
        for leaf, token in in_order(walk, start):
            if since.high_water is not None:
                self._remember_buyers(leaf.items, since.high_water)
            yield Page(self._whole(leaf.items), token, meter.lap())

    def by_ids(self, ids: Sequence[str]) -> Iterator[Page]:
        """These orders; an order that does not exist (any more) is missing."""
        meter = Meter(self._connection)
        for found in self._found(ids, wire.orders_by_ids):
            yield Page(self._whole(found), None, meter.lap())

    def ids(self) -> Iterator[Page]:
        """Every order as {"id": ...}. Wix has no lighter way to list them."""
        meter = Meter(self._connection)
        for number, leaf in enumerate(by_cursor(self._connection, wire.orders_listed, "orders")):
            ids = [{"id": each["id"]} for each in leaf.items if each.get("id")]
            yield Page(ids, str(number) if leaf.more else None, meter.lap())

    def of_checkouts(self, checkouts: Sequence[str]) -> dict[str, str]:
        """When these checkouts were ordered, by checkout; orders that were rejected are none."""
        dates: dict[str, str] = {}
        for found in self._found(checkouts, wire.orders_of_checkouts):
            for each in found:
                checkout, at = text(each.get("checkoutId")), text(each.get("createdDate"))
                if checkout and at and each.get("status") != "REJECTED":
                    dates[checkout.lower()] = at
        return dates

    def _found(
        self, ids: Sequence[str], build: Callable[[Sequence[str], str | None], Call]
    ) -> Iterator[list[dict[str, Any]]]:
        for chunk in chunks(ids, limits().pages.ids):
            for leaf in by_cursor(self._connection, lambda cursor, chunk=chunk: build(chunk, cursor), "orders"):  # type: ignore[misc]
                yield leaf.items

    def _remember_buyers(self, found: Iterable[dict[str, Any]], mark: int) -> None:
        """Whose open checkouts may have become an order: orders of before the mark were seen by an earlier run."""
        buyers: dict[str, None] = self._connection.learnt.setdefault(_BUYERS, {})
        for each in found:
            contact = text(mapping(each.get("buyerInfo")).get("contactId"))
            if contact and text(each.get("checkoutId")) and int(epoch(each.get("createdDate")) or 0) > mark:
                buyers[contact] = None

    def _whole(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """With the refunds of those orders that do not tell themselves what went back when."""
        parted = {str(each.get("id")).lower(): each for each in found if _parted(each)}
        for chunk in chunks(list(parted), limits().pages.payments):
            if self._connection.learnt.get(_PAYMENTS) is False:
                break
            try:
                body = self._connection.read(wire.transactions(chunk))
            except (ScopeError, Refused) as error:
                self._connection.learnt[_PAYMENTS] = False
                self._connection.missing[_PAYMENTS] = str(error)
                break
            for each in records(body, "orderTransactions"):
                order = parted.get(str(each.get("orderId")).lower())
                if order is not None:
                    order["ourTransactions"] = records(each, "refunds")
        return found


class Carts:
    """Abandoned checkouts: the only baskets that Wix lists. Guests who never began a checkout are not among them."""

    def __init__(self, connection: Connection, orders: Orders) -> None:
        self._connection = connection
        self._orders = orders

    def pages(self, since: Cursor) -> Iterator[Page]:
        """Checkouts that changed at or after the mark, then those whose order has come since."""
        meter, start = Meter(self._connection), begin(since)
        buyers = list(self._connection.learnt.pop(_BUYERS, {})) if since.high_water is not None else []
        walk = by_cursor(self._connection, lambda cursor: wire.carts_changed(start, cursor), "abandonedCheckouts")
        for leaf, token in in_order(walk, start):
            if token is None and buyers:
                token = f"{start or iso(0)}/buyers"
            yield Page(self._whole(leaf.items), token, meter.lap())
        if buyers:
            yield Page(self._ordered_since(buyers), None, meter.lap())

    def by_ids(self, ids: Sequence[str]) -> Iterator[Page]:
        """These checkouts."""
        meter = Meter(self._connection)
        for found in self._found(ids, wire.carts_by_ids):
            yield Page(self._whole(found), None, meter.lap())

    def _ordered_since(self, contacts: Sequence[str]) -> list[dict[str, Any]]:
        found = [each for page in self._found(contacts, wire.carts_open_of) for each in page]
        return [each for each in self._whole(found) if "ourOrderDate" in each]

    def _found(
        self, ids: Sequence[str], build: Callable[[Sequence[str], str | None], Call]
    ) -> Iterator[list[dict[str, Any]]]:
        for chunk in chunks(ids, limits().pages.ids):
            for leaf in by_cursor(
                self._connection,
                lambda cursor, chunk=chunk: build(chunk, cursor),  # type: ignore[misc]
                "abandonedCheckouts",
            ):
                yield leaf.items

    def _whole(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """With the order's date for those that became one."""
        open_ = {
            checkout.lower(): each
            for each in found
            if each.get("status") != "RECOVERED" and (checkout := text(each.get("checkoutId")))
        }
        for checkout, at in self._orders.of_checkouts(list(open_)).items() if open_ else ():
            if checkout in open_:
                open_[checkout]["ourOrderDate"] = at
        return found


def _parted(order: dict[str, Any]) -> bool:
    """An order whose amounts cannot be read is told of where it is mapped."""
    try:
        return refunded_in_parts(order)
    except MappingError:
        return False
