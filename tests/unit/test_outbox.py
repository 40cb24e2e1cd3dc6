"""The life of an op, as the table has it."""

from __future__ import annotations

import pytest

from sync.push import outbox


@pytest.mark.parametrize("outcome", ["done", "refused", "retry"])
def test_a_receipt_needs_an_op_that_was_sent(outcome: str) -> None:
    """What never went out can have no receipt, and what is settled has had its own."""
    assert outbox.step(outbox.SENT, outcome) == outcome
    for state in outbox.STATES - {outbox.SENT}:
        with pytest.raises(outbox.IllegalStep):
            outbox.step(state, outcome)


def test_what_is_not_settled_can_be_sent() -> None:
    """Also again, after a crash."""
    assert {outbox.step(state, outbox.SEND) for state in outbox.OPEN} == {outbox.SENT}
    assert outbox.sources(outbox.SEND) == outbox.OPEN


def test_only_what_never_went_out_can_be_cancelled() -> None:
    """What may have arrived must be undone, not forgotten."""
    assert outbox.sources(outbox.CANCEL) == (outbox.PENDING,)
    assert set(outbox.DOUBT) == {outbox.SENT, outbox.RETRY}


def test_done_and_refused_are_the_end() -> None:
    """No event leads on from them."""
    assert outbox.STATES - set(outbox.OPEN) == {outbox.DONE, outbox.REFUSED, outbox.CANCELLED}
