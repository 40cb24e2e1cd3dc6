"""Where derived values are kept. All of it can be rebuilt from the facts at any time.

`customer_metrics` holds one row per live customer: the stored attributes of the vocabulary, and a few facts that the
store-wide pass needs and nobody is shown. `customer_gaps` and `store_gaps` count the days between purchase days, of a
person and over the store, so that the store's median follows a change without reading all orders again.
`customer_before` keeps the personal columns as they were before a change at `at`, all NULL for who was not there: what
`why` tells a person's own doing by.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, MetaData, Table, Text
from sqlalchemy.types import TypeEngine
from sqlmodel import SQLModel

from mappings.vocabulary import Attribute, load_vocabulary

BIG = BigInteger().with_variant(Integer(), "sqlite")
_TYPES: dict[str, TypeEngine[Any]] = {
    "int": BIG, "money": BIG, "date": BIG, "float": Float(), "text": Text(), "bool": Boolean()
}  # fmt: skip
_READ = frozenset({"customers", "orders", "carts", "email_events"})


def is_stored(attribute: Attribute) -> bool:
    """Whether the attribute is a column of `customer_metrics`."""
    return attribute.layer in ("personal", "store") and attribute.kind != "list" and attribute.source in _READ


_stored = [one for one in load_vocabulary().attributes.values() if is_stored(one)]
HIDDEN = {
    "money_orders": "int",
    "first_order_id": "int",
    "second_purchase_gap": "int",
    "last_purchase_gap": "int",
    "earlier_median_gap": "float",
    "next_eval_at": "date",
}
"""Personal facts outside the vocabulary. Gaps are of purchase days; `earlier_median_gap` leaves out the last one."""

ZEROES = frozenset({one.name for one in _stored if one.zero} | {"money_orders"})
PERSONAL = (*(one.name for one in _stored if one.layer == "personal"), *HIDDEN)
STORE = tuple(one.name for one in _stored if one.layer == "store")
_KINDS = {one.name: one.kind for one in _stored} | HIDDEN


def derived_tables(metadata: MetaData, *, temporary: bool = False) -> tuple[Table, Table, Table, Table, Table]:
    """customer_metrics, customer_gaps, store_gaps, store_figures, customer_before: the kept ones, or their like for one
    connection."""
    prefixes = ["TEMPORARY"] if temporary else []
    metrics = Table(
        "customer_metrics",
        metadata,
        Column("customer_id", BIG, primary_key=True, autoincrement=False),
        *(
            Column(name, _TYPES[_KINDS[name]], index=name == "next_eval_at" and not temporary)
            for name in (*PERSONAL, *STORE)
        ),
        prefixes=prefixes,
    )
    gaps = Table(
        "customer_gaps",
        metadata,
        Column("customer_id", BIG, primary_key=True, autoincrement=False),
        Column("days", BIG, primary_key=True, autoincrement=False),
        Column("times", BIG, nullable=False),
        prefixes=prefixes,
        sqlite_with_rowid=False,
    )
    store = Table(
        "store_gaps",
        metadata,
        Column("days", BIG, primary_key=True, autoincrement=False),
        Column("times", BIG, nullable=False),
        prefixes=prefixes,
    )
    figures = Table(
        "store_figures",
        metadata,
        Column("name", Text(), primary_key=True),
        Column("value", Float()),
        prefixes=prefixes,
    )
    before = Table(
        "customer_before",
        metadata,
        Column("customer_id", BIG, primary_key=True, autoincrement=False),
        Column("at", BIG, primary_key=True, autoincrement=False, index=not temporary),
        *(Column(name, _TYPES[_KINDS[name]]) for name in PERSONAL),
        prefixes=prefixes,
        sqlite_with_rowid=False,
    )
    return metrics, gaps, store, figures, before


customer_metrics, customer_gaps, store_gaps, store_figures, customer_before = derived_tables(SQLModel.metadata)
