"""Places where audiences live, over Python dicts, speaking the Destination protocol."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from connector.base import (
    Audience,
    Batch,
    FieldReceipt,
    FieldWrite,
    Finding,
    Limits,
    Op,
    Person,
    Profile,
    Receipt,
    WithoutFields,
)
from connector.errors import BadRequest


class Killed(BaseException):
    """The process dies here."""


class FakeTags(WithoutFields):
    """Tags on customers. `tags` is what the store holds: customer → names."""

    name = "tags"
    platform = "fake"
    limits = Limits(consent=False, by_email=False, name_length=255, tags_per_person=250, keyed=False)

    def __init__(self, prefix: str = "seg-", size: int = 3) -> None:
        self.prefix = prefix
        self.size = size
        self.tags: dict[int, set[str]] = defaultdict(set)
        self.refuse: dict[int, str] = {}
        self.later: set[int] = set()
        self.failing: Exception | None = None
        self.key_error: Exception | None = None
        self.die_after: int | None = None
        self.pushed: list[Op] = []
        self.calls = 0
        self.owner = "A1"

    def check(self) -> None:
        self.doctor()

    def account(self) -> str:
        return self.owner

    def doctor(self) -> list[Finding]:
        self.calls += 1
        if self.key_error:
            raise self.key_error
        return []

    def audience_name(self, key: str, name: str) -> str:
        return self.prefix + key

    def lookup(self, emails: Sequence[str]) -> Iterator[Sequence[Profile]]:
        return iter(())

    def changed(self, since: int | None) -> Iterator[Sequence[Profile]]:
        return iter(())

    def find(self, names: Sequence[str], *, made: tuple[int, int] | None = None) -> Mapping[str, Sequence[str]]:
        return {}

    def create(self, audience: Audience) -> str:
        return audience.name

    def rename(self, audience: Audience) -> None:
        raise AssertionError("a tag is never renamed")

    def live_flows(self, audience: Audience) -> Sequence[str]:
        return ()

    def estimate(
        self,
        adds: Mapping[str, Sequence[Person]],
        removes: Mapping[str, Sequence[Person]],
        quiet: Collection[str] = (),
    ) -> tuple[int, float]:
        ops = sum(map(len, adds.values())) + sum(map(len, removes.values()))
        return -(-ops // self.size), float(ops)

    def batches(self, ops: Iterable[Op]) -> Iterator[Batch]:
        waiting = sorted(ops, key=lambda op: (op.person.customer_id, op.action == "add"))
        for start in range(0, len(waiting), self.size):
            yield Batch(tuple(waiting[start : start + self.size]))

    def push(self, batch: Batch) -> list[Receipt]:
        self.calls += 1
        if self.failing:
            raise self.failing
        receipts = [self._one(op) for op in batch.ops]
        self.pushed += batch.ops
        if self.die_after is not None:
            self.die_after -= 1
            if self.die_after < 0:
                raise Killed
        return receipts

    def _one(self, op: Op) -> Receipt:
        number = op.person.customer_id
        if number in self.refuse:
            return Receipt(op.id, "refused", self.refuse[number])
        if number in self.later:
            return Receipt(op.id, "retry", "not now")
        self.change(op)
        return Receipt(op.id, "done")

    def change(self, op: Op) -> None:
        names = self.tags[op.person.customer_id]
        (names.add if op.action == "add" else names.discard)(op.audience.name)

    def members(self, audience: Audience) -> Iterator[str]:
        return iter(sorted(str(number) for number, names in self.tags.items() if audience.name in names))

    def state(self) -> dict[str, list[int]]:
        """Customers per tag."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, names in sorted(self.tags.items()):
            for name in names:
                found[name].append(number)
        return dict(found)


class Keyed(FakeTags):
    """Audiences with ids of their own: `lists` is id → (name, members)."""

    letter = "L"

    def __init__(self, prefix: str, size: int = 3) -> None:
        super().__init__(prefix, size)
        self.lists: dict[str, tuple[str, set[str]]] = {}
        self.flows: dict[str, list[str]] = {}
        self.die_in_create = False
        self.refuse_create: Exception | None = None
        self.mute_create: Exception | None = None
        self.now = 1_790_000_000
        self.made: dict[str, int] = {}

    def find(self, names: Sequence[str], *, made: tuple[int, int] | None = None) -> Mapping[str, Sequence[str]]:
        self.calls += 1
        since, until = made or (0, self.now)
        there = [(key, its) for key, (its, _) in self.lists.items() if since <= self.made.get(key, 0) <= until]
        return {name: [key for key, its in there if its == name] for name in names}

    def create(self, audience: Audience) -> str:
        self.calls += 1
        key = f"{self.letter}{len(self.made) + 1}"
        if self.refuse_create:
            raise self.refuse_create
        self.lists[key] = (audience.name, set())
        self.made[key] = self.now
        if self.die_in_create:
            self.die_in_create = False
            raise Killed
        if self.mute_create:
            raise self.mute_create
        return key

    def rename(self, audience: Audience) -> None:
        self.calls += 1
        assert audience.remote_id is not None
        if audience.remote_id not in self.lists:
            raise BadRequest(self.name, "rename", "there is no such audience")
        self.lists[audience.remote_id] = (audience.name, self.lists[audience.remote_id][1])

    def live_flows(self, audience: Audience) -> Sequence[str]:
        self.calls += 1
        return self.flows.get(audience.remote_id or "", [])

    def members(self, audience: Audience) -> Iterator[str]:
        self.calls += 1
        if self.failing:
            raise self.failing
        if audience.remote_id not in self.lists:
            raise BadRequest("fake", "list members", "no such list")
        yield from sorted(self.lists[audience.remote_id or ""][1])

    def state(self) -> dict[str, list[str]]:  # type: ignore[override]
        """Members per list."""
        return {name: sorted(members) for name, members in self.lists.values()}


class FakeLabels(Keyed):
    """Labels on contacts, which are known by the store's own ids."""

    platform = "fake"
    limits = Limits(consent=False, by_email=False, name_length=180, creates_per_day=20)
    letter = "custom."

    def __init__(self, prefix: str = "seg-", size: int = 3) -> None:
        super().__init__(prefix, size)

    def audience_name(self, key: str, name: str) -> str:
        return self.prefix + name

    def _one(self, op: Op) -> Receipt:
        if op.audience.remote_id not in self.lists:
            return Receipt(op.id, "retry", "no such label", gone=True)
        return super()._one(op)

    def members(self, audience: Audience) -> Iterator[str]:
        """The index of people has nobody under a label that is gone."""
        yield from super().members(audience) if audience.remote_id in self.lists else ()

    def change(self, op: Op) -> None:
        members = self.lists[op.audience.remote_id or ""][1]
        (members.add if op.action == "add" else members.discard)(str(op.person.customer_id))


class FakeLists(Keyed):
    """Lists of profiles. `profiles` is address → id."""

    name = "mail"
    limits = Limits(consent=True, by_email=True, name_length=255, creates_per_day=150)

    def __init__(self, prefix: str = "Regulars: ", size: int = 3) -> None:
        super().__init__(prefix, size)
        self.profiles: dict[str, str] = {}
        self.barred: dict[str, str] = {}
        self.news: list[Profile] = []
        self.asked: list[str] = []
        self.since: list[int | None] = []

    def audience_name(self, key: str, name: str) -> str:
        return self.prefix + name

    def lookup(self, emails: Sequence[str]) -> Iterator[Sequence[Profile]]:
        if self.failing:
            raise self.failing
        for start in range(0, len(emails), 100):
            self.calls += 1
            group = emails[start : start + 100]
            self.asked += group
            yield [self.profile(email) for email in group if email in self.profiles]

    def profile(self, email: str) -> Profile:
        return Profile(email, self.profiles[email], email not in self.barred, self.barred.get(email))

    def changed(self, since: int | None) -> Iterator[Sequence[Profile]]:
        self.calls += 1
        self.since.append(since)
        if self.failing:
            raise self.failing
        yield self.news

    def batches(self, ops: Iterable[Op]) -> Iterator[Batch]:
        groups: dict[tuple[bool, str, bool], list[Op]] = defaultdict(list)
        for op in ops:
            groups[op.action == "add", op.audience.remote_id or "", op.person.remote_id is None].append(op)
        for _, group in sorted(groups.items()):
            for start in range(0, len(group), self.size):
                yield Batch(tuple(group[start : start + self.size]))

    def _one(self, op: Op) -> Receipt:
        email = op.person.email or ""
        if email in self.refuse_addresses:
            return Receipt(op.id, "refused", "no such mailbox")
        if op.person.customer_id in self.later:
            return Receipt(op.id, "retry", "not now")
        profile = op.person.remote_id
        if profile is None and op.action == "add":
            profile = self.profiles.setdefault(email, f"P-{email}")
        self._move(op, profile)
        return Receipt(op.id, "done", remote_id=profile)

    @property
    def refuse_addresses(self) -> set[str]:
        return {str(key) for key in self.refuse}

    def _move(self, op: Op, profile: str | None) -> None:
        assert op.audience.remote_id is not None
        members = self.lists[op.audience.remote_id][1]
        if profile is not None:
            (members.add if op.action == "add" else members.discard)(profile)


class FakeScanned(FakeLists):
    """Lists of people who are there already: read once, never added. Pages of `size`; `fields` are written on them."""

    limits = Limits(consent=True, by_email=True, name_length=100, scanned=True, existing_only=True)

    def __init__(self, prefix: str = "Regulars: ", size: int = 3, fields: tuple[str, ...] = ()) -> None:
        super().__init__(prefix, size)
        self.fields = fields
        self.die_in_scan: int | None = None
        self.written: dict[int, dict[str, str]] = {}
        self.field_calls: list[list[int]] = []
        self.field_later: set[int] = set()
        self.field_failing: BaseException | None = None

    def changed(self, since: int | None) -> Iterator[Sequence[Profile]]:
        if since is not None:
            yield from super().changed(since)
            return
        self.since.append(None)
        everybody = sorted(self.profiles)
        for start in range(0, len(everybody), self.size):
            self.calls += 1
            if self.die_in_scan == start // self.size:
                raise Killed
            yield [self.profile(email) for email in everybody[start : start + self.size]]

    def estimate_fields(self, people: int) -> tuple[int, float]:
        return people, float(people)

    def write_fields(self, people: Sequence[FieldWrite]) -> list[FieldReceipt]:
        self.calls += len(people)
        self.field_calls.append([its.person.customer_id for its in people])
        receipts = []
        for its in people:
            number = its.person.customer_id
            assert its.person.remote_id == self.profiles[its.person.email or ""]
            if number in self.refuse:
                receipts.append(FieldReceipt(number, "refused", self.refuse[number]))
            elif number in self.field_later:
                receipts.append(FieldReceipt(number, "retry", "not now"))
            else:
                self.written[number] = dict(its.values)
                receipts.append(FieldReceipt(number, "done"))
        if self.field_failing:
            raise self.field_failing
        return receipts
