"""Plans as they are kept. The ops of the one made last lie in `plan_op` until they are queued."""

from __future__ import annotations

from sync.errors import UsageError
from sync.push import plan_value
from sync.push.plan_value import Plan
from sync.store import state
from sync.store.engine import Connection, Store

_LAST = "plan:last"
_QUEUED = "plan:queued"


def keep(conn: Connection, plan: Plan) -> None:
    """Keep a plan, and that it is the one whose ops are in `plan_op`.

    The same plan, made again, is as old as its last making; one that has nothing to write is not written twice.
    """
    again = (
        "UPDATE SET run_id = excluded.run_id, now = excluded.now, made_at = excluded.made_at, body = excluded.body, "
        "applied_at = NULL"
    )
    conn.exec_driver_sql(
        "INSERT INTO plan (id, run_id, now, made_at, body) VALUES (?, ?, ?, ?, ?) "
        f"ON CONFLICT (id) DO {again if plan.pending else 'NOTHING'}",
        (plan.id, plan.run, plan.now, plan.now, plan_value.dump(plan)),
    )
    state.set_meta(conn, _LAST, plan.id)


def is_last(conn: Connection, plan_id: str) -> bool:
    """True while the plan's ops are still in `plan_op`."""
    return bool(state.get_meta(conn, _LAST) == plan_id)


def queued(conn: Connection, plan_id: str) -> None:
    """Note that this plan's ops have gone from `plan_op` to the outbox."""
    conn.exec_driver_sql("DELETE FROM plan_op")
    state.set_meta(conn, _QUEUED, plan_id)
    state.set_meta(conn, _LAST, None)


def is_queued(conn: Connection, plan_id: str) -> bool:
    """True when no other plan has gone to the outbox since."""
    return bool(state.get_meta(conn, _QUEUED) == plan_id)


def undoing(conn: Connection) -> list[Plan]:
    """Plans that take a run back and were begun, but not finished: the run died, or a destination did not answer."""
    rows = conn.exec_driver_sql(
        "SELECT body FROM plan WHERE json_extract(body, '$.undoes') IS NOT NULL AND id IN (SELECT plan_id FROM outbox "
        "WHERE state IN ('pending', 'sent', 'retry')) ORDER BY made_at, id"
    )
    return [plan_value.load(row[0]) for row in rows]


def applied(conn: Connection, plan_id: str, now: int) -> None:
    """Note when all ops of a plan were settled."""
    conn.exec_driver_sql("UPDATE plan SET applied_at = ? WHERE id = ? AND applied_at IS NULL", (now, plan_id))


def load(store: Store, plan_id: str) -> Plan:
    """The plan with this id, or the one whose id begins so. Raises UsageError where there is none, or several."""
    rows = store.query(
        "SELECT id, body FROM plan WHERE substr(id, 1, length(?)) = ? ORDER BY made_at DESC LIMIT 2", (plan_id, plan_id)
    )
    if not plan_id or not rows:
        raise UsageError(f"no plan {plan_id!r}; `regulars plan` makes one and names it")
    if len(rows) > 1:
        raise UsageError(f"several plans begin with {plan_id!r}: {rows[0][0]}, {rows[1][0]}; give more digits")
    return plan_value.load(rows[0][1])
