"""A platform whose ids are text: the store knows its records by keys, and the platform hears its own ids."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fake_destination import FakeTags
from fake_source import FakeSource, Killed, cart, customer, order
from rig import Rig, fresh

from mappings.keys import key
from sync.errors import StoreError
from sync.metrics import MetricSettings, refresh
from sync.metrics.export import export_customers
from sync.segments import compile as compiling
from sync.segments.language import parse
from sync.store import external, queue, reports

PRODUCT = "0aa1f0de-7c30-4a3c-a0bf-3f1d9d7e4f11"
SETTINGS = MetricSettings(ZoneInfo("UTC"), "EUR")


def shop(*, guids: bool = True) -> FakeSource:
    source = FakeSource(
        customers=[customer(1, email="a@x.org"), customer(2, email="b@x.org", tags=["x"]), customer(3)],
        orders=[order(11, who=1), order(12, who=1), order(13, who=2), order(14, email="a@x.org"), order(15, who=3)],
        carts=[cart(21, who=1)],
    )
    source.guids = guids
    return source


def keyed(rig: Rig, stream: str, number: int) -> int:
    return key(str(rig.source.own(stream, number)))


def merge(rig: Rig) -> None:
    """Customer 1 lives on in 2."""
    rig.now += 7200
    rig.source.remove("customers", 1)
    rig.source.merged[1] = 2


def test_records_are_known_by_key_and_noted_once(rig: Rig) -> None:
    """Customers, orders and carts have their own ids noted; reading them again writes nothing."""
    rig.source = shop()
    rig.pull()
    noted = {str(rig.source.own(name, each["id"])) for name, of in rig.source.records.items() for each in of}
    assert {row[0] for row in rig.store.query("SELECT external FROM external_id")} == noted
    assert rig.one("SELECT count(*) FROM orders o JOIN external_id e ON e.id = o.id") == 5
    assert rig.one(f"SELECT customer_id FROM orders WHERE id = {keyed(rig, 'orders', 14)}") == keyed(
        rig, "customers", 1
    )
    before = rig.store.query("SELECT * FROM external_id")
    rig.pull(full=True)
    assert rig.store.query("SELECT * FROM external_id") == before


def test_numbers_are_not_noted(rig: Rig) -> None:
    """They are their own keys, so a shop with numbers pays nothing."""
    rig.source = shop(guids=False)
    rig.pull(full=True)
    assert rig.store.query("SELECT * FROM external_id") == []
    with rig.store.read() as connection:
        assert external.outward(connection, [3, 1]) == {3: "3", 1: "1"}


def test_keys_lead_back_to_the_platforms_own_ids(rig: Rig) -> None:
    """For many at a time, numbers among them, in the order asked for; a record path is known by its number."""
    rig.source = shop()
    rig.pull()
    keys = [keyed(rig, "customers", 2), 7, keyed(rig, "orders", 11)]
    with rig.store.read() as connection:
        found = external.outward(connection, keys)
    assert list(found.items()) == [
        (keys[0], rig.source.own("customers", 2)),
        (7, "7"),
        (keys[2], rig.source.own("orders", 11)),
    ]
    assert external.key_of("gid://shop/Customer/7") == 7


def test_two_ids_with_one_key_are_refused(rig: Rig) -> None:
    """The second is named with the first, and nothing of its page is stored."""
    rig.source = shop()
    with rig.store.begin() as connection:
        connection.exec_driver_sql("INSERT INTO external_id VALUES (?, 'another')", (keyed(rig, "customers", 2),))
    with pytest.raises(StoreError, match=f"ids another and {rig.source.own('customers', 2)} have the same key"):
        rig.pull()
    assert rig.one("SELECT count(*) FROM customers") == 0


def test_letter_case_is_no_other_id(rig: Rig) -> None:
    """The same GUID spelled in capitals is the same record."""
    guid = str(shop().own("customers", 1))
    with rig.store.begin() as connection:
        external.note(connection, [guid, guid.upper(), "?", '{"no": "id"}'])
        external.note(connection, [guid.upper()])
    assert rig.store.query("SELECT external FROM external_id") == [(guid,)]


def test_a_record_in_quarantine_is_known_by_its_own_id(rig: Rig) -> None:
    """It is no difference to the counts, its consent is taken back, and its id is noted."""
    rig.source = shop()
    rig.pull()
    rig.source.change("customers", 3, bad=True, updated_at=rig.now)
    rig.source.records["customers"].append(customer(4, rig.now, bad=True))
    assert [rig.pull().sweep.streams for _ in range(3)] == [()] * 3
    assert rig.one(f"SELECT email_status FROM customers WHERE id = {keyed(rig, 'customers', 3)}") == "INVALID"
    assert rig.one(f"SELECT external FROM external_id WHERE id = {keyed(rig, 'customers', 4)}")


@pytest.mark.parametrize("guids", [False, True])
def test_deletions_and_missed_records_are_found(rig: Rig, guids: bool) -> None:
    """What vanished is asked for by the platform's ids, and so is what is listed but not stored yet."""
    rig.source = shop(guids=guids)
    rig.pull()
    rig.source.remove("customers", 3)
    rig.source.unlisted.add(2)
    rig.source.records["orders"].append(order(16, 5, 2))
    report = rig.pull(full=False).sweep
    assert (report.customers_gone, report.customers_merged) == (1, 0)
    assert rig.pull(full=True).sweep.streams == ("customers", "orders")
    assert rig.one(f"SELECT customer_id FROM orders WHERE id = {keyed(rig, 'orders', 16)}") == keyed(
        rig, "customers", 2
    )


def test_what_is_listed_but_not_stored_is_asked_for_as_listed(rig: Rig) -> None:
    """No text is known for its key yet, so the listing's own is used."""
    rig.source = shop()
    rig.pull()
    rig.source.records["orders"] += [order(100 + n, 5, 3) for n in range(11)]
    assert rig.pull().sweep.recovered == 11


@pytest.mark.parametrize("guids", [False, True])
def test_the_survivor_the_platform_names_is_believed(rig: Rig, guids: bool) -> None:
    """The loser's orders still name it, which would say that it was deleted; they follow it all the same."""
    rig.source = shop(guids=guids)
    rig.pull()
    merge(rig)
    report = rig.pull().sweep
    assert (report.customers_merged, report.customers_gone) == (1, 0)
    loser, survivor = keyed(rig, "customers", 1), keyed(rig, "customers", 2)
    assert rig.one(f"SELECT merged_into FROM customers WHERE id = {loser}") == survivor
    owned = rig.store.query(f"SELECT count(*) FROM orders WHERE customer_id = {survivor}")
    assert owned == [(3,)]
    assert rig.one("SELECT customer_id FROM carts") == survivor
    rig.source.records["orders"].append(order(17, rig.now, 1))
    rig.pull()
    assert rig.one(f"SELECT customer_id FROM orders WHERE id = {keyed(rig, 'orders', 17)}") == survivor


def test_the_platforms_word_outweighs_the_orders(rig: Rig) -> None:
    """Orders that were moved to somebody else by hand name no survivor where the platform names one."""
    rig.source = shop()
    rig.pull()
    merge(rig)
    for number in (11, 12):
        rig.source.change("orders", number, customer=3)
    rig.pull()
    loser = keyed(rig, "customers", 1)
    assert rig.one(f"SELECT merged_into FROM customers WHERE id = {loser}") == keyed(rig, "customers", 2)


def test_a_list_of_deletions_spares_the_list_of_all(rig: Rig) -> None:
    """Where it explains the counts, no ids are compared; each is asked for before it is believed."""
    rig.source = shop()
    rig.pull()
    rig.source.remove("customers", 3)
    rig.source.deleted = {"customers": [9, 2, 3]}
    report = rig.pull().sweep
    assert (report.customers_gone, report.streams, rig.source.swept) == (1, ("customers",), [])
    assert rig.one(f"SELECT gone_at FROM customers WHERE id = {keyed(rig, 'customers', 2)}") is None
    assert rig.pull().sweep.streams == ()


def test_a_list_of_deletions_that_explains_too_little_is_followed_by_all_ids(rig: Rig) -> None:
    """What it does not tell is found in the same run."""
    rig.source = shop()
    rig.pull()
    for number in (1, 3):
        rig.source.remove("customers", number)
    rig.source.deleted = {"customers": [3]}
    assert (rig.pull().sweep.customers_gone, rig.source.swept) == (2, ["customers"])


@pytest.mark.parametrize("die_after", range(8))
def test_killed_anywhere_it_ends_the_same(tmp_path: Path, die_after: int) -> None:
    """A kill during a pull that has a merge, a deletion and new records to find changes nothing in the end."""
    ends: list[Any] = []
    for name, limit in (("clean.db", None), ("killed.db", die_after)):
        with fresh(tmp_path, shop(), name) as rig:
            rig.pull()
            merge(rig)
            rig.source.remove("orders", 15)
            rig.source.records["customers"].append(customer(5, rig.now))
            rig.source.served, rig.source.die_after = 0, limit
            with suppress(Killed):
                rig.pull()
            rig.source.die_after = None
            rig.pull()
            ends.append((rig.facts(), rig.store.query("SELECT * FROM external_id ORDER BY id")))
    assert ends[0] == ends[1]


def test_a_destination_hears_the_platforms_own_id(rig: Rig) -> None:
    """A person has it beside our key."""
    rig.source = shop()
    rig.pull()
    ann = keyed(rig, "customers", 1)
    with rig.store.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO plan_op (destination, segment, customer_id, action, why) VALUES "
            f"('tags', 's', {ann}, 'add', 'entered'), ('tags', 's', 7, 'remove', 'left')"
        )
        adds, removes = queue.planned_people(connection, FakeTags(), ["s"])
    assert [(each.customer_id, each.id) for each in adds["s"]] == [(ann, rig.source.own("customers", 1))]
    assert [(each.customer_id, each.id) for each in removes["s"]] == [(7, "7")]


def test_the_export_names_people_as_the_platform_does(rig: Rig) -> None:
    """In CSV and JSON lines alike, as text."""
    rig.source = shop()
    rig.pull()
    refresh(rig.store, now=rig.now, settings=SETTINGS)
    out = io.StringIO()
    with rig.store.read() as connection:
        export_customers(connection, out, format="csv", now=rig.now, currency="EUR")
    found = {row["customer_id"]: row["number_of_orders"] for row in csv.DictReader(io.StringIO(out.getvalue()))}
    own = rig.source.own
    assert found == {own("customers", 1): "3", own("customers", 2): "1", own("customers", 3): "1"}


@pytest.mark.parametrize("guids", [False, True])
def test_people_are_found_by_the_platforms_id_alone(rig: Rig, guids: bool) -> None:
    """In any letter case; a merged one with its survivor; our key of a GUID names nobody."""
    rig.source = shop(guids=guids)
    rig.pull()
    merge(rig)
    rig.pull()
    loser, survivor = (keyed(rig, "customers", number) for number in (1, 2))
    with rig.store.read() as connection:
        wanted = str(rig.source.own("customers", 1))
        assert reports.customers_by_id(connection, wanted.upper()) == [(loser, survivor)]
        assert reports.customers_by_id(connection, str(rig.source.own("customers", 2))) == [(survivor, None)]
        assert bool(reports.customers_by_id(connection, str(loser))) is not guids
        assert reports.customers_by_id(connection, "4711") == []


@pytest.mark.parametrize(
    ("condition", "buyers"),
    [
        (f"id = '{PRODUCT.upper()}'", [1]),
        (f"id IN ('{PRODUCT}', 13)", [1, 2]),
        ("id = '13'", [2]),
        ("id = 13.0", [2]),
        ("id = 'gid://shop/Product/13'", [2]),
        (f"id != '{PRODUCT}'", [1, 2, 3]),
    ],
)
def test_products_are_named_as_the_platform_does(rig: Rig, condition: str, buyers: list[int]) -> None:
    """By text in any letter case, or by number; neither is noted, as keys are all that it takes."""
    rig.source = shop()
    rig.source.change("orders", 11, lines=[{"id": 1, "product_id": key(PRODUCT), "quantity": 1, "net": 1}])
    rig.pull()
    refresh(rig.store, now=rig.now, settings=SETTINGS)
    rule = parse(f"products_purchased MATCHES ({condition})")
    with rig.store.read() as connection:
        compiling.prepare(connection)
        found = connection.execute(compiling.members(rule, compiling.moment(rig.now, SETTINGS, {}))).scalars().all()
    assert sorted(found) == sorted(keyed(rig, "customers", number) for number in buyers)
