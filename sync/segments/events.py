"""The functions of the language over the facts: which rows are events, and what their arguments are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Double,
    FromClause,
    Table,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    select,
)

from sync.metrics.counting import (
    MetricSettings,
    activity,
    carts,
    counted,
    has_money,
    is_open,
    order_lines,
    orders,
)
from sync.segments.typed import Truth, Typed, has_part
from sync.store.tables import SQLModel

_tables = SQLModel.metadata.tables
order_codes: Table = _tables["order_codes"]
product_tags: Table = _tables["product_tags"]
cart_lines: Table = _tables["cart_lines"]
_EMAIL = "email."


@dataclass(frozen=True, slots=True)
class Events:
    """Where the events are read and which rows count; `arguments` tells of one event, `aggregates` of all that match.

    `shown` is what a person is told of an event: date first.
    """

    source: FromClause
    customer_id: ColumnElement[Any]
    counts: Truth
    arguments: Mapping[str, Typed]
    aggregates: Mapping[str, Typed]
    shown: Mapping[str, ColumnElement[Any]]


def events(function: str, *, settings: MetricSettings, now: int, scale: int) -> Events | None:
    """The events of a function; None where no data is kept for it yet."""
    match function:
        case "orders_placed":
            return _orders(settings, scale)
        case "products_purchased":
            return _purchases(settings, scale)
        case "products_in_cart":
            return _in_cart(settings, scale)
        case "checkouts_abandoned":
            return _checkouts(settings, now, scale)
        case "events":
            return _activity(func.substr(activity.c.name, 1, len(_EMAIL)) != _EMAIL, "name")
        case _ if function.startswith(_EMAIL):
            return _activity(activity.c.name == function, "campaign")
        case _:
            return None


def _activity(chosen: Truth, told: str) -> Events:
    """Events of these names; `told` is the column that tells one from another."""
    at, own = activity.c.at, activity.c[told]
    return Events(
        source=activity,
        customer_id=activity.c.customer_id,
        counts=and_(chosen, activity.c.gone_at.is_(None)),
        arguments={"date": Typed("date", at), told: _text(own)},
        aggregates={"count": _count()},
        shown={"date": at, told: own},
    )


def _money(amount: ColumnElement[Any], of: Table, settings: MetricSettings, scale: int) -> Typed:
    """Money in another currency than the shop's is unknown, and so in no sum."""
    return Typed("number", case((has_money(settings, of), amount)), scale=scale)


def _sum(value: Typed) -> Typed:
    return Typed("number", func.coalesce(func.sum(value.sql), 0), scale=value.scale)


def _count() -> Typed:
    return Typed("number", func.count())


def _text(column: ColumnElement[Any]) -> Typed:
    return Typed("text", column, holds=lambda part: has_part(column, part))


def _tags(lines: Table) -> Typed:
    def holds(text: str) -> Truth:
        own = product_tags.c.product_id == lines.c.product_id
        return exists().where(own, product_tags.c.tag == text).correlate(lines)

    return Typed("list", lines.c.product_id, holds=holds)


def _orders(settings: MetricSettings, scale: int) -> Events:
    amount = _money(orders.c.total, orders, settings, scale)

    def has_code(text: str) -> Truth:
        return exists().where(order_codes.c.order_id == orders.c.id, order_codes.c.code == text).correlate(orders)

    return Events(
        source=orders,
        customer_id=orders.c.customer_id,
        counts=counted(settings),
        arguments={
            "date": Typed("date", orders.c.placed_at),
            "amount": amount,
            "channel": _text(orders.c.channel),
            "discount_code": Typed("list", orders.c.id, holds=has_code),
            "discounted": Typed("bool", cast(case((orders.c.discount > 0, 1), else_=0), Boolean)),
        },
        aggregates={"count": _count(), "sum_amount": _sum(amount)},
        shown={"date": orders.c.placed_at, "order": orders.c.name, "amount": amount.sql},
    )


def _purchases(settings: MetricSettings, scale: int) -> Events:
    amount = _money(order_lines.c.net, orders, settings, scale)
    quantity = Typed("number", order_lines.c.quantity)
    return Events(
        source=order_lines.join(orders, orders.c.id == order_lines.c.order_id),
        customer_id=order_lines.c.customer_id,
        counts=counted(settings),
        arguments={
            "id": Typed("id", order_lines.c.product_id),
            "title": _text(order_lines.c.title),
            "tag": _tags(order_lines),
            "category": _text(order_lines.c.category),
            "brand": _text(order_lines.c.brand),
            "date": Typed("date", orders.c.placed_at),
            "quantity": quantity,
            "amount": amount,
        },
        aggregates={"count": _count(), "sum_quantity": _sum(quantity)},
        shown={"date": orders.c.placed_at, "product": order_lines.c.title, "amount": amount.sql},
    )


def _in_cart(settings: MetricSettings, scale: int) -> Events:
    amount = _money(cart_lines.c.gross, carts, settings, scale)
    return Events(
        source=cart_lines.join(carts, carts.c.id == cart_lines.c.cart_id),
        customer_id=carts.c.customer_id,
        counts=is_open(),
        arguments={
            "id": Typed("id", cart_lines.c.product_id),
            "category": _text(cart_lines.c.category),
            "tag": _tags(cart_lines),
            "brand": _text(cart_lines.c.brand),
            "date": Typed("date", carts.c.created_at),
            "amount": amount,
        },
        aggregates={},
        shown={"date": carts.c.created_at, "product": cart_lines.c.title, "amount": amount.sql},
    )


def _checkouts(settings: MetricSettings, now: int, scale: int) -> Events:
    amount = _money(carts.c.total, carts, settings, scale)
    later = (
        select(literal(1))
        .select_from(orders)
        .where(orders.c.customer_id == carts.c.customer_id, orders.c.placed_at > carts.c.created_at)
        .where(counted(settings))
        .correlate(carts)
        .exists()
    )
    return Events(
        source=carts,
        customer_id=carts.c.customer_id,
        counts=is_open(),
        arguments={
            "date": Typed("date", carts.c.created_at),
            "amount": amount,
            "age_hours": Typed("number", cast(literal(now) - carts.c.created_at, Double) / 3600.0),
            "later_order": Typed("bool", later),
        },
        aggregates={"count": _count()},
        shown={"date": carts.c.created_at, "amount": amount.sql},
    )
