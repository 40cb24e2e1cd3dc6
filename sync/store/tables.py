"""The schema, declared once. Facts are integer-keyed; money is minor units, time UTC epoch seconds, missing is NULL.

`customer_id` is the owner after identity resolution (guests joined by address, merged ids followed);
`source_customer_id` is what the platform said. `local_day` counts the store zone's calendar days from 1970-01-01 = 0,
`local_month` is year * 12 + month - 1. `digest` is a hash of all that a record mapped to, so that a record read again
is known unchanged without looking further. A child table's key begins with its parent's, and its rows lie in that order
(WITHOUT ROWID): a parent's children are replaced together without a further index. `customer_metrics` is declared by
`sync.metrics.table` from the vocabulary in `mappings/metrics.toml`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from sync.store import tables_push  # noqa: F401 - declares its tables on the same metadata
from sync.store.columns import CLUSTERED, FALSE, ZERO, digest_column, own_id, reference


class Customer(SQLModel, table=True):
    """A person of the shop. `email_key` is the trimmed, lower-cased address."""

    __tablename__ = "customers"
    id: int = Field(sa_column=own_id())
    created_at: int | None = None
    updated_at: int | None = None
    email: str | None = None
    email_key: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    language: str | None = None
    country: str | None = None
    region: str | None = None
    city: str | None = None
    email_status: str | None = None
    email_status_at: int | None = None
    sms_status: str | None = None
    account_state: str | None = None
    platform_orders: int | None = None
    platform_rfm_group: str | None = None
    platform_spend_tier: str | None = None
    gone_at: int | None = None
    digest: int | None = Field(default=None, sa_column=digest_column())
    merged_into: int | None = Field(default=None, sa_column=reference())


class CustomerTag(SQLModel, table=True):
    """A tag or label as the platform spells it; `ours` = it carries our prefix, kept for audit only."""

    __tablename__ = "customer_tags"
    __table_args__ = CLUSTERED
    customer_id: int = Field(sa_column=own_id())
    tag: str = Field(primary_key=True)
    ours: bool = Field(default=False, sa_column_kwargs=FALSE)


class Order(SQLModel, table=True):
    """An order. `placed_at` is the business date; `gross` the list value of its lines, `total` as charged."""

    __tablename__ = "orders"
    id: int = Field(sa_column=own_id())
    customer_id: int | None = Field(default=None, sa_column=reference())
    source_customer_id: int | None = Field(default=None, sa_column=reference())
    email_key: str | None = None
    name: str | None = None
    placed_at: int | None = None
    local_day: int | None = None
    local_month: int | None = None
    created_at: int | None = None
    updated_at: int | None = None
    currency: str | None = None
    gross: int = Field(default=0, sa_column_kwargs=ZERO)
    discount: int = Field(default=0, sa_column_kwargs=ZERO)
    total: int = Field(default=0, sa_column_kwargs=ZERO)
    refunded: int = Field(default=0, sa_column_kwargs=ZERO)
    coupon: bool = Field(default=False, sa_column_kwargs=FALSE)
    test: bool = Field(default=False, sa_column_kwargs=FALSE)
    cancelled_at: int | None = None
    status: str | None = None
    channel: str | None = None
    checkout_key: int | None = Field(default=None, sa_column=reference())
    gone_at: int | None = None
    digest: int | None = Field(default=None, sa_column=digest_column())


class OwnerMove(SQLModel, table=True):
    """The platform moved orders or carts from one customer to another: what tells a merged customer's survivor."""

    __tablename__ = "owner_move"
    __table_args__ = CLUSTERED
    source_customer_id: int = Field(sa_column=own_id())
    target_customer_id: int = Field(sa_column=own_id())
    at: int


class OrderCode(SQLModel, table=True):
    """A discount code used on an order."""

    __tablename__ = "order_codes"
    __table_args__ = CLUSTERED
    order_id: int = Field(sa_column=own_id())
    code: str = Field(primary_key=True)
    customer_id: int | None = Field(default=None, sa_column=reference())


class OrderLine(SQLModel, table=True):
    """A line. `gross` is list value, `net` is list value minus all discounts allocated to it."""

    __tablename__ = "order_lines"
    __table_args__ = CLUSTERED
    order_id: int = Field(sa_column=own_id())
    id: int = Field(sa_column=own_id())
    customer_id: int | None = Field(default=None, sa_column=reference())
    placed_at: int | None = None
    product_id: int | None = Field(default=None, sa_column=reference())
    title: str | None = None
    category: str | None = None
    brand: str | None = None
    quantity: int = Field(default=0, sa_column_kwargs=ZERO)
    gross: int = Field(default=0, sa_column_kwargs=ZERO)
    discount: int = Field(default=0, sa_column_kwargs=ZERO)
    net: int = Field(default=0, sa_column_kwargs=ZERO)


class Refund(SQLModel, table=True):
    """Money that went back, on its own date."""

    __tablename__ = "refunds"
    __table_args__ = CLUSTERED
    order_id: int = Field(sa_column=own_id())
    id: int = Field(sa_column=own_id())
    customer_id: int | None = Field(default=None, sa_column=reference())
    refunded_at: int | None = None
    amount: int = Field(default=0, sa_column_kwargs=ZERO)


class Cart(SQLModel, table=True):
    """An abandoned checkout; completed ones carry `completed_at`, or an order has the same `checkout_key`."""

    __tablename__ = "carts"
    id: int = Field(sa_column=own_id())
    customer_id: int | None = Field(default=None, sa_column=reference())
    source_customer_id: int | None = Field(default=None, sa_column=reference())
    email_key: str | None = None
    created_at: int | None = None
    updated_at: int | None = None
    completed_at: int | None = None
    currency: str | None = None
    total: int = Field(default=0, sa_column_kwargs=ZERO)
    checkout_key: int | None = Field(default=None, sa_column=reference())
    gone_at: int | None = None
    digest: int | None = Field(default=None, sa_column=digest_column())


class CartLine(SQLModel, table=True):
    """A line of a cart; `gross` is list value."""

    __tablename__ = "cart_lines"
    __table_args__ = CLUSTERED
    cart_id: int = Field(sa_column=own_id())
    id: int = Field(sa_column=own_id())
    customer_id: int | None = Field(default=None, sa_column=reference())
    product_id: int | None = Field(default=None, sa_column=reference())
    title: str | None = None
    category: str | None = None
    brand: str | None = None
    quantity: int = Field(default=0, sa_column_kwargs=ZERO)
    gross: int = Field(default=0, sa_column_kwargs=ZERO)


class Product(SQLModel, table=True):
    """What is sold, at a store whose lines leave `category` and `brand` to it."""

    __tablename__ = "products"
    id: int = Field(sa_column=own_id())
    title: str | None = None
    category: str | None = None
    brand: str | None = None
    updated_at: int | None = None
    gone_at: int | None = None
    digest: int | None = Field(default=None, sa_column=digest_column())


class Activity(SQLModel, table=True):
    """Something a person did that is no order and no cart: once seen, it stays.

    `name` is email.opened, email.clicked, email.received, email.bounced or email.unsubscribed, or the platform's own.
    """

    __tablename__ = "events"
    id: int = Field(sa_column=own_id())
    customer_id: int | None = Field(default=None, sa_column=reference())
    source_customer_id: int | None = Field(default=None, sa_column=reference())
    email_key: str | None = None
    name: str | None = None
    campaign: str | None = None
    at: int | None = None
    updated_at: int | None = None
    gone_at: int | None = None
    digest: int | None = Field(default=None, sa_column=digest_column())


class ProductTag(SQLModel, table=True):
    """A tag of a product, as last seen on a line."""

    __tablename__ = "product_tags"
    __table_args__ = CLUSTERED
    product_id: int = Field(sa_column=own_id())
    tag: str = Field(primary_key=True)


class ExternalId(SQLModel, table=True):
    """The platform's own id behind a key (`mappings.keys`), where it is no number. Numbers are their own keys."""

    __tablename__ = "external_id"
    id: int = Field(sa_column=own_id())
    external: str


class Dirty(SQLModel, table=True):
    """Customers whose facts changed since their metrics were computed."""

    __tablename__ = "dirty"
    customer_id: int = Field(sa_column=own_id())


class Membership(SQLModel, table=True):
    """Who is in which segment now."""

    __tablename__ = "membership"
    __table_args__ = CLUSTERED
    segment: str = Field(primary_key=True)
    customer_id: int = Field(sa_column=own_id())
    since: int
    run_id: int


class MembershipEvent(SQLModel, table=True):
    """Append-only: who entered or left, when, in which run, under which rule."""

    __tablename__ = "membership_event"
    id: int | None = Field(default=None, primary_key=True)
    segment: str
    customer_id: int
    entered: bool
    at: int
    run_id: int
    rule_hash: str


class MembershipMask(SQLModel, table=True):
    """Cache of `membership` as bit masks, 60 segments a word; rebuildable."""

    __tablename__ = "membership_mask"
    __table_args__ = CLUSTERED
    customer_id: int = Field(sa_column=own_id())
    word: int = Field(primary_key=True)
    mask: int = Field(default=0, sa_type=BigInteger)


class SegmentState(SQLModel, table=True):
    """What the last evaluation knew of a segment. `missing` names the source that makes it unavailable."""

    __tablename__ = "segment_state"
    key: str = Field(primary_key=True)
    name: str
    rule_hash: str
    bit: int
    size: int = Field(default=0, sa_column_kwargs=ZERO)
    missing: str | None = None
    evaluated_at: int | None = None


class Evaluation(SQLModel, table=True):
    """When a run evaluated the segments, when that was done before, and which were new or changed (a JSON list)."""

    __tablename__ = "evaluation"
    run_id: int = Field(sa_column=own_id())
    at: int
    since: int | None = None
    ruled: str


class Yardstick(SQLModel, table=True):
    """Append-only: a figure of the store, or the cut of a rank, was another in this run than in the one before."""

    __tablename__ = "yardstick"
    __table_args__ = CLUSTERED
    name: str = Field(primary_key=True)
    run_id: int = Field(sa_column=own_id())
    before: float | None = None
    value: float | None = None


class StreamState(SQLModel, table=True):
    """How far a stream is read. The mark never outruns what is committed."""

    __tablename__ = "stream_state"
    stream: str = Field(primary_key=True)
    high_water: int | None = None
    page_token: str | None = None
    since: int | None = None
    until: int | None = None
    seen: int | None = None
    completed_at: int | None = None
    swept_at: int | None = None


class SyncRun(SQLModel, table=True):
    """One run, with its report as JSON once it has closed."""

    __tablename__ = "sync_run"
    id: int | None = Field(default=None, primary_key=True)
    command: str
    now: int
    started_at: int
    finished_at: int | None = None
    exit_code: int | None = None
    report: str | None = None


class Quarantine(SQLModel, table=True):
    """A record that could not be mapped, kept whole with its reason until it maps."""

    __tablename__ = "quarantine"
    stream: str = Field(primary_key=True)
    record_id: str = Field(primary_key=True)
    reason: str
    record: str
    run_id: int
    at: int


class Meta(SQLModel, table=True):
    """Single values: schema version, shop, zone, budgets, marks of destinations."""

    __tablename__ = "meta"
    key: str = Field(primary_key=True)
    value: str


def _covering(name: str, table: str, columns: tuple[str, ...]) -> Index:
    return Index(name, *(SQLModel.metadata.tables[table].c[column] for column in columns))


def _by_checkout(name: str, table: str) -> Index:
    """Of those that have one: most shops' orders name no checkout."""
    key = SQLModel.metadata.tables[table].c.checkout_key
    return Index(name, key, sqlite_where=key.is_not(None), postgresql_where=key.is_not(None))


_ORDER_FACTS = (
    "customer_id", "placed_at", "id", "local_day", "local_month", "test", "cancelled_at", "status", "gone_at",
    "currency", "gross", "discount", "total", "refunded", "coupon",
)  # fmt: skip
_VALUE_FACTS = ("total", "currency", "customer_id", "placed_at", "test", "cancelled_at", "status", "gone_at")
_LINE_FACTS = ("customer_id", "category", "brand", "product_id", "order_id", "quantity", "net")
_CART_FACTS = ("customer_id", "created_at", "completed_at", "gone_at", "currency", "total", "checkout_key")
_EVENT_FACTS = ("customer_id", "name", "at", "campaign", "gone_at")
# All that the metrics read of a customer lies in the index, in the order in which they group and rank it: a full
# derivation takes a third of the time it takes with indexes that lead to the rows.

FACT_INDEXES = (
    Index("ix_customers_email", Customer.__table__.c.email_key),  # type: ignore[attr-defined]
    _covering("ix_orders_customer", "orders", _ORDER_FACTS),
    _covering("ix_orders_value", "orders", _VALUE_FACTS),
    Index("ix_orders_email", Order.__table__.c.email_key),  # type: ignore[attr-defined]
    Index("ix_orders_placed", Order.__table__.c.placed_at, Order.__table__.c.customer_id),  # type: ignore[attr-defined]
    _covering("ix_lines_customer", "order_lines", _LINE_FACTS),
    Index("ix_refunds_customer", Refund.__table__.c.customer_id),  # type: ignore[attr-defined]
    _covering("ix_carts_customer", "carts", _CART_FACTS),
    Index("ix_carts_email", Cart.__table__.c.email_key),  # type: ignore[attr-defined]
    Index("ix_cart_lines_customer", CartLine.__table__.c.customer_id),  # type: ignore[attr-defined]
    _by_checkout("ix_orders_checkout", "orders"),
    _by_checkout("ix_carts_checkout", "carts"),
    _covering("ix_events_customer", "events", _EVENT_FACTS),
    Index("ix_events_email", Activity.__table__.c.email_key),  # type: ignore[attr-defined]
)
"""Secondary indexes of the facts, built after the first load."""

__all__ = ["FACT_INDEXES", "SQLModel"]
