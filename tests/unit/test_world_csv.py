"""Tables of a real shop become a world."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from connector.sandbox.csv_tables import BadTable, write_ids
from connector.sandbox.records import Allocation, guid
from connector.sandbox.world import World

CART_LINES = '"[{""product_id"": ""85123A"", ""title"": ""T-LIGHT HOLDER"", ""quantity"": 1, ""unit_price"": 2.95}]"'
TABLES = {
    "customers": (
        "customer_id,email,email_kind,first_name,country,created_at,accepts_marketing,country_source",
        "C1,ANA@Example.com,upper,Ana,GB,2025-10-01T10:00:00Z,true,United Kingdom",
        "C2,,missing,,,2025-10-02T10:00:00Z,false,",
    ),
    "orders": (
        "order_id,customer_id,email,created_at,updated_at,currency,discount_total,discount_codes,cancelled_at,test,derived",
        "O1,C1,ANA@Example.com,2025-11-05T08:26:00Z,2025-11-20T12:00:00Z,GBP,2.40,,,false,none",
        "TO1,C1,ANA@Example.com,2025-11-05T09:26:00Z,2025-11-05T09:26:00Z,GBP,0.00,,,true,test_copy",
        "O2,,guest@example.com,2025-11-06T08:00:00Z,2025-11-06T09:00:00Z,GBP,0.00,,2025-11-06T09:00:00Z,false,x",
    ),
    "order_lines": (
        "order_id,line_no,product_id,title,category,brand,department,quantity,unit_price,discount,source_quantity",
        "O1,1,85123A,T-LIGHT HOLDER,Candles & Lighting,,,6,2.95,2.40,6",
        "O1,2,71053,METAL LANTERN,,,,1,3.00,0.00,1",
        "TO1,1,71053,METAL LANTERN,,,,1,3.39,0.00,1",
        "O2,1,71053,METAL LANTERN,,,,1,3.39,0.00,1",
    ),
    "refunds": (
        "order_id,line_no,credit_note,refunded_at,quantity,amount",
        "O1,1,N1,2025-11-10T12:00:00Z,2,5.10",
        "O1,2,N1,2025-11-10T12:00:00Z,1,3.00",
        "O1,1,N2,2025-11-20T12:00:00Z,1,2.55",
    ),
    "carts": (
        "cart_id,customer_id,email,created_at,updated_at,completed_at,completed_order_id,total,lines,derived",
        f"K1,C1,ana@example.com,2025-11-05T06:20:00Z,2025-11-05T08:26:00Z,2025-11-05T08:26:00Z,O1,2.95,{CART_LINES},C1",
        "K2,, ana@EXAMPLE.com ,2025-11-07T06:20:00Z,2025-11-07T06:20:00Z,,,0.00,[],C1",
        "K3,,,2025-11-08T06:20:00Z,2025-11-08T06:20:00Z,,,0.00,[],",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, rows in TABLES.items():
        with gzip.open(tmp_path / f"{name}.csv.gz", "wt", encoding="utf-8") as file:
            file.write("\n".join(rows) + "\n")
    return tmp_path


def test_a_shop_of_tables(folder: Path) -> None:
    """Zone UTC, the orders' currency, addresses as given, missing as None, consent from accepts_marketing."""
    world = World.from_csv(folder)
    ana, ben = world.customers.values()
    assert (world.zone, world.currency, world.retention_days, world.denied) == ("UTC", "GBP", None, set())
    assert (ana.email, ana.first_name, ana.country, ana.email_consent) == ("ANA@Example.com", "Ana", "GB", "SUBSCRIBED")
    assert (ben.email, ben.first_name, ben.country, ben.email_consent) == (None, None, None, "NOT_SUBSCRIBED")
    assert max(o.updated_at for o in world.orders.values()) < world.now()


def test_orders_add_up_to_their_totals(folder: Path) -> None:
    """total = list value − discounts to the penny; a line's discount is its own; a cancelled order keeps its value."""
    first, test, guest = World.from_csv(folder).orders.values()
    assert (first.gross, first.discount, first.total) == (2070, 240, 1830)
    assert [line.allocations for line in first.lines] == [(Allocation(240, None, across=False),), ()]
    assert (test.test, first.test) == (True, False)
    assert (guest.customer, guest.email, guest.total) == (None, "guest@example.com", 339)
    assert (guest.cancelled_at, guest.updated_at) == (1762419600, 1762419600)


def test_refund_rows_are_one_refund_per_credit_note(folder: Path) -> None:
    """Two notes on two days are two refunds, each with its lines."""
    world = World.from_csv(folder)
    first = next(iter(world.orders.values()))
    assert [(r.amount, len(r.lines), r.note) for r in first.refunds] == [(810, 2, "N1"), (255, 1, "N2")]
    assert first.returned() == {first.lines[0].number: 3, first.lines[1].number: 1}


def test_carts_find_their_owner_by_address(folder: Path) -> None:
    """A cart with only an address belongs to the customer who has it, in any case; one without is nobody's."""
    world = World.from_csv(folder)
    done, by_address, nobody = world.carts.values()
    ana = next(iter(world.customers.values()))
    assert (done.customer, by_address.customer, nobody.customer) == (ana, ana, None)
    assert (done.gross, done.order, by_address.email) == (295, next(iter(world.orders)), " ana@EXAMPLE.com ")
    assert done.lines[0].product.category == "Candles & Lighting"


def test_numbers_are_stable_and_written_on_request(folder: Path, tmp_path: Path) -> None:
    """Loading twice gives the same numbers; ids.csv has every record once."""
    shown = {"numbered": lambda kind, number: str(number), "named": guid}
    write_ids(World.from_csv(folder), tmp_path / "a.csv", shown)
    write_ids(World.from_csv(folder), tmp_path / "b.csv", shown)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(r["kind"], r["source_id"]) for r in rows} == {
        *(("customer", c) for c in ("C1", "C2")), *(("order", o) for o in ("O1", "TO1", "O2")),
        *(("cart", k) for k in ("K1", "K2", "K3")), *(("product", p) for p in ("85123A", "71053")),
    }  # fmt: skip
    world = World.from_csv(folder)
    assert all(
        world.by_guid(r["kind"], r["named"]).number == int(r["numbered"]) for r in rows if r["kind"] != "product"
    )


def test_answer_keys_never_reach_the_world(folder: Path) -> None:
    """Columns that hold expected results are not read."""
    world = World.from_csv(folder)
    text = repr([*world.customers.values(), *world.orders.values(), *world.carts.values()])
    assert not any(key in text for key in ("test_copy", "United Kingdom", "upper"))


@pytest.mark.parametrize(
    ("table", "rows", "problem"),
    [("refunds", None, "no refunds.csv.gz"), ("carts", ["cart_id,email"], "no column 'customer_id'")],
)
def test_a_table_that_cannot_be_read_is_named(folder: Path, table: str, rows: list[str] | None, problem: str) -> None:
    """The error says which file and what is missing."""
    (folder / f"{table}.csv.gz").unlink()
    if rows is not None:
        (folder / f"{table}.csv").write_text("\n".join(rows), "utf-8")
    with pytest.raises(BadTable, match=problem):
        World.from_csv(folder)
