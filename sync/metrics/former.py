"""The personal columns as they are to be, beside those that are kept: only rows that differ are written, and how these
were before is kept too, so that a person's own doing can be told from the store's."""

from __future__ import annotations

from sqlalchemy import Column, Delete, Insert, MetaData, Table, and_, delete, exists, literal, select
from sqlalchemy.schema import CreateTable

from sync.metrics.counting import Instant
from sync.metrics.portable import upsert
from sync.metrics.table import BIG, PERSONAL, customer_before, customer_metrics

_COLUMNS = ("customer_id", *PERSONAL)
fresh = Table(
    "fresh_metrics",
    MetaData(),
    Column("customer_id", BIG, primary_key=True, autoincrement=False),
    *(Column(name, customer_metrics.c[name].type) for name in PERSONAL),
    prefixes=["TEMPORARY"],
)
make_fresh = CreateTable(fresh, if_not_exists=True)
_f, _m = fresh.c, customer_metrics.c


def write_changed(dialect: str, now: Instant, *, keep_new: bool) -> list[Delete | Insert]:
    """Bring the kept rows to what `fresh` holds, which is used up by it. To be run in this order.

    Of rows that differ the former ones are kept, of new people that they are new, where `keep_new`. A second change at
    the same `now` leaves what was kept at the first.
    """
    at = (literal(now, BIG) if isinstance(now, int) else now).label("at")
    own = _m.customer_id == _f.customer_id
    same = and_(own, *(_m[name].is_not_distinct_from(_f[name]) for name in PERSONAL))
    former = select(*(_m[name] for name in _COLUMNS), at).where(_m.customer_id.in_(select(_f.customer_id)))
    new = select(_f.customer_id, at).where(~exists().where(own))
    wanted = select(*(_f[name] for name in _COLUMNS)).where(_f.customer_id.is_not(None))
    kept = [former, new] if keep_new else [former]
    return [
        delete(fresh).where(exists().where(same)),
        *(upsert(dialect, customer_before, rows, ["customer_id", "at"], []) for rows in kept),
        upsert(dialect, customer_metrics, wanted, ["customer_id"], PERSONAL),
        delete(fresh),
    ]
