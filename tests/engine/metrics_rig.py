"""A shop's history as Hypothesis makes it, the way it lies in the store, and what is read back."""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from metrics_reference import DAY, Back, Basket, Bought, Deed, History, Line, Person, Value, local_date

from sync.metrics.table import HIDDEN, PERSONAL, STORE
from sync.store.engine import Connection, Store

NOW = 1795219200
BERLIN = ZoneInfo("Europe/Berlin")
TABLES = (
    "customers", "orders", "order_lines", "refunds", "order_codes", "carts", "cart_lines", "events", "dirty", "meta",
    "customer_metrics", "customer_gaps", "store_gaps", "store_figures", "customer_tags",
)  # fmt: skip
SHOWN = [name for name in (*PERSONAL, *STORE) if name not in HIDDEN]

_edges = [NOW - days * DAY + second for days in (0, 30, 90, 180, 365) for second in (-1, 0, 1) if days or second < 0]
_dst = [1774746000 + second for second in (-7200, -1, 0, 3600)] + [
    1792890000 + second for second in (-7200, -1, 0, 3600)
]
instants = st.one_of(
    st.sampled_from(_edges + _dst),
    st.integers(0, 40).map(lambda step: NOW - 1 - step * 15 * DAY),
    st.integers(NOW - 800 * DAY, NOW - 1),
)
later = st.one_of(st.none(), st.none(), st.none(), instants)
names = st.sampled_from([None, "Ähre", "Zug", "apple", "Apple", "\U0001f600", "zz"])
lines = st.builds(
    Line, st.sampled_from([None, 1, 2, 3]), names, names, st.integers(1, 3), st.sampled_from([0, 1, 100, 250])
)


checkouts = st.sampled_from([None, None, 1, 2, 3])
deeds = st.sampled_from(["email.opened", "email.clicked", "email.received", "email.bounced", "FORM_SUBMITTED"])


@st.composite
def orders(draw: st.DrawFn, number: int, owners: list[int | None]) -> Bought:
    """One order; its refunds follow it."""
    at, total = draw(instants), draw(st.sampled_from([0, 100, 999, 12345]))
    discount = draw(st.sampled_from([0, 0, 50]))
    cancelled, gone = draw(later), draw(later)
    return Bought(
        number,
        draw(st.sampled_from(owners)),
        at,
        total + discount,
        discount,
        total,
        draw(st.sampled_from(["EUR", "EUR", "EUR", "USD"])),
        draw(st.sampled_from(["paid", "paid", "paid", "unpaid", "expired", None])),
        draw(st.booleans()),
        draw(st.sampled_from([False, False, False, True])),
        cancelled if cancelled is None else max(cancelled, at),
        gone if gone is None else max(gone, at),
        [Back(max(draw(instants), at), total // part) for part in draw(st.sampled_from([[], [], [4], [4, 2], [1]]))],
        draw(st.lists(lines, max_size=3)),
        draw(checkouts),
    )


@st.composite
def carts(draw: st.DrawFn, number: int, owners: list[int | None]) -> Basket:
    """One cart; it is completed after it was begun."""
    at, done = draw(instants), draw(later)
    owner, total = draw(st.sampled_from(owners)), draw(st.sampled_from([0, 100, 5000]))
    return Basket(number, owner, at, total, draw(st.sampled_from(["EUR", "USD"])), done and max(done, at), draw(later),
                  draw(checkouts))  # fmt: skip


@st.composite
def histories(draw: st.DrawFn, people: int = 5, most_orders: int = 24) -> History:
    """A few people, some of them gone or merged, with orders and carts, some of nobody."""
    persons = [
        Person(
            10 * (n + 1),
            draw(instants) - 400 * DAY * draw(st.integers(0, 1)),
            draw(later),
            draw(st.sampled_from([None] * 7 + [10])),
        )
        for n in range(draw(st.integers(1, people)))
    ]
    owners: list[int | None] = [*(p.id for p in persons), *(p.id for p in persons), None]
    sizes = draw(st.integers(0, most_orders)), draw(st.integers(0, 6))
    return History(
        persons,
        [draw(orders(n + 1, owners)) for n in range(sizes[0])],
        [draw(carts(n + 1, owners)) for n in range(sizes[1])],
        [
            Deed(n + 1, draw(st.sampled_from(owners)), draw(instants), draw(deeds))
            for n in range(draw(st.integers(0, 4)))
        ],
    )


def put(connection: Connection, history: History, zone: ZoneInfo) -> None:
    """Make the store hold this history and nothing else that can be derived from facts."""
    for table in ("customers", "orders", "order_lines", "refunds", "carts", "events"):
        connection.exec_driver_sql(f"DELETE FROM {table}")
    _insert(connection, "customers", ("id", "created_at", "gone_at", "merged_into"), [
        (p.id, p.since, p.gone, p.merged) for p in history.people
    ])  # fmt: skip
    _insert(
        connection,
        "orders",
        (
            "id", "customer_id", "placed_at", "local_day", "local_month", "created_at", "currency", "gross", "discount",
            "total", "refunded", "coupon", "test", "cancelled_at", "status", "gone_at",
            "checkout_key",
        ),
        [_order(o, local_date(o.at, zone)) for o in history.orders],
    )  # fmt: skip
    _insert(
        connection,
        "order_lines",
        ("order_id", "id", "customer_id", "placed_at", "product_id", "category", "brand", "quantity", "net"),
        [
            (o.id, n, o.owner, o.at, line.product, line.category, line.brand, line.quantity, line.net)
            for o in history.orders
            for n, line in enumerate(o.lines)
        ],
    )
    _insert(
        connection,
        "refunds",
        ("order_id", "id", "customer_id", "refunded_at", "amount"),
        [(o.id, n, o.owner, back.at, back.amount) for o in history.orders for n, back in enumerate(o.refunds)],
    )
    _insert(
        connection,
        "carts",
        ("id", "customer_id", "created_at", "currency", "total", "completed_at", "gone_at", "checkout_key"),
        [(c.id, c.owner, c.at, c.currency, c.total, c.completed, c.gone, c.checkout) for c in history.carts],
    )
    _insert(
        connection,
        "events",
        ("id", "customer_id", "at", "name"),
        [(deed.id, deed.owner, deed.at, deed.name) for deed in history.deeds],
    )


def _order(o: Bought, day: date) -> tuple[Any, ...]:
    return (
        o.id, o.owner, o.at, day.toordinal() - 719163, day.year * 12 + day.month - 1, o.at, o.currency, o.gross,
        o.discount, o.total, o.refunded, o.coupon, o.test, o.cancelled, o.status, o.gone,
        o.checkout,
    )  # fmt: skip


def clear(store: Store) -> None:
    """An empty store."""
    with store.begin() as connection:
        for table in TABLES:
            connection.exec_driver_sql(f"DELETE FROM {table}")


def mark(connection: Connection, people: set[int]) -> None:
    """Make these customers dirty."""
    _insert(connection, "dirty", ("customer_id",), [(person,) for person in sorted(people)])


def read(connection: Connection) -> dict[int, dict[str, Value]]:
    """The metrics that anybody is shown."""
    rows = connection.exec_driver_sql(f"SELECT customer_id, {', '.join(SHOWN)} FROM customer_metrics")
    return {row[0]: dict(zip(SHOWN, row[1:], strict=True)) for row in rows}


def everything(connection: Connection) -> dict[str, list[Any]]:
    """All that is derived, hidden columns too, in a fixed order."""
    return {
        table: [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2")]
        for table in ("customer_metrics", "customer_gaps", "store_gaps", "store_figures")
    }


def same(found: Value, wanted: Value) -> bool:
    """Quotients to a part in a billion, all else exactly."""
    if isinstance(wanted, float) and isinstance(found, int | float):
        return abs(found - wanted) <= 1e-9 * max(1.0, abs(wanted))
    return found == wanted


def unequal(found: dict[int, dict[str, Value]], wanted: dict[int, dict[str, Value]]) -> list[str]:
    """Every difference, as text."""
    if set(found) != set(wanted):
        return [f"customers {sorted(found)}, expected {sorted(wanted)}"]
    return [
        f"{key}.{name}: {found[key][name]!r}, expected {wanted[key][name]!r}"
        for key in sorted(wanted)
        for name in SHOWN
        if not same(found[key][name], wanted[key][name])
    ]


def _insert(connection: Connection, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    if rows:
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
