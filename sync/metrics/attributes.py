"""Every attribute of the vocabulary as an expression over `base()`, read by the language, the export and `why`.

At an earlier instant (`sync.metrics.rewind`) the same names stand for temporary tables, so nothing here knows of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import CTE, ColumnElement, FromClause, Select, Table, and_, case, exists, func, literal, select

from mappings.vocabulary import Attribute, load_vocabulary
from sync.metrics.counting import DAY, customers, live
from sync.metrics.portable import after_at
from sync.metrics.table import customer_metrics, is_stored
from sync.store.tables import SQLModel

_tables = SQLModel.metadata.tables
customer_tags: Table = _tables["customer_tags"]
order_codes: Table = _tables["order_codes"]

WITHOUT_HISTORY = tuple(one.name for one in load_vocabulary().attributes.values() if one.layer == "profile")[1:]
"""Attributes that are as last read, whatever the instant asked for. Only the date of the record cannot change."""


def base() -> FromClause:
    """Customers beside their metrics. Restrict it with `live()`."""
    return customers.outerjoin(customer_metrics, customer_metrics.c.customer_id == customers.c.id)


def people(names: Sequence[str], *, now: int) -> Select[Any]:
    """(customer_id, one value for each scalar attribute named) of all who are there, in the order of their ids."""
    values = (expression(name, now=now).label(name) for name in names)
    return (
        select(customers.c.id.label("customer_id"), *values).select_from(base()).where(live()).order_by(customers.c.id)
    )


def is_available(name: str) -> bool:
    """Whether this version has data for the attribute. The others are declared so that conditions type-check."""
    one = load_vocabulary().attributes[name]
    return name in _PROFILE or name in _LISTS or is_stored(one) or one.layer in ("age", "rank")


def expression(name: str, *, now: int) -> ColumnElement[Any]:
    """The value of a scalar attribute: money in minor units, dates as epoch seconds, NULL where it has none.

    An attribute without data is NULL for everybody; whether a segment may read it is decided by its source.
    """
    one = load_vocabulary().attributes[name]
    if one.kind == "list":
        raise ValueError(f"{name} is a list")
    if name in _PROFILE:
        return _PROFILE[name]
    if is_stored(one):
        return customer_metrics.c[name]
    if one.layer == "age":
        return _age(one, now)
    if one.layer == "rank":
        return percentile(name.removesuffix("_percentile"), now=now)
    return literal(None)


def percentile(name: str, *, now: int) -> ColumnElement[Any]:
    """100 x the share of buyers whose value is at most the own; NULL for who has none. Ties share it."""
    ranks = _ranks(name, now)
    return select(ranks.c.share).where(ranks.c.customer_id == customers.c.id).correlate(customers).scalar_subquery()


def list_contains(name: str, text: str) -> ColumnElement[bool]:
    """Whether one entry of a list attribute is `text`."""
    entries = _LISTS[name].subquery()
    entry, wanted = entries.c.entry, literal(text)
    same = func.lower(entry) == func.lower(wanted) if name == "customer_tags" else entry == wanted
    return exists().where(entries.c.customer_id == customers.c.id, same).correlate(customers)


def list_entries(name: str) -> Select[Any]:
    """(customer_id, entry) of a list attribute, in the order of both."""
    entries = _LISTS[name].subquery()
    return select(entries.c.customer_id, entries.c.entry).order_by(entries.c.customer_id, entries.c.entry)


def _age(one: Attribute, now: int) -> ColumnElement[Any]:
    days = (literal(now) - customer_metrics.c[one.of or ""]) / float(DAY)
    if one.name != "order_gap_ratio":
        return days
    return days / func.nullif(customer_metrics.c.expected_days_between_orders, 0)


@lru_cache(maxsize=64)
def _ranks(name: str, now: int) -> CTE:
    """One statement may name a percentile twice; it is worked out once."""
    value = expression(name, now=now)
    share = 100.0 * func.count().over(order_by=value) / func.count().over()
    buyers = and_(live(), customer_metrics.c.number_of_orders > 0, value.is_not(None))
    return (
        select(customers.c.id.label("customer_id"), share.label("share"))
        .select_from(base())
        .where(buyers)
        .cte(f"rank_of_{name}")
    )


_c = customers.c
_PROFILE: dict[str, ColumnElement[Any]] = {
    "customer_added_date": _c.created_at,
    "customer_email_domain": case((_c.email_key.like("%@%"), after_at(_c.email_key))),
    "customer_language": _c.language,
    "email_subscription_status": _c.email_status,
    "email_subscribed_date": case((_c.email_status == "SUBSCRIBED", _c.email_status_at)),
    "sms_subscription_status": _c.sms_status,
}


def _entries(column: ColumnElement[Any]) -> Select[Any]:
    return select(_c.id.label("customer_id"), column.label("entry")).where(column.is_not(None))


_LISTS: dict[str, Select[Any]] = {
    "customer_tags": select(customer_tags.c.customer_id, customer_tags.c.tag.label("entry")).where(
        customer_tags.c.ours.is_(False)
    ),
    "customer_countries": _entries(_c.country),
    "customer_regions": _entries(_c.region),
    "customer_cities": _entries(_c.city),
    "first_order_discount_codes": select(customer_metrics.c.customer_id, order_codes.c.code.label("entry")).join_from(
        customer_metrics, order_codes, order_codes.c.order_id == customer_metrics.c.first_order_id
    ),
}
