"""Abandoned checkouts as Wix shows them. Nobody's cart never becomes one, nor does an empty one."""

from __future__ import annotations

from typing import Any

from connector.sandbox.records import Cart, Line, guid
from connector.sandbox.world import World
from connector.wix.sandbox_contact import STORES_APP, stamp
from connector.wix.sandbox_index import Entry
from connector.wix.sandbox_orders import MAX_LINES, amount, coupon_id, line_id


def serves(cart: Cart) -> bool:
    """Whether Wix would list it: of a known person or address, with something in it."""
    return (cart.customer is not None or bool(cart.email)) and 1 <= len(cart.lines) <= MAX_LINES


def status(cart: Cart) -> str:
    return "RECOVERED" if cart.completed_at is not None else "ABANDONED"


def entry(world: World, cart: Cart) -> Entry | None:
    """What a checkout is found by, and how it looks."""
    if not serves(cart):
        return None
    shown = show(world, cart)
    buyer, details = shown["buyerInfo"], shown.get("contactDetails", {})
    values = {
        "id": shown["id"],
        "createdDate": cart.created_at,
        "updatedDate": cart.updated_at,
        "status": shown["status"],
        "activities.type": (),
        "appliedDiscounts.coupon.code": cart.codes,
        **{f"buyerInfo.{name}": value for name, value in buyer.items()},
        **{f"contactDetails.{name}": value for name, value in details.items()},
    }
    return Entry(values, shown)


def show(world: World, cart: Cart) -> dict[str, Any]:
    """The checkout as it is now."""
    customer = cart.customer
    buyer: dict[str, Any] = {}
    if customer is not None:
        buyer["contactId"] = customer.guid
    if customer is not None and customer.account == "ENABLED":
        buyer["memberId"] = guid("member", customer.number)
    else:
        buyer["visitorId"] = guid("cart_visitor", cart.number)
    if cart.email:
        buyer["email"] = cart.email
    checkout = guid("checkout", cart.number)
    shown: dict[str, Any] = {
        "id": cart.guid,
        "createdDate": stamp(cart.created_at),
        "updatedDate": stamp(cart.updated_at),
        "status": status(cart),
        "checkoutId": checkout,
        "cartId": guid("wix_cart", cart.number),
        "buyerInfo": buyer,
        "currency": cart.currency,
        "conversionCurrency": cart.currency,
        "subtotalPrice": _price(cart.gross, cart.currency),
        "totalPrice": _price(cart.gross - cart.discount, cart.currency),
        "lineItems": [_line(line, place, cart.currency) for place, line in enumerate(cart.lines, 1)],
        "activities": [],
        "checkoutUrl": f"https://{world.domain}/checkout?checkoutId={checkout}",
    }
    if customer is not None and (customer.first_name or customer.last_name):
        names = {"firstName": customer.first_name, "lastName": customer.last_name}
        shown["contactDetails"] = {name: value for name, value in names.items() if value}
    if cart.codes:
        shown["appliedDiscounts"] = [
            {"discountType": "GLOBAL", "coupon": {"id": coupon_id(code), "code": code, "name": code}}
            for code in cart.codes
        ]
    if cart.completed_at is not None:
        shown["checkoutRecoveredDate"] = stamp(cart.completed_at)
    return shown


def _line(line: Line, place: int, currency: str) -> dict[str, Any]:
    return {
        "id": line_id(place),
        "quantity": line.quantity,
        "productName": {"original": line.product.title[:200] or "Item"},
        "catalogReference": {"catalogItemId": line.product.guid, "appId": STORES_APP},
        "price": _price((line.gross - line.discount) // line.quantity, currency),
        "priceBeforeDiscounts": _price(line.price, currency),
        "physicalProperties": {"sku": line.product.sku[:40], "shippable": True},
    }


def _price(minor: int, currency: str) -> dict[str, str]:
    text = amount(minor, currency)
    return {"amount": text, "convertedAmount": text}
