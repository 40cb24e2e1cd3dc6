"""What one run wrote, the other way round, as far as nothing has happened to it since.

`temp.reversal` holds a row for each person and audience that the run changed, with the opposite action and, where that
is not to be taken, `skip`: the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sync.store.engine import Connection

MOVED_SINCE: Final = "moved_since"
TAKEN_BACK: Final = "taken_back"
NOT_ALLOWED: Final = "not_allowed"
GONE: Final = "audience_gone"
READDRESSED: Final = "new_address"

_KEY: Final = "{0}.destination = r.destination AND {0}.segment = r.segment AND {0}.customer_id = r.customer_id"
_OF: Final = "r.destination = :destination AND r.skip IS NULL"


@dataclass(slots=True)
class Reversal:
    """One audience: what the run changed there, and what of it is left as it is, by reason."""

    changed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


def written(conn: Connection, run_id: int) -> dict[str, int]:
    """Acknowledged changes of a run, by destination. What was only sent again because nobody had heard is none."""
    rows = conn.exec_driver_sql(
        f"SELECT destination, count(*) FROM outbox WHERE {_WRITTEN} GROUP BY destination", {"run": run_id}
    )
    return {row[0]: int(row[1]) for row in rows}


# Only a removal of somebody whom the ledger does not hold is quiet: it makes sure that nobody is there.
_WRITTEN: Final = "run_id = :run AND state = 'done' AND NOT (action = 'remove' AND quiet)"


def plans_of(conn: Connection, run_id: int) -> list[str]:
    """The plans whose ops this run got acknowledged."""
    rows = conn.exec_driver_sql("SELECT DISTINCT plan_id FROM outbox WHERE run_id = ? AND state = 'done'", (run_id,))
    return [row[0] for row in rows]


def start(conn: Connection, run_id: int) -> None:
    """Lay out the run's changes; who was changed again since, by whichever run, is skipped."""
    finish(conn)
    conn.exec_driver_sql(
        "CREATE TEMP TABLE reversal (destination TEXT, segment TEXT, customer_id INTEGER, action TEXT, last INTEGER, "
        "skip TEXT, remote_id TEXT, PRIMARY KEY (destination, segment, customer_id)) WITHOUT ROWID"
    )
    conn.exec_driver_sql(
        "INSERT INTO temp.reversal (destination, segment, customer_id, action, last, skip) "
        "SELECT destination, segment, customer_id, CASE max(action) WHEN 'add' THEN 'remove' ELSE 'add' END, max(id), "
        f"CASE WHEN min(action) <> max(action) THEN '{READDRESSED}' END FROM outbox WHERE {_WRITTEN} GROUP BY 1, 2, 3",
        {"run": run_id},
    )
    for reason, which in ((MOVED_SINCE, f"NOT ({_TAKING_BACK})"), (TAKEN_BACK, _TAKING_BACK)):
        conn.exec_driver_sql(
            f"UPDATE temp.reversal AS r SET skip = '{reason}' WHERE skip IS NULL "
            "AND (destination, segment, customer_id) IN "
            "(SELECT o.destination, o.segment, o.customer_id FROM outbox o CROSS JOIN temp.reversal r "
            f"WHERE {_KEY.format('o')} AND o.id > r.last AND o.state = 'done' AND {which} "
            "AND o.id > (SELECT min(last) FROM temp.reversal))",
            {"run": run_id},
        )


_TAKING_BACK: Final = "o.plan_id IN (SELECT id FROM plan WHERE json_extract(body, '$.undoes') = :run)"


def finish(conn: Connection) -> None:
    """Take the temporary table away: connections are used again."""
    conn.exec_driver_sql("DROP TABLE IF EXISTS temp.reversal")


def reverse(conn: Connection, destination: str, run_id: int) -> None:
    """Decide about one destination's changes, and add what is taken back to `temp.diff`. Needs `consent.prepare`."""
    key = {"destination": destination, "run": run_id}
    held = f"SELECT 1 FROM ledger l WHERE {_KEY.format('l')}"
    unlike = (
        (GONE, f"NOT EXISTS (SELECT 1 FROM audience a WHERE {_AUDIENCE})"),
        (MOVED_SINCE, f"r.action = 'remove' AND NOT EXISTS ({held} AND l.run_id = :run)"),
        (MOVED_SINCE, f"r.action = 'add' AND EXISTS ({held})"),
        (NOT_ALLOWED, f"r.action = 'add' AND NOT EXISTS ({_LET_IN})"),
    )
    for reason, condition in unlike:
        conn.exec_driver_sql(f"UPDATE temp.reversal AS r SET skip = '{reason}' WHERE {_OF} AND {condition}", key)
    conn.exec_driver_sql(
        "UPDATE temp.reversal AS r SET remote_id = CASE r.action WHEN 'add' THEN (SELECT p.remote_id FROM temp.reach p "
        f"WHERE p.customer_id = r.customer_id) ELSE (SELECT l.remote_id FROM ledger l WHERE {_KEY.format('l')}) END "
        f"WHERE {_OF}",
        key,
    )
    for taken in (_TAKEN_THERE, _TAKEN_HERE):
        conn.exec_driver_sql(
            f"UPDATE temp.reversal AS r SET skip = '{MOVED_SINCE}' WHERE {_OF} AND r.action = 'add' "
            f"AND r.remote_id IS NOT NULL AND {taken}",
            key,
        )
    conn.exec_driver_sql(
        "INSERT INTO temp.diff (destination, segment, action, customer_id, why, remote_id) SELECT r.destination, "
        "r.segment, r.action, r.customer_id, CASE r.action WHEN 'add' THEN 'mended' ELSE 'left' END, r.remote_id "
        f"FROM temp.reversal r WHERE {_OF}",
        key,
    )


_AUDIENCE: Final = "a.destination = r.destination AND a.segment = r.segment"
_LET_IN: Final = "SELECT 1 FROM temp.reach p WHERE p.customer_id = r.customer_id AND p.reason IS NULL AND p.refused = 0"

# Two customers may share a profile. It can be in an audience once, for one of them.
_TAKEN_THERE: Final = (
    "(r.segment, r.remote_id) IN (SELECT l.segment, l.remote_id FROM ledger l LEFT JOIN temp.reversal x "
    "ON x.destination = l.destination AND x.segment = l.segment AND x.customer_id = l.customer_id "
    "AND x.action = 'remove' AND x.skip IS NULL "
    "WHERE l.destination = :destination AND l.remote_id IS NOT NULL AND x.customer_id IS NULL)"
)
_TAKEN_HERE: Final = (
    "(r.segment, r.customer_id) NOT IN (SELECT x.segment, min(x.customer_id) FROM temp.reversal x WHERE x.destination "
    "= :destination AND x.action = 'add' AND x.skip IS NULL AND x.remote_id IS NOT NULL "
    "GROUP BY x.segment, x.remote_id)"
)


def tally(conn: Connection, destinations: Iterable[str]) -> dict[tuple[str, str], Reversal]:
    """Per audience of these destinations what there was to take back, and why some of it is not."""
    found: dict[tuple[str, str], Reversal] = {}
    names = list(destinations)
    for destination, segment, skip, number in conn.exec_driver_sql(
        "SELECT destination, segment, skip, count(*) FROM temp.reversal GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ):
        if destination in names:
            its = found.setdefault((destination, segment), Reversal())
            its.changed += int(number)
            if skip is not None:
                its.skipped[skip] = int(number)
    return found
