"""Which changes travel together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import count

from connector.base import Audience, Batch, Op, Person
from connector.mailchimp.limits import limits
from connector.mailchimp.wire_members import plausible, subscriber_hash

QUIET, MEMBER, JOIN, CHANGE = "quiet", "member", "join", "change"
"""Kinds of batches: per member without automations, per member, per tag with people to be added first, one call to one
tag."""


def cut(ops: Iterable[Op], *, adding: bool) -> Iterator[Batch]:
    """First fills by member; what goes by a hash alone; newcomers (if `adding`) with all their tags; then tag by tag.

    One call gives a tag to 500 and takes it from 500 others. Somebody who leaves and joins the same tag (another
    customer with the same address, say) joins in a later batch.
    """
    every = list(ops)
    leaving = {clash for op in every if op.action == "remove" for clash in _same(op)}
    again = [op for op in every if op.action == "add" and not leaving.isdisjoint(_same(op))]
    later = {op.id for op in again}
    yield from _round([op for op in every if op.id not in later], adding)
    yield from _round(again, adding)


def planned(
    adds: Mapping[str, Sequence[Person]], removes: Mapping[str, Sequence[Person]], quiet: Collection[str]
) -> Iterator[Op]:
    """Ops as they will be, by segment key: the tags may be yet to be made, so the key stands for the id."""
    numbers = count(1)
    for segment, people in removes.items():
        audience = Audience(segment, segment, segment)
        yield from (Op(next(numbers), "remove", audience, person) for person in people)
    for segment, people in adds.items():
        audience = Audience(segment, segment, segment, quiet=segment in quiet)
        yield from (Op(next(numbers), "add", audience, person) for person in people)


def tag_of(audience: Audience) -> str:
    """The tag's id. Raises ValueError where there is none yet."""
    if audience.remote_id is None:
        raise ValueError(f"tag {audience.name!r} has no id yet")
    return audience.remote_id


def member_of(person: Person) -> str | None:
    """The hash by which the person is known, or would be; None without a usable address."""
    if person.remote_id is not None:
        return person.remote_id
    return subscriber_hash(person.email) if person.email and plausible(person.email.strip()) else None


def requests(ops: Iterable[Op]) -> Iterator[tuple[Op, ...]]:
    """The changes of one tag, as many as a call takes each."""
    size = limits().writes.tag
    every = list(ops)
    adds = [op for op in every if op.action == "add"]
    removes = [op for op in every if op.action == "remove"]
    for start in range(0, max(len(adds), len(removes)), size):
        yield (*removes[start : start + size], *adds[start : start + size])


def _round(ops: Sequence[Op], adding: bool) -> Iterator[Batch]:
    quiet = tuple(op for op in ops if op.audience.quiet)
    by_hash = tuple(op for op in ops if not op.audience.quiet and not _by_address(op.person))
    open_ops = [op for op in ops if not op.audience.quiet and _by_address(op.person)]
    if quiet:
        yield Batch(quiet, QUIET)
    if by_hash:
        yield Batch(by_hash, MEMBER)

    def newcomer(op: Op) -> bool:
        return adding and op.action == "add" and op.person.remote_id is None

    open_ops.sort(key=newcomer, reverse=True)
    calls = [call for group in grouped(open_ops, lambda op: tag_of(op.audience)) for call in requests(group)]
    joining = tuple(op for call in calls if any(map(newcomer, call)) for op in call)
    changes = [call for call in calls if not any(map(newcomer, call))]
    if joining:
        yield Batch(joining, JOIN)
    people = {member_of(op.person) for call in changes for op in call}
    if len(people) <= limits().writes.alone and len(people) + 1 < len(changes):
        yield Batch(tuple(op for call in changes for op in call), MEMBER)
    else:
        yield from (Batch(call, CHANGE) for call in changes)


def grouped(ops: Iterable[Op], by: Callable[[Op], Hashable]) -> list[list[Op]]:
    """Ops that have the same key, in order of first appearance."""
    groups: dict[Hashable, list[Op]] = {}
    for op in ops:
        groups.setdefault(by(op), []).append(op)
    return list(groups.values())


def _by_address(person: Person) -> bool:
    """Calls to a tag name people by address: it must be the one of the hash that we know."""
    its = member_of(Person(person.customer_id, person.email))
    return its is not None and person.remote_id in (None, its)


def _same(op: Op) -> set[tuple[str, Hashable]]:
    """By what two changes of one tag get in each other's way: the customer, and the member."""
    tag = tag_of(op.audience)
    return {(tag, op.person.customer_id), (tag, member_of(op.person) or op.person.customer_id)}
