"""Reading orders and abandoned checkouts.

Both are walked by cursor, oldest change first. A cursor lives as long as its walk; where to go on after a stop is told
by the last change date instead, for Wix publishes no lifetime of cursors. A checkout whose `checkoutId` stands on an
order was bought, even where Wix still shows it as abandoned: both are mapped with that id, and joined where they are
stored.

Orders that do not tell themselves what went back when wait until one request for their refunds is full, and come with
a later page.
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
from connector.wix.waiting import Waiting, owed, place, renewed
from connector.wix.walk import Leaf, Meter, by_cursor
from connector.wix.wire import after, iso, records, text
from mappings.load import MappingError

_PAYMENTS = "payments"
_CHECKOUTS = "abandonedCheckouts"


def begin(since: Cursor) -> str | None:
    """The change date at which a range begins: behind its mark, or where a walk through it was stopped."""
    stopped = place(since.page_token).rpartition("/")[0]
    return stopped or (None if since.high_water is None else after(since.high_water))


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
        """Orders that changed after the mark. At most a page of them and a request for refunds less one are held."""
        meter, waiting, owing = Meter(self._connection), self._waiting(), owed(since.page_token)
        for leaf, token in in_order(self._changed, begin(since)):
            again = [each for more in self._by_ids(owing) for each in more.items]
            whole = waiting.sift(renewed(leaf.items, again), last=token is None)
            owing = []
            yield Page(whole, waiting.token(token), meter.lap())

    def by_ids(self, ids: Sequence[str]) -> Iterator[Page]:
        """These orders; an order that does not exist (any more) is missing."""
        meter, waiting = Meter(self._connection), self._waiting()
        for leaf in self._by_ids(ids):
            yield Page(waiting.sift(leaf.items), None, meter.lap())
        if rest := waiting.sift((), last=True):
            yield Page(rest, None, meter.lap())

    def ids(self) -> Iterator[Page]:
        """Every order as {"id": ...}. Wix has no lighter way to list them."""
        meter = Meter(self._connection)
        for number, leaf in enumerate(by_cursor(self._connection, wire.orders_listed, "orders")):
            ids = [{"id": each["id"]} for each in leaf.items if each.get("id")]
            yield Page(ids, str(number) if leaf.more else None, meter.lap())

    def _changed(self, since: str | None) -> Iterator[Leaf]:
        return by_cursor(self._connection, partial(wire.orders_changed, since), "orders")

    def _by_ids(self, ids: Sequence[str]) -> Iterator[Leaf]:
        for chunk in chunks(ids, limits().pages.ids):
            yield from by_cursor(self._connection, partial(wire.orders_by_ids, chunk), "orders")

    def _waiting(self) -> Waiting:
        return Waiting(limits().pages.payments, self._unclear, self._add_refunds)

    def _unclear(self, order: dict[str, Any]) -> bool:
        """True where refunds have to be asked for; what cannot be read at all is told of where it is mapped."""
        try:
            return self._connection.learnt.get(_PAYMENTS) is not False and refunded_in_parts(order)
        except MappingError:
            return False

    def _add_refunds(self, orders: Sequence[dict[str, Any]]) -> bool:
        """False where the site or the key has no such call."""
        by_id = {order["id"].lower(): order for order in orders}
        try:
            body = self._connection.read(wire.transactions(list(by_id)))
        except (ScopeError, Refused) as error:
            self._connection.learnt[_PAYMENTS] = False
            self._connection.missing[_PAYMENTS] = str(error)
            return False
        for each in records(body, "orderTransactions"):
            order = by_id.get(str(each.get("orderId")).lower())
            if order is not None:
                order["ourTransactions"] = records(each, "refunds")
        return True


class Carts:
    """Abandoned checkouts: the only baskets that Wix lists. Guests who never began a checkout are not among them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pages(self, since: Cursor) -> Iterator[Page]:
        """Checkouts that changed after the mark."""
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
