"""The states of an op on its way out, and every legal step between them. Nothing about states is said elsewhere.

    pending ──send──▶ sent ──done──▶ done
       │               │ ├──refused─▶ refused
     cancel            │ └──retry───▶ retry ──send──▶ sent
       ▼               └──send──▶ sent            (a run died before the receipt came: every push is idempotent)
    cancelled

An op in DOUBT has been sent and may or may not have arrived; it is remembered until a later op of the same person and
audience is done. A cancelled op never went out, and its row is deleted. A refused addition waits until the person's
record changes; a refused removal is asked for again by every plan that still wants it, because the person is still
there, and counts as refused anew only when the reason is another.
"""

from __future__ import annotations

from typing import Final

PENDING: Final = "pending"
SENT: Final = "sent"
DONE: Final = "done"
RETRY: Final = "retry"
REFUSED: Final = "refused"
CANCELLED: Final = "cancelled"

SEND: Final = "send"
CANCEL: Final = "cancel"

TRANSITIONS: Final[dict[tuple[str, str], str]] = {
    (PENDING, SEND): SENT,
    (PENDING, CANCEL): CANCELLED,
    (SENT, SEND): SENT,
    (SENT, DONE): DONE,
    (SENT, RETRY): RETRY,
    (SENT, REFUSED): REFUSED,
    (RETRY, SEND): SENT,
}
"""(state, event) → state. A receipt's outcome is an event."""

STATES: Final = frozenset({PENDING, *TRANSITIONS.values()})
OPEN: Final = tuple(sorted({state for state, _ in TRANSITIONS}))
"""States from which something still has to happen."""
DOUBT: Final = tuple(state for state in OPEN if state != PENDING)


class IllegalStep(Exception):
    """A step that the table does not have: a bug."""


def step(state: str, event: str) -> str:
    """The state after `event`."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalStep(f"an op that is {state} cannot {event}") from None


def sources(event: str) -> tuple[str, ...]:
    """The states in which `event` may happen."""
    return tuple(sorted(state for state, name in TRANSITIONS if name == event))
