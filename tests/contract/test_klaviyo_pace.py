"""Klaviyo's limits, learnt and kept from run to run."""

from __future__ import annotations

import orjson
import pytest
from klaviyo_rig import NOW, Rig, adds, error
from scripted import Instead, times

from connector.base import Reply
from connector.budget import Budgets
from connector.klaviyo.wire import PLATFORM
from connector.sandbox.wire import Request


def limits_kept(rig: Rig) -> None:
    """The next run's destination: another process, with what the last one has written down about its pace."""
    kept = orjson.loads(orjson.dumps(rig.budgets[PLATFORM].snapshot(rig.clock.now())))
    rig.budgets.clear()
    rig.destination = rig.open(rig.sandbox.api_key)
    budgets = rig.budgets[PLATFORM]
    assert isinstance(budgets, Budgets)
    budgets.restore(kept, rig.clock.now())


def refusals(rig: Rig) -> int:
    return sum(reply is not None and reply.status == 429 for _, _, reply in rig.seen)


def test_a_run_that_follows_at_once_does_not_burst() -> None:
    """140 of 150 calls of this minute are used up: the next run sends ten and waits for the next minute."""
    rig = Rig()
    audience, person = rig.audience(), rig.account.add_person("ann@example.org")
    for _ in range(140):
        rig.push(adds(audience, [person]))
    began, slept = rig.clock.now(), rig.clock.slept
    limits_kept(rig)
    for _ in range(20):
        rig.push(adds(audience, [person]))

    assert refusals(rig) == 0
    assert rig.clock.slept - slept >= 40
    assert rig.clock.now() > began


def test_what_was_not_kept_would_be_refused() -> None:
    """The same without a memory: so that the one above proves something."""
    rig = Rig()
    audience, person = rig.audience(), rig.account.add_person("ann@example.org")
    for _ in range(140):
        rig.push(adds(audience, [person]))
    rig.budgets.clear()
    rig.destination = rig.open(rig.sandbox.api_key)
    rig.instead = hide_numbers(rig)
    for _ in range(20):
        rig.push(adds(audience, [person]))

    assert refusals(rig) > 0


def hide_numbers(rig: Rig) -> Instead:
    """Answers without the server's own numbers."""

    def answer(request: Request) -> Reply:
        reply = rig.sandbox.handle(request)
        headers = {name: text for name, text in reply.headers.items() if not name.startswith("ratelimit")}
        return Reply(reply.status, headers, reply.body)

    return answer


def test_a_pause_that_was_asked_for_outlives_the_run() -> None:
    """Retry-After of 50 s, of which 10 have passed: the next run waits for the rest, for that endpoint alone."""
    rig = Rig()
    audience, person = rig.audience(), rig.account.add_person("ann@example.org")
    throttled = error(429, ("throttled", "Request was throttled.", None), headers={"retry-after": "50"})
    rig.instead = times(1, throttled, "POST", "relationships")
    rig.push(adds(audience, [person]))
    assert rig.clock.slept >= 50

    rig = Rig()
    audience, person = rig.audience(), rig.account.add_person("ann@example.org")
    rig.budgets[PLATFORM].pause("AddProfilesToList", 50, NOW)
    rig.clock.advance(10)
    limits_kept(rig)
    list(rig.destination.lookup(["ann@example.org"]))
    assert rig.clock.slept == 0
    rig.push(adds(audience, [person]))
    assert rig.clock.slept == pytest.approx(40, abs=1)


def test_a_smaller_limit_of_the_server_is_taken_over() -> None:
    """An account of another tier: the header's limit counts, not the table's."""
    rig = Rig()
    audience, person = rig.audience(), rig.account.add_person("ann@example.org")
    sent: list[float] = []

    def small(request: Request) -> Reply:
        sent.append(rig.clock.now())
        used = sum(instant > sent[-1] - 60 for instant in sent)
        reply = rig.sandbox.handle(request)
        headers = {"ratelimit-limit": "30", "ratelimit-remaining": str(max(0, 30 - used)), "ratelimit-reset": "60"}
        return Reply(reply.status, {**reply.headers, **headers}, reply.body)

    rig.instead = small
    for _ in range(90):
        rig.push(adds(audience, [person]))

    busiest = max(sum(start <= other < start + 60 for other in sent) for start in sent)
    assert busiest <= 31
