"""The shop as it was: temporary views and tables on one connection that take the place of facts and metrics.

They bear the same names, so every statement, those of the segments included, reads the earlier instant without knowing
it, and nothing of the database itself is written. What happened counts if it happened before the instant: half-open, as
everywhere. SQLite only: it looks for a name among temporary tables first (https://www.sqlite.org/lang_naming.html).
"""

from __future__ import annotations

from sqlalchemy import Connection, MetaData
from sqlalchemy.schema import CreateTable

from sync.metrics.attributes import WITHOUT_HISTORY
from sync.metrics.counting import MetricSettings, Scope
from sync.metrics.derive import assert_staged, derive_store, recompute
from sync.metrics.table import derived_tables
from sync.store.tables import SQLModel


def as_of(connection: Connection, *, now: int, settings: MetricSettings) -> tuple[str, ...]:
    """Put the instant `now` in the place of today on this connection, until its transaction is rolled back.

    Returns the attributes that have no history and so are as last read. Calling it again moves to another instant.
    """
    for name, sql in _views(int(now)).items():
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS temp.{name}")
        connection.exec_driver_sql(f"CREATE TEMP VIEW {name} AS {sql}")
    connection.exec_driver_sql("DROP TABLE IF EXISTS temp.dirty")
    connection.exec_driver_sql("CREATE TEMP TABLE dirty (customer_id INTEGER PRIMARY KEY)")
    for table in derived_tables(MetaData(), temporary=True):
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS temp.{table.name}")
        connection.execute(CreateTable(table))
    recompute(connection, Scope(), now, settings, recount=True)
    derive_store(connection, now, settings)
    assert_staged(connection)
    return WITHOUT_HISTORY


def _views(now: int) -> dict[str, str]:
    """What each table of facts held before `now`. A payment voided by a later cancellation was still open then."""

    def until(column: str) -> str:
        return f"CASE WHEN t.{column} < {now} THEN t.{column} END"

    later_refunds = f"SELECT sum(r.amount) FROM main.refunds AS r WHERE r.order_id = t.id AND r.refunded_at >= {now}"
    status = f"CASE WHEN t.cancelled_at >= {now} AND t.status = 'voided' THEN 'unpaid' ELSE t.status END"
    return {
        "customers": _view("customers", f"t.created_at < {now} OR t.created_at IS NULL", {"gone_at": until("gone_at")}),
        "orders": _view(
            "orders",
            f"t.placed_at < {now}",
            {
                "cancelled_at": until("cancelled_at"),
                "gone_at": until("gone_at"),
                "refunded": f"t.refunded - coalesce(({later_refunds}), 0)",
                "status": status,
            },
        ),
        "order_lines": _view("order_lines", f"t.placed_at < {now}"),
        "order_codes": _view("order_codes", f"t.order_id IN (SELECT id FROM main.orders WHERE placed_at < {now})"),
        "refunds": _view("refunds", f"t.refunded_at < {now} OR t.refunded_at IS NULL"),
        "carts": _view(
            "carts",
            f"t.created_at < {now}",
            {"completed_at": until("completed_at"), "gone_at": until("gone_at")},
        ),
        "events": _view("events", f"t.at < {now}", {"gone_at": until("gone_at")}),
        "cart_lines": _view("cart_lines", f"t.cart_id IN (SELECT id FROM main.carts WHERE created_at < {now})"),
    }


def _view(name: str, condition: str, replaced: dict[str, str] | None = None) -> str:
    columns = SQLModel.metadata.tables[name].columns
    values = [f"{(replaced or {}).get(column.name, f't.{column.name}')} AS {column.name}" for column in columns]
    return f"SELECT {', '.join(values)} FROM main.{name} AS t WHERE {condition}"
