"""What a Shopify record needs before the mapping can read it: sums, compound names, ids.

Pure: the record itself is left alone. Raises MappingError where a record cannot be prepared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from connector.base import Record
from mappings.load import MappingError

Prepare = Callable[[Record], dict[str, Any]]


def customer(record: Record) -> dict[str, Any]:
    """Region and city as Shopify's segments name them: `US-CA`, `US-CA-Los Angeles`."""
    address = record.get("defaultAddress") or {}
    country, province, city = (address.get(key) for key in ("countryCodeV2", "provinceCode", "city"))
    region = f"{country}-{province}" if country and province else None
    return {
        **record,
        "ourRegion": region,
        "ourCity": "-".join(part for part in (country, province, city) if part) if city and country else None,
        "tags": list(dict.fromkeys(record.get("tags") or [])),
    }


def order(record: Record) -> dict[str, Any]:
    """Discounts and net value per line, and their sums.

    Order-level discounts reach the lines only in `discountAllocations`, and `discountedTotalSet` never includes them
    (shopify.dev/docs/api/admin-graphql/2026-10/objects/LineItem). A discount on shipping is on no line and in no sum.
    """
    gross = discount = Decimal(0)
    lines = []
    for number, line in enumerate(_lines(record)):
        at = f"lineItems.nodes[{number}]"
        listed = _amount(record, f"{at}.originalTotalSet", line.get("originalTotalSet"))
        off = sum(
            (
                _amount(record, f"{at}.discountAllocations", allocation.get("allocatedAmountSet"))
                for allocation in line.get("discountAllocations") or []
            ),
            Decimal(0),
        )
        gross += listed
        discount += off
        lines.append({**line, "ourDiscount": _text(off), "ourNet": _text(listed - off)})
    codes = list(dict.fromkeys(record.get("discountCodes") or []))
    return {
        **record,
        "lineItems": {"nodes": lines},
        "discountCodes": codes,
        "ourGross": _text(gross),
        "ourDiscount": _text(discount),
        "ourCoupon": bool(codes),
        "ourProductTags": _product_tags(lines),
    }


def cart(record: Record) -> dict[str, Any]:
    """List value of the lines, and numbers for lines that have none."""
    gross = Decimal(0)
    lines = []
    for number, line in enumerate(_lines(record)):
        gross += _amount(record, f"lineItems.nodes[{number}].originalTotalPriceSet", line.get("originalTotalPriceSet"))
        lines.append({**line, "ourId": cart_line_number(str(record.get("id")), str(line.get("id")))})
    return {
        **record,
        "lineItems": {"nodes": lines},
        "ourGross": _text(gross),
        "ourProductTags": _product_tags(lines),
    }


def cart_line_number(checkout: str, line: str) -> int:
    """A stable number for a checkout's line.

    Its id carries a key, not a number: `gid://shopify/AbandonedCheckoutLineItem/<hex>?checkout=<token>&index=0`.
    """
    key = line.partition("?")[0].rpartition("/")[2]
    digest = hashlib.blake2b(f"{checkout}/{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


PREPARE: Mapping[str, Prepare] = {"customers": customer, "orders": order, "carts": cart}


def _lines(record: Record) -> list[Any]:
    nodes: list[Any] = (record.get("lineItems") or {}).get("nodes") or []
    return nodes


def _amount(record: Record, path: str, bag: Any) -> Decimal:
    """The shop-money amount of a MoneyBag, in the currency of the record's total."""
    try:
        money = bag["shopMoney"]
        value = Decimal(money["amount"])
    except (TypeError, KeyError, InvalidOperation):
        raise MappingError(path, str(record.get("id", "?")), "is no amount of money") from None
    if not value.is_finite():
        raise MappingError(path, str(record.get("id", "?")), "is no amount of money")
    total = ((record.get("totalPriceSet") or {}).get("shopMoney") or {}).get("currencyCode")
    if money.get("currencyCode", total) != total:
        text = f"is in {money['currencyCode']}, the total in {total}"
        raise MappingError(path, str(record.get("id", "?")), text)
    return value


def _text(value: Decimal) -> str:
    return format(value, "f")


def _product_tags(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    seen: dict[tuple[str, str], None] = {}
    for line in lines:
        product = line.get("product") or {}
        for tag in product.get("tags") or []:
            seen[(product["id"], tag)] = None
    return [{"product": product, "tag": tag} for product, tag in seen]
