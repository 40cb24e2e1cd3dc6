"""Bring the metrics up to date: the people whose facts changed or whose windows moved, then the store-wide layer."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Executable, Table, delete, func, select, true, update
from sqlalchemy.dialects import sqlite

from sync.metrics.counting import NOW, MetricSettings, Scope, customers, dirty, exclusions, has_money, live, orders
from sync.metrics.days import local_days
from sync.metrics.figures import Figures, count_gaps, keep, measure
from sync.metrics.former import fresh, make_fresh, write_changed
from sync.metrics.personal import personal_rows, write_personal
from sync.metrics.portable import rows_written, upsert
from sync.metrics.storewide import write_store
from sync.metrics.table import customer_gaps, customer_metrics, store_gaps
from sync.progress import Progress, Silent
from sync.store.tables import SQLModel

RANGE = 20_000
"""Customers in one write transaction: a second or two."""

meta: Table = SQLModel.metadata.tables["meta"]
_SIGNATURE, _ZONE = "metrics.signature", "metrics.zone"


class Database(Protocol):
    """What is asked of a store."""

    def begin(self) -> AbstractContextManager[Connection]:
        """A write transaction."""


class StageError(AssertionError):
    """Somebody is in no stage of the lifecycle: a fault of the product."""


@dataclass(frozen=True, slots=True)
class MetricsReport:
    """`recomputed` people had their personal columns worked out again, `store_wide` rows moved with the store.

    `gaps` is the number of gaps between purchase days in the store; below 30 `store_gap` is not measured but 90 days.
    """

    recomputed: int
    store_wide: int
    full: bool
    store_gap: float
    gaps: int


def refresh(
    store: Database,
    *,
    now: int,
    settings: MetricSettings,
    full: bool = False,
    progress: Progress | None = None,
    chunk: int = RANGE,
) -> MetricsReport:
    """Work out what is not up to date at `now`: everything when `full`, or when settings or definitions have changed.

    Dirty marks go in the transaction that has used them up. A kill leaves whole ranges done and the others marked.
    """
    progress = progress or Silent()
    signature = _signature(settings)
    with store.begin() as connection:
        everything = full or _get(connection, _SIGNATURE) != signature
        if everything:
            _set(connection, _SIGNATURE, "")
            _follow_zone(connection, settings.zone)
        else:
            _mark_moved(connection, now)
        marked = customers if everything else dirty
        key = customers.c.id if everything else dirty.c.customer_id
        total = int(connection.execute(select(func.count()).select_from(marked)).scalar_one())
    recomputed, after, last = 0, None, False
    while not last and (total or everything):
        with store.begin() as connection:
            upto = _end_of_range(connection, key, after, chunk)
            last = upto is None
            recomputed += recompute(
                connection, Scope(after, upto, dirty=not everything), now, settings, recount=last and everything
            )
        after = upto
        progress.update("metrics", min(recomputed, total), total)
    with store.begin() as connection:
        figures, moved = derive_store(connection, now, settings)
        assert_staged(connection)
        if everything:
            _set(connection, _SIGNATURE, signature)
    return MetricsReport(
        recomputed, moved, everything, float(figures["store_gap"] or 0.0), int(figures["purchase_day_gaps"] or 0)
    )


def recompute(
    connection: Connection, scope: Scope, now: int, settings: MetricSettings, *, recount: bool = False
) -> int:
    """The personal layer of a scope. Returns how many people it holds.

    The store's counts of gaps follow a dirty scope by difference; `recount` counts them all anew.
    """
    work, values = _work(connection.dialect.name, scope.shape(), settings), {"now": now, **scope.bounds()}
    connection.execute(make_fresh)
    for statement in work.before:
        connection.execute(statement, values)
    written = rows_written(connection, connection.execute(work.derive, values))
    for statement in work.after:
        connection.execute(statement, values)
    if recount:
        connection.execute(delete(store_gaps))
        connection.execute(count_gaps(connection.dialect.name, true(), 1))
    return written


@dataclass(frozen=True, slots=True)
class _Work:
    """`derive` is the statement whose row count is the number of people."""

    before: list[Executable]
    derive: Executable
    after: list[Executable]


@lru_cache(maxsize=16)
def _work(dialect: str, shape: Scope, settings: MetricSettings) -> _Work:
    """Built once for all runs and ranges, as building takes longer than deriving a few people."""
    gaps = shape.covers(customer_gaps.c.customer_id)
    *prepare, derive = write_personal(dialect, shape, NOW, settings)
    before: list[Executable] = [delete(fresh), *prepare]
    after: list[Executable] = [*write_changed(dialect, NOW, keep_new=shape.dirty)]
    if shape.dirty:
        before.insert(0, count_gaps(dialect, gaps, -1))
        after += [count_gaps(dialect, gaps, 1), delete(store_gaps).where(store_gaps.c.times == 0)]
    return _Work(before, derive, [*after, delete(dirty).where(shape.covers(dirty.c.customer_id))])


def derive_store(connection: Connection, now: int, settings: MetricSettings) -> tuple[Figures, int]:
    """The store-wide layer: figures, then the rows that differ. Returns the figures and how many rows moved."""
    figures = measure(connection, now, settings)
    keep(connection, figures)
    return figures, rows_written(connection, connection.execute(write_store(figures, now)))


def assert_staged(connection: Connection) -> None:
    """Everybody who is there is in a stage. Raises `StageError`."""
    beside = customers.outerjoin(customer_metrics, customer_metrics.c.customer_id == customers.c.id)
    lost = select(func.count()).select_from(beside).where(live(), customer_metrics.c.lifecycle_stage.is_(None))
    number = connection.execute(lost).scalar_one()
    if number:
        raise StageError(f"{number} customers are in no stage of the lifecycle")


def excluded_counts(connection: Connection, settings: MetricSettings) -> dict[str, int]:
    """How many orders do not count, each under its first reason; `no_person`: it would, but belongs to nobody."""
    found: dict[str, int] = {}
    seen: ColumnElement[bool] = true()
    for reason, condition in [*exclusions(settings), ("no_person", orders.c.customer_id.is_(None))]:
        number = connection.execute(select(func.count()).select_from(orders).where(seen, condition)).scalar_one()
        seen = seen & ~condition
        if number:
            found[reason] = int(number)
    return found


def other_currencies(connection: Connection, settings: MetricSettings) -> dict[str, tuple[int, int]]:
    """Orders whose money is in no sum: currency -> (number, total in minor units of that currency)."""
    rows = connection.execute(
        select(orders.c.currency, func.count(), func.sum(orders.c.total))
        .where(orders.c.gone_at.is_(None), ~has_money(settings))
        .group_by(orders.c.currency)
        .order_by(orders.c.currency)
    )
    return {currency: (int(number), int(total)) for currency, number, total in rows}


def _mark_moved(connection: Connection, now: int) -> None:
    """People whose windows moved since, who are new, or who are gone: the last two in case nobody marked them."""
    dialect, m = connection.dialect.name, customer_metrics.c
    moved = select(m.customer_id).where(m.next_eval_at <= now)
    new = (
        select(customers.c.id.label("customer_id"))
        .select_from(customers.outerjoin(customer_metrics, m.customer_id == customers.c.id))
        .where(live(), m.customer_id.is_(None))
    )
    gone = (
        select(m.customer_id)
        .select_from(customer_metrics.outerjoin(customers, m.customer_id == customers.c.id))
        .where(~live() | customers.c.id.is_(None))
    )
    for rows in (moved, new, gone):
        connection.execute(upsert(dialect, dirty, rows, ["customer_id"], []))


def _end_of_range(connection: Connection, key: ColumnElement[int], after: int | None, chunk: int) -> int | None:
    """The last id of the next range, or None when the rest fits in one."""
    ids = select(key).order_by(key).offset(chunk - 1).limit(2)
    found = connection.execute(ids if after is None else ids.where(key > after)).scalars().all()
    return found[0] if len(found) == 2 else None


@lru_cache(maxsize=16)
def _signature(settings: MetricSettings) -> str:
    """Changes with the rule of the shop and with any definition, by the text of the statement itself."""
    compiled = personal_rows(Scope(), 0, settings).compile(dialect=sqlite.dialect())
    text = f"{settings.text()}\n{compiled}\n{sorted(compiled.params.items())}"
    return hashlib.sha256(text.encode()).hexdigest()


def _follow_zone(connection: Connection, zone: ZoneInfo) -> None:
    """Days and months of orders are the store zone's: when the owner changes the zone, they are read off anew."""
    known = _get(connection, _ZONE)
    if known not in (None, zone.key):
        rows = connection.execute(select(orders.c.id, orders.c.placed_at).where(orders.c.placed_at.is_not(None)))
        days = {row.id: local_days(row.placed_at, zone) for row in rows}
        connection.exec_driver_sql(
            "UPDATE orders SET local_day = ?, local_month = ? WHERE id = ?",
            [(day, month, number) for number, (day, month) in days.items()] or [(0, 0, -1)],
        )
    _set(connection, _ZONE, zone.key)


def _get(connection: Connection, key: str) -> str | None:
    value = connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()
    return None if value is None else str(value)


def _set(connection: Connection, key: str, value: str) -> None:
    if not connection.execute(update(meta).values(value=value).where(meta.c.key == key)).rowcount:
        connection.execute(meta.insert().values(key=key, value=value))
