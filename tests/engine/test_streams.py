"""Streams beside customers, orders and carts: optional ones, products that lines are made of, events of people."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_source import NOW, FakeSource, Killed, WideSource, cart, customer, event, order, product
from hypothesis import given
from hypothesis import strategies as st
from rig import UTC, Rig, fresh

from connector.base import Shop, Stream
from connector.errors import ScopeError
from sync.metrics import MetricSettings, as_of, refresh
from sync.runs import sources_read
from sync.segments.catalogue import Segment
from sync.segments.evaluate import members_at, missing_sources
from sync.segments.language import parse
from sync.segments.problems import Origin
from sync.store import reports, state

SETTINGS = MetricSettings(UTC, "EUR")


def lines(rig: Rig, table: str = "order_lines") -> list[tuple[Any, ...]]:
    return rig.store.query(f"SELECT product_id, category, brand FROM {table} ORDER BY 1")


def metrics(rig: Rig, *, full: bool = False) -> list[tuple[Any, ...]]:
    """All that is derived, brought up to date."""
    refresh(rig.store, now=rig.now, settings=SETTINGS, full=full)
    return rig.store.query("SELECT * FROM customer_metrics ORDER BY 1")


def missing(rig: Rig, where: str) -> str | None:
    rule = parse(where)
    segment = Segment("s", "s", where, rule, Origin("t"), sources=rule.sources)
    with rig.store.read() as connection:
        return missing_sources([segment], sources_read(connection)).get("s")


def wide(**records: list[dict[str, Any]]) -> WideSource:
    return WideSource(**{"customers": [customer(1, email="a@x")], "orders": [order(70, who=1)], **records})


def test_streams_are_read_owners_first_and_products_before_lines(tmp_path: Path) -> None:
    """Whatever order the source names them in; rows go to the table, marks by the name."""
    source = wide(email_events=[event(1, "email.opened", who=1)], events=[event(2, "LOGIN", who=1)])
    with fresh(tmp_path, source) as rig:
        report = rig.pull()
        order_read = ["customers", "products", "orders", "carts", "email_events", "events"]
        assert [its.stream for its in report.streams] == order_read
        assert rig.store.query("SELECT id, customer_id, name FROM events ORDER BY id") == [
            (1, 1, "email.opened"),
            (2, 1, "LOGIN"),
        ]
        with rig.store.read() as connection:
            rows = {its.stream: its.rows for its in reports.streams(connection)}
        assert rows == {"customers": 1, "products": 0, "orders": 1, "carts": 0, "email_events": 1, "events": 1}
        only = rig.pull(only=["events"])
        assert [its.stream for its in only.streams] == ["events"]


def test_an_optional_stream_that_may_not_be_read_is_left_out(tmp_path: Path) -> None:
    """Said in every run, partly done only in the first; status knows why; the others are read and swept."""
    source = wide(products=[product(70)])
    source.closed = {"products"}
    with fresh(tmp_path, source) as rig:
        report = rig.pull()
        assert report.partly
        assert len(report.notes) == 1
        assert report.notes[0].startswith("fake: products: the key lacks a permission (request ")
        assert "so products were left out" in report.notes[0]
        assert "products" not in {its.stream for its in report.streams}
        with rig.store.read() as connection:
            shown = {its.stream: its.unreadable for its in reports.streams(connection)}
        assert shown.pop("products") == "fake: products: the key lacks a permission"
        assert set(shown.values()) == {None}
        again = rig.pull()
        assert (len(again.notes), again.partly) == (1, False)
        rig.source.closed = set()
        calm = rig.pull()
        assert (calm.notes, calm.partly) == ((), False)
        assert lines(rig) == [(70, "Tea", None)]
        with rig.store.read() as connection:
            assert state.unreadable(connection) == {}


def test_a_refused_stream_goes_on_from_its_mark(tmp_path: Path) -> None:
    """What was read before the refusal is not read again; a stream left alone by --only-streams stays as noted."""
    source = wide(events=[event(n, "LOGIN", NOW - 9000 + n, who=1) for n in range(1, 5)])
    with fresh(tmp_path, source) as rig:
        rig.pull()
        mark = rig.one("SELECT high_water FROM stream_state WHERE stream = 'events'")
        source.closed = {"events"}
        assert rig.pull().partly
        assert not rig.pull(only=["customers"]).notes
        source.closed = set()
        source.records["events"].append(event(9, "LOGIN", NOW + 10, who=1))
        rig.now += 100
        rig.pull()
        assert source.asked[-1][1].high_water == mark
        assert rig.one("SELECT count(*) FROM events") == 5


def test_what_a_shop_lives_by_is_not_optional(tmp_path: Path) -> None:
    """A refused stream of orders stops the run as ever."""
    source = wide()
    source.closed = {"orders"}
    with fresh(tmp_path, source) as rig, pytest.raises(ScopeError):
        rig.pull()


def test_what_a_source_cannot_show_is_kept_with_the_shop(tmp_path: Path) -> None:
    """For `status`, which asks nobody."""

    class Blind(FakeSource):
        def shop(self) -> Shop:
            return replace(super().shop(), notes=("carts of guests cannot be seen",))

    with fresh(tmp_path, Blind()) as rig:
        rig.pull()
        with rig.store.read() as connection:
            assert state.get_meta(connection, "shop")["notes"] == ["carts of guests cannot be seen"]


def test_lines_have_what_their_products_have(tmp_path: Path) -> None:
    """When the line comes, when the product changes, and not when it vanishes; customers are marked."""
    source = wide(products=[product(70, brand="Oma"), product(7)], carts=[cart(5, who=1)])
    with fresh(tmp_path, source) as rig:
        rig.pull()
        assert (lines(rig), lines(rig, "cart_lines")) == ([(70, "Tea", "Oma")], [(7, "Tea", None)])
        rig.clean()
        source.change("products", 70, title="Other", updated_at=NOW + 10)
        rig.now += 100
        rig.pull()
        assert rig.dirty() == set()
        source.change("products", 70, category="Coffee", updated_at=NOW + 110)
        rig.now += 100
        rig.pull()
        assert (lines(rig), rig.dirty()) == ([(70, "Coffee", "Oma")], {1})
        source.remove("products", 70)
        source.change("orders", 70, total=5, updated_at=NOW + 210)
        rig.now += 100
        rig.pull()
        assert lines(rig) == [(70, "Coffee", "Oma")]


def test_filled_columns_are_no_difference(tmp_path: Path) -> None:
    """An order that comes again as it was changes nothing, and whole reads find nothing new."""
    source = wide(products=[product(70)], carts=[cart(5, who=1)])
    with fresh(tmp_path, source) as rig:
        rig.pull()
        rig.clean()
        before = rig.facts()
        source.change("orders", 70, updated_at=NOW - 999)
        rig.pull(full=True)
        assert rig.dirty() == set()
        assert rig.facts()["order_lines"] == before["order_lines"]


def test_lines_that_say_it_themselves_are_left_alone(tmp_path: Path) -> None:
    """A source may have products and still write the category on its lines."""

    class Spoken(WideSource):
        def columns(self, stream: Stream) -> dict[str, tuple[str, ...]]:
            columns = dict(super().columns(stream))
            if stream.name == "orders":
                columns["order_lines"] = (*columns["order_lines"], "category")
            return columns

        def to_rows(self, stream: Stream) -> Any:
            rows = super().to_rows(stream)
            if stream.name != "orders":
                return rows
            return lambda record: {
                name: [(*row, "Said") for row in own] if name == "order_lines" else own
                for name, own in rows(record).items()
            }

    source = Spoken(customers=[customer(1)], orders=[order(70, who=1)], products=[product(70, brand="Oma")])
    with fresh(tmp_path, source) as rig:
        rig.pull()
        source.change("products", 70, category="Coffee", updated_at=NOW + 10)
        rig.now += 100
        rig.pull()
        assert lines(rig) == [(70, "Said", "Oma")]


def test_segments_by_category_wait_for_the_products(tmp_path: Path) -> None:
    """Where the store has products that were never read; other stores and other attributes know nothing of it."""
    read = ("orders_placed MATCHES ()", "number_of_orders > 0", "products_purchased NOT MATCHES (id = 1)")
    kinds = ("top_category = 'Tea'", "products_purchased NOT MATCHES (category = 'Tea')", "distinct_brands > 1")
    source = wide(products=[product(70)])
    source.closed = {"products"}
    with fresh(tmp_path, source) as rig:
        rig.pull(only=["customers", "orders", "carts"])
        assert [missing(rig, where) for where in kinds] == ["products never read"] * 3
        rig.pull()
        assert [missing(rig, where) for where in kinds] == ["products never read"] * 3
        assert [missing(rig, where) for where in read] == [None] * 3
        assert missing(rig, "events MATCHES ()") is None
        source.closed = set()
        rig.pull()
        assert [missing(rig, where) for where in kinds] == [None] * 3
    with fresh(tmp_path, FakeSource(), "narrow.db") as rig:
        rig.pull()
        assert [missing(rig, where) for where in kinds] == [None] * 3
        assert missing(rig, "events MATCHES ()") == "events never read"
        assert missing(rig, "email.opened MATCHES ()") == "email_events never read"


def test_events_belong_to_people_as_carts_do(tmp_path: Path) -> None:
    """By the platform's word or the address, again when a customer comes, merges or has another address."""
    source = wide(
        events=[event(1, "LOGIN", email="B@x "), event(2, "LOGIN", who=1), event(3, "LOGIN", email="c@x")],
        customers=[customer(1, email="a@x"), customer(3, email="c@x")],
    )
    owned = "SELECT customer_id FROM events ORDER BY id"
    with fresh(tmp_path, source) as rig:
        rig.pull()
        assert rig.store.query(owned) == [(None,), (1,), (3,)]
        source.records["customers"].append(customer(2, NOW + 10, email="b@x"))
        source.change("customers", 3, email="d@x", updated_at=NOW + 10)
        rig.now += 100
        rig.pull()
        assert rig.store.query(owned) == [(2,), (1,), (None,)]
        source.remove("customers", 1)
        source.change("orders", 70, customer=2, updated_at=NOW + 50)
        rig.pull(full=True)
        assert rig.store.query(owned) == [(2,), (2,), (None,)]


def test_an_event_once_seen_stays(tmp_path: Path) -> None:
    """Platforms forget what people did; a whole read leaves it."""
    source = wide(events=[event(1, "LOGIN", who=1)])
    with fresh(tmp_path, source) as rig:
        rig.pull()
        source.remove("events", 1)
        rig.pull(full=True)
        assert rig.one("SELECT count(*) FROM events WHERE gone_at IS NULL") == 1


def test_only_events_that_metrics_count_mark_people(tmp_path: Path) -> None:
    """A login moves nobody's metrics; a click does."""
    source = wide(customers=[customer(1), customer(2)])
    with fresh(tmp_path, source) as rig:
        rig.pull()
        metrics(rig)
        source.records["events"].append(event(1, "LOGIN", who=1))
        source.records["email_events"] += [event(2, "email.clicked", NOW - 5, who=2), event(3, "email.bounced", who=1)]
        rig.now += 100
        rig.pull()
        assert rig.dirty() == {2}
        metrics(rig)
        found = rig.one(
            "SELECT last_email_click_date, email_clicks_last_90d FROM customer_metrics WHERE customer_id = 2"
        )
        assert found == (NOW - 5, 1)


def test_an_earlier_instant_knows_no_later_events_and_orders(tmp_path: Path) -> None:
    """Functions over events go by their date; a cart was open until the order of its checkout was placed."""
    source = wide(
        events=[event(1, "LOGIN", NOW - 900, who=1), event(2, "LOGIN", NOW - 300, who=1)],
        orders=[order(70, NOW - 500, 1, checkout=4)],
        carts=[cart(5, NOW - 800, 1, checkout=4)],
        customers=[customer(1)],
    )
    wanted = {
        NOW: ("events MATCHES (count = 2)", "checkouts_abandoned NOT MATCHES ()", "open_carts = 0"),
        NOW - 400: ("events MATCHES (count = 1)", "checkouts_abandoned NOT MATCHES ()", "open_carts = 0"),
        NOW - 600: ("events MATCHES (count = 1)", "checkouts_abandoned MATCHES ()", "open_carts = 1"),
    }
    with fresh(tmp_path, source) as rig:
        rig.pull()
        metrics(rig)
        for now, conditions in wanted.items():
            for where in conditions:
                with rig.store.read() as connection:
                    as_of(connection, now=now, settings=SETTINGS)
                    segment = Segment("s", "s", where, parse(where), Origin("t"))
                    read = sources_read(connection)
                    found = members_at(connection, [segment], "s", now=now, settings=SETTINGS, sources_read=read)
                assert found == [1], (now - NOW, where)


def test_an_order_closes_its_cart_and_opens_it_when_it_vanishes(tmp_path: Path) -> None:
    """The owner of the cart is marked, whoever the order belongs to."""
    source = wide(customers=[customer(1), customer(2)], orders=[order(1, who=1)], carts=[cart(5, who=2, checkout=4)])
    with fresh(tmp_path, source) as rig:
        rig.pull()
        metrics(rig)
        assert rig.one("SELECT open_carts FROM customer_metrics WHERE customer_id = 2") == 1
        source.records["orders"].append(order(3, NOW, 1, checkout=4))
        rig.now += 100
        rig.pull()
        assert rig.dirty() == {1, 2}
        metrics(rig)
        assert rig.one("SELECT open_carts FROM customer_metrics WHERE customer_id = 2") == 0
        source.remove("orders", 3)
        rig.pull(full=True)
        assert rig.dirty() == {1, 2}
        metrics(rig)
        assert rig.one("SELECT open_carts FROM customer_metrics WHERE customer_id = 2") == 1


steps = st.lists(
    st.one_of(
        st.tuples(st.just("product"), st.integers(1, 3), st.sampled_from(["Tea", "Coffee", None])),
        st.tuples(st.just("order"), st.integers(1, 3), st.sampled_from([1, 2, None])),
        st.tuples(st.just("cart"), st.integers(1, 3), st.sampled_from([1, 2, None])),
        st.tuples(st.just("no order"), st.integers(1, 3), st.none()),
        st.tuples(st.just("pull"), st.sampled_from(["products", "orders", "carts", None]), st.integers(0, 2)),
        st.tuples(st.just("pull"), st.none(), st.none()),
    ),
    max_size=12,
)


@given(steps=steps)
def test_any_order_of_arrival_ends_in_the_same(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    """Products, orders and carts of one checkout, kills between pages: lines and metrics come out right."""
    source = WideSource(2, customers=[customer(1), customer(2)])
    with fresh(tmp_path_factory.mktemp("arrival"), source) as rig:
        rig.pull()
        metrics(rig)
        for kind, what, how in steps:
            rig.now += 100
            _take(rig, source, kind, what, how)
        rig.now += 10_000
        rig.pull()
        rig.pull(full=True)
        kinds = {each["id"]: each["category"] for each in source.records["products"]}
        for table in ("order_lines", "cart_lines"):
            for product_id, category, _ in lines(rig, table):
                assert category == kinds.get(product_id)
        bought = {each["checkout"] for each in source.records["orders"]} - {None}
        left = [each["customer"] for each in source.records["carts"] if each["checkout"] not in bought]
        partial = metrics(rig)
        counted = dict(rig.store.query("SELECT customer_id, open_carts FROM customer_metrics"))
        assert counted == {who: left.count(who) for who in (1, 2)}
        assert metrics(rig, full=True) == partial


def _take(rig: Rig, source: WideSource, kind: str, what: Any, how: Any) -> None:
    match kind:
        case "product":
            source.remove("products", what)
            source.records["products"].append(product(what, rig.now, how))
        case "order":
            source.remove("orders", what)
            line = {"id": what, "product_id": what, "quantity": 1, "net": 1000}
            source.records["orders"].append(order(what, rig.now, 1, lines=[line], checkout=how))
        case "cart":
            source.remove("carts", what)
            line = {"id": 1, "product_id": what, "quantity": 1, "gross": 900}
            source.records["carts"].append(cart(what, rig.now, 2, lines=[line], checkout=how))
        case "no order":
            source.remove("orders", what)
        case "pull":
            source.die_after = None if how is None else source.served + how
            with suppress(Killed):
                rig.pull(only=what and [what])
            source.die_after = None
            metrics(rig)
        case _:
            raise AssertionError(kind)
