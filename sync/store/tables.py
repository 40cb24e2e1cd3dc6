"""The schema, declared once. Facts are integer-keyed; money is minor units, time UTC epoch seconds, missing is NULL.

`customer_id` is the owner after identity resolution (guests joined by address, merged ids followed); `source_customer_id` is
what the platform said. Days and months are the store zone's. `customer_metrics` is declared by `sync.metrics.table` from the
vocabulary in `mappings/metrics.toml`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer
from sqlmodel import Field, SQLModel


def _id() -> Column[int]:
    return Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)


class Customer(SQLModel, table=True):
    """A person of the shop. `email_key` is the trimmed, lower-cased address."""

    __tablename__ = "customers"
    id: int = Field(sa_column=_id())
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
    merged_into: int | None = None


class CustomerTag(SQLModel, table=True):
    """A tag or label as the platform spells it; `ours` = it carries our prefix, kept for audit only."""

    __tablename__ = "customer_tags"
    customer_id: int = Field(primary_key=True)
    tag: str = Field(primary_key=True)
    ours: bool = False


class Order(SQLModel, table=True):
    """An order. `placed_at` is the business date; `gross` the list value of its lines, `total` as charged."""

    __tablename__ = "orders"
    id: int = Field(sa_column=_id())
    customer_id: int | None = None
    source_customer_id: int | None = None
    email_key: str | None = None
    name: str | None = None
    placed_at: int | None = None
    local_day: int | None = None
    local_month: int | None = None
    created_at: int | None = None
    updated_at: int | None = None
    currency: str | None = None
    gross: int = 0
    discount: int = 0
    total: int = 0
    refunded: int = 0
    coupon: bool = False
    test: bool = False
    cancelled_at: int | None = None
    status: str | None = None
    channel: str | None = None
    gone_at: int | None = None


class OrderCode(SQLModel, table=True):
    """A discount code used on an order."""

    __tablename__ = "order_codes"
    order_id: int = Field(primary_key=True)
    code: str = Field(primary_key=True)
    customer_id: int | None = None


class OrderLine(SQLModel, table=True):
    """A line. `gross` is list value, `net` is list value minus all discounts allocated to it."""

    __tablename__ = "order_lines"
    id: int = Field(sa_column=_id())
    order_id: int
    customer_id: int | None = None
    placed_at: int | None = None
    product_id: int | None = None
    title: str | None = None
    category: str | None = None
    brand: str | None = None
    quantity: int = 0
    gross: int = 0
    discount: int = 0
    net: int = 0


class Refund(SQLModel, table=True):
    """Money that went back, on its own date."""

    __tablename__ = "refunds"
    id: int = Field(sa_column=_id())
    order_id: int
    customer_id: int | None = None
    refunded_at: int | None = None
    amount: int = 0


class Cart(SQLModel, table=True):
    """An abandoned checkout; completed ones carry `completed_at`."""

    __tablename__ = "carts"
    id: int = Field(sa_column=_id())
    customer_id: int | None = None
    source_customer_id: int | None = None
    email_key: str | None = None
    created_at: int | None = None
    updated_at: int | None = None
    completed_at: int | None = None
    currency: str | None = None
    total: int = 0
    gone_at: int | None = None


class CartLine(SQLModel, table=True):
    """A line of a cart; `gross` is list value."""

    __tablename__ = "cart_lines"
    id: int = Field(sa_column=_id())
    cart_id: int
    customer_id: int | None = None
    product_id: int | None = None
    title: str | None = None
    category: str | None = None
    brand: str | None = None
    quantity: int = 0
    gross: int = 0


class ProductTag(SQLModel, table=True):
    """A tag of a product, as last seen on a line."""

    __tablename__ = "product_tags"
    product_id: int = Field(primary_key=True)
    tag: str = Field(primary_key=True)


class Dirty(SQLModel, table=True):
    """Customers whose facts changed since their metrics were computed."""

    __tablename__ = "dirty"
    customer_id: int = Field(sa_column=_id())


class Membership(SQLModel, table=True):
    """Who is in which segment now."""

    __tablename__ = "membership"
    segment: str = Field(primary_key=True)
    customer_id: int = Field(primary_key=True)
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
    customer_id: int = Field(primary_key=True)
    word: int = Field(primary_key=True)
    mask: int = Field(default=0, sa_type=BigInteger)


class SegmentState(SQLModel, table=True):
    """What the last evaluation knew of a segment. `missing` names the source that makes it unavailable."""

    __tablename__ = "segment_state"
    key: str = Field(primary_key=True)
    name: str
    rule_hash: str
    bit: int
    size: int = 0
    missing: str | None = None
    evaluated_at: int | None = None


class AudienceRow(SQLModel, table=True):
    """A tag, label or list that we keep at a destination."""

    __tablename__ = "audience"
    destination: str = Field(primary_key=True)
    segment: str = Field(primary_key=True)
    name: str
    remote_id: str | None = None
    adopted: bool = False
    filled_at: int | None = None
    rule_hash: str | None = None
    retired: bool = False


class Ledger(SQLModel, table=True):
    """What a destination has acknowledged: this person is in this audience because we put them there."""

    __tablename__ = "ledger"
    destination: str = Field(primary_key=True)
    segment: str = Field(primary_key=True)
    customer_id: int = Field(primary_key=True)
    remote_id: str | None = None
    run_id: int
    at: int


class Outbox(SQLModel, table=True):
    """One op on its way out. States and transitions: `sync.outbox`."""

    __tablename__ = "outbox"
    id: int | None = Field(default=None, primary_key=True)
    plan_id: str
    run_id: int
    destination: str
    segment: str
    customer_id: int
    action: str
    state: str
    attempts: int = 0
    reason: str | None = None
    updated_at: int


class Identity(SQLModel, table=True):
    """A person at a destination, found by address. `remote_id` NULL = looked for and not known there."""

    __tablename__ = "identity"
    destination: str = Field(primary_key=True)
    email_key: str = Field(primary_key=True)
    remote_id: str | None = None
    mailable: bool = True
    reason: str | None = None
    checked_at: int


class Refusal(SQLModel, table=True):
    """A person a destination will not take; asked again only when the person's record changes."""

    __tablename__ = "refusal"
    destination: str = Field(primary_key=True)
    customer_id: int = Field(primary_key=True)
    reason: str
    at: int
    updated_at: int | None = None


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


class PlanRow(SQLModel, table=True):
    """A frozen plan, by its hash."""

    __tablename__ = "plan"
    id: str = Field(primary_key=True)
    run_id: int
    now: int
    made_at: int
    applied_at: int | None = None
    body: str


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


FACT_INDEXES = (
    Index("ix_customers_email", Customer.__table__.c.email_key),  # type: ignore[attr-defined]
    Index("ix_orders_customer", Order.__table__.c.customer_id, Order.__table__.c.placed_at),  # type: ignore[attr-defined]
    Index("ix_orders_email", Order.__table__.c.email_key),  # type: ignore[attr-defined]
    Index("ix_orders_placed", Order.__table__.c.placed_at, Order.__table__.c.customer_id),  # type: ignore[attr-defined]
    Index("ix_lines_customer", OrderLine.__table__.c.customer_id, OrderLine.__table__.c.category),  # type: ignore[attr-defined]
    Index("ix_lines_order", OrderLine.__table__.c.order_id),  # type: ignore[attr-defined]
    Index("ix_refunds_customer", Refund.__table__.c.customer_id),  # type: ignore[attr-defined]
    Index("ix_refunds_order", Refund.__table__.c.order_id),  # type: ignore[attr-defined]
    Index("ix_carts_customer", Cart.__table__.c.customer_id, Cart.__table__.c.created_at),  # type: ignore[attr-defined]
    Index("ix_carts_email", Cart.__table__.c.email_key),  # type: ignore[attr-defined]
    Index("ix_cart_lines_customer", CartLine.__table__.c.customer_id),  # type: ignore[attr-defined]
    Index("ix_cart_lines_cart", CartLine.__table__.c.cart_id),  # type: ignore[attr-defined]
)
"""Secondary indexes of the facts, built after the first load."""

__all__ = ["FACT_INDEXES", "SQLModel"]
