"""What tests of faults share: kinds of faults, the state of all sides, and how a run that met a fault is judged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from checks import check_nothing_doubled, check_one_line, check_remote_sides, dump
from local_shop import LocalShop, open_local
from shop import TestShop

Options = dict[str, Any]
Kind = tuple[str, Options]
State = dict[str, Any]

TOO_MANY: Kind = ("status", {"status": 429})
TOO_MANY_UNTIL: Kind = ("status", {"status": 429, "retry_after": 2})
ANYWHERE: list[Kind] = [
    TOO_MANY,
    TOO_MANY_UNTIL,
    ("html_500", {}),
    ("reset", {}),
    ("timeout", {}),
    ("truncated", {}),
    ("malformed", {}),
]
LOST_ANSWER: list[Kind] = [("act_reset", {}), ("act_timeout", {}), ("act_500", {})]


class Lasting(NamedTuple):
    """A fault for ever: where, what, the exit code, parts of the one line."""

    match: str
    kind: str
    options: Options
    code: int
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return "-".join([self.match, self.kind, *map(str, self.options.values())])


class Passing(NamedTuple):
    """A fault of one call."""

    match: str
    kind: str
    options: Options

    def __str__(self) -> str:
        return "-".join([self.match, self.kind, *map(str, self.options.values())])


def passing(once: dict[str, list[Kind]]) -> list[Passing]:
    """Every kind at every operation."""
    return [Passing(match, kind, options) for match, kinds in once.items() for kind, options in kinds]


def state(shop: TestShop) -> State:
    """Facts, membership, ledger, and all remote sides."""
    remote = {"our tags": shop.our_tags(), "other tags": shop.other_tags(), "consent": shop.consent()}
    return dump(shop) | remote | {"lists": shop.lists(), "mail tags": shop.mail_tags()}


@contextmanager
def calm_state(folder: Path, platform: str, customers: int) -> Iterator[State]:
    """What an undisturbed sync of that shop leaves."""
    with open_local(folder, platform=platform, customers=customers) as shop:
        ran = shop.go()
        assert (ran.code, ran.err) == (0, "")
        yield state(shop)


def check_as_calm(shop: LocalShop, calm: State) -> None:
    """Everything equals the undisturbed run."""
    check_remote_sides(shop)
    check_nothing_doubled(shop)
    found = state(shop)
    for name, rows in calm.items():
        assert found[name] == rows, name


def check_healed(shop: LocalShop, calm: State) -> None:
    """The same, and one more sync finds nothing to write."""
    check_as_calm(shop, calm)
    before = shop.writes
    ran = shop.go()
    assert (ran.code, ran.err) == (0, "")
    assert shop.writes == before


def check_ridden_out(shop: LocalShop, fault: Passing, calm: State) -> None:
    """One failed answer changes nothing but the time it takes."""
    added = shop.faults.add(fault.match, fault.kind, **fault.options)
    ran = shop.go()
    assert (ran.code, ran.err) == (0, "")
    assert added.fired == 1
    check_as_calm(shop, calm)


def check_stopped_then_healed(shop: LocalShop, fault: Lasting, calm: State) -> None:
    """The right exit code and one line that says the parts; then everything as if nothing had been."""
    shop.faults.add(fault.match, fault.kind, **{"times": 0, **fault.options})
    ran = shop.go()
    assert ran.code == fault.code, ran.err
    check_one_line(ran.err, shop, *fault.parts)
    shop.faults.script.clear()
    healed = shop.go()
    assert (healed.code, healed.err) == (0, "")
    check_healed(shop, calm)
