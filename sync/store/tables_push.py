"""The schema of what goes out: audiences, ledger, plans, outbox, and people as destinations know them."""

from __future__ import annotations

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from sync.store.columns import CLUSTERED, FALSE, ZERO, own_id


class AudienceRow(SQLModel, table=True):
    """A tag, label or list that we keep at a destination. `undone` is the run that was taken back here last."""

    __tablename__ = "audience"
    destination: str = Field(primary_key=True)
    segment: str = Field(primary_key=True)
    name: str
    remote_id: str | None = None
    adopted: bool = Field(default=False, sa_column_kwargs=FALSE)
    filled_at: int | None = None
    rule_hash: str | None = None
    retired: bool = Field(default=False, sa_column_kwargs=FALSE)
    creating_since: int | None = None
    apart: bool = Field(default=False, sa_column_kwargs=FALSE)
    undone: int | None = None


class Ledger(SQLModel, table=True):
    """What a destination has acknowledged: this person is in this audience because we put them there.

    `remote_id` is the profile that was put there; while it is not known, `email_key` is the address that was sent.
    `refused` is what the destination last said when it was asked to take the person out.
    """

    __tablename__ = "ledger"
    __table_args__ = (
        Index("ix_ledger_refused", "destination", sqlite_where=text("refused IS NOT NULL")),
        CLUSTERED,
    )
    destination: str = Field(primary_key=True)
    segment: str = Field(primary_key=True)
    customer_id: int = Field(sa_column=own_id())
    remote_id: str | None = None
    run_id: int
    at: int
    refused: str | None = None
    email_key: str | None = None


class Outbox(SQLModel, table=True):
    """One op on its way out. States and transitions: `sync.push.outbox`; the indexes hold what is not settled.

    `run_id` is the run that queued it, and once it is settled the run that heard of it: the ledger's row has the same.
    `quiet`: part of a first fill, or sent again, so that nothing shall start by it; it stays so until it is done.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_open", "destination", "id", sqlite_where=text("state IN ('pending', 'sent', 'retry')")),
        Index(
            "ix_outbox_key",
            "destination",
            "segment",
            "customer_id",
            sqlite_where=text("state IN ('pending', 'sent', 'retry')"),
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    plan_id: str
    run_id: int
    destination: str
    segment: str
    customer_id: int
    action: str
    quiet: bool = Field(default=False, sa_column_kwargs=FALSE)
    state: str
    attempts: int = Field(default=0, sa_column_kwargs=ZERO)
    reason: str | None = None
    updated_at: int


class PlanOp(SQLModel, table=True):
    """The ops of the plan made last, as they will be queued; `why`: `sync.store.diff`."""

    __tablename__ = "plan_op"
    id: int | None = Field(default=None, primary_key=True)
    destination: str
    segment: str
    customer_id: int
    action: str
    why: str


class Identity(SQLModel, table=True):
    """A person at a destination, found by address. `remote_id` NULL = looked for and not known there."""

    __tablename__ = "identity"
    __table_args__ = (
        Index("ix_identity_remote", "destination", "remote_id", sqlite_where=text("remote_id IS NOT NULL")),
    )
    destination: str = Field(primary_key=True)
    email_key: str = Field(primary_key=True)
    remote_id: str | None = None
    mailable: bool = True
    reason: str | None = None
    subscribed: bool = Field(default=False, sa_column_kwargs=FALSE)
    checked_at: int


class Refusal(SQLModel, table=True):
    """A person a destination will not take. `record` is what of the person it saw: asked again when that differs."""

    __tablename__ = "refusal"
    destination: str = Field(primary_key=True)
    customer_id: int = Field(sa_column=own_id())
    reason: str
    at: int
    record: str | None = None


class Withdrawn(SQLModel, table=True):
    """Somebody of ours whom somebody took out by hand: to be put back quietly (`again`), or kept out. Forgotten when
    they leave the segment."""

    __tablename__ = "withdrawn"
    __table_args__ = CLUSTERED
    destination: str = Field(primary_key=True)
    segment: str = Field(primary_key=True)
    customer_id: int = Field(sa_column=own_id())
    again: bool = Field(default=False, sa_column_kwargs=FALSE)
    at: int


class FieldLedger(SQLModel, table=True):
    """What a destination has acknowledged of a person's fields: `digest` stands for the values and the profile.

    `refused` is why it would not take them; they are not written again until the digest is another.
    """

    __tablename__ = "field_ledger"
    __table_args__ = CLUSTERED
    destination: str = Field(primary_key=True)
    customer_id: int = Field(sa_column=own_id())
    digest: str
    at: int
    refused: str | None = None


class PlanRow(SQLModel, table=True):
    """A frozen plan, by its hash."""

    __tablename__ = "plan"
    id: str = Field(primary_key=True)
    run_id: int
    now: int
    made_at: int
    applied_at: int | None = None
    body: str
