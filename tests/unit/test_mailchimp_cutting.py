"""How changes of tags are cut into requests."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from connector.base import Audience, Batch, Op, Person
from connector.mailchimp.cutting import CHANGE, JOIN, MEMBER, QUIET, cut, member_of
from connector.mailchimp.wire_members import subscriber_hash

TAGS = [Audience(f"s{number}", f"seg:s{number}", str(number + 1)) for number in range(4)]
FIRST_FILL = Audience("new", "seg:new", "99", quiet=True)


def person(number: int, address: int | None = None, *, known: bool = True, moved: bool = False) -> Person:
    email = f"p{number if address is None else address}@shop.test"
    return Person(number, email, subscriber_hash(f"old-{email}" if moved else email) if known else None)


def change(number: int, action: str, audience: Audience, who: Person) -> Op:
    return Op(number, action, audience, who)  # type: ignore[arg-type]


@st.composite
def changes(draw: st.DrawFn) -> list[Op]:
    """Few people, several tags, first fills, shared addresses, changed addresses, strangers."""
    people = draw(st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.booleans()), max_size=40))
    ops = []
    for number, (address, known, moved) in enumerate(people):
        audience = draw(st.sampled_from([*TAGS, FIRST_FILL]))
        who = person(draw(st.integers(0, 20)), address, known=known, moved=moved)
        ops.append(change(number, draw(st.sampled_from(["add", "remove"])), audience, who))
    return ops


def calls(batch: Batch) -> dict[str, Counter[str]]:
    """Changes by tag and action."""
    counts: dict[str, Counter[str]] = {}
    for op in batch.ops:
        counts.setdefault(op.audience.name, Counter())[op.action] += 1
    return counts


@given(changes(), st.booleans())
def test_every_change_travels_once_and_after_what_is_in_its_way(ops: list[Op], adding: bool) -> None:
    """First fills go by themselves; who leaves and joins one tag, as customer or as member, joins in a later batch."""
    batches = list(cut(ops, adding=adding))

    assert sorted(op.id for batch in batches for op in batch.ops) == [op.id for op in ops]
    for batch in batches:
        assert {op.audience.quiet for op in batch.ops} == {batch.kind == QUIET}
        if batch.kind == CHANGE:
            assert len(calls(batch)) == 1
        left = {(op.audience.name, key) for op in batch.ops if op.action == "remove" for key in who(op)}
        joined = {(op.audience.name, key) for op in batch.ops if op.action == "add" for key in who(op)}
        assert left.isdisjoint(joined)
    order = {op.id: place for place, batch in enumerate(batches) for op in batch.ops}
    for leaving in ops:
        for joining in ops:
            if (leaving.action, joining.action) == ("remove", "add") and leaving.audience is joining.audience:
                assert who(leaving).isdisjoint(who(joining)) or order[leaving.id] < order[joining.id]


def who(op: Op) -> set[object]:
    return {op.person.customer_id, member_of(op.person)}


SIZES = st.lists(st.tuples(st.integers(0, 1300), st.integers(0, 1300)), min_size=1, max_size=4)


@given(SIZES, st.integers(0, 700))
def test_calls_are_full_and_as_few_as_can_be(sizes: list[tuple[int, int]], newcomers: int) -> None:
    """One call gives a tag to 500 and takes it from 500; newcomers take no call more than others."""
    ops: list[Op] = []
    for audience, (joining, leaving) in zip(TAGS, sizes, strict=False):
        for number in range(joining):
            who = person(len(ops), known=number < joining - newcomers)
            ops.append(change(len(ops), "add", audience, who))
        ops += [change(len(ops) + n, "remove", audience, person(len(ops) + n)) for n in range(leaving)]

    batches = list(cut(ops, adding=True))

    needed = sum(-(-max(size) // 500) for size in sizes)
    assert {batch.kind for batch in batches} <= {CHANGE, JOIN, MEMBER}
    sent = sum(
        -(-max(its.values()) // 500) for batch in batches if batch.kind != MEMBER for its in calls(batch).values()
    )
    by_member = [len({op.person for op in batch.ops}) + 1 for batch in batches if batch.kind == MEMBER]
    assert sent == needed or sent + sum(by_member) < needed
    for batch in batches:
        if batch.kind == CHANGE:
            assert all(count <= 500 for its in calls(batch).values() for count in its.values())
    assert sorted(op.id for batch in batches for op in batch.ops) == [op.id for op in ops]


def test_a_few_people_with_many_tags_go_by_person() -> None:
    """Two people who change five tags each need three calls (one reads the tags' names) instead of five or more."""
    tags = [Audience(f"t{number}", f"seg:t{number}", str(number + 1)) for number in range(5)]
    ops = [change(5 * who + n, "add", tag, person(who)) for who in range(2) for n, tag in enumerate(tags)]

    assert [(batch.kind, len(batch.ops)) for batch in cut(ops, adding=False)] == [(MEMBER, 10)]
    assert [batch.kind for batch in cut(ops[:2], adding=False)] == [CHANGE] * 2


def test_who_is_only_known_by_a_hash_goes_by_it() -> None:
    """Calls to a tag name people by address: a former address, or none, is no way to name them."""
    gone = Person(1, None, subscriber_hash("gone@shop.test"))
    ops = [change(1, "remove", TAGS[0], gone), change(2, "remove", TAGS[0], person(2, moved=True))]

    assert [(batch.kind, len(batch.ops)) for batch in cut(ops, adding=False)] == [(MEMBER, 2)]
