"""Reading orders and abandoned checkouts.

Both are walked by cursor, oldest change first. A cursor lives as long as its walk; where to go on after a stop is told
by the last change date instead, for Wix publishes no lifetime of cursors. A checkout whose `checkoutId` stands on an
order was bought, even where Wix still shows it as abandoned: both are mapped with that id, and joined where they are
stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from connector.base import Cursor, Page
from connector.errors import ScopeError
from connector.wix import wire
from connector.wix.connection import Connection
from connector.wix.contacts import chunks
from connector.wix.judge import Refused
from connector.wix.limits import limits
from connector.wix.records import refunded_in_parts
from connector.wix.walk import Leaf, Meter, by_cursor
from connector.wix.wire import iso, records, text
from mappings.load import MappingError

_PAYMENTS = "payments"
_CHECKOUTS = "abandonedCheckouts"


def begin(since: Cursor) -> str | None:
    """The change date at which a range begins: its mark, or where a walk through it was stopped."""
    stopped = (since.page_token or "").rpartition("/")[0]
    return stopped or (None if since.high_water is None else iso(since.high_water))


def in_order(walk: Callable[[str | None], Iterable[Leaf]], start: str | None) -> Iterator[tuple[Leaf, str | None]]:
    """Each page with the token that resumes after it: the last change date, and a number that makes it unique.

    A cursor that is refused on the way has died of age: the walk begins again where it had come to.
    """
    begun, reached, number = start, start or iso(0), 0
    while True:
        try:
            for leaf in walk(begun):
                number += 1
                dates = [at for each in leaf.items if (at := text(each.get("updatedDate")))]
                reached = max([reached, *dates[-1:]])
                yield leaf, f"{reached}/{number}" if leaf.more else None
            return
        except Refused:
            if reached == (begun or iso(0)):
                raise
            begun = reached


class Orders:
    """Orders of a site, those pending, rejected, cancelled and archived too."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pages(self, since: Cursor) -> Iterator[Page]:
        """Orders that changed at or after the mark."""
        meter, start = Meter(self._connection), begin(since)
        for leaf, token in in_order(self._changed, start):
            yield Page(self._whole(leaf.items), token, meter.lap())

    def by_ids(self, ids: Sequence[str]) -> Iterator[Page]:
        """These orders; an order that does not exist (any more) is missing."""
        meter = Meter(self._connection)
        for chunk in chunks(ids, limits().pages.ids):
            for leaf in by_cursor(self._connection, partial(wire.orders_by_ids, chunk), "orders"):
                yield Page(self._whole(leaf.items), None, meter.lap())

    def ids(self) -> Iterator[Page]:
        """Every order as {"id": ...}. Wix has no lighter way to list them."""
        meter = Meter(self._connection)
        for number, leaf in enumerate(by_cursor(self._connection, wire.orders_listed, "orders")):
            ids = [{"id": each["id"]} for each in leaf.items if each.get("id")]
            yield Page(ids, str(number) if leaf.more else None, meter.lap())

    def _changed(self, since: str | None) -> Iterator[Leaf]:
        return by_cursor(self._connection, partial(wire.orders_changed, since), "orders")

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

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pages(self, since: Cursor) -> Iterator[Page]:
        """Checkouts that changed at or after the mark."""
        meter, start = Meter(self._connection), begin(since)
        for leaf, token in in_order(self._changed, start):
            yield Page(leaf.items, token, meter.lap())

    def by_ids(self, ids: Sequence[str]) -> Iterator[Page]:
        """These checkouts."""
        meter = Meter(self._connection)
        for chunk in chunks(ids, limits().pages.ids):
            for leaf in by_cursor(self._connection, partial(wire.carts_by_ids, chunk), _CHECKOUTS):
                yield Page(leaf.items, None, meter.lap())

    def _changed(self, since: str | None) -> Iterator[Leaf]:
        return by_cursor(self._connection, partial(wire.carts_changed, since), _CHECKOUTS)


def _parted(order: dict[str, Any]) -> bool:
    """An order whose amounts cannot be read is told of where it is mapped."""
    try:
        return refunded_in_parts(order)
    except MappingError:
        return False
