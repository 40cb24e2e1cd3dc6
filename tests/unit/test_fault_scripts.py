"""The fault script: which call goes wrong, and how."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.base import Reply
from connector.sandbox.faults import BadScript, Faults
from connector.sandbox.wire import Drop
from connector.sandbox.world import StillClock

FINE = Reply(200, {"content-type": "application/json"}, b'{"data": {"shop": {"name": "Sandbox"}}}')


class Server:
    """Counts what it was really asked."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.clock = StillClock(0)
        self.acted = 0

    def answer(self) -> Reply:
        self.acted += 1
        return FINE

    def call(self, operation: str = "OrdersPage") -> Reply | Drop:
        try:
            return self.faults.run(operation, f"/api/{operation}", self.answer, clock=self.clock)
        except Drop as drop:
            return drop


@given(st.integers(1, 6), st.integers(0, 4), st.integers(0, 12))
def test_a_fault_strikes_from_the_nth_matching_call_so_many_times(nth: int, times: int, calls: int) -> None:
    """Others pass; `times = 0` never ends; calls that do not match do not count."""
    faults = Faults()
    faults.add("Orders", "status", nth=nth, times=times, status=503)
    server = Server(faults)
    statuses = []
    for _ in range(calls):
        assert server.call("ShopInfo") == FINE
        reply = server.call()
        assert isinstance(reply, Reply)
        statuses.append(reply.status)
    bad = range(nth, calls + 1) if times == 0 else range(nth, min(nth + times, calls + 1))
    assert statuses == [503 if n in bad else 200 for n in range(1, calls + 1)]


def test_a_status_carries_its_retry_after() -> None:
    """429 with and without the header."""
    faults = Faults()
    faults.add("", "status", status=429, retry_after=2.5)
    faults.add("", "status", nth=2, status=429)
    server = Server(faults)
    replies = [server.call() for _ in range(2)]
    assert [(r.status, r.headers.get("retry-after")) for r in replies if isinstance(r, Reply)] == [
        (429, "2.5"),
        (429, None),
    ]
    assert server.acted == 0


@pytest.mark.parametrize(
    ("kind", "acted", "timeout"),
    [("reset", 0, False), ("timeout", 0, True), ("act_reset", 1, False), ("act_timeout", 1, True)],
)
def test_a_lost_answer(kind: str, acted: int, timeout: bool) -> None:
    """The connection breaks or hangs, before or after the work was done."""
    faults = Faults()
    faults.add("", kind)
    server = Server(faults)
    drop = server.call()
    assert isinstance(drop, Drop)
    assert (drop.timeout, server.acted) == (timeout, acted)
    assert server.call() == FINE


@pytest.mark.parametrize(("kind", "status", "acted"), [("html_500", 500, 0), ("act_500", 500, 1), ("truncated", 200, 1),
                                                      ("malformed", 200, 1)])  # fmt: skip
def test_an_unreadable_answer(kind: str, status: int, acted: int) -> None:
    """Each gives a body that is no JSON."""
    faults = Faults()
    faults.add("", kind)
    server = Server(faults)
    reply = server.call()
    assert isinstance(reply, Reply)
    assert (reply.status, server.acted) == (status, acted)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(reply.body)


def test_a_delay_takes_the_clocks_time_and_answers() -> None:
    """Slow, not wrong."""
    faults = Faults()
    faults.add("", "delay", seconds=40.0)
    server = Server(faults)
    assert server.call() == FINE
    assert server.clock.now() == 40.0


def test_hooks_run_right_before_and_after_their_call() -> None:
    """The world can change under the client's hands at an exact place."""
    faults = Faults()
    server = Server(faults)
    seen: list[tuple[str, int]] = []
    faults.before("Orders", lambda: seen.append(("before", server.acted)), nth=2)
    faults.after("Orders", lambda: seen.append(("after", server.acted)), nth=2)
    for _ in range(3):
        assert server.call() == FINE
    assert seen == [("before", 1), ("after", 2)]


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_scripts_are_read_from_files(tmp_path: Path, suffix: str) -> None:
    """TOML tables and a JSON list say the same."""
    path = tmp_path / f"faults.{suffix}"
    toml = '[[fault]]\nmatch = "Orders"\nkind = "status"\nstatus = 429\nnth = 2\n'
    entries = [{"match": "Orders", "kind": "status", "status": 429, "nth": 2}]
    path.write_bytes(toml.encode() if suffix == "toml" else orjson.dumps(entries))
    server = Server(Faults.read(path))
    replies = [server.call() for _ in range(3)]
    assert [reply.status for reply in replies if isinstance(reply, Reply)] == [200, 429, 200]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[fault]]\nkind = "reset"\nhow = "badly"\n', "fault 1: unknown key 'how'"),
        ('[[fault]]\nmatch = "x"\n', "fault 1: no kind"),
        ('[[fault]]\nkind = "reset"\nnth = "2"\n', "fault 1: nth = '2' is no int"),
        ("[[fault]\n", r"faults\.toml"),
    ],
)
def test_a_bad_script_is_refused_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    """A typo must not become a fault that never strikes."""
    path = tmp_path / "faults.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(BadScript, match=problem):
        Faults.read(path)


def test_an_unknown_kind_is_refused_when_it_strikes() -> None:
    """Only the simulator knows all kinds."""
    faults = Faults.from_list([{"kind": "gremlins"}])
    with pytest.raises(BadScript, match="unknown kind of fault 'gremlins'"):
        Server(faults).call()
