"""The personal columns as they were before a change, so that a person's own doing can be told from the store's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, MetaData, Select, Table, and_, literal, or_, select
from sqlalchemy.schema import CreateTable, DropTable

from sync.metrics.counting import Scope
from sync.metrics.portable import upsert
from sync.metrics.table import BIG, PERSONAL, customer_before, customer_metrics

_COLUMNS = ("customer_id", *PERSONAL)
_former = Table(
    "former_metrics",
    MetaData(),
    Column("customer_id", BIG, primary_key=True, autoincrement=False),
    *(Column(name, customer_metrics.c[name].type) for name in PERSONAL),
    prefixes=["TEMPORARY"],
)


def set_aside(connection: Connection, scope: Scope) -> None:
    """Copy the scope's rows, before they are written over."""
    connection.execute(DropTable(_former, if_exists=True))
    connection.execute(CreateTable(_former))
    m = customer_metrics.c
    rows = select(*(m[name] for name in _COLUMNS)).where(scope.covers(m.customer_id))
    connection.execute(_former.insert().from_select(_COLUMNS, rows))


def keep_changed(connection: Connection, scope: Scope, now: int) -> None:
    """Keep of the copies those that differ from the rows of today, and that somebody is new. A second change at the
    same `now` leaves the first copy."""
    f, m = _former.c, customer_metrics.c
    at = literal(now, BIG).label("at")
    if connection.execute(select(f.customer_id).limit(1)).first():
        same = _former.join(customer_metrics, m.customer_id == f.customer_id)
        differs = or_(*(f[name].is_distinct_from(m[name]) for name in PERSONAL))
        changed = select(*(f[name] for name in _COLUMNS), at).select_from(same)
        _keep(connection, changed.where(scope.covers(m.customer_id), differs))
    if scope.dirty:
        beside = customer_metrics.outerjoin(_former, m.customer_id == f.customer_id)
        new = and_(scope.covers(m.customer_id), f.customer_id.is_(None))
        _keep(connection, select(m.customer_id, at).select_from(beside).where(new))
    connection.execute(DropTable(_former))


def _keep(connection: Connection, rows: Select[Any]) -> None:
    connection.execute(upsert(connection.dialect.name, customer_before, rows, ["customer_id", "at"], []))
