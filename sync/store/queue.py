"""The ops of a plan, from its making to their receipts. States and legal steps: `sync.push.outbox`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connector.base import Audience, Destination, Limits, Op, Person, Receipt
from sync.push import outbox
from sync.push.consent import LIVE, moved_sql, reason_sql, record_sql
from sync.store import withdrawn
from sync.store.engine import Connection
from sync.store.external import OUTWARD
from sync.store.ledger import listed

_OPEN = "state IN ('pending', 'sent', 'retry')"
_DOUBT = f"{_OPEN} AND state IN ({', '.join(repr(state) for state in outbox.DOUBT)})"
_SENDABLE = ", ".join(repr(state) for state in outbox.sources(outbox.SEND))
QUIET_WHYS = ("doubt", "mended")
"""Why an op is sent that repeats or mends what was done before: no automation shall start by it."""

_KEY = "destination = ? AND segment = ? AND customer_id = ?"


def keep_plan_ops(conn: Connection, by_email: Mapping[str, bool]) -> None:
    """Make `plan_op` equal to `temp.diff`; equal ones are not written again.

    The order is the one in which batches are cut. For an e-mail destination removals come first, then people whose
    profile is yet to be made, each with all the lists they join, then the others list by list, so that each request is
    full; for a store people come one by one, their changes together.
    """
    if _same_ops(conn):
        return
    conn.exec_driver_sql("DELETE FROM plan_op")
    for destination, emailed in sorted(by_email.items()):
        unknown = "CASE WHEN action = 'add' AND remote_id IS NULL THEN customer_id END"
        order = (
            f"action DESC, {unknown} NULLS LAST, segment, remote_id IS NULL, customer_id"
            if emailed
            else "customer_id, action DESC, segment"
        )
        conn.exec_driver_sql(
            "INSERT INTO plan_op (destination, segment, customer_id, action, why) "
            "SELECT destination, segment, customer_id, action, why FROM temp.diff WHERE destination = ? ORDER BY "
            f"{order}",
            (destination,),
        )


def _same_ops(conn: Connection) -> bool:
    """True when `plan_op` holds the very rows of `temp.diff`."""
    wanted, there = (
        conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in ("temp.diff", "plan_op")
    )
    columns = "destination, segment, customer_id, action, why"
    return bool(
        wanted == there
        and conn.exec_driver_sql(
            f"SELECT 1 FROM (SELECT {columns} FROM temp.diff EXCEPT SELECT {columns} FROM plan_op) LIMIT 1"
        ).first()
        is None
    )


def planned_people(
    conn: Connection, destination: Destination, segments: Sequence[str]
) -> tuple[dict[str, list[Person]], dict[str, list[Person]]]:
    """Who is to be added and removed, per segment; a person is one object wherever they come up."""
    rows = conn.exec_driver_sql(
        f"SELECT o.segment, o.action, o.customer_id, {_PERSON} FROM plan_op o {_PERSON_FROM} "
        "WHERE o.destination = ? AND o.segment IN (SELECT value FROM json_each(?)) ORDER BY o.id",
        (destination.name, listed(segments)),
    )
    adds: dict[str, list[Person]] = {}
    removes: dict[str, list[Person]] = {}
    seen: dict[tuple[int, str | None], Person] = {}
    for row in rows:
        person = seen.setdefault((row[2], row[4]), Person(row[2], row[3], row[4], row[5] or 0, row[6]))
        (adds if row[1] == "add" else removes).setdefault(row[0], []).append(person)
    return adds, removes


def hushed(conn: Connection, destination: str, segments: Sequence[str]) -> frozenset[str]:
    """Those of the segments into whose audiences most of the plan's additions will go quietly."""
    filled = conn.exec_driver_sql(
        "SELECT segment FROM audience WHERE destination = ? AND filled_at IS NOT NULL "
        "AND segment IN (SELECT value FROM json_each(?))",
        (destination, listed(segments)),
    )
    later = [row[0] for row in filled]
    rows = conn.exec_driver_sql(
        "SELECT p.segment FROM plan_op p WHERE p.destination = ? AND p.action = 'add' "
        "AND p.segment IN (SELECT value FROM json_each(?)) GROUP BY p.segment "
        "HAVING 2 * sum(p.why IN (SELECT value FROM json_each(?)) OR EXISTS (SELECT 1 FROM outbox d "
        "WHERE d.destination = p.destination AND d.segment = p.segment AND d.customer_id = p.customer_id "
        f"AND d.action = 'add' AND d.{_OPEN} AND d.quiet)) > count(*)",
        (destination, listed(later), listed(QUIET_WHYS)),
    )
    return frozenset(segments) - frozenset(later) | {row[0] for row in rows}


_PERSON = (
    "CASE o.action WHEN 'remove' THEN coalesce(l.email_key, c.email_key) ELSE c.email_key END, "
    "CASE WHEN o.action = 'add' THEN i.remote_id WHEN l.email_key IS NOT NULL THEN l.remote_id "
    "ELSE coalesce(l.remote_id, i.remote_id) END, "
    f"(SELECT count(*) FROM customer_tags t WHERE t.customer_id = o.customer_id), {OUTWARD.format('o.customer_id')}"
)
_PERSON_FROM = (
    "LEFT JOIN customers c ON c.id = o.customer_id "
    "LEFT JOIN identity i ON i.destination = o.destination AND i.email_key = c.email_key "
    "LEFT JOIN ledger l ON l.destination = o.destination AND l.segment = o.segment AND l.customer_id = o.customer_id"
)


def enqueue(
    conn: Connection,
    plan_id: str,
    run_id: int,
    released: Mapping[str, Sequence[str]],
    now: int,
    begun: Sequence[str] = (),
    paused: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Put the plan's ops of these destinations' segments into the outbox, in place of all that waits there.

    What never went out is cancelled. What is in doubt goes on as the new plan's op where that wants the same, and is
    otherwise remembered until the person's next op of that audience is done. Additions of a first fill are quiet, and
    stay so when they are planned again after it, also where the audience is `paused` for a while: there they wait, of
    no plan, to be planned again or cancelled. Ops of the plans `begun` wait on for audiences that are not among the
    released: no later plan makes these again.
    """
    newest = int(conn.exec_driver_sql("SELECT coalesce(max(id), 0) FROM outbox").scalar_one())
    for destination, segments in sorted(released.items()):
        parameters = {
            "plan": plan_id,
            "run": run_id,
            "now": now,
            "destination": destination,
            "segments": listed(segments),
            "newest": newest,
            "pending": outbox.PENDING,
            "retry": outbox.RETRY,
            "quiet": listed(QUIET_WHYS),
            "begun": listed(begun),
            "paused": listed((paused or {}).get(destination, ())),
        }
        doubt = _any(conn, destination, _DOUBT)
        _take_over(conn, parameters, doubt=doubt, waiting=_any(conn, destination, _OPEN))
        _cancel_unsent(conn, parameters)
        if doubt:
            _forget_repeated(conn, parameters)


def _any(conn: Connection, destination: str, state: str) -> bool:
    found = conn.exec_driver_sql(f"SELECT 1 FROM outbox WHERE destination = ? AND {state} LIMIT 1", (destination,))
    return found.first() is not None


def _take_over(conn: Connection, parameters: Mapping[str, Any], *, doubt: bool, waiting: bool) -> None:
    """The plan's ops become rows: in doubt or quiet as those that wait for the same are."""
    same = (
        "SELECT 1 FROM outbox d WHERE d.destination = p.destination AND d.segment = p.segment "
        f"AND d.customer_id = p.customer_id AND d.action = p.action AND d.{_OPEN} AND d.id <= :newest"
    )
    state = f"CASE WHEN EXISTS ({same} AND d.state <> :pending) THEN :retry ELSE :pending END" if doubt else ":pending"
    left = f"EXISTS ({same} AND d.quiet)" if waiting else "0"
    quiet = (
        "p.why IN (SELECT value FROM json_each(:quiet)) OR p.action = 'add' AND (EXISTS (SELECT 1 FROM audience a "
        f"WHERE a.destination = p.destination AND a.segment = p.segment AND a.filled_at IS NULL) OR {left})"
    )
    conn.exec_driver_sql(
        "INSERT INTO outbox (plan_id, run_id, destination, segment, customer_id, action, quiet, state, updated_at) "
        f"SELECT :plan, :run, p.destination, p.segment, p.customer_id, p.action, {quiet}, {state}, :now "
        "FROM plan_op p "
        "WHERE p.destination = :destination AND p.segment IN (SELECT value FROM json_each(:segments)) ORDER BY p.id",
        parameters,
    )


def _cancel_unsent(conn: Connection, parameters: Mapping[str, Any]) -> None:
    """What never went out goes, but for the quiet additions of audiences that rest: these wait, of no plan."""
    unsent = (
        f"WHERE destination = :destination AND {_OPEN} AND state = :pending AND id <= :newest "
        "AND NOT (plan_id IN (SELECT value FROM json_each(:begun)) "
        "AND segment NOT IN (SELECT value FROM json_each(:segments)))"
    )
    rest = "quiet AND action = 'add' AND segment IN (SELECT value FROM json_each(:paused))"
    conn.exec_driver_sql(f"DELETE FROM outbox {unsent} AND NOT ({rest})", parameters)
    conn.exec_driver_sql(f"UPDATE outbox SET plan_id = '' {unsent} AND {rest}", parameters)


def _forget_repeated(conn: Connection, parameters: Mapping[str, Any]) -> None:
    """What was in doubt and is wanted again lives on in the new row."""
    conn.exec_driver_sql(
        f"DELETE FROM outbox WHERE destination = :destination AND {_OPEN} AND id <= :newest AND EXISTS (SELECT 1 "
        "FROM outbox n WHERE n.destination = outbox.destination AND n.segment = outbox.segment "
        f"AND n.customer_id = outbox.customer_id AND n.action = outbox.action AND n.{_OPEN} AND n.id > :newest)",
        parameters,
    )


@dataclass(frozen=True, slots=True)
class Queued:
    """An op as it lies in the outbox. `group` is what may share a request."""

    op: Op
    state: str
    group: tuple[Any, ...]


def waiting(
    conn: Connection,
    plan_id: str,
    destination: Destination,
    audiences: Mapping[str, Audience],
    after: int,
    limit: int,
) -> list[Queued]:
    """The plan's next unsettled ops for these audiences, in order, behind the row `after`."""
    hushed = {segment: replace(audience, quiet=True) for segment, audience in audiences.items()}
    rows = conn.exec_driver_sql(
        "SELECT o.id, o.action, o.segment, o.customer_id, o.state, o.quiet, "
        "coalesce(CASE WHEN o.action = 'add' THEN m.since ELSE l.at END, 0), "
        f"{_PERSON} FROM outbox o {_PERSON_FROM} "
        "LEFT JOIN membership m ON m.segment = o.segment AND m.customer_id = o.customer_id "
        f"WHERE o.destination = ? AND o.{_OPEN} AND o.id > ? AND o.plan_id = ? "
        "AND o.segment IN (SELECT value FROM json_each(?)) ORDER BY o.id LIMIT ?",
        (destination.name, after, plan_id, listed(audiences), limit),
    )
    queued = []
    for number, action, segment, customer, state, quiet, since, email, remote_id, tags, own in rows:
        audience = (hushed if quiet else audiences)[segment]
        op = Op(number, action, audience, Person(customer, email, remote_id, tags, own), since)
        person = not destination.limits.by_email or (action == "add" and remote_id is None)
        queued.append(Queued(op, state, (customer,) if person else (action, segment, remote_id is None)))
    return queued


def unsettled(conn: Connection, plan_id: str, destination: str) -> int:
    """Ops of the plan that still have to be sent, or to be heard of."""
    return int(
        conn.exec_driver_sql(
            f"SELECT count(*) FROM outbox WHERE destination = ? AND {_OPEN} AND plan_id = ?", (destination, plan_id)
        ).scalar_one()
    )


def any_open(conn: Connection, plan_id: str) -> bool:
    """True while an op of the plan is not settled."""
    return (
        conn.exec_driver_sql(f"SELECT 1 FROM outbox WHERE {_OPEN} AND plan_id = ? LIMIT 1", (plan_id,)).first()
        is not None
    )


def undoing(conn: Connection, destination: str) -> frozenset[str]:
    """Segments in whose audiences taking a run back was begun, and is not through."""
    rows = conn.exec_driver_sql(
        "SELECT DISTINCT o.segment FROM outbox o JOIN plan p ON p.id = o.plan_id "
        f"WHERE o.destination = ? AND o.{_OPEN} AND json_extract(p.body, '$.undoes') IS NOT NULL",
        (destination,),
    )
    return frozenset(row[0] for row in rows)


def claim(conn: Connection, destination: Destination, ids: Sequence[int], now: int) -> tuple[set[int], int]:
    """Mark these as sent, but for additions that the person's present record forbids; returns (to be sent, dropped).

    An addition under a new address waits while the old one is still in the audience.
    """
    limits: Limits = destination.limits
    moving = moved_sql("i.remote_id", "c.email_key") if limits.by_email else "0"
    rows = conn.exec_driver_sql(
        "SELECT o.id, o.state, CASE WHEN o.action = 'remove' THEN 'go' "
        f"WHEN c.id IS NULL OR NOT ({LIVE}) OR ({reason_sql(limits)}) IS NOT NULL "
        "OR (r.customer_id IS NOT NULL AND l.customer_id IS NULL) THEN 'drop' "
        f"WHEN {moving} THEN 'wait' ELSE 'go' END FROM outbox o {_PERSON_FROM} "
        "LEFT JOIN refusal r ON r.destination = o.destination AND r.customer_id = o.customer_id "
        f"AND r.record IS {record_sql(limits)} WHERE o.id IN (SELECT value FROM json_each(?))",
        (listed(ids),),
    ).all()
    going = {int(row[0]) for row in rows if row[2] == "go"}
    dropped = [(int(row[0]), row[1]) for row in rows if row[2] == "drop"]
    conn.exec_driver_sql(
        "UPDATE outbox SET state = ?, attempts = attempts + 1, updated_at = ? "
        f"WHERE id IN (SELECT value FROM json_each(?)) AND state IN ({_SENDABLE})",
        (outbox.SENT, now, listed(sorted(going))),
    )
    cancelled = [(number,) for number, state in dropped if state in outbox.sources(outbox.CANCEL)]
    if cancelled:
        conn.exec_driver_sql("DELETE FROM outbox WHERE id = ?", cancelled)
    return going, len(dropped)


def settle(
    conn: Connection, destination: Destination, answered: Sequence[tuple[Op, Receipt]], run_id: int, now: int
) -> set[int]:
    """Move ops and ledger together, as the receipts say. Returns the ops that are refused as they were before.

    Somebody whose removal is refused is still there: the row stays, so that the next plan asks again.
    """
    name = destination.name
    conn.exec_driver_sql(
        "UPDATE outbox SET state = ?, reason = ?, run_id = ?, updated_at = ? WHERE id = ?",
        [(outbox.step(outbox.SENT, its.outcome), its.reason, run_id, now, op.id) for op, its in answered],
    )
    done = [(op, its) for op, its in answered if its.outcome == outbox.DONE]
    refused = [(op, its) for op, its in answered if its.outcome == outbox.REFUSED and op.action == "add"]
    added = [(op, its.remote_id or op.person.remote_id) for op, its in done if op.action == "add"]
    by_email = destination.limits.by_email
    removed = [op for op, _ in done if op.action == "remove"]
    _many(
        conn,
        "INSERT INTO ledger (destination, segment, customer_id, remote_id, email_key, run_id, at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (destination, segment, customer_id) DO UPDATE SET "
        "remote_id = coalesce(excluded.remote_id, remote_id), email_key = excluded.email_key, refused = NULL",
        [
            (name, op.audience.segment, op.person.customer_id, remote, address, run_id, now)
            for op, remote in added
            for address in [op.person.email if by_email and not remote else None]
        ],
    )
    withdrawn.settled(conn, [(name, op.audience.segment, op.person.customer_id) for op, _ in added])
    if by_email:
        _many(
            conn,
            "UPDATE identity SET remote_id = ?, checked_at = ? WHERE destination = ? AND email_key = ? "
            "AND remote_id IS NOT ?",
            [(remote, now, name, op.person.email, remote) for op, remote in added if remote and op.person.email],
        )
    _many(
        conn,
        f"DELETE FROM ledger WHERE {_KEY}",
        [(name, op.audience.segment, op.person.customer_id) for op in removed],
    )
    _many(
        conn,
        f"DELETE FROM outbox WHERE {_KEY} AND {_OPEN} AND id < ?",
        [(name, op.audience.segment, op.person.customer_id, op.id) for op, _ in done],
    )
    _many(
        conn,
        "INSERT INTO refusal (destination, customer_id, reason, at, record) "
        f"VALUES (?, ?, ?, ?, (SELECT {record_sql(destination.limits)} FROM customers c WHERE c.id = ?)) "
        "ON CONFLICT (destination, customer_id) DO UPDATE SET reason = excluded.reason, at = excluded.at, "
        "record = excluded.record",
        [
            (name, op.person.customer_id, its.reason or "refused without a reason", now, op.person.customer_id)
            for op, its in refused
        ],
    )
    staying = [(op, its.reason or "") for op, its in answered if its.outcome == outbox.REFUSED and op.action != "add"]
    return {op.id for op, reason in staying if _refused_again(conn, name, op, reason)}


def _refused_again(conn: Connection, destination: str, op: Op, reason: str) -> bool:
    """Note why a removal is refused, with the row or with the op that put the person there; True if nothing is new."""
    key = (destination, op.audience.segment, op.person.customer_id)
    known = conn.exec_driver_sql(
        f"SELECT refused FROM ledger WHERE {_KEY} UNION ALL SELECT reason FROM outbox WHERE {_KEY} AND {_OPEN}",
        (*key, *key),
    ).all()
    conn.exec_driver_sql(f"UPDATE ledger SET refused = ? WHERE {_KEY}", (reason, *key))
    conn.exec_driver_sql(f"UPDATE outbox SET reason = ? WHERE {_KEY} AND {_OPEN}", (reason, *key))
    return any(row[0] == reason for row in known)


def _many(conn: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        conn.exec_driver_sql(sql, list(rows))


def ready(queued: Sequence[Queued], *, full: bool) -> Iterator[Queued]:
    """What of a read may be batched now: while more follows (`full`), the last group waits for the rest of itself."""
    if full and queued[0].group != queued[-1].group:
        last = queued[-1].group
        queued = queued[: max(index for index, each in enumerate(queued) if each.group != last) + 1]
    yield from queued
