"""Which ops go out together, and what that costs. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from connector.base import Batch, Op, Person
from connector.klaviyo import wire_imports
from connector.klaviyo.limits import limits
from connector.klaviyo.push import ADD, IMPORT, REMOVE, list_of
from connector.klaviyo.wire_profiles import key

PEOPLE = "people"

People = Mapping[str, Sequence[Person]]
"""People by segment key."""


def by_list(ops: Iterable[Op], most: int | None = None) -> Iterator[Batch]:
    """Removals of every list, then people yet unknown, with all the lists they join, then the known.

    Additions of known people fill up the last requests that each list needs for the unknown. `most` bounds the ops that
    are settled together where each needs a request of its own besides.
    """
    leaving: dict[str, list[Op]] = defaultdict(list)
    joining: dict[str, list[Op]] = defaultdict(list)
    unknown: dict[str, list[Op]] = defaultdict(list)
    for op in ops:
        coming = unknown if op.person.remote_id is None else joining
        (leaving if op.action == "remove" else coming)[list_of(op.audience)].append(op)
    for group in leaving.values():
        yield from (Batch(part, REMOVE) for part in _thousands(group))
    if most is not None:
        yield from (Batch(part, IMPORT) for part in _whole_people(unknown.values(), most))
        unknown.clear()
    together: list[Op] = []
    for list_id, group in unknown.items():
        room = -len(group) % limits().writes.relationship
        together += [*group, *joining[list_id][:room]]
        del joining[list_id][:room]
    if together:
        yield Batch(tuple(together), IMPORT)
    for group in joining.values():
        yield from (Batch(part, ADD) for part in _thousands(group))


def by_person(ops: Iterable[Op]) -> Iterator[Batch]:
    """Everything of a person in one batch."""
    yield from (Batch(part, PEOPLE) for part in _whole_people([list(ops)], limits().writes.people))


def list_calls(adds: People, removes: People, most: int | None = None) -> Counter[str]:
    """Calls by operation for lists, cut as `by_list` does. An import is taken to be done at the second look."""
    counts: Counter[str] = Counter()
    size = limits().writes.relationship
    for people in removes.values():
        counts["RemoveProfilesFromList"] += -(-len(people) // size)
        counts["GetProfiles"] += _lookups(sum(person.remote_id is None for person in people))
    unknown = _strangers(adds)
    parts = -(-len(unknown) // most) if most else 0
    for people in adds.values():
        new = sum(person.remote_id is None for person in people) if most else 0
        counts["AddProfilesToList"] += -(-(len(people) - new) // size) + min(new, parts)
    jobs = parts or sum(1 for _ in wire_imports.groups(unknown))
    counts["CreateImportJob"] += jobs
    counts["GetImportJob"] += 2 * jobs
    counts["GetImportErrors"] += jobs
    counts["GetImportProfiles"] += _lookups(len(unknown))
    return counts


def property_calls(adds: People, removes: People) -> Counter[str]:
    """Calls by operation for the array on the profile: one for each person, whatever changes of them."""
    known = {person.remote_id for people in (*adds.values(), *removes.values()) for person in people}
    made = _strangers(adds)
    asked = made | _strangers(removes)
    return Counter(
        {"UpdateProfile": len(known - {None}), "ImportProfile": len(made), "GetProfiles": _lookups(len(asked))}
    )


def followed_calls(adds: People, removes: People) -> Counter[str]:
    """Calls by operation for the array behind the lists: list by list for the known, once for the new."""
    known = sum(its.remote_id is not None for people in (*adds.values(), *removes.values()) for its in people)
    return Counter({"UpdateProfile": known + len(_strangers(adds))})


def event_calls(adds: People, removes: People) -> Counter[str]:
    """Calls by operation for events: one for each change, and a look at the standing of the known."""
    changes = [person for people in (*adds.values(), *removes.values()) for person in people]
    known = sum(person.remote_id is not None for person in changes)
    return Counter({"CreateEvent": len(changes), "GetProfiles": _lookups(known)})


def seconds(counts: Mapping[str, int]) -> float:
    """The time that the limits of each operation need, one after the other, and that requests for one person take."""
    operations, job = limits().operations, limits().job
    total = 3 * job.first_wait if counts.get("CreateImportJob") else 0.0
    for name, calls in counts.items():
        alone = limits().writes.call * calls if name in ("UpdateProfile", "ImportProfile", "CreateEvent") else 0.0
        total += max(operations[name].seconds(calls), alone)
    return total


def _strangers(people: People) -> set[str]:
    """Addresses of those without a known profile."""
    each = (person for those in people.values() for person in those if person.remote_id is None)
    return {key(person.email) for person in each if person.email}


def _whole_people(groups: Iterable[Sequence[Op]], most: int) -> Iterator[tuple[Op, ...]]:
    """Ops of `most` people at a time, removals first."""
    people: dict[str, list[Op]] = {}
    for group in groups:
        for op in group:
            address = key(op.person.email) if op.person.email else f"#{op.person.customer_id}"
            people.setdefault(op.person.remote_id or address, []).append(op)
    everybody = list(people.values())
    for start in range(0, len(everybody), most):
        part = [op for those in everybody[start : start + most] for op in those]
        yield tuple(sorted(part, key=lambda op: op.action == "add"))


def _thousands(ops: Sequence[Op]) -> Iterator[tuple[Op, ...]]:
    size = limits().writes.relationship
    for start in range(0, len(ops), size):
        yield tuple(ops[start : start + size])


def _lookups(people: int) -> int:
    return -(-people // limits().pages.profiles)
