"""A shop over Python lists that speaks the Source protocol: what the engine needs of a platform, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from connector.base import WITHHELD, Cursor, Finding, Page, Record, Shop, Stream
from connector.errors import BadRequest, ScopeError
from mappings.keys import key
from mappings.load import MappingError

NOW = 1_790_000_000
COLUMNS: dict[str, dict[str, tuple[str, ...]]] = {
    "customers": {
        "customers": ("id", "updated_at", "email", "email_key", "first_name", "email_status"),
        "customer_tags": ("customer_id", "tag"),
    },
    "orders": {
        "orders": (
            "id",
            "source_customer_id",
            "email_key",
            "placed_at",
            "updated_at",
            "currency",
            "total",
            "refunded",
            "checkout_key",
        ),
        "order_lines": ("id", "order_id", "product_id", "quantity", "net"),
        "refunds": ("id", "order_id", "refunded_at", "amount"),
        "order_codes": ("order_id", "code"),
        "product_tags": ("product_id", "tag"),
    },
    "carts": {
        "carts": (
            "id",
            "source_customer_id",
            "email_key",
            "created_at",
            "updated_at",
            "completed_at",
            "total",
            "checkout_key",
        ),
        "cart_lines": ("id", "cart_id", "product_id", "quantity", "gross"),
    },
    "products": {"products": ("id", "title", "category", "brand", "updated_at")},
    "events": {"events": ("id", "source_customer_id", "email_key", "name", "campaign", "at", "updated_at")},
}
COLUMNS["email_events"] = COLUMNS["events"]


_FED = {
    ("email",): ["email", "email_key"],
    ("email_status",): ["email_status"],
    ("email", "email_status"): ["email", "email_key", "email_status"],
    ("customer",): ["source_customer_id"],
}


class Killed(BaseException):
    """The process dies here."""


def customer(number: int, at: int = NOW - 1000, email: str | None = None, **facts: Any) -> dict[str, Any]:
    """A customer's record."""
    blank = {"tags": [], "first_name": f"P{number}", "email_status": "SUBSCRIBED"}
    return {"id": number, "updated_at": at, "email": email, **blank, **facts}


def order(number: int, at: int = NOW - 1000, who: int | None = None, **facts: Any) -> dict[str, Any]:
    """An order's record of one line."""
    blank = {"email": None, "placed_at": at, "total": 1000, "refunded": 0, "refunds": [], "codes": [], "tags": {},
             "checkout": None}  # fmt: skip
    lines = [{"id": number * 10, "product_id": number, "quantity": 1, "net": 1000}]
    return {"id": number, "updated_at": at, "customer": who, **blank, "lines": lines, **facts}


def cart(number: int, at: int = NOW - 1000, who: int | None = None, **facts: Any) -> dict[str, Any]:
    """A cart's record of one line."""
    lines = [{"id": 1, "product_id": 7, "quantity": 1, "gross": 900}]
    blank = {"email": None, "created_at": at, "completed_at": None, "total": 900, "checkout": None}
    return {"id": number, "updated_at": at, "customer": who, **blank, "lines": lines, **facts}


def product(number: int, at: int = NOW - 1000, category: str | None = "Tea", **facts: Any) -> dict[str, Any]:
    """A product's record."""
    return {"id": number, "updated_at": at, "title": f"T{number}", "category": category, "brand": None, **facts}


def event(number: int, name: str, at: int = NOW - 1000, who: int | None = None, **facts: Any) -> dict[str, Any]:
    """The record of something that a person did."""
    return {"id": number, "updated_at": at, "at": at, "name": name, "customer": who, "email": None, "campaign": None,
            **facts}  # fmt: skip


class FakeSource:
    """Serves `records` by stream, oldest change first, `size` a page; a token is a place in that order.

    `die_after` pages the process is killed; `expired` refuses tokens; ids in `unlisted` exist, but no list shows them;
    ids in `uncounted` are in no count either. Orders before `oldest` are hidden altogether;
    fields in `refused` come empty and named as withheld. With `guids` records bear GUIDs instead of their numbers.
    `merged` is what by_ids tells of losers; `deleted` what `gone` lists of a stream.
    """

    platform = "fake"
    streams = (Stream("carts", lag=900), Stream("orders", lag=900), Stream("customers", lag=900))

    def __init__(self, size: int = 3, **records: list[dict[str, Any]]) -> None:
        self.size = size
        self.records = {"customers": [], "orders": [], "carts": [], **records}
        self.shop_id = "1"
        self.zone = "UTC"
        self.die_after: int | None = None
        self.expired = False
        self.loops = False
        self.oldest: int | None = None
        self.unlisted: set[int] = set()
        self.uncounted: set[int] = set()
        self.refused: dict[str, tuple[str, ...]] = {}
        self.guids = False
        self.merged: dict[int, int] = {}
        self.deleted: dict[str, list[int]] = {}
        self.swept: list[str] = []
        self.asked: list[tuple[str, Cursor]] = []
        self.served = 0

    def shop(self) -> Shop:
        return Shop(self.shop_id, "Fake", "EUR", self.zone, oldest_order=self.oldest)

    def doctor(self) -> list[Finding]:
        return []

    def pages(self, stream: Stream, since: Cursor) -> Iterator[Page]:
        self.asked.append((stream.name, since))
        if since.page_token is not None and self.expired:
            raise BadRequest("fake", stream.name, "the token has expired")
        low = since.high_water or 0
        found = sorted(
            (each for each in self._listed(stream.name) if each["updated_at"] >= low),
            key=lambda each: (each["updated_at"], each["id"]),
        )
        if since.page_token is not None:
            at, number = map(int, since.page_token.split(":"))
            found = [each for each in found if (each["updated_at"], each["id"]) > (at, number)]
        yield from self._paged(stream.name, found)

    def counts(self) -> Mapping[str, int]:
        return {
            name: sum(each["id"] not in self.uncounted for each in self._seen(name)) for name in ("customers", "orders")
        }

    def ids(self, stream: Stream) -> Iterator[Page]:
        self.swept.append(stream.name)
        found = [{"id": each["id"], "updated_at": 0} for each in self._listed(stream.name)]
        yield from self._paged("ids", found, of=stream.name)

    def gone(self, stream: Stream) -> Iterator[Page]:
        if stream.name in self.deleted:
            yield Page([{"id": self.own(stream.name, each)} for each in self.deleted[stream.name]])

    def by_ids(self, stream: Stream, ids: Sequence[str]) -> Iterator[Page]:
        name, asked = stream.name, set(ids)
        found = [self._shown(name, each) for each in self._seen(name) if str(self.own(name, each["id"])) in asked]
        losers = {str(self.own(name, old)): str(self.own(name, new)) for old, new in self.merged.items()}
        yield Page(found, merged={old: new for old, new in losers.items() if old in asked})

    def own(self, name: str, number: int) -> int | str:
        """What the record of that number is called here."""
        return str(uuid5(NAMESPACE_URL, f"{name}/{number}")) if self.guids else number

    def to_rows(self, stream: Stream) -> Callable[[Record], Mapping[str, list[tuple[Any, ...]]]]:
        return {
            "customers": _customer_rows, "orders": _order_rows, "carts": _cart_rows, "products": _product_rows,
            "events": _event_rows, "email_events": _event_rows,
        }[stream.name]  # fmt: skip

    def columns(self, stream: Stream) -> Mapping[str, tuple[str, ...]]:
        return COLUMNS[stream.name]

    def change(self, stream: str, number: int, **facts: Any) -> None:
        """Edit the record of that id."""
        next(each for each in self.records[stream] if each["id"] == number).update(facts)

    def remove(self, stream: str, number: int) -> None:
        """The record is gone without a trace."""
        self.records[stream] = [each for each in self.records[stream] if each["id"] != number]

    def _listed(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self._seen(name) if each["id"] not in self.unlisted]

    def _seen(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self.records[name] if each.get("placed_at", NOW) >= (self.oldest or 0)]

    def _paged(self, name: str, found: list[dict[str, Any]], *, of: str | None = None) -> Iterator[Page]:
        for start in range(0, max(len(found), 1), self.size):
            if self.die_after is not None and self.served >= self.die_after:
                raise Killed
            self.served += 1
            part = found[start : start + self.size]
            more = start + self.size < len(found)
            token = f"{part[-1]['updated_at']}:{part[-1]['id']}" if more else None
            yield Page([self._shown(of or name, each) for each in part], "round and round" if self.loops else token)

    def _shown(self, name: str, record: dict[str, Any]) -> dict[str, Any]:
        refused = self.refused.get(name, ())
        own = {**record, "id": self.own(name, record["id"])}
        if record.get("customer") is not None:
            own["customer"] = self.own("customers", record["customer"])
        return {**own, **dict.fromkeys(refused), WITHHELD: _FED[refused]} if refused else own


class WideSource(FakeSource):
    """With products, of which its lines say nothing but the id, and with events. `closed` streams may not be read."""

    streams = (
        Stream("email_events", table="events", optional=True),
        Stream("events", optional=True),
        *FakeSource.streams,
        Stream("products", optional=True),
    )

    def __init__(self, size: int = 3, **records: list[dict[str, Any]]) -> None:
        super().__init__(size, **{"products": [], "events": [], "email_events": [], **records})
        self.closed: set[str] = set()

    def pages(self, stream: Stream, since: Cursor) -> Iterator[Page]:
        for number, page in enumerate(super().pages(stream, since)):
            if stream.name in self.closed:
                raise ScopeError("fake", stream.name, "the key lacks a permission", f"r{self.served}-{number}")
            yield page


def _product_rows(record: Record) -> Mapping[str, list[tuple[Any, ...]]]:
    named = (record[name] for name in COLUMNS["products"]["products"][1:])
    return {"products": [(_id(record["id"]), *named)]}


def _event_rows(record: Record) -> Mapping[str, list[tuple[Any, ...]]]:
    told = (record["name"], record["campaign"], record["at"], record["updated_at"])
    return {"events": [(_id(record["id"]), _id(record["customer"]), _key(record["email"]), *told)]}


def _key(email: str | None) -> str | None:
    return email.strip().lower() if email else None


def _id(own: int | str | None) -> int | None:
    return None if own is None else key(str(own))


def _customer_rows(record: Record) -> Mapping[str, list[tuple[Any, ...]]]:
    if "bad" in record:
        error = MappingError("bad", str(record["id"]), "does not fit")
        error.known = record["bad"] if isinstance(record["bad"], dict) else {}
        raise error
    number, email = _id(record["id"]), record["email"]
    return {
        "customers": [(number, record["updated_at"], email, _key(email), record["first_name"], record["email_status"])],
        "customer_tags": [(number, tag) for tag in record["tags"]],
    }


def _order_rows(record: Record) -> Mapping[str, list[tuple[Any, ...]]]:
    number, placed, updated = _id(record["id"]), record["placed_at"], record["updated_at"]
    money = ("EUR", record["total"], record["refunded"], record["checkout"])
    return {
        "orders": [(number, _id(record["customer"]), _key(record["email"]), placed, updated, *money)],
        "order_lines": [(e["id"], number, e["product_id"], e["quantity"], e["net"]) for e in record["lines"]],
        "refunds": [(e["id"], number, e["at"], e["amount"]) for e in record["refunds"]],
        "order_codes": [(number, code) for code in record["codes"]],
        "product_tags": [(product, tag) for product, tags in record["tags"].items() for tag in tags],
    }


def _cart_rows(record: Record) -> Mapping[str, list[tuple[Any, ...]]]:
    number, times = _id(record["id"]), (record["created_at"], record["updated_at"], record["completed_at"])
    return {
        "carts": [
            (number, _id(record["customer"]), _key(record["email"]), *times, record["total"], record["checkout"])
        ],
        "cart_lines": [(e["id"], number, e["product_id"], e["quantity"], e["gross"]) for e in record["lines"]],
    }
