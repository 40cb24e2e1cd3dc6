"""A plan as a frozen value: what every audience will be, why some are held, what it will cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from sync.clock import iso
from sync.push.guards import Guard

BEHIND = "not evaluated since the last pull; run `regulars derive`"
"""Of a segment whose members are not those of the facts here, or are a day old: time alone moves people."""


@dataclass(frozen=True, slots=True)
class AudiencePlan:
    """One audience. matched = size + Σ skipped; before + add - remove = size, both over members of ours.

    `lost` of those removed are so by consent, deletion or merge; `doubt` ops are sent again because nothing was heard
    of them, and change no count; `doubled` of `no_email` share their address with an earlier member. `retired`: the
    segment is no longer pushed here; `closing`: it is being emptied. `kind` is what it is called there; `keyed`: it is
    created and has an id; `consent`: it gets only those who agreed to mail; `silent`: who joins now starts nothing.
    """

    destination: str
    segment: str
    name: str
    matched: int = 0
    size: int = 0
    before: int = 0
    add: int = 0
    remove: int = 0
    lost: int = 0
    doubt: int = 0
    doubled: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    remote_id: str | None = None
    rule_hash: str | None = None
    renamed_from: str | None = None
    adopt: bool = False
    new: bool = False
    flows: tuple[str, ...] = ()
    held: bool = False
    retired: bool = False
    closing: bool = False
    kind: str = "list"
    keyed: bool = True
    silent: bool = False
    consent: bool = True

    @property
    def ops(self) -> int:
        """Ops to be sent, if it is not held."""
        return self.add + self.remove + self.doubt

    @property
    def work(self) -> bool:
        """True when there is something to do, at the destination or in taking it over."""
        return bool(self.ops or self.renamed_from or self.adopt)

    def to_json(self) -> dict[str, Any]:
        """The stable machine form; the first eight keys are the contract."""
        return {
            "destination": self.destination,
            "segment": self.segment,
            "name": self.name,
            "matched": self.matched,
            "size": self.size,
            "add": self.add,
            "remove": self.remove,
            "skipped": dict(self.skipped),
            "before": self.before,
            "lost": self.lost,
            "resend": self.doubt,
            "shared_address": self.doubled,
            "new": self.new,
            "adopt": self.adopt,
            "renamed_from": self.renamed_from,
            "live_flows": list(self.flows),
            "held": self.held,
            "closing": self.closing,
        }


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """How many people get their profile fields written at a destination; `digest` stands for people and values."""

    destination: str
    people: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be written. `id` stands for the content, not for the moment: the same state gives the same plan.

    `audiences` are compared with the ledger; `retired` are only shown. `unavailable` names segments that cannot be
    answered, with what they miss; `unreachable` destinations that did not answer, with what they said.
    `members`, `owned` (the ledger) and `config` stand for what was decided on: when they have moved, the plan is stale.

    `undoes` is the run that this plan takes back. Then `matched` of an audience are that run's changes there, and
    matched = add + remove + Σ skipped; its audiences remember `mark`, and `disabled` are (destination, changes) that
    stay as they are because the destination is not enabled any more.
    """

    now: int
    run: int
    audiences: tuple[AudiencePlan, ...]
    retired: tuple[AudiencePlan, ...] = ()
    guards: tuple[Guard, ...] = ()
    passed: tuple[Guard, ...] = ()
    unavailable: tuple[tuple[str, str], ...] = ()
    unreachable: tuple[tuple[str, str], ...] = ()
    fields: tuple[FieldPlan, ...] = ()
    calls_estimated: int = 0
    seconds_estimated: float = 0.0
    config: str = ""
    members: str = ""
    owned: str = ""
    ops: str = ""
    id: str = ""
    undoes: int | None = None
    mark: int | None = None
    disabled: tuple[tuple[str, int], ...] = ()

    @property
    def held(self) -> bool:
        """True when a guard holds an audience (exit code 5)."""
        return bool(self.guards)

    @property
    def again(self) -> str:
        """The command that makes such a plan anew."""
        return "regulars plan" if self.undoes is None else f"regulars undo {self.undoes}"

    @property
    def changes(self) -> bool:
        """True when applying it would send something (`--detailed-exitcode`)."""
        return bool(self.fields) or any(not its.held and its.work for its in self.audiences)

    @property
    def behind(self) -> tuple[str, ...]:
        """Segments that are left alone only because `derive` has not been run (exit code 5, as for a stale plan)."""
        return tuple(key for key, missing in self.unavailable if missing == BEHIND)

    @property
    def pending(self) -> bool:
        """True when there is anything to do, held or not."""
        return bool(self.fields) or any(its.work for its in self.audiences)

    def to_json(self) -> dict[str, Any]:
        """The stable machine form (`plan --json`)."""
        undo = {"undoes": self.undoes, "disabled": [{"destination": its, "changes": n} for its, n in self.disabled]}
        return {
            **(undo if self.undoes is not None else {}),
            "id": self.id,
            "now": iso(self.now),
            "guards": [asdict(guard) for guard in self.guards],
            "audiences": [its.to_json() for its in self.audiences],
            "calls_estimated": self.calls_estimated,
            "seconds_estimated": round(self.seconds_estimated, 1),
            "fields": [{"destination": its.destination, "people": its.people} for its in self.fields],
            "run": self.run,
            "passed": [asdict(guard) for guard in self.passed],
            "retired": [its.to_json() for its in self.retired],
            "unavailable": [{"segment": key, "missing": missing} for key, missing in self.unavailable],
            "unreachable": [{"destination": name, "error": error} for name, error in self.unreachable],
        }


def identify(plan: Plan) -> str:
    """Sixteen hex digits of the SHA-256 of what the plan decides and of what it was decided on."""
    content = {
        "config": plan.config,
        "members": plan.members,
        "owned": plan.owned,
        "ops": plan.ops,
        "audiences": [asdict(its) for its in plan.audiences],
        "guards": sorted((guard.guard, guard.destination, guard.segment) for guard in plan.guards),
        "unreachable": sorted(name for name, _ in plan.unreachable),
        "fields": [asdict(its) for its in plan.fields],
        "undoes": [plan.undoes, plan.mark],
    }
    return digest(content)[:16]


def digest(content: Any) -> str:
    """SHA-256 of the canonical JSON."""
    return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def dump(plan: Plan) -> str:
    """The plan as it is stored."""
    return orjson.dumps(asdict(plan), option=orjson.OPT_SORT_KEYS).decode()


def load(body: str) -> Plan:
    """The plan as it was stored."""
    raw = orjson.loads(body)
    audiences = {
        name: tuple(AudiencePlan(**{**its, "flows": tuple(its["flows"])}) for its in raw[name])
        for name in ("audiences", "retired")
    }
    guards = {name: tuple(Guard(**its) for its in raw[name]) for name in ("guards", "passed")}
    pairs = {name: tuple((its[0], its[1]) for its in raw[name]) for name in ("unavailable", "unreachable", "disabled")}
    fields = tuple(FieldPlan(**its) for its in raw["fields"])
    return Plan(**{**raw, **audiences, **guards, **pairs, "fields": fields})
