"""Orders as Wix shows them. An order is written when it is asked for, as it is then: its lines are most of a shop, so
none are kept. Contacts and checkouts found through a late index look as they did.

Test orders do not exist on Wix, and an order has at most 300 lines: larger ones are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zlib import crc32

import orjson

from connector.sandbox.money import exponent
from connector.sandbox.records import Order, Product, Refund, guid
from connector.sandbox.world import World
from connector.wix.sandbox_contact import STORES_APP, stamp
from connector.wix.sandbox_filter import Values
from connector.wix.sandbox_index import Entry

MAX_LINES = 300
CHANNELS = {"web": "WEB", "pos": "POS", "draft": "BACKOFFICE_MERCHANT"}
_LINE = (
    b'{"id":"00000000-0000-0000-0000-%012d",%b"quantity":%d,"price":{"amount":"%b"},"priceBeforeDiscounts":{"amount":'
    b'"%b"},"totalDiscount":{"amount":"%b"},"totalPriceBeforeTax":{"amount":"%b"}%b}'
)


def kin(tag: str, of: str) -> str:
    """A GUID that belongs to another one; cheaper than hashing anew."""
    return tag + of[8:]


@lru_cache(maxsize=262_144)
def amount(minor: int, currency: str) -> str:
    """A decimal string with all digits of the currency."""
    digits = exponent(currency)
    text = f"{abs(minor):0{digits + 1}d}"
    sign = "-" if minor < 0 else ""
    return f"{sign}{text[:-digits]}.{text[-digits:]}" if digits else f"{sign}{text}"


class Orders:
    """The orders of a site. `statuses` and `archived` hold what the world does not know, by order number.

    With `moved` an order of a merged contact names the survivor, as in the world; else it keeps the id it had.
    """

    def __init__(self, world: World, *, moved: bool = True) -> None:
        self.world = world
        self.moved = moved
        self.statuses: dict[int, str] = {}
        self.archived: set[int] = set()
        self.checkouts: dict[int, int] = {}
        self._ids: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._people: dict[int, str] = {}
        self._owners: dict[int, int] = {}
        self._first_lines: dict[int, int] = {}
        self._products: dict[int, bytes] = {}
        self._catalogue = world.catalogue

    def serves(self, order: Order) -> bool:
        """Whether Wix can have such an order."""
        return not order.test and 1 <= len(order.lines) <= MAX_LINES

    def entry(self, order: Order) -> Entry | None:
        """What an order is found by; None for one that Wix cannot have."""
        if not self.serves(order):
            return None
        self._first_lines.setdefault(order.number, order.lines[0].number)
        if order.customer is not None:
            self._owners.setdefault(order.number, order.customer.number)
        return Entry(self._values(order))

    def checkout_id(self, order: Order) -> str:
        """The checkout the order was made from; an abandoned one if it was recovered."""
        cart = self.checkouts.get(order.number)
        return guid("checkout", cart) if cart is not None else kin("c4ec0000", self.id(order))

    def id(self, order: Order) -> str:
        known = self._ids.get(order.number)
        if known is None:
            known = self._ids[order.number] = order.guid
            self._numbers[known] = order.number
        return known

    def find(self, order_id: str) -> Order | None:
        """The order behind an id, at once."""
        order = self.world.orders.get(self._numbers.get(order_id, -1))
        return order if order is not None and self.serves(order) else None

    def status(self, order: Order) -> str:
        return self.statuses.get(order.number) or ("CANCELED" if order.cancelled_at else "APPROVED")

    def contact_id(self, order: Order) -> str | None:
        """None for a guest, who is known by a visitor's id only."""
        if order.customer is None:
            return None
        number = order.customer.number if self.moved else self._owners.get(order.number, order.customer.number)
        known = self._people.get(number)
        if known is None:
            known = self._people[number] = guid("customer", number)
        return known

    def _values(self, order: Order) -> Values:
        lines = order.lines
        status = self.status(order)
        return {
            "id": self.id(order),
            "createdDate": order.created_at,
            "updatedDate": order.updated_at,
            "purchasedDate": order.processed_at,
            "number": order.name.lstrip("#"),
            "status": status,
            "paymentStatus": payment_status(order),
            "fulfillmentStatus": fulfillment_status(order),
            "buyerInfo.email": order.email,
            "buyerInfo.contactId": lambda: self.contact_id(order),
            "checkoutId": lambda: self.checkout_id(order),
            "priceSummary.total.amount": Decimal(order.total).scaleb(-exponent(order.currency)),
            "archived": order.number in self.archived,
            "imported": order.processed_at != order.created_at,
            "demo": False,
            "channelInfo.type": CHANNELS.get(order.source, "OTHER_PLATFORM"),
            "lineItems.catalogReference.appId": (STORES_APP,),
            "lineItems.catalogReference.catalogItemId": lambda: tuple({line.product.guid for line in lines}),
            "lineItems.productName.original": lambda: tuple({line.product.title for line in lines}),
            "appliedDiscounts.coupon.id": tuple(coupon_id(code) for code in order.codes),
        }

    def show(self, order: Order) -> bytes:
        """The order as JSON."""
        money = _money(order.currency)
        own = self.id(order)
        buyer = {"contactId": self.contact_id(order), "email": order.email or None}
        if order.customer is not None and order.customer.account == "ENABLED":
            buyer["memberId"] = guid("member", order.customer.number)
        else:
            buyer["visitorId"] = kin("f15170e0", own)
        shown: dict[str, Any] = {
            "id": own,
            "number": order.name.lstrip("#"),
            "createdDate": stamp(order.created_at),
            "updatedDate": stamp(order.updated_at),
            "buyerInfo": {name: value for name, value in buyer.items() if value},
            "status": self.status(order),
            "paymentStatus": payment_status(order),
            "fulfillmentStatus": fulfillment_status(order),
            "currency": order.currency,
            "archived": order.number in self.archived,
            "imported": order.processed_at != order.created_at,
            "checkoutId": self.checkout_id(order),
            "purchaseFlowId": kin("f1000000", own),
            "channelInfo": {"type": CHANNELS.get(order.source, "OTHER_PLATFORM")},
            "priceSummary": {
                "subtotal": money(order.gross),
                "shipping": money(order.shipping),
                "tax": money(order.tax),
                "discount": money(order.discount),
                "total": money(order.total),
            },
            "balanceSummary": _balance(order, money),
            "activities": _activities(order, own),
        }
        if order.processed_at != order.created_at:
            shown["purchasedDate"] = stamp(order.processed_at)
        if order.language:
            shown["buyerLanguage"] = order.language
        if discounts := _discounts(order, money):
            shown["appliedDiscounts"] = discounts
        if order.country:
            shown["recipientInfo"] = {"address": _address(order)}
        return orjson.dumps(shown)[:-1] + b',"lineItems":[' + self._lines(order) + b"]}"

    def transactions(self, order: Order) -> dict[str, Any]:
        """The money that went both ways, a refund as a record of its own with its date."""
        money = _money(order.currency)
        payment = guid("payment", order.number)
        paid = {
            "id": payment,
            "createdDate": stamp(order.created_at),
            "updatedDate": stamp(order.created_at),
            "amount": money(order.total),
            "refundDisabled": False,
            "regularPaymentDetails": {"offlinePayment": False, "status": "APPROVED"},
            "status": "APPROVED",
        }
        return {
            "orderId": order.guid,
            "payments": [paid] if order.paid else [],
            "refunds": [self._refund(order, refund, payment) for refund in order.refunds],
        }

    def _refund(self, order: Order, refund: Refund, payment: str) -> dict[str, Any]:
        """Goods that came back are named by the order's line ids."""
        first = self._first_lines.get(order.number, order.lines[0].number)
        items = [{"lineItemId": line_id(part.line - first + 1), "quantity": part.quantity} for part in refund.lines]
        part = {
            "paymentId": payment,
            "amount": {"amount": amount(refund.amount, order.currency)},
            "refundStatus": "SUCCEEDED",
            "externalRefund": False,
        }
        return {
            "id": refund.guid,
            "createdDate": stamp(refund.created_at),
            "transactions": [part],
            "details": {"items": items, "lineItems": items, "shippingIncluded": False},
        }

    def _lines(self, order: Order) -> bytes:
        """A line's id is its place: unique within the order only, as with Wix."""
        first = self._first_lines.get(order.number, order.lines[0].number) - 1
        back = order.returned() if order.refunds else {}
        world, products, currency = self.world, self._products, order.currency
        if self._catalogue != world.catalogue:
            self._catalogue = world.catalogue
            products.clear()
        shown = []
        for line in order.lines:
            number, product, quantity, price, allocations = line
            part = products.get(product.number) or self._product(product)
            listed = _bytes(price, currency)
            if allocations:
                discount = line.discount
                rest = quantity * price - discount
                unit, off = _bytes(round(Decimal(rest) / quantity), currency), _bytes(discount, currency)
            else:
                rest = quantity * price
                unit, off = listed, _bytes(0, currency)
            returned = b',"refundQuantity":%d' % back[number] if number in back else b""
            shown.append(_LINE % (number - first, part, quantity, unit, listed, off, _bytes(rest, currency), returned))
        return b",".join(shown)

    def _product(self, product: Product) -> bytes:
        """The part of a line that is the same whoever buys the product."""
        shown = {
            "productName": {"original": product.title[:200] or "Item"},
            "catalogReference": {"catalogItemId": product.guid, "appId": STORES_APP},
            "itemType": {"preset": "PHYSICAL"},
            "physicalProperties": {"sku": product.sku[:40], "shippable": True},
        }
        part = self._products[product.number] = orjson.dumps(shown)[1:-1] + b","
        return part


@lru_cache(maxsize=262_144)
def _bytes(minor: int, currency: str) -> bytes:
    return amount(minor, currency).encode()


def _money(currency: str) -> Callable[[int], dict[str, str]]:
    return lambda minor: {"amount": amount(minor, currency)}


def line_id(place: int) -> str:
    return f"00000000-0000-0000-0000-{place:012d}"


def payment_status(order: Order) -> str:
    if not order.paid:
        return "NOT_PAID"
    back = order.refunded
    if not back:
        return "PAID"
    return "FULLY_REFUNDED" if back >= order.total else "PARTIALLY_REFUNDED"


def fulfillment_status(order: Order) -> str:
    return "FULFILLED" if order.paid and not order.cancelled_at else "NOT_FULFILLED"


def coupon_id(code: str) -> str:
    return guid("coupon", crc32(code.encode()))


def _balance(order: Order, money: Callable[[int], dict[str, str]]) -> dict[str, Any]:
    """`paid` includes what was given back later."""
    paid = order.total if order.paid else 0
    return {
        "balance": money(order.total - paid),
        "paid": money(paid),
        "refunded": money(order.refunded),
        "authorized": money(0),
        "pending": money(0),
        "pendingRefund": money(0),
    }


def _activities(order: Order, own: str) -> list[dict[str, Any]]:
    found = [(order.created_at, "ORDER_PLACED", kin("ac71000a", own))]
    if order.paid:
        found.append((order.created_at, "ORDER_PAID", kin("ac71000b", own)))
    found += [
        (refund.created_at, "PAYMENT_REFUNDED", guid("refund_activity", refund.number)) for refund in order.refunds
    ]
    if order.cancelled_at:
        found.append((order.cancelled_at, "ORDER_CANCELED", kin("ac71000c", own)))
    return [{"id": number, "createdDate": stamp(at), "activityType": kind} for at, kind, number in found]


def _discounts(order: Order, money: Callable[[int], dict[str, str]]) -> list[dict[str, Any]]:
    """Coupons with what they took off; what no code accounts for is the merchant's discount, or the first coupon's
    where no line says which code it was."""
    by_code: dict[str, int] = dict.fromkeys(order.codes, 0)
    other = 0
    for line in order.lines:
        for off, code, _ in line.allocations:
            if code is None:
                other += off
            else:
                by_code[code] = by_code.get(code, 0) + off
    if other and order.codes and not any(by_code.values()):
        by_code[order.codes[0]], other = other, 0
    shown: list[dict[str, Any]] = [
        {
            "discountType": "GLOBAL",
            "coupon": {"id": coupon_id(code), "code": code, "name": code, "amount": money(off)},
        }
        for code, off in by_code.items()
    ]
    if other:
        shown.append({"discountType": "SPECIFIC_ITEMS", "merchantDiscount": {"amount": money(other)}})
    return shown


def _address(order: Order) -> dict[str, str]:
    address = {"country": order.country, "city": order.city}
    if order.country and order.region:
        address["subdivision"] = f"{order.country}-{order.region}"
    return {name: value for name, value in address.items() if value}
