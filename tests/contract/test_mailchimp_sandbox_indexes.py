"""The simulator's indexes say what counting by hand would say, whatever happened before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from connector.mailchimp.sandbox_account import Audience, Journal, address_hash
from sync.clock import ManualClock

NAMES = ("VIP", "vip ", "Lapsed")
people = st.sampled_from([f"p{number}@example.org" for number in range(6)])
statuses = st.sampled_from(["subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived"])


class World:
    """An audience, and every edit that a request or a hand may make."""

    def __init__(self) -> None:
        self.clock = ManualClock(1_795_000_000)
        self.audience = Audience(self.clock, "a1", "Shop", count(1), Journal())

    def add(self, address: str, status: str) -> None:
        if self.audience.find(address) is None:
            self.audience.add(address, status, at=int(self.clock.now()) - len(status) * 10)

    def turn(self, address: str, status: str) -> None:
        if member := self.audience.find(address):
            self.audience.set_status(member, status)

    def mark(self, address: str, status: str) -> None:
        if member := self.audience.find(address):
            name = NAMES[len(status) % 3]
            segment = self.audience.tag_named(name) or self.audience.add_tag(name)
            if not self.audience.tag(segment, member):
                self.audience.untag(segment, member)

    def forget(self, address: str, status: str) -> None:
        if self.audience.find(address) is not None:
            self.audience.delete_permanent(address)

    def move(self, address: str, status: str) -> None:
        if self.audience.find(address) is not None and self.audience.find(f"{status}@example.org") is None:
            self.audience.change_address(address, f"{status}@example.org")

    def drop(self, address: str, status: str) -> None:
        if segment := self.audience.tag_named(NAMES[len(status) % 3]):
            self.audience.delete_tag(segment)

    def wait(self, address: str, status: str) -> None:
        self.clock.advance(len(status))


edits: st.SearchStrategy[Callable[[World, str, str], None]] = st.sampled_from(
    [World.add, World.add, World.turn, World.mark, World.mark, World.forget, World.move, World.drop, World.wait]
)


@given(st.lists(st.tuples(edits, people, statuses), max_size=40))
def test_counts_and_order_are_those_of_the_members(
    script: list[tuple[Callable[[World, str, str], None], str, str]],
) -> None:
    """Sizes by status, members and tags of each other, hashes, and who changed since."""
    world = World()
    for edit, address, status in script:
        edit(world, address, status)
    audience = world.audience
    members = list(audience.members.values())

    assert +audience.counts == Counter(member.status for member in members)
    assert all(audience.members[address_hash(member.address)] is member for member in members)
    assert all(audience.contact(member.contact_id) is member for member in members)
    for segment in audience.segments.values():
        assert +segment.counts == Counter(member.status for member in segment.members)
        assert {member.id for member in segment.members} == {each.id for each in members if segment.id in each.tags}
    for since in sorted({member.last_changed for member in members}):
        found = {member.id for member in audience.changed_after(since)}
        assert found == {member.id for member in members if member.last_changed > since}
