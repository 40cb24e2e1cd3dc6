"""Whose an order is, and what vanished: guests, merges, deletions, sweeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from fake_source import NOW, FakeSource, Killed, cart, customer, order
from rig import Rig, fresh

from connector.base import Page, Stream
from sync.errors import StoreError
from sync.store import identity
from sync.store.external import key_of

WEEK = 7 * 86_400


def owner(rig: Rig, number: int) -> int | None:
    found: int | None = rig.one(f"SELECT customer_id FROM orders WHERE id = {number}")
    lines = rig.store.query(f"SELECT DISTINCT customer_id FROM order_lines WHERE order_id = {number}")
    assert lines == [(found,)], "lines repeat the owner"
    return found


def test_a_guest_joins_the_one_customer_with_the_address(rig: Rig) -> None:
    """Trimmed and in lower case; nobody or several leave the order unowned and counted with the reason."""
    rig.source = FakeSource(
        customers=[customer(1, email="Ann@x.org"), customer(2, email="two@x.org"), customer(3, email=" TWO@x.org")],
        orders=[
            order(1, email=" ann@X.org "),
            order(2, email="two@x.org"),
            order(3, email="who@x.org"),
            order(4),
            order(5, who=3, email="ann@x.org"),
        ],
        carts=[cart(1, email="ann@x.org")],
    )
    report = rig.pull()
    assert [owner(rig, number) for number in (1, 2, 3, 4, 5)] == [1, None, None, None, 3]
    assert rig.one("SELECT customer_id FROM carts") == 1
    assert report.unowned == identity.Unowned(no_address=1, no_match=1, several=1)


def test_plus_parts_are_part_of_the_address(rig: Rig) -> None:
    """ann+shop@x.org is not ann@x.org."""
    rig.source = FakeSource(customers=[customer(1, email="ann@x.org")], orders=[order(1, email="ann+shop@x.org")])
    rig.pull()
    assert owner(rig, 1) is None


def test_guests_are_joined_again_when_a_customer_changes(rig: Rig) -> None:
    """An address that comes, moves or becomes ambiguous moves the orders, and marks both owners."""
    rig.source = FakeSource(
        customers=[customer(1, email="a@x.org"), customer(2, email="b@x.org")],
        orders=[order(1, email="a@x.org"), order(2, email="c@x.org")],
        carts=[cart(1, email="c@x.org")],
    )
    rig.pull()
    assert (owner(rig, 1), owner(rig, 2)) == (1, None)
    rig.clean()
    rig.source.change("customers", 1, email="c@x.org", updated_at=NOW)
    rig.pull()
    assert (owner(rig, 1), owner(rig, 2)) == (None, 1)
    assert rig.one("SELECT customer_id FROM carts") == rig.one("SELECT customer_id FROM cart_lines") == 1
    assert rig.dirty() == {1}
    rig.clean()
    rig.source.change("customers", 2, email="C@x.org", updated_at=NOW)
    rig.pull()
    assert owner(rig, 2) is None
    assert rig.dirty() == {1, 2}


def test_a_customer_not_yet_read_owns_its_orders(rig: Rig) -> None:
    """Orders read before their customer are owned at once; the customer is marked when it comes."""
    rig.source = FakeSource(orders=[order(1, who=9)])
    rig.pull()
    assert owner(rig, 1) == 9
    rig.clean()
    rig.source.records["customers"].append(customer(9, NOW))
    rig.pull()
    assert (owner(rig, 1), rig.dirty()) == (9, {9})


def merged(keep_stamps: bool) -> FakeSource:
    source = FakeSource(
        customers=[customer(1, email="a@x.org"), customer(2, email="b@x.org"), customer(3)],
        orders=[order(11, who=1), order(12, who=1), order(13, who=2), order(14, email="a@x.org"), order(15, who=3)],
        carts=[cart(21, who=1)],
    )
    source.keep = keep_stamps  # type: ignore[attr-defined]
    return source


def merge_one_into_two(rig: Rig) -> None:
    rig.now += 7200
    stamp = {} if rig.source.keep else {"updated_at": rig.now}  # type: ignore[attr-defined]
    rig.source.remove("customers", 1)
    for number in (11, 12):
        rig.source.change("orders", number, customer=2, **stamp)
    rig.source.change("carts", 21, customer=2, **stamp)


@pytest.mark.parametrize("keep_stamps", [True, False])
def test_a_merged_customer_is_followed(rig: Rig, keep_stamps: bool) -> None:
    """The loser's orders, carts and history are the survivor's, whether or not the orders' updated_at tells."""
    rig.source = merged(keep_stamps)
    rig.pull()
    with rig.store.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO membership_event (segment, customer_id, entered, at, run_id, rule_hash) "
            "VALUES ('s', 1, 1, 1, 1, 'h')"
        )
        connection.exec_driver_sql("INSERT INTO membership VALUES ('s', 1, 5, 1), ('t', 1, 6, 1), ('t', 2, 7, 1)")
        connection.exec_driver_sql("INSERT INTO membership_mask VALUES (1, 0, 3), (1, 1, 4), (2, 0, 2)")
    rig.clean()
    merge_one_into_two(rig)
    report = rig.pull()
    assert (report.sweep.customers_merged, report.sweep.customers_gone) == (1, 0)
    assert [owner(rig, number) for number in (11, 12, 13, 14, 15)] == [2, 2, 2, None, 3]
    assert rig.one("SELECT customer_id FROM carts") == 2
    assert rig.one("SELECT gone_at, merged_into FROM customers WHERE id = 1") == (rig.now, 2)
    assert rig.one("SELECT customer_id FROM membership_event") == 2
    assert rig.store.query("SELECT * FROM membership ORDER BY segment") == [("s", 2, 5, 1), ("t", 2, 7, 1)]
    assert rig.store.query("SELECT * FROM membership_mask ORDER BY word") == [(2, 0, 3), (2, 1, 4)]
    assert rig.dirty() == {1, 2}


@pytest.mark.parametrize("guids", [False, True])
def test_one_merged_before_we_first_read_is_asked_for_once(rig: Rig, guids: bool) -> None:
    """Old orders name somebody whom no list has: the platform tells who that is now, and is not asked again."""
    rig.source = FakeSource(customers=[customer(2)], orders=[order(11, who=1), order(12, who=2), order(13, who=8)])
    rig.source.guids = guids
    rig.source.merged = {1: 2}
    asked: list[str] = []
    by_ids = rig.source.by_ids

    def counting(stream: Stream, ids: Sequence[str]) -> Iterator[Page]:
        asked.extend(ids if stream.name == "customers" else ())
        return by_ids(stream, ids)

    rig.source.by_ids = counting  # type: ignore[method-assign]
    report = rig.pull()
    names = {number: str(rig.source.own("customers", number)) for number in (1, 2, 8)}
    assert sorted(asked) == sorted([names[1], names[8]])
    assert (report.sweep.customers_merged, report.sweep.customers_gone) == (1, 0)
    survivor, lost = key_of(names[2]), key_of(names[8])
    owners = [row[0] for row in rig.store.query("SELECT customer_id FROM orders")]
    assert (owners.count(survivor), owners.count(lost)) == (2, 1)
    assert rig.dirty() >= {survivor}
    rig.now += 7200
    rig.source.change("orders", 12, updated_at=rig.now)
    rig.source.records["orders"].append(order(14, rig.now, 1))
    rig.pull()
    assert len(asked) == 2
    owners = [row[0] for row in rig.store.query("SELECT customer_id FROM orders")]
    assert (owners.count(survivor), owners.count(lost)) == (3, 1)


def test_merges_in_a_row_lead_to_the_last_survivor(rig: Rig) -> None:
    """What was merged into one that is merged itself belongs to the last."""
    rig.source = merged(True)
    rig.source.records["carts"].append(cart(22, who=1))
    rig.source.unlisted.add(22)
    rig.pull()
    merge_one_into_two(rig)
    rig.pull()
    rig.source.remove("customers", 2)
    for number in (11, 12, 13):
        rig.source.change("orders", number, customer=3)
    rig.pull()
    assert rig.store.query("SELECT id, merged_into FROM customers WHERE gone_at IS NOT NULL") == [(1, 3), (2, 3)]
    rig.source.unlisted.clear()
    rig.pull(full=True)
    assert rig.one("SELECT customer_id FROM carts WHERE id = 22") == 3, "the cart still names the first loser"


def test_orders_that_went_two_ways_name_no_survivor(rig: Rig) -> None:
    """A vanished customer whose orders are now several people's was not merged."""
    rig.source = merged(True)
    rig.pull()
    merge_one_into_two(rig)
    rig.source.change("orders", 12, customer=3)
    report = rig.pull()
    assert (report.sweep.customers_merged, report.sweep.customers_gone) == (0, 1)
    assert [owner(rig, number) for number in (11, 12)] == [2, 3]
    assert rig.one("SELECT merged_into FROM customers WHERE id = 1") is None


def test_a_deleted_customer_owns_nothing(rig: Rig) -> None:
    """Guest orders lose it; what it ordered itself is read again and belongs to nobody."""
    rig.source = merged(True)
    rig.pull()
    rig.clean()
    rig.source.remove("customers", 1)
    for number in (11, 12):
        rig.source.change("orders", number, customer=None)
    assert rig.pull().sweep.customers_gone == 1
    assert [owner(rig, number) for number in (11, 12, 14)] == [None] * 3
    assert rig.one("SELECT customer_id FROM carts") is None
    assert rig.dirty() == {1}


def test_who_comes_back_has_its_orders_again(rig: Rig) -> None:
    """An id that re-appears clears gone_at and merged_into."""
    rig.source = merged(True)
    rig.pull()
    gone = rig.source.records["customers"][0]
    rig.source.remove("customers", 1)
    rig.pull()
    assert owner(rig, 14) is None
    rig.source.records["customers"].append(gone)
    rig.pull(full=True)
    assert rig.one("SELECT gone_at, merged_into FROM customers WHERE id = 1") == (None, None)
    assert [owner(rig, number) for number in (11, 14)] == [1, 1]


def test_a_vanished_order_counts_no_more(rig: Rig) -> None:
    """It is marked gone, its owner dirty; when it is seen again it counts again."""
    rig.source = merged(True)
    rig.pull()
    rig.clean()
    lost = next(each for each in rig.source.records["orders"] if each["id"] == 15)
    rig.source.remove("orders", 15)
    assert rig.pull().sweep.orders_gone == 1
    assert rig.one("SELECT gone_at FROM orders WHERE id = 15") == NOW
    assert rig.dirty() == {3}
    rig.clean()
    rig.source.records["orders"].append({**lost, "updated_at": NOW})
    rig.pull()
    assert rig.one("SELECT gone_at FROM orders WHERE id = 15") is None
    assert rig.dirty() == {3}


def test_what_the_index_does_not_show_is_not_gone(rig: Rig) -> None:
    """A record missing from the list of ids is asked for by itself before it is believed to be gone."""
    rig.source = merged(True)
    rig.pull()
    rig.source.unlisted.add(2)
    rig.source.remove("customers", 3)
    report = rig.pull()
    assert report.sweep.customers_gone == 1
    assert rig.store.query("SELECT id FROM customers WHERE gone_at IS NULL ORDER BY id") == [(1,), (2,)]


def test_ids_are_swept_when_counts_differ_and_weekly(rig: Rig) -> None:
    """Equal counts cost one call; a deletion hidden by an addition is found within the week."""
    rig.source = merged(True)
    assert rig.pull().sweep.streams == ()
    assert rig.pull().sweep == rig.pull().sweep
    rig.source.remove("orders", 15)
    rig.source.records["orders"].append(order(16, NOW))
    rig.source.unlisted.add(16)
    assert rig.pull().sweep.streams == ()
    rig.now += WEEK
    assert rig.pull().sweep.streams == ("customers", "orders")
    assert rig.one("SELECT gone_at IS NOT NULL FROM orders WHERE id = 15") == 1
    assert "carts" not in rig.source.swept


def test_a_lasting_difference_is_swept_once(rig: Rig) -> None:
    """Records that a count includes and no list shows do not cost a sweep in every run."""
    rig.source = merged(True)
    rig.source.unlisted.add(15)
    swept = [rig.pull().sweep.streams for _ in range(5)]
    assert sum("orders" in each for each in swept) == 1
    rig.source.remove("orders", 11)
    assert rig.pull().sweep.orders_gone == 1


def test_orders_out_of_sight_are_not_gone(rig: Rig) -> None:
    """Without access to old orders they leave the key's sight with time: they stay, younger ones are still compared."""
    day = 86_400
    rig.source = merged(True)
    rig.source.records["orders"] += [order(16, NOW - 59 * day, 1), order(17, NOW - 58 * day, 3)]
    rig.source.oldest = NOW - 60 * day
    rig.pull()
    rig.now += 10 * day
    rig.source.oldest += 10 * day
    rig.source.remove("orders", 15)
    merge_one_into_two(rig)
    report = rig.pull()
    assert (report.sweep.orders_gone, report.sweep.customers_merged) == (1, 1)
    assert rig.store.query("SELECT id FROM orders WHERE gone_at IS NOT NULL") == [(15,)]
    assert owner(rig, 16) == 2
    assert rig.pull().sweep.streams == ()


@pytest.mark.parametrize(("missed", "runs"), [(11, 1), (10, 2)])
def test_many_missed_are_recovered_at_once(rig: Rig, missed: int, runs: int) -> None:
    """Few too many may be new; they are recovered when a second run counts them too."""
    rig.source = merged(True)
    rig.pull()
    rig.source.records["orders"] += [order(100 + n, 5, 3) for n in range(missed)]
    assert [rig.pull().sweep.recovered for _ in range(3)] == [missed * (run == runs) for run in (1, 2, 3)]


def test_a_record_missed_is_recovered(rig: Rig) -> None:
    """What the platform lists and we do not hold is fetched by its id."""
    rig.source = merged(True)
    rig.pull()
    rig.source.records["orders"].append(order(16, NOW - 50_000, 3))
    rig.now += WEEK
    rig.source.change("orders", 16, updated_at=5)
    assert rig.pull().sweep.recovered == 1
    assert owner(rig, 16) == 3


def test_records_in_quarantine_are_no_difference(rig: Rig) -> None:
    """The platform counts them too, so they call for no sweep."""
    rig.source = merged(True)
    rig.source.change("customers", 3, bad=True)
    assert [rig.pull().sweep.streams for _ in range(3)] == [()] * 3


@pytest.mark.parametrize("die_after", range(9))
def test_a_killed_sweep_finds_the_rest_again(tmp_path: Path, die_after: int) -> None:
    """Killed anywhere during a pull that has to find a merge and a deletion, the next pull finds them."""
    dumps = []
    for name, limit in (("clean.db", None), ("killed.db", die_after)):
        with fresh(tmp_path, merged(True), name) as rig:
            rig.pull()
            rig.clean()
            merge_one_into_two(rig)
            rig.source.remove("orders", 15)
            rig.source.served, rig.source.die_after = 0, limit
            with suppress(Killed):
                rig.pull()
            rig.source.die_after = None
            rig.pull()
            dumps.append((rig.facts(), rig.dirty()))
    assert dumps[0] == dumps[1]


def test_a_database_belongs_to_one_shop(rig: Rig) -> None:
    """Another shop's key never mixes two shops."""
    rig.source = merged(True)
    rig.pull()
    before = rig.facts()
    rig.source.shop_id = "2"
    with pytest.raises(StoreError, match=r"holds the fake shop Fake \(1\), not fake Fake \(2\)"):
        rig.pull()
    assert rig.facts() == before


def test_another_prefix_changes_whose_tags_are_ours(rig: Rig) -> None:
    """Stored tags follow the prefix without being read again."""
    rig.source = FakeSource(customers=[customer(1, tags=["seg-a", "Our-b", "c"])])
    rig.pull()
    rig.prefix = "our-"
    rig.pull()
    assert rig.store.query("SELECT tag FROM customer_tags WHERE ours") == [("Our-b",)]
