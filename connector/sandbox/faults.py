"""Things that go wrong, by script: which call, how often, how.

    [[fault]]
    match = "OrdersPage"        # part of the operation's name or of the path; "" is every call
    kind  = "status"
    nth   = 3                   # from the third matching call on (default 1)
    times = 2                   # so many calls in a row (default 1; 0 = for ever)
    status = 429
    retry_after = 2

Kinds that every simulator knows: `status` (with `status`, `retry_after`, `body`), `html_500`, `reset`, `timeout`,
`truncated`, `malformed`, `delay` (`seconds`), and `act_timeout`, `act_reset`, `act_500`, where the work is done but the
answer is lost. A simulator adds kinds of its own (`throttled`, `token_expired`, ...).
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from connector.base import Clock, Reply
from connector.sandbox.wire import Drop

Answer = Callable[[], Reply]
Special = Callable[["Fault", Answer], Reply]

KINDS = frozenset(
    {"status", "html_500", "reset", "timeout", "truncated", "malformed", "delay", "act_timeout", "act_reset", "act_500"}
)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "match": (str,),
    "kind": (str,),
    "nth": (int,),
    "times": (int,),
    "status": (int,),
    "retry_after": (float, int),
    "body": (str,),
    "seconds": (float, int),
}
HTML = b"<!DOCTYPE html><html><head><title>500</title></head><body><h1>Something went wrong</h1></body></html>"


class BadScript(ValueError):
    """A fault script that cannot be read; the text names the entry."""


@dataclass(slots=True)
class Fault:
    """One line of the script. `hook` runs right before or after the call and changes nothing else."""

    match: str
    kind: str
    nth: int = 1
    times: int = 1
    status: int = 500
    retry_after: float | None = None
    body: str = ""
    seconds: float = 0.0
    hook: Callable[[], None] | None = None
    seen: int = 0
    fired: int = 0

    def strikes(self, operation: str, path: str) -> bool:
        """Count a call; True if it is this fault's turn."""
        if self.match not in operation and self.match not in path:
            return False
        self.seen += 1
        if self.seen < self.nth or (self.times and self.fired >= self.times):
            return False
        self.fired += 1
        return True


class Faults:
    """A script. `special` names the further kinds a simulator understands."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self.script = list(faults)

    @classmethod
    def read(cls, path: Path) -> Faults:
        """A script from a file: TOML with [[fault]] tables, or a JSON list."""
        try:
            if path.suffix == ".json":
                entries = orjson.loads(path.read_bytes())
            else:
                entries = tomllib.loads(path.read_text("utf-8")).get("fault", [])
        except (orjson.JSONDecodeError, tomllib.TOMLDecodeError) as problem:
            raise BadScript(f"{path}: {problem}") from None
        return cls.from_list(entries)

    @classmethod
    def from_list(cls, entries: Sequence[Mapping[str, Any]]) -> Faults:
        """A script from plain tables; an unknown key is an error."""
        faults = cls()
        for number, entry in enumerate(entries, 1):
            if unknown := sorted(set(entry) - set(_TYPES)):
                raise BadScript(f"fault {number}: unknown key {unknown[0]!r}; known: {', '.join(sorted(_TYPES))}")
            if "kind" not in entry:
                raise BadScript(f"fault {number}: no kind")
            for key, value in entry.items():
                if not isinstance(value, _TYPES[key]) or isinstance(value, bool):
                    raise BadScript(f"fault {number}: {key} = {value!r} is no {_TYPES[key][0].__name__}")
            faults.add(**{"match": "", **entry})
        return faults

    def add(self, match: str, kind: str, **options: Any) -> Fault:
        """Append one fault."""
        fault = Fault(match, kind, **options)
        self.script.append(fault)
        return fault

    def before(self, match: str, action: Callable[[], None], *, nth: int = 1) -> Fault:
        """Run `action` just before the nth matching call is answered."""
        return self.add(match, "before", nth=nth, hook=action)

    def after(self, match: str, action: Callable[[], None], *, nth: int = 1) -> Fault:
        """Run `action` just after the nth matching call was answered."""
        return self.add(match, "after", nth=nth, hook=action)

    def run(
        self, operation: str, path: str, answer: Answer, *, clock: Clock, special: Mapping[str, Special] | None = None
    ) -> Reply:
        """Answer a call the way the script wants it; may raise `Drop`."""
        due = [fault for fault in self.script if fault.strikes(operation, path)]
        for fault in due:
            if fault.kind == "before" and fault.hook is not None:
                fault.hook()
            if fault.kind == "delay":
                clock.sleep(fault.seconds)
        bad = next((fault for fault in due if fault.kind not in ("before", "after", "delay")), None)
        reply = answer() if bad is None else _spoil(bad, answer, special or {})
        for fault in due:
            if fault.kind == "after" and fault.hook is not None:
                fault.hook()
        return reply


def _spoil(fault: Fault, answer: Answer, special: Mapping[str, Special]) -> Reply:
    kind = fault.kind
    if kind in special:
        return special[kind](fault, answer)
    if kind == "status":
        headers = {"content-type": "application/json"}
        if fault.retry_after is not None:
            headers["retry-after"] = f"{fault.retry_after:g}"
        return Reply(fault.status, headers, fault.body.encode())
    if kind in ("reset", "timeout"):
        raise Drop(timeout=kind == "timeout")
    if kind == "html_500":
        return Reply(500, {"content-type": "text/html"}, HTML)
    reply = answer()
    if kind in ("act_timeout", "act_reset"):
        raise Drop(timeout=kind == "act_timeout")
    if kind == "act_500":
        return Reply(500, {"content-type": "text/html"}, HTML)
    if kind == "truncated":
        return Reply(reply.status, reply.headers, reply.body[: len(reply.body) * 2 // 3])
    if kind == "malformed":
        return Reply(reply.status, reply.headers, b"{'data': " + reply.body[:40] + b",,}")
    raise BadScript(f"unknown kind of fault {kind!r}; known: {', '.join(sorted(KINDS | set(special)))}")
