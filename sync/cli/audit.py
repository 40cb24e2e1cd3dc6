"""`regulars audit`: what stands in our audiences, against what we put there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

from connector.errors import Unavailable
from sync.cli.output import counted, note, show, show_json, wrapped
from sync.cli.wiring import where, workspace
from sync.push.audit import ADOPT, GONE, RENAMED, REVERT, AudienceAudit, Audit
from sync.push.guards import people
from sync.runs import run_audit
from sync.store.drift import YOUNG, Drifter

SHOWN = 10


def run(*, config: Path | None, additions: list[str], removals: list[str], as_json: bool) -> None:
    """Read, compare, note what was chosen, and say what follows from it."""
    with workspace(config, online=True) as work:
        found = run_audit(work, additions, removals)
    if as_json:
        show_json(found.to_json())
    else:
        for line in lines(found, where(config)):
            show(line)
    for _, error in found.unreachable:
        note(error)
    raise typer.Exit(Unavailable.exit_code if found.unreachable else 0)


def lines(found: Audit, tail: str = "") -> Iterator[str]:
    """The text, audience by audience, those that are as we left them in one line; `tail` ends the next command."""
    differing = [its for its in found.audiences if its.differs]
    for its in differing:
        yield from _audience(its)
        yield ""
    same = len(found.audiences) - len(differing)
    young = sum(its.found.young for its in found.audiences)
    if not found.audiences:
        yield "No audience of ours could be read." if found.unreachable else "There is no audience of ours yet."
    elif same:
        yield f"{counted(same, 'audience')} {'is' if same == 1 else 'are'} as we left {'it' if same == 1 else 'them'}."
    if young:
        yield f"{people(young)} were moved by us in the last {YOUNG // 60} minutes: too young to judge."
    for name, _ in found.unreachable:
        yield f"{name} did not answer: left out."
    yield ""
    yield from _next(found.audiences, tail)


def _audience(its: AudienceAudit) -> Iterator[str]:
    found = its.found
    yield f'{its.segment.partition("@")[0]} → {its.destination} {its.kind} "{its.name}"'
    if its.state == GONE:
        yield f"  it is gone; {people(found.ours)} of ours were in it"
        return
    if its.state == RENAMED:
        yield "  it has another name there now; it is known by its id, and goes on under its new name"
    yield f"  {found.members:,} there, {found.ours:,} ours"
    if found.removed:
        fate = {REVERT: "come back with the next sync", ADOPT: "stay out while they are in the segment"}
        becomes = fate.get(its.choice.removals, "left as they are")
        yield f"  − {people(len(found.removed))} taken out by others: {becomes}"
        yield _named(found.removed)
    if found.added:
        fate = {ADOPT: "ours now where the segment wants them", REVERT: "ours now; out with whom the segment lacks"}
        becomes = fate.get(its.choice.additions, "left to whoever put them there")
        yield f"  + {people(len(found.added))} put in by others: {becomes}"
        yield _named(found.added)
    if found.nobodies:
        yield f"  + {counted(found.nobodies, 'member')} put in by others, no customers of the shop: never touched"


def _named(those: Sequence[Drifter]) -> str:
    more = f" and {len(those) - SHOWN:,} more (--json names all)" if len(those) > SHOWN else ""
    return wrapped(", ".join(its.id for its in those[:SHOWN]) + more, "      ")


def _next(audiences: Sequence[AudienceAudit], tail: str) -> Iterator[str]:
    back = sum(its.back for its in audiences if its.state != GONE)
    out = sum(its.out for its in audiences)
    gone = [its for its in audiences if its.state == GONE]
    told = [f"puts {people(back)} back"] if back else []
    told += [f"takes {people(out)} out"] if out else []
    told += [f"makes {counted(len(gone), 'audience')} anew"] if gone else []
    if told:
        yield f"The next sync {', '.join(told)}, under the usual guards."
        yield f"Next: regulars sync --dry-run{tail}"
    else:
        yield "The next sync writes nothing because of this."
        yield f"Next: regulars status{tail}"
