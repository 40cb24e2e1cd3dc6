"""What a Wix record needs before the mapping can read it: sums, statuses, names, ids for lines that have none.

Pure: the record itself is left alone. Absent means empty, and members of enums that nobody knew yet are no error.
Money is read as Decimal from Wix's decimal text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from connector.base import Record
from connector.wix.wire import epoch, items, mapping, text
from mappings.load import MappingError
from mappings.money import exponent

Prepare = Callable[[Record], dict[str, Any]]

_DELIVERABLE = (None, "NOT_SET", "VALID", "INACTIVE")

_PAID = ("PAID", "PARTIALLY_PAID", "PARTIALLY_REFUNDED", "FULLY_REFUNDED")
_CLOSED = {"DECLINED": "declined", "CANCELED": "voided"}

_REFUNDED = ("PAYMENT_REFUNDED", "ORDER_REFUNDED", "REFUNDED_AS_STORE_CREDIT")


def email_of(contact: Mapping[str, Any]) -> str | None:
    """The contact's primary address."""
    listed = [mapping(each) for each in items(mapping(contact.get("info")).get("emails"))]
    return (
        text(mapping(contact.get("primaryInfo")).get("email"))
        or text(mapping(contact.get("primaryEmail")).get("email"))
        or next((address for each in listed if each.get("primary") and (address := text(each.get("email")))), None)
    )


def lacks_consent(contact: Mapping[str, Any]) -> bool:
    """True where there is an address, but the record does not say whether mail may go there."""
    return bool(email_of(contact)) and not text(mapping(contact.get("primaryEmail")).get("subscriptionStatus"))


def customer(record: Record) -> dict[str, Any]:
    """Consent, and region and city as Shopify's segments name them: `US-CA`, `US-CA-Los Angeles`.

    An address that bounces or whose owner complained is not mailable, whatever was once agreed to. `ourConsent` is the
    subscription that was asked for beside a record without one.
    """
    email = email_of(record)
    consent = mapping(record.get("primaryEmail"))
    if not text(consent.get("subscriptionStatus")):
        consent = mapping(record.get("ourConsent"))
    status = text(consent.get("subscriptionStatus")) if email else None
    if status == "SUBSCRIBED" and consent.get("deliverabilityStatus") not in _DELIVERABLE:
        status = "INVALID"
    address = _address(record)
    country, region, city = text(address.get("country")), _region(address), text(address.get("city"))
    return {
        **record,
        "ourEmail": email,
        "ourEmailStatus": status,
        "ourAddress": address,
        "ourRegion": region,
        "ourCity": "-".join(part for part in (region or country, city) if part) if city and country else None,
        "ourLabels": list(dict.fromkeys(record.get("ourLabels") or ())),
    }


def _address(record: Record) -> Mapping[str, Any]:
    """The first address that names a country, else the first."""
    listed = [mapping(mapping(each).get("address")) for each in items(mapping(record.get("info")).get("addresses"))]
    return next((each for each in listed if text(each.get("country"))), listed[0] if listed else {})


def _region(address: Mapping[str, Any]) -> str | None:
    """Wix writes subdivisions with their country (ISO 3166-2); one without is completed."""
    country, subdivision = text(address.get("country")), text(address.get("subdivision"))
    if not country or not subdivision:
        return None
    return subdivision if subdivision.startswith(f"{country}-") else f"{country}-{subdivision}"


def product(record: Record) -> dict[str, Any]:
    """One shape for both catalogues: version 1 has the brand as text and `lastUpdated`, version 3 an object.

    `ourCategoriesChanged` is put beside products of version 3: what is stored of them is as new as their categories.
    """
    brand = record.get("brand")
    own = text(record.get("updatedDate")) or text(record.get("lastUpdated"))
    changed = record.get("ourCategoriesChanged")
    return {
        **record,
        "ourBrand": text(mapping(brand).get("name")) if isinstance(brand, Mapping) else text(brand),
        "ourUpdated": changed if (epoch(changed) or 0) > (epoch(own) or 0) else own,
    }


def order(record: Record) -> dict[str, Any]:
    """Discounts and net value per line and their sums, in minor units; status, dates, codes and refunds.

    A line's `totalDiscount` is for its whole quantity. What `priceSummary.discount` has beyond the lines and beyond
    shipping was given on the whole order and is shared out to the lines by their value.
    """
    money = _Money(record)
    lines = [mapping(each) for each in record.get("lineItems") or ()]
    gross = [_listed(money, line, at) for at, line in enumerate(lines)]
    own = [
        min(money.minor(line.get("totalDiscount"), f"lineItems[{at}].totalDiscount"), gross[at])
        for at, line in enumerate(lines)
    ]
    values = [listed - off for listed, off in zip(gross, own, strict=True)]
    across = spread(_across(money, record, sum(own), sum(values)), values)
    discounts = [off + share for off, share in zip(own, across, strict=True)]
    prepared = [
        {
            **line,
            "ourId": text(line.get("id")) or f"{record.get('id')}/{at}",
            "ourGross": gross[at],
            "ourDiscount": discounts[at],
            "ourNet": gross[at] - discounts[at],
        }
        for at, line in enumerate(lines)
    ]
    coupons = [mapping(mapping(each).get("coupon")) for each in record.get("appliedDiscounts") or ()]
    codes = list(dict.fromkeys(code for coupon in coupons if (code := text(coupon.get("code")))))
    number = record.get("number")
    return {
        **record,
        "lineItems": prepared,
        "ourName": f"#{number}" if number not in (None, "") else None,
        "ourPlaced": text(record.get("purchasedDate")) or record.get("createdDate"),
        "ourCancelled": _cancelled(record),
        "ourStatus": _status(record),
        "ourGross": sum(gross),
        "ourDiscount": sum(discounts),
        "ourCoupon": any(coupons),
        "ourCodes": codes,
        "ourRefunds": _refunds(money, record),
    }


def refund_dates(record: Record) -> list[Mapping[str, Any]]:
    """The activities in which money of the order went back, oldest first."""
    found = [mapping(each) for each in record.get("activities") or ()]
    found = [each for each in found if (each.get("activityType") or each.get("type")) in _REFUNDED]
    return sorted(found, key=lambda each: str(each.get("createdDate") or ""))


def refunded_in_parts(record: Record) -> bool:
    """True where the order alone does not tell what went back when."""
    return _Money(record).refunded() > 0 and len(refund_dates(record)) != 1


def cart(record: Record) -> dict[str, Any]:
    """List value of the lines, ids for lines that have none, and when it was bought after all."""
    money = _Money(record)
    lines = [mapping(each) for each in record.get("lineItems") or ()]
    gross = [_listed(money, line, at) for at, line in enumerate(lines)]
    ids: dict[str, None] = {}
    for at, line in enumerate(lines):
        named = text(line.get("id")) or f"{record.get('id')}/{at}"
        ids[named if named not in ids else f"{named}/{at}"] = None
    completed = text(record.get("checkoutRecoveredDate"))
    if completed is None and record.get("status") == "RECOVERED":
        completed = record.get("updatedDate")
    return {
        **record,
        "lineItems": [
            {**line, "ourId": named, "ourGross": value} for line, named, value in zip(lines, ids, gross, strict=True)
        ],
        "ourGross": sum(gross),
        "ourCompleted": completed,
    }


def event(record: Record) -> dict[str, Any]:
    """Events are made where they are read."""
    return dict(record)


PREPARE: Mapping[str, Prepare] = {
    "customers": customer,
    "products": product,
    "orders": order,
    "carts": cart,
    "events": event,
    "email_events": event,
}


def spread(amount: int, values: Sequence[int]) -> list[int]:
    """Share an amount out by value to the last minor unit; what is left goes to the largest remainders."""
    whole = sum(values)
    if amount <= 0 or whole <= 0:
        return [0] * len(values)
    shares = [amount * value // whole for value in values]
    rest = amount - sum(shares)
    for at in sorted(range(len(values)), key=lambda at: (-(amount * values[at] % whole), at))[:rest]:
        shares[at] += 1
    return shares


def _listed(money: _Money, line: Mapping[str, Any], at: int) -> int:
    """List value: unit price before discounts times quantity. What is sold by weight or length has that as quantity."""
    quantity = money.decimal(mapping(line.get("decimalQuantity")).get("value"), f"lineItems[{at}].decimalQuantity")
    count = quantity if quantity is not None else Decimal(str(line.get("quantity") or 1))
    before = money.amount(line.get("priceBeforeDiscounts"), f"lineItems[{at}].priceBeforeDiscounts")
    if before is not None:
        return money.whole(before * count)
    price = money.amount(line.get("price"), f"lineItems[{at}].price") or Decimal(0)
    off = money.amount(line.get("totalDiscount"), f"lineItems[{at}].totalDiscount") or Decimal(0)
    return money.whole(price * count + off)


def _across(money: _Money, record: Record, own: int, most: int) -> int:
    """The part of the order's discount that no line carries yet. A discount on shipping is on no line."""
    discount = money.minor(mapping(record.get("priceSummary")).get("discount"), "priceSummary.discount")
    cost = mapping(mapping(record.get("shippingInfo")).get("cost"))
    shipping = money.minor(cost.get("discount"), "shippingInfo.cost.discount")
    if not shipping:
        applied = [mapping(each) for each in record.get("appliedDiscounts") or ()]
        for each in (each for each in applied if each.get("discountType") == "SHIPPING"):
            given = next(
                (mapping(each[kind]) for kind in ("coupon", "merchantDiscount", "discountRule") if kind in each), {}
            )
            shipping += money.minor(given.get("amount"), "appliedDiscounts.amount")
    return max(0, min(discount - own - shipping, most))


def _status(record: Record) -> str:
    """`rejected`, `declined`, `voided`, `paid` or `unpaid`; a payment status nobody knew yet is no payment."""
    if record.get("status") == "REJECTED":
        return "rejected"
    payment = str(record.get("paymentStatus") or "")
    return _CLOSED.get(payment) or ("paid" if payment in _PAID else "unpaid")


def _cancelled(record: Record) -> str | None:
    if record.get("status") != "CANCELED":
        return None
    found = [mapping(each) for each in record.get("activities") or ()]
    dates = [
        date
        for each in found
        if (each.get("activityType") or each.get("type")) == "ORDER_CANCELED"
        and (date := text(each.get("createdDate")))
    ]
    return max(dates) if dates else text(record.get("updatedDate"))


def _refunds(money: _Money, record: Record) -> list[dict[str, Any]]:
    """What went back when: each refund that succeeded where asked for, else the sum on the last date known."""
    refunded = money.refunded()
    if refunded <= 0:
        return []
    told = []
    for at, each in enumerate(mapping(part) for part in record.get("ourTransactions") or ()):
        parts = [mapping(part) for part in each.get("transactions") or ()]
        amounts = [
            money.amount(part.get("amount"), "refunds.transactions.amount") or Decimal(0)
            for part in parts
            if part.get("refundStatus") in (None, "SUCCEEDED")
        ]
        if sum(amounts) > 0:
            name = text(each.get("id")) or f"{record.get('id')}/refund/{at}"
            told.append({"id": name, "at": text(each.get("createdDate")), "amount": f"{sum(amounts):f}"})
    if told:
        return told
    dates = refund_dates(record)
    last = dates[-1] if dates else {}
    name = text(last.get("id")) or f"{record.get('id')}/refund"
    return [{"id": name, "at": text(last.get("createdDate")), "amount": f"{refunded:f}"}]


class _Money:
    """Amounts of one record, in its currency."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._id = str(record.get("id", "?"))

    def amount(self, price: Any, path: str) -> Decimal | None:
        """The amount of a Price; None where there is none."""
        return self.decimal(mapping(price).get("amount"), f"{path}.amount")

    def decimal(self, value: Any, path: str) -> Decimal | None:
        """A decimal of the record."""
        if value is None or value == "":
            return None
        try:
            number = Decimal(value if isinstance(value, str) else str(value))
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            raise MappingError(path, self._id, f"is no decimal: {value!r}")
        return number

    def whole(self, amount: Decimal) -> int:
        """In minor units, half of one rounded up."""
        return int(amount.scaleb(self._decimals()).quantize(Decimal(1), ROUND_HALF_UP))

    def minor(self, price: Any, path: str) -> int:
        """A Price in minor units; none is 0."""
        found = self.amount(price, path)
        return 0 if found is None else self.whole(found)

    def refunded(self) -> Decimal:
        """What went back of an order."""
        summary = mapping(self._record.get("balanceSummary"))
        return self.amount(summary.get("refunded"), "balanceSummary.refunded") or Decimal(0)

    def _decimals(self) -> int:
        try:
            return exponent(str(self._record.get("currency")))
        except ValueError as error:
            raise MappingError("currency", self._id, str(error)) from None
