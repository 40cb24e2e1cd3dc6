"""The shapes that travel between the packages, and the protocols a platform satisfies. No logic lives here.

Times are UTC epoch seconds (int), money is integer minor units, a person is named by the platform's own id.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from connector.exchange import Call as Call
from connector.exchange import Ok as Ok
from connector.exchange import Rejected as Rejected
from connector.exchange import Reply as Reply
from connector.exchange import RetryAfter as RetryAfter
from connector.exchange import Usage as Usage
from connector.exchange import Verdict as Verdict
from connector.exchange import Wire as Wire

Record = Mapping[str, Any]

WITHHELD = "_withheld"
"""A key of a record: the columns of its own table, and tables of its children, that the platform refused to show. What
is stored of them stays."""


class Clock(Protocol):
    """Where time comes from. `sync.clock` holds the real one; tests and in-process worlds inject theirs."""

    def now(self) -> float:
        """UTC epoch seconds."""

    def sleep(self, seconds: float) -> None:
        """Spend `seconds`."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of record a source can read incrementally.

    `grain` is the granularity in seconds of the platform's own filter (86,400 = whole days); `lag` is how long a
    change may take to show in it, and so how much of a finished window is read again. `table` is where its records go
    (default: of the stream's name). An `optional` stream that the key may not read is left out and said, where any
    other would stop the run.
    """

    name: str
    cursor_field: str = "updated_at"
    ordered: bool = True
    lag: int = 900
    grain: int = 1
    table: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a stream has been read: everything before `high_water`, plus the pages before `page_token`.

    A token lives only with its own half-open range [since, until).
    """

    high_water: int | None = None
    page_token: str | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Records of one call (or of one and its follow-ups, where nested pages had to be completed).

    `merged` tells of ids that were asked for and live on in another record: id to survivor, as the platform names them.
    """

    records: Sequence[Record]
    next_token: str | None = None
    calls: int = 1
    cost: float = 0.0
    total: int | None = None
    merged: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shop:
    """What a source says of itself.

    `oldest_order` is set when history before that instant cannot be seen, `truncated` then says why and what to do.
    `notes` are what it cannot show by its nature, one line each.
    """

    id: str
    name: str
    currency: str
    zone: str
    scopes: frozenset[str] = frozenset()
    oldest_order: int | None = None
    truncated: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `regulars doctor`: what was found, and the way out when it is not good."""

    level: Literal["ok", "warning", "error"]
    subject: str
    text: str
    fix: str = ""


class Source(Protocol):
    """A store that can be read."""

    platform: str
    streams: tuple[Stream, ...]

    def shop(self) -> Shop:
        """Name, currency, zone and granted scopes. The cheapest call that proves the key."""

    def doctor(self) -> list[Finding]:
        """Key, scopes, history, versions."""

    def pages(self, stream: Stream, since: Cursor) -> Iterator[Page]:
        """Every record changed in [since.high_water - overlap, end of now), oldest change first where `ordered`."""

    def counts(self) -> Mapping[str, int]:
        """Live records per stream name, in one call; a stream that cannot be counted is absent."""

    def ids(self, stream: Stream) -> Iterator[Page]:
        """Every live record of the stream as {"id": ...} only: the sweep for deletions."""

    def gone(self, stream: Stream) -> Iterator[Page]:
        """Records {"id": ...} that the platform lists as deleted; nothing where it keeps no such list."""

    def by_ids(self, stream: Stream, ids: Sequence[str]) -> Iterator[Page]:
        """These records (by the platform's own ids) as they are now; ids that no longer exist are absent."""

    def to_rows(self, stream: Stream) -> Callable[[Record], Mapping[str, list[tuple[Any, ...]]]]:
        """The mapping of a record to rows per table, columns in the order of `columns(stream)`; raises MappingError."""

    def columns(self, stream: Stream) -> Mapping[str, tuple[str, ...]]:
        """Per table the columns that `to_rows` fills."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person as a destination needs to know them. `id` is the store platform's own id, `customer_id` our key."""

    customer_id: int
    email: str | None = None
    remote_id: str | None = None
    tags: int = 0
    id: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a destination holds for an address. `mailable` is False when unsubscribed, suppressed or bounced there.

    `subscribed`: it holds consent of its own for the address.
    """

    email: str
    remote_id: str
    mailable: bool
    reason: str | None = None
    subscribed: bool = False


@dataclass(frozen=True, slots=True)
class Audience:
    """A tag, label or list at a destination. `remote_id` is None until it exists there (tags: always the name).

    `quiet`: whoever joins now is part of the first fill, and no automation shall start for them where that is possible.
    """

    segment: str
    name: str
    remote_id: str | None = None
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Op:
    """One wanted change: this person into or out of this audience. `id` is its outbox row.

    `since` is when the person entered the segment (additions) or was put into the audience (removals): with segment and
    person it names this very change, however often it is sent.
    """

    id: int
    action: Literal["add", "remove"]
    audience: Audience
    person: Person
    since: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Ops that go out in one request (or one job)."""

    ops: tuple[Op, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one op. `retry`: send again on a later run; `refused`: not until the person changes.

    `gone`: the audience itself does not exist (any more), so nobody is in it.
    """

    op: int
    outcome: Literal["done", "refused", "retry"]
    reason: str | None = None
    remote_id: str | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class FieldWrite:
    """What the fields of a known person shall say: vocabulary attribute to text, "" for one without a value.

    Days are ISO 8601 in the store's zone, money a decimal number of the store's currency.
    """

    person: Person
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FieldReceipt:
    """What became of one person's fields. `refused`: not written again until their values change."""

    customer_id: int
    outcome: Literal["done", "refused", "retry"]
    reason: str | None = None


class WithoutFields:
    """For destinations that write no fields on people."""

    fields: tuple[str, ...] = ()

    def write_fields(self, people: Sequence[FieldWrite]) -> list[FieldReceipt]:
        """Nothing: there are no fields."""
        return []

    def estimate_fields(self, people: int) -> tuple[int, float]:
        """Nothing: there are no fields."""
        return 0, 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a destination asks of those who plan for it.

    `keyed`: audiences have ids of their own, and are created and renamed; others exist by being used. `scanned`: who is
    known there is learnt by reading everybody once, not by asking for addresses. `existing_only`: who is not known
    there is not added. `silent`: nobody starts an automation by joining in the first fill.
    """

    consent: bool
    by_email: bool
    name_length: int
    creates_per_day: int | None = None
    tags_per_person: int | None = None
    keyed: bool = True
    scanned: bool = False
    existing_only: bool = False
    silent: bool = False


class Destination(Protocol):
    """A place where audiences live. `push` is the one write of members; every push is idempotent.

    `fields` names the attributes of the vocabulary that the owner wants written on people who are known there.
    """

    name: str
    platform: str
    limits: Limits
    fields: tuple[str, ...]

    def check(self) -> None:
        """Prove the key in the fewest calls. Raises AuthError or ScopeError for one that is refused."""

    def account(self) -> str:
        """The shop, account or audience that is written to, by the platform's own id, and where in it, if settings
        choose. No call after `check`."""

    def doctor(self) -> list[Finding]:
        """Key and scopes, each tried live. Raises AuthError on a refused key."""

    def audience_name(self, key: str, name: str) -> str:
        """What an audience of this segment is called here (prefix applied)."""

    def lookup(self, emails: Sequence[str]) -> Iterator[Sequence[Profile]]:
        """Profiles that exist for these addresses, in as few calls as the limits allow. Empty where not by_email."""

    def changed(self, since: int | None) -> Iterator[Sequence[Profile]]:
        """Profiles whose standing may have changed since; None (only where `scanned`): everybody.

        Empty where not by_email.
        """

    def find(self, names: Sequence[str], *, made: tuple[int, int] | None = None) -> Mapping[str, Sequence[str]]:
        """Remote ids of the audiences that carry exactly these names (and were created in the span `made`)."""

    def create(self, audience: Audience) -> str:
        """Create it and return its remote id."""

    def rename(self, audience: Audience) -> None:
        """Give the existing audience its present `name`."""

    def live_flows(self, audience: Audience) -> Sequence[str]:
        """Names of live flows or automations that joining this audience starts."""

    def estimate(
        self,
        adds: Mapping[str, Sequence[Person]],
        removes: Mapping[str, Sequence[Person]],
        quiet: Collection[str] = (),
    ) -> tuple[int, float]:
        """Calls and seconds that `batches` of these (per segment key) would take. Who joins the `quiet` ones is part of
        a first fill."""

    def batches(self, ops: Iterable[Op]) -> Iterator[Batch]:
        """Pure: removals before additions, in the fewest requests the limits allow."""

    def push(self, batch: Batch) -> list[Receipt]:
        """Send one batch. One receipt per op."""

    def write_fields(self, people: Sequence[FieldWrite]) -> list[FieldReceipt]:
        """Set the fields of these people, whatever they say now. One receipt per person; repeating changes nothing."""

    def estimate_fields(self, people: int) -> tuple[int, float]:
        """Calls and seconds that `write_fields` of so many people would take."""

    def members(self, audience: Audience) -> Iterator[str]:
        """Remote person ids now in the audience: for audits and tests, never for planning."""

    @property
    def calls(self) -> int:
        """Requests sent so far."""


@dataclass(frozen=True, slots=True)
class Secret:
    """An environment variable a platform needs; `group` joins alternatives: one whole group must be set."""

    name: str
    group: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """All that a factory needs: the section of the config, the secrets found, time, and (in tests) a transport.

    `policy` is a `connector.retry.Policy` for somebody who waits at the screen; None leaves it to the platform.
    What a factory opens it puts on `closing`, which whoever made the access closes.
    """

    settings: Any
    secrets: Mapping[str, str]
    clock: Clock
    transport: Any = None
    policy: Any = None
    budgets: dict[str, Any] = field(default_factory=dict)
    closing: ExitStack = field(default_factory=ExitStack)


@dataclass(frozen=True, slots=True)
class Platform:
    """The whole of a platform as the registry sees it.

    `settings` is the pydantic model of its section; a source's section is [store], an e-mail destination's its name.
    `destination` of a source platform is the write-back configured by [tags] (`tags_settings` its model).
    """

    name: str
    title: str
    settings: type
    secrets: tuple[Secret, ...]
    audience_kind: Literal["tag", "label", "list"]
    source: Callable[[Access], Source] | None = None
    destination: Callable[[Access, Any], Destination] | None = None
    tags_settings: type | None = None
