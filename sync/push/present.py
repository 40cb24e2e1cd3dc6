"""A plan in words, as a careful colleague puts it: what changes, who is left out and why, what is held, what next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sync.push.guards import UNKNOWN_LEDGER, Guard, people
from sync.push.plan_value import AudiencePlan, Plan

_SKIPPED = {
    "no_email": "without an address of their own",
    "holdout": "held out",
    "not_subscribed": "not subscribed",
    "suppressed": "unsubscribed or suppressed there",
    "not_in_audience": "not in the audience there",
    "refused": "refused before",
    "moved_since": "moved since",
    "taken_back": "taken back before",
    "not_allowed": "no longer allowed",
    "audience_gone": "in an audience that is gone",
    "new_address": "under another address since",
}
_INDENT = " " * 6
_FEW = 4


def plan_text(plan: Plan, *, applied: bool = False, tail: str = "") -> list[str]:
    """The lines, without colour. Of a plan that was `applied` only what is held is still to be done.

    Each next command ends with `tail`, such as the flag that says where the project is.
    """
    lines = [*_changes(plan), *_held(plan), *_left_alone(plan), *([] if applied else _notes(plan))]
    following = [*_next(plan, applied, tail)] if plan.guards or not applied else []
    return [*lines, *([""] if following else []), *following]


def _changes(plan: Plan) -> Iterator[str]:
    moving = [its for its in plan.audiences if its.work]
    moment = datetime.fromtimestamp(plan.now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    back = f"taking back run {plan.undoes}, " if plan.undoes is not None else ""
    yield f"Plan {plan.id}, {back}as of {moment}"
    yield ""
    guarded = {(guard.destination, guard.segment) for guard in plan.guards}
    widths = [max((len(f"{getattr(its, name):,}") for its in moving), default=1) for name in ("add", "remove", "size")]
    for its in moving:
        add, remove, size = (
            f"{getattr(its, name):>{width},}" for name, width in zip(("add", "remove", "size"), widths, strict=True)
        )
        held = "  HELD" if its.held else ""
        yield f"  + {add}  − {remove}  = {size}  {_key(its)} → {_place(its)}{held}"
        for remark in _remarks(its, plan.undoes):
            yield f"{_INDENT}{remark}"
        if its.held and not its.closing and (its.destination, its.segment) not in guarded:
            yield f"{_INDENT}left as it is until a run has been taken back here"
    if plan.undoes is not None:
        yield from _left_as_is(plan)
        return
    still = len(plan.audiences) - len(moving)
    as_is = "1 audience is as it should be" if still == 1 else f"{still:,} audiences are as they should be"
    if still and (moving or plan.fields):
        yield f"  {as_is}."
    elif not moving and not plan.fields:
        yield f"  Nothing to write: {as_is}." if still else "  Nothing to write."
    for each in plan.fields:
        yield f"  {each.destination} profile fields: {people(each.people)}"


def _left_as_is(plan: Plan) -> Iterator[str]:
    """Of an undo: audiences where nothing is to be taken back any more, and destinations that are not enabled."""
    for its in plan.audiences:
        if not its.work:
            yield f"  nothing  {_key(its)} → {_place(its)}"
            yield from (f"{_INDENT}{remark}" for remark in _remarks(its, plan.undoes))
    for name, number in plan.disabled:
        yield f"  {name} is not enabled any more: its {number:,} changes are left alone"


def _remarks(its: AudiencePlan, undoes: int | None = None) -> Iterator[str]:
    if undoes is not None and its.skipped:
        parts = [f"{number:,} {_SKIPPED[reason]}" for reason, number in its.skipped.items()]
        yield f"{people(its.matched)} changed by run {undoes}, left as they are: {', '.join(parts)}"
    elif its.skipped:
        parts = [f"{number:,} {_SKIPPED[reason]}" for reason, number in its.skipped.items()]
        if its.doubled:
            parts[0] += f" ({its.doubled:,} shared with an earlier member)"
        yield f"{its.matched:,} in the segment, left out: {', '.join(parts)}"
    if its.lost:
        yield f"{its.lost:,} of those who go lost consent, were deleted or merged"
    if its.doubt:
        yield f"{people(its.doubt)} sent again: an earlier run did not hear whether they had arrived"
    if its.renamed_from:
        yield f'renamed from "{its.renamed_from}"'
    if its.adopt:
        yield f"taken over: {_stood(its)}"
    elif its.new and its.add and its.keyed:
        yield f"a new {its.kind}, created with the first members"
    if its.silent and its.add:
        yield "joining starts no automation: this is the first fill"
    if its.flows and its.add:
        flows = ", ".join(f'"{flow}"' for flow in its.flows)
        yield f"joining starts the live flow{'s' if len(its.flows) > 1 else ''} {flows} for {people(its.add)}"
    if its.closing and its.held:
        yield "left for another name, and emptied only once that one is filled"
    elif its.closing:
        yield "being emptied: retired, or moved to another name"


def _stood(its: AudiencePlan) -> str:
    if not its.consent:
        return f"{people(its.before)} carried the {its.kind}"
    return f"the {its.kind} stood there; its other members stay and are not counted"


def _held(plan: Plan) -> Iterator[str]:
    if plan.guards:
        yield ""
        yield "Held, nothing of these is written:"
        for name in dict.fromkeys(guard.guard for guard in plan.guards):
            yield from _kept_back(name, [guard for guard in plan.guards if guard.guard == name])
    if plan.passed:
        yield ""
        yield "Passed by --force or [guards] accept:"
        yield from (f"  {guard.guard}: {guard.text.rpartition('; ')[0]}" for guard in plan.passed)


def _kept_back(name: str, those: Sequence[Guard]) -> Iterator[str]:
    """A few in full, the rest by name: their numbers stand in the lines above."""
    shown = those if len(those) <= _FEW else those[: _FEW - 1]
    yield from (f"  {name}: {guard.text}" for guard in shown)
    if rest := those[len(shown) :]:
        named = ", ".join(f"{guard.destination}: {guard.segment}" for guard in rest)
        yield f"  {name}: and {len(rest):,} more ({named}); pass all of them with --force {name}"


def _left_alone(plan: Plan) -> Iterator[str]:
    if plan.unreachable:
        yield ""
        yield "Not reached, left as it is until it answers:"
        yield from (f"  {name}: {error}" for name, error in plan.unreachable)
    if plan.unavailable:
        yield ""
        yield "Segments that cannot be answered, their audiences left as they are:"
        yield from (f"  {key}: {missing}" for key, missing in plan.unavailable)
    if plan.retired:
        yield ""
        yield "Retired, left as they are until `regulars segments retire KEY`:"
        yield from (f"  {_key(its)} → {_place(its)}, {people(its.before)}" for its in plan.retired)


def _notes(plan: Plan) -> Iterator[str]:
    wanted = plan.audiences if plan.undoes is None else ()
    for kind in sorted({its.kind for its in wanted if its.add and not its.consent}):
        yield ""
        yield (
            f"{kind.capitalize()}s carry no consent: they go to everybody in the segment. "
            f"Filter by subscription before mailing a {kind}."
        )
    if plan.calls_estimated:
        yield ""
        calls = f"{plan.calls_estimated:,} call{'' if plan.calls_estimated == 1 else 's'}"
        yield f"About {calls}, {_duration(plan.seconds_estimated)}."


def _next(plan: Plan, applied: bool, tail: str) -> Iterator[str]:
    if plan.behind:
        yield f"Next: regulars derive{tail}, and then regulars plan{tail}"
    if plan.changes and not applied:
        yield f"Next: regulars apply {plan.id}{tail}"
    if plan.guards and plan.undoes is not None:
        flags = " ".join(f"--force {guard}" for guard in dict.fromkeys(its.guard for its in plan.guards))
        verb = "Or, with what is held" if plan.changes else "Next, if it is right"
        yield f"{verb}: regulars undo {plan.undoes} {flags}{tail}"
    elif plan.guards:
        first = plan.guards[0]
        here = [
            its.guard for its in plan.guards if (its.destination, its.segment) == (first.destination, first.segment)
        ]
        flag = " ".join("--adopt" if its == UNKNOWN_LEDGER else f"--force {its}:{first.segment}" for its in here)
        verb = "Or, with what is held" if plan.changes else "Next"
        look = f"regulars segments show {first.segment}{tail}"
        yield f"{verb}: {look}, and if it is right: regulars apply {flag}{tail}"
    if not plan.changes and not plan.guards and not plan.behind and plan.undoes is not None:
        yield f"Next: regulars status{tail}"
    elif not plan.changes and not plan.guards and not plan.behind:
        yield f"Next: regulars segments list{tail}"


def _key(its: AudiencePlan) -> str:
    return its.segment.partition("@")[0]


def _place(its: AudiencePlan) -> str:
    return f'{its.destination} {its.kind} "{its.name}"' if its.consent else f'{its.kind} "{its.name}"'


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "under a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
