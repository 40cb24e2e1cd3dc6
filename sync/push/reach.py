"""How many of a segment a destination reaches, step by step, and who is lost on the way. Reads stored rows only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from connector.base import Destination
from sync.push import consent
from sync.store import state
from sync.store.engine import Connection
from sync.store.external import OUTWARD
from sync.store.withdrawn import REASON as BY_HAND

STEPS: Final[tuple[tuple[str, str], ...]] = (
    (consent.NO_EMAIL, "has_email"),
    ("holdout", "not_held_out"),
    ("not_subscribed", "consented"),
    ("suppressed", "not_suppressed"),
    (consent.NOT_IN_AUDIENCE, "known_there"),
    (consent.REFUSED, "accepted"),
)
"""Each reason with what those who are left can say of themselves."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Store and destination hold different consent for one person's address. Neither is changed by us."""

    customer_id: str
    store: str
    destination: str


@dataclass(frozen=True, slots=True)
class Lost:
    """One member whom the destination does not get: the first reason, and what the side that says so says."""

    customer_id: str
    reason: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class Reach:
    """One destination's waterfall: matched = accepted + Σ skipped, to the last person.

    `doubled` of those without an address share theirs with an earlier member; `strangers` of the accepted are not yet
    known there and come to be with the first push; `members` are in the audience by our ledger. `asked_at`: when the
    destination's side was last read (None: never, or it is not asked).
    """

    destination: str
    matched: int
    accepted: int
    skipped: dict[str, int]
    doubled: int
    strangers: int
    members: int
    asked_at: int | None
    disagreements: tuple[Disagreement, ...]
    by_email: bool

    @property
    def steps(self) -> Iterator[tuple[str, int]]:
        """(step, people left) from the top to the bottom."""
        left = self.matched
        yield "matched", left
        for reason, step in STEPS:
            left -= self.skipped.get(reason, 0)
            if step == "accepted" or (self.by_email and (step != "not_held_out" or self.skipped.get(reason))):
                yield step, left

    def to_json(self) -> dict[str, Any]:
        """The stable machine form."""
        return {
            "destination": self.destination,
            "steps": [{"step": step, "people": people} for step, people in self.steps],
            "skipped": self.skipped,
            "shared_address": self.doubled,
            "new_there": self.strangers,
            "members": self.members,
            "asked_at": self.asked_at,
            "disagreements": [
                {"customer_id": its.customer_id, "store": its.store, "destination": its.destination}
                for its in self.disagreements
            ],
        }


def reach(conn: Connection, destination: Destination, segment: str) -> tuple[Reach, tuple[Lost, ...]]:
    """The waterfall of one segment at one destination, and everybody who is lost on it."""
    key = {"destination": destination.name, "segment": segment}
    consent.prepare(conn, destination)
    consent.double(conn, segment)
    fall = consent.waterfall(conn, destination.name, segment)
    lost = tuple(Lost(*row) for row in conn.exec_driver_sql(_LOST, key))
    strangers = conn.exec_driver_sql(_STRANGERS, key).scalar_one() if destination.limits.by_email else 0
    members = conn.exec_driver_sql(_MEMBERS, key).scalar_one()
    found = tuple(Disagreement(*row) for row in conn.exec_driver_sql(_DISAGREEING, key)) if _asked(destination) else ()
    consent.drop(conn)
    made = Reach(
        destination=destination.name,
        matched=fall.matched,
        accepted=fall.size,
        skipped=fall.skipped,
        doubled=fall.doubled,
        strangers=int(strangers),
        members=int(members),
        asked_at=state.get_meta(conn, f"identity:{destination.name}") if destination.limits.by_email else None,
        disagreements=found,
        by_email=destination.limits.by_email,
    )
    return made, lost


def _asked(destination: Destination) -> bool:
    return destination.limits.by_email and destination.limits.consent


_STATE = "replace(lower(coalesce(c.email_status, 'no state')), '_', ' ')"
_THERE = "replace(lower(coalesce(i.reason, 'not to be mailed')), '_', ' ')"
_STANDING = f"({consent.STANDING.format(owned='ledger')})"
_STRANGERS = f"SELECT count(*) FROM {_STANDING} WHERE reason IS NULL AND known IS NULL"
_MEMBERS = "SELECT count(*) FROM ledger WHERE destination = :destination AND segment = :segment"
_IDENTITY = "LEFT JOIN identity i ON i.destination = :destination AND i.email_key = c.email_key"

_LOST = f"""
SELECT {OUTWARD.format("c.id")}, s.reason,
       CASE s.reason WHEN 'not_subscribed' THEN {_STATE} || ' in the store'
                     WHEN 'suppressed' THEN {_THERE}
                     WHEN 'refused' THEN coalesce(r.reason, '{BY_HAND}')
                     WHEN 'no_email' THEN CASE WHEN s.doubled THEN 'shares the address of an earlier member' END END
FROM {_STANDING} s JOIN customers c ON c.id = s.customer_id {_IDENTITY}
LEFT JOIN refusal r ON r.destination = :destination AND r.customer_id = c.id
WHERE s.reason IS NOT NULL ORDER BY s.reason, c.id
"""

_DISAGREEING = f"""
SELECT {OUTWARD.format("c.id")}, {_STATE},
       CASE WHEN i.mailable THEN 'subscribed' ELSE {_THERE} END
FROM {_STANDING} s JOIN customers c ON c.id = s.customer_id
JOIN identity i ON i.destination = :destination AND i.email_key = c.email_key AND i.remote_id IS NOT NULL
WHERE (c.email_status = 'SUBSCRIBED' AND NOT i.mailable)
   OR (c.email_status IS NOT 'SUBSCRIBED' AND i.mailable AND i.subscribed)
ORDER BY c.id
"""
