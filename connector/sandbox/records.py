"""What a shop consists of, free of any platform: people, products, orders, refunds, carts.

Money is integer minor units of the record's currency, time UTC epoch seconds. A record's `number` never changes;
its GUID follows from kind and number.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_NAMESPACE = uuid.UUID("6f1d0c52-4c1e-5d0a-9f0e-7e65a1b0c3d4")


def guid(kind: str, number: int) -> str:
    """The GUID of a record: always the same for the same kind and number."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}/{number}"))


def email_key(email: str | None) -> str | None:
    """An address as people are matched by it: trimmed and lower case, `+tag` kept; blank is none."""
    return (email or "").strip().lower() or None


@dataclass(slots=True, eq=False)
class Product:
    """Something sold. `category` is what Shopify calls the product type."""

    number: int
    title: str
    category: str | None
    vendor: str | None
    price: int
    sku: str
    tags: tuple[str, ...] = ()

    @property
    def guid(self) -> str:
        return guid("product", self.number)


class Allocation(NamedTuple):
    """A part of a discount that fell on one line. `across`: it was given on the whole order."""

    amount: int
    code: str | None = None
    across: bool = False


class Line(NamedTuple):
    """A line of an order or cart. A tuple, because a shop has hundreds of thousands of them."""

    number: int
    product: Product
    quantity: int
    price: int
    allocations: tuple[Allocation, ...] = ()

    @property
    def gross(self) -> int:
        """List value."""
        return self.quantity * self.price

    @property
    def discount(self) -> int:
        """All discounts on the line, shares of order-level ones included."""
        return sum(a.amount for a in self.allocations)


class RefundLine(NamedTuple):
    """So much of a line came back, and so much money for it."""

    line: int
    quantity: int
    amount: int


@dataclass(slots=True)
class Refund:
    """Money given back at one time."""

    number: int
    created_at: int
    amount: int
    lines: tuple[RefundLine, ...] = ()
    note: str | None = None

    @property
    def guid(self) -> str:
        return guid("refund", self.number)


@dataclass(slots=True, eq=False)
class Customer:
    """A person the shop knows. `tags` maps the case-folded tag to its stored spelling."""

    number: int
    created_at: int
    updated_at: int
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    country: str | None = None
    region: str | None = None
    city: str | None = None
    zip: str | None = None
    phone: str | None = None
    language: str = "en"
    email_consent: str = "NOT_SUBSCRIBED"
    email_consent_at: int | None = None
    sms_consent: str | None = None
    account: str = "DISABLED"
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def guid(self) -> str:
        return guid("customer", self.number)

    @property
    def tag_list(self) -> list[str]:
        """Tags as spelled, sorted."""
        return sorted(self.tags.values())


@dataclass(slots=True, eq=False)
class Order:
    """An order. `gross`, `discount` and `total` follow from the lines: call `reprice` after changing them.

    `accepts_marketing` and `language` are the customer's at the time of purchase.
    """

    number: int
    name: str
    customer: Customer | None
    email: str | None
    created_at: int
    processed_at: int
    updated_at: int
    currency: str
    lines: tuple[Line, ...]
    shipping: int = 0
    tax: int = 0
    codes: tuple[str, ...] = ()
    refunds: list[Refund] = field(default_factory=list)
    cancelled_at: int | None = None
    cancel_reason: str | None = None
    paid: bool = True
    test: bool = False
    edited: bool = False
    source: str = "web"
    accepts_marketing: bool = False
    language: str | None = None
    country: str | None = None
    region: str | None = None
    city: str | None = None
    gross: int = 0
    discount: int = 0
    total: int = 0

    def __post_init__(self) -> None:
        self.reprice()

    def reprice(self) -> None:
        """Add up the lines again."""
        gross = discount = 0
        for line in self.lines:
            gross += line[2] * line[3]
            for allocation in line[4]:
                discount += allocation[0]
        self.gross = gross
        self.discount = discount
        self.total = gross - discount + self.shipping + self.tax

    @property
    def guid(self) -> str:
        return guid("order", self.number)

    @property
    def refunded(self) -> int:
        """Money given back so far."""
        return sum(refund.amount for refund in self.refunds)

    def returned(self) -> dict[int, int]:
        """How many pieces came back, by line number."""
        back: dict[int, int] = {}
        for refund in self.refunds:
            for number, quantity, _ in refund.lines:
                back[number] = back.get(number, 0) + quantity
        return back


@dataclass(slots=True, eq=False)
class Cart:
    """A checkout that was begun. `completed_at` is set when it became `order`."""

    number: int
    customer: Customer | None
    email: str | None
    created_at: int
    updated_at: int
    currency: str
    lines: tuple[Line, ...]
    completed_at: int | None = None
    order: int | None = None
    codes: tuple[str, ...] = ()
    country: str | None = None
    region: str | None = None

    @property
    def guid(self) -> str:
        return guid("cart", self.number)

    @property
    def gross(self) -> int:
        """List value."""
        return sum(line.gross for line in self.lines)

    @property
    def discount(self) -> int:
        """All discounts."""
        return sum(line.discount for line in self.lines)


@dataclass(frozen=True, slots=True)
class Event:
    """A note in the shop's timeline: what vanished and, after a merge, into whom."""

    number: int
    at: int
    kind: str
    action: str
    subject: int
    into: int | None = None


def spread(lines: Sequence[Line], off: int, code: str | None = None) -> tuple[Line, ...]:
    """Share a discount on the whole order out to its lines by their value, to the last minor unit."""
    values = [line.gross - line.discount for line in lines]
    whole = sum(values)
    if not 0 < off <= whole:
        raise ValueError(f"cannot take {off} off lines worth {whole}")
    shares = [off * value // whole for value in values]
    rest = off - sum(shares)
    for index in sorted(range(len(lines)), key=lambda i: (-(off * values[i] % whole), i))[:rest]:
        shares[index] += 1
    return tuple(
        line._replace(allocations=(*line.allocations, Allocation(share, code, across=True))) if share else line
        for line, share in zip(lines, shares, strict=True)
    )
