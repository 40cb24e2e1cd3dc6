"""Pages into the store: replays, order, kills, marks, tokens, quarantine."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fake_source import NOW, FakeSource, Killed, cart, customer, order
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import Rig, fresh

from connector.errors import BadReply, BadRequest
from sync.errors import UsageError


def shop(size: int = 3) -> FakeSource:
    """Three people, one address in two spellings, guests, refunds, codes and carts."""
    return FakeSource(
        size,
        customers=[
            customer(1, NOW - 5000, "a@x.org", tags=["vip", "seg-loyal"]),
            customer(2, NOW - 4000, " B@x.org"),
            customer(3, NOW - 3000),
        ],
        orders=[
            order(11, NOW - 5000, 1, codes=["TEN"], tags={11: ["red", "blue"]}),
            order(12, NOW - 4500, 2, refunded=300, refunds=[{"id": 5, "at": NOW - 4400, "amount": 300}]),
            order(13, NOW - 4000, None, email="b@X.org "),
            order(14, NOW - 4000, None, email="nobody@x.org"),
            order(15, NOW - 3500, 3, lines=[]),
        ],
        carts=[cart(21, NOW - 4000, 1), cart(22, NOW - 3000, None, email="A@x.org")],
    )


def test_a_replay_writes_and_marks_nothing(rig: Rig) -> None:
    """Reading everything again leaves every row and the dirty marks as they were."""
    rig.source = shop()
    rig.pull()
    before = rig.facts()
    rig.clean()
    again = rig.pull(full=True)
    assert rig.dirty() == set()
    assert rig.facts() == before
    assert [(each.new, each.changed) for each in again.streams] == [(0, 0)] * 3
    assert [each.unchanged for each in again.streams] == [3, 5, 2]


def test_children_carry_owner_and_date_of_their_parent(rig: Rig) -> None:
    """Lines, refunds, codes and cart lines repeat the customer; lines the order's date."""
    rig.source = shop()
    rig.pull()
    assert rig.one("SELECT customer_id, placed_at FROM order_lines WHERE order_id = 13") == (2, NOW - 4000)
    assert rig.one("SELECT customer_id FROM refunds") == 2
    assert rig.one("SELECT customer_id FROM order_codes") == 1
    assert rig.store.query("SELECT customer_id FROM cart_lines") == [(1,), (1,)]
    assert rig.store.query("SELECT tag FROM product_tags ORDER BY tag") == [("blue",), ("red",)]


def test_our_own_tags_are_no_news(rig: Rig) -> None:
    """A record that differs in updated_at and in tags of our prefix marks nobody, and is kept as it is now."""
    rig.source = shop()
    rig.pull()
    rig.clean()
    rig.source.change("customers", 1, updated_at=NOW, tags=["vip", "Seg-loyal", "seg-big"])
    report = rig.stream("customers")
    assert (rig.dirty(), report.changed) == (set(), 0)
    assert rig.store.query("SELECT tag, ours FROM customer_tags ORDER BY tag") == [
        ("Seg-loyal", 1), ("seg-big", 1), ("vip", 0),
    ]  # fmt: skip
    rig.source.change("customers", 1, updated_at=NOW, tags=["Seg-loyal"])
    assert rig.stream("customers").changed == 1
    assert rig.dirty() == {1}


def test_a_changed_child_is_replaced_and_marks_its_owner(rig: Rig) -> None:
    """Lines that went are deleted, and only the owner of that order is dirty."""
    rig.source = shop()
    rig.pull()
    rig.clean()
    line = {"id": 999, "product_id": 8, "quantity": 2, "net": 400}
    rig.source.change("orders", 12, updated_at=NOW, lines=[line])
    report = rig.stream("orders")
    assert (report.new, report.changed) == (0, 1)
    assert rig.dirty() == {2}
    assert rig.store.query("SELECT id, customer_id FROM order_lines WHERE order_id = 12") == [(999, 2)]


def test_product_tags_follow_the_last_line_seen(rig: Rig) -> None:
    """A product on a line without tags has none any more."""
    rig.source = shop()
    rig.pull()
    rig.source.change("orders", 11, updated_at=NOW, tags={11: ["red"]})
    rig.stream("orders")
    assert rig.store.query("SELECT product_id, tag FROM product_tags") == [(11, "red")]


def test_an_older_version_does_not_win(rig: Rig) -> None:
    """What arrives with an older updated_at than the stored one is passed over."""
    rig.source = FakeSource(orders=[order(11, NOW - 10, 1, total=2)])
    rig.stream("orders")
    rig.source.change("orders", 11, updated_at=NOW - 20, total=1)
    assert rig.stream("orders", full=True).unchanged == 1
    assert rig.one("SELECT total FROM orders") == 2


VERSIONS = st.lists(
    st.tuples(
        st.sampled_from(["customers", "orders", "carts"]),
        st.integers(1, 4),
        st.integers(1, 3),
        st.sampled_from([None, "a@x.org", "A@x.org ", "b@x.org"]),
        st.sampled_from([None, 1, 2, 3]),
    ),
    min_size=1,
    max_size=14,
    unique_by=lambda each: each[:3],
)


def record(version: tuple[str, int, int, str | None, int | None]) -> dict[str, Any]:
    stream, number, at, email, who = version
    made: Any = {"customers": customer, "orders": order, "carts": cart}[stream]
    extra = {"tags": [f"t{at}"]} if stream == "customers" else {"customer": who, "total": at}
    return dict(made(number, NOW - 900 + at, email=email, **extra))


@settings(max_examples=40)
@given(versions=VERSIONS, data=st.data())
def test_any_order_and_any_split_give_the_same_rows(versions: list[Any], data: st.DataObject) -> None:
    """However versions of records come in, and however pages cut them, the rows are those of the newest versions."""
    dumps = []
    for name in ("one.db", "two.db"):
        shuffled = versions if name == "one.db" else data.draw(st.permutations(versions))
        with tempfile.TemporaryDirectory() as folder, fresh(Path(folder), FakeSource(), name) as rig:
            start = 0
            while start < len(shuffled):
                size = len(shuffled) if name == "one.db" else data.draw(st.integers(1, 4))
                for stream in ("customers", "orders", "carts"):
                    part = [record(each) for each in shuffled[start : start + size] if each[0] == stream]
                    rig.source = FakeSource(50, **{stream: part})
                    rig.stream(stream, full=True)
                start += size
            dumps.append(rig.facts())
    assert dumps[0] == dumps[1]


@given(pages=st.integers(0, 12), size=st.integers(1, 4))
@settings(max_examples=25)
def test_a_killed_pull_goes_on_to_the_same_rows(pages: int, size: int) -> None:
    """Killed after any page and started again, the store holds what an undisturbed pull gives."""
    with tempfile.TemporaryDirectory() as folder:
        with fresh(Path(folder), shop(size), "clean.db") as rig:
            rig.pull()
            expected = rig.facts(), rig.store.query("SELECT * FROM stream_state ORDER BY stream"), rig.dirty()
        with fresh(Path(folder), shop(size), "killed.db") as rig:
            rig.source.die_after = pages
            with suppress(Killed):
                rig.pull()
        with fresh(Path(folder), shop(size), "killed.db") as rig:
            rig.pull()
            assert rig.facts() == expected[0]
            assert rig.store.query("SELECT * FROM stream_state ORDER BY stream") == expected[1]
            assert rig.dirty() == expected[2]


def test_a_resumed_range_starts_at_its_token_and_is_followed_by_the_news(rig: Rig) -> None:
    """After a kill the saved token is used with its own range, then a range up to now is read."""
    rig.source = shop(1)
    rig.source.die_after = 2
    with pytest.raises(Killed):
        rig.stream("customers")
    rig.source.die_after = None
    rig.now += 3600
    rig.source.records["customers"].append(customer(4, rig.now))
    rig.stream("customers")
    resumed, news = (cursor for _, cursor in rig.source.asked[-2:])
    assert (resumed.page_token, resumed.until) == (f"{NOW - 4000}:2", NOW + 1)
    assert (news.page_token, news.until) == (None, rig.now + 1)
    assert rig.one("SELECT count(*) FROM customers") == 4


def test_an_expired_token_begins_its_range_again(rig: Rig) -> None:
    """A token that the platform no longer takes costs the pages read so far, and nothing else."""
    rig.source = shop(1)
    rig.source.die_after = 2
    with pytest.raises(Killed):
        rig.stream("orders")
    rig.source.die_after, rig.source.expired = None, True
    rig.stream("orders")
    assert rig.one("SELECT count(*) FROM orders") == 5


def test_a_refusal_without_a_token_is_an_error(rig: Rig) -> None:
    """Only a saved token is given up; a request that is refused by itself stops the stream."""

    class Refusing(FakeSource):
        def pages(self, stream: Any, since: Any) -> Any:
            raise BadRequest("fake", stream.name, "no such field")
            yield

    rig.source = Refusing()
    with pytest.raises(BadRequest):
        rig.stream("orders")


def test_the_mark_stops_at_the_newest_seen_and_before_the_lag(rig: Rig) -> None:
    """min(newest, start - lag); it stays where nothing came; it never goes back."""
    rig.source = FakeSource(orders=[order(1, NOW - 5000)])
    rig.stream("orders")
    assert rig.one("SELECT high_water FROM stream_state") == NOW - 5000
    rig.source.records["orders"].append(order(2, NOW - 1))
    rig.stream("orders")
    assert rig.one("SELECT high_water FROM stream_state") == NOW - 900
    rig.source.records["orders"].clear()
    rig.now += 10_000
    rig.stream("orders")
    assert rig.one("SELECT high_water, completed_at FROM stream_state") == (NOW - 900, NOW + 10_000)
    rig.stream("orders", full=True)
    assert rig.one("SELECT high_water FROM stream_state") == NOW - 900


def test_ties_at_the_mark_are_read_again(rig: Rig) -> None:
    """A second record of the very second of the mark, shown late, is not lost."""
    rig.source = FakeSource(orders=[order(1, NOW - 5000)])
    rig.stream("orders")
    rig.source.records["orders"].append(order(2, NOW - 5000))
    assert rig.stream("orders").new == 1


def test_paging_in_a_circle_stops(rig: Rig) -> None:
    """A token that comes twice ends the run with an error instead of an endless loop."""
    rig.source = shop(1)
    rig.source.loops = True
    with pytest.raises(BadReply, match="in a circle"):
        rig.stream("orders")


def test_what_does_not_map_waits_in_quarantine(rig: Rig) -> None:
    """One bad record stops nobody, is counted, and is released as soon as it maps."""
    rig.source = shop()
    rig.source.change("customers", 2, bad=True)
    report = rig.stream("customers")
    assert (report.read, report.new, report.quarantined) == (3, 2, 1)
    assert rig.one("SELECT stream, record_id, reason FROM quarantine") == ("customers", "2", "bad: does not fit")
    del rig.source.records["customers"][1]["bad"]
    assert rig.stream("customers", full=True).new == 1
    assert rig.store.query("SELECT * FROM quarantine") == []


def test_quarantine_is_mapped_again_without_asking_the_shop(rig: Rig) -> None:
    """A mapping that has learned to read a record takes it from quarantine, also when the shop never sends it again."""
    rig.source = shop()
    rig.source.change("customers", 2, bad=True)
    rig.stream("customers")
    rig.source.records["customers"].clear()
    learned = rig.source.to_rows
    rig.source.to_rows = lambda stream: (
        lambda record: learned(stream)(  # type: ignore[method-assign]
            {key: value for key, value in record.items() if key != "bad"}
        )
    )
    rig.stream("customers")
    assert rig.one("SELECT count(*) FROM customers") == 3
    assert rig.store.query("SELECT * FROM quarantine") == []


def test_days_are_the_stores(rig: Rig) -> None:
    """Local day and month follow the zone through daylight saving, and a changed zone is applied to what is stored."""
    midnight = 1_792_879_200  # 2026-10-25 00:00 in Berlin, the day that has 25 hours
    times = [midnight - 1, midnight, midnight + 24 * 3600 + 1800]
    rig.source = FakeSource(orders=[order(number, at, 1) for number, at in enumerate(times, 1)])
    rig.now, rig.zone = midnight + 2 * 86_400, ZoneInfo("Europe/Berlin")
    rig.pull()
    days = rig.store.query("SELECT local_day, local_month FROM orders ORDER BY id")
    assert days == [(20750, 2026 * 12 + 9), (20751, 2026 * 12 + 9), (20751, 2026 * 12 + 9)]
    rig.clean()
    rig.zone = ZoneInfo("America/New_York")
    rig.pull()
    assert rig.store.query("SELECT local_day FROM orders ORDER BY id") == [(20750,), (20750,), (20751,)]
    assert rig.dirty() == {1}


def test_an_unknown_stream_is_a_usage_error(rig: Rig) -> None:
    """`only` names what there is."""
    with pytest.raises(UsageError, match="no stream 'baskets' at fake; known: carts, orders, customers"):
        rig.pull(only=["baskets"])
