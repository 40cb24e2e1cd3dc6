"""What a Shopify record needs before the mapping can read it: sums, compound names, ids.

Pure: the record itself is left alone. Raises MappingError where a record cannot be prepared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from connector.base import Record
from connector.shopify.limits import limits
from connector.shopify.wire import number
from mappings.load import MappingError
from mappings.money import exponent, to_minor

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
    """Discounts and net value per line, and their sums, in minor units.

    Order-level discounts reach the lines only in `discountAllocations`, and `discountedTotalSet` never includes them
    (shopify.dev/docs/api/admin-graphql/2026-10/objects/LineItem). A discount on shipping is on no line and in no sum.
    """
    money = _Money(record)
    gross = discount = 0
    lines: list[dict[str, Any]] = []
    for line in _lines(record):
        listed = money.minor(line["originalTotalSet"], "originalTotalSet", len(lines))
        off = 0
        for allocation in line["discountAllocations"]:
            off += money.minor(allocation["allocatedAmountSet"], "discountAllocations", len(lines))
        gross += listed
        discount += off
        lines.append({**line, "ourGross": listed, "ourDiscount": off, "ourNet": listed - off})
    codes = list(dict.fromkeys(record["discountCodes"]))
    return {
        **record,
        "lineItems": {"nodes": lines},
        "discountCodes": codes,
        "ourGross": gross,
        "ourDiscount": discount,
        "ourCoupon": bool(codes),
        "ourProductTags": _product_tags(lines),
    }


def cart(record: Record) -> dict[str, Any]:
    """List value of the lines, and numbers for lines that have none."""
    money = _Money(record)
    gross = 0
    lines: list[dict[str, Any]] = []
    for line in _lines(record):
        listed = money.minor(line["originalTotalPriceSet"], "originalTotalPriceSet", len(lines))
        gross += listed
        lines.append({**line, "ourId": cart_line_number(record["id"], line["id"]), "ourGross": listed})
    return {
        **record,
        "lineItems": {"nodes": lines},
        "ourGross": gross,
        "ourProductTags": _product_tags(lines),
    }


def cart_line_number(checkout: str, line: str) -> int:
    """A stable number for a checkout's line.

    Its id carries a key, not a number: `gid://shopify/AbandonedCheckoutLineItem/<hex>?checkout=<token>&index=0`.
    """
    key = line.partition("?")[0].rpartition("/")[2]
    digest = hashlib.blake2b(f"{checkout}/{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def withheld(stream: str, record: Record, denied: Iterable[str]) -> list[str]:
    """The columns that are empty in this record because their fields were refused.

    `denied` are paths in a record. A field that may not be null takes its parents with it, up to one that may: what
    lies below that one is withheld as well. An answer names refusals, but not reliably each record they concern: a
    record that has no value where one was refused counts as refused.
    """
    columns: dict[str, None] = {}
    for path in denied:
        hole = _hole(record, path)
        if hole is not None:
            for place, fed in limits().withheld[stream].items():
                if place == hole or place.startswith(f"{hole}."):
                    columns |= dict.fromkeys(fed)
    return list(columns)


def _hole(record: Record, path: str) -> str | None:
    """The first part of the path that is null in the record."""
    value: Any = record
    steps = path.split(".")
    for at, step in enumerate(steps):
        value = value.get(step) if isinstance(value, Mapping) else value
        if value is None:
            return ".".join(steps[: at + 1])
    return None


PREPARE: Mapping[str, Prepare] = {"customers": customer, "orders": order, "carts": cart}


def _lines(record: Record) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = record["lineItems"]["nodes"]
    return nodes


class _Money:
    """Amounts of one record, in the currency of its total."""

    def __init__(self, record: Record) -> None:
        self._id = str(record.get("id", "?"))
        self._currency = ((record.get("totalPriceSet") or {}).get("shopMoney") or {}).get("currencyCode")
        try:
            self._decimals = exponent(str(self._currency))
        except ValueError as error:
            raise MappingError("totalPriceSet.shopMoney.currencyCode", self._id, str(error)) from None

    def minor(self, bag: Any, field: str, line: int) -> int:
        """The shop-money amount of a MoneyBag that stands in a line."""
        try:
            money = bag["shopMoney"]
            if money["currencyCode"] != self._currency:
                raise ValueError(f"is in {money['currencyCode']}, the total in {self._currency}")
            return to_minor(money["amount"], self._decimals)
        except (TypeError, KeyError, AttributeError):
            reason = "is no amount of money"
        except ValueError as error:
            reason = str(error)
        raise MappingError(f"lineItems.nodes[{line}].{field}", self._id, reason)


def _product_tags(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    tags: dict[str, list[str]] = {}
    for line in lines:
        product = line["product"]
        if product and product["tags"]:
            tags[product["id"]] = product["tags"]
    return [{"product": number(product), "tag": tag} for product, names in tags.items() for tag in names]
