"""Shopify records to rows: what each column means."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.shopify.limits import limits
from connector.shopify.records import PREPARE, cart_line_number, withheld
from mappings.load import MappingError, load


def bag(amount: str, currency: str = "EUR") -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": currency}}


def line(number: int, amount: str, *off: str, currency: str = "EUR", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/LineItem/{number}",
        "title": f"Thing {number}",
        "vendor": "Acme",
        "quantity": 2,
        "originalTotalSet": bag(amount, currency),
        "discountAllocations": [{"allocatedAmountSet": bag(part, currency)} for part in off],
        "product": {"id": f"gid://shopify/Product/{number}00", "productType": "Tea", "tags": ["green", "tea"]},
        **changes,
    }


def order(*lines: dict[str, Any], currency: str = "EUR", **changes: Any) -> dict[str, Any]:
    return {
        "id": "gid://shopify/Order/1",
        "name": "#1001",
        "email": " Ann@Example.COM ",
        "createdAt": "2026-11-02T00:00:00Z",
        "processedAt": "2026-11-01T00:00:00Z",
        "updatedAt": "2026-11-03T00:00:00Z",
        "cancelledAt": None,
        "test": False,
        "displayFinancialStatus": "PARTIALLY_REFUNDED",
        "sourceName": "web",
        "discountCodes": ["TEN", "TEN"],
        "totalPriceSet": bag("25.00", currency),
        "totalRefundedSet": bag("5.0", currency),
        "customer": {"id": "gid://shopify/Customer/9"},
        "refunds": [
            {
                "id": "gid://shopify/Refund/3",
                "createdAt": "2026-11-03T00:00:00Z",
                "totalRefundedSet": bag("5.00", currency),
            }
        ],
        "lineItems": {"nodes": list(lines)},
        **changes,
    }


def mapped(stream: str, record: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    mapping = load("shopify").stream(stream)
    rows = mapping(PREPARE[stream](record))
    return {
        table: [dict(zip(mapping.columns[table], row, strict=True)) for row in found] for table, found in rows.items()
    }


def test_order_and_its_children() -> None:
    """Total as charged, gross and discount from the lines, business date, address key, children keyed to the order."""
    found = mapped("orders", order(line(1, "20.00", "2.00", "0.50"), line(2, "10.00")))
    assert found["orders"] == [
        {
            "id": 1,
            "source_customer_id": 9,
            "email_key": "ann@example.com",
            "name": "#1001",
            "placed_at": 1793491200,
            "created_at": 1793577600,
            "updated_at": 1793664000,
            "currency": "EUR",
            "gross": 3000,
            "discount": 250,
            "total": 2500,
            "refunded": 500,
            "coupon": True,
            "test": False,
            "cancelled_at": None,
            "channel": "web",
            "status": "paid",
        }
    ]
    assert found["order_lines"][0] == {
        "id": 1,
        "order_id": 1,
        "placed_at": 1793491200,
        "product_id": 100,
        "title": "Thing 1",
        "category": "Tea",
        "brand": "Acme",
        "quantity": 2,
        "gross": 2000,
        "discount": 250,
        "net": 1750,
    }
    assert found["refunds"] == [{"id": 3, "order_id": 1, "refunded_at": 1793664000, "amount": 500}]
    assert found["order_codes"] == [{"order_id": 1, "code": "TEN"}]
    assert [(tag["product_id"], tag["tag"]) for tag in found["product_tags"]] == [
        (100, "green"),
        (100, "tea"),
        (200, "green"),
        (200, "tea"),
    ]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("PAID", "paid"),
        ("PARTIALLY_PAID", "paid"),
        ("PARTIALLY_REFUNDED", "paid"),
        ("REFUNDED", "paid"),
        ("PENDING", "unpaid"),
        ("AUTHORIZED", "unpaid"),
        (None, "unpaid"),
        ("VOIDED", "voided"),
        ("EXPIRED", "expired"),
    ],
)
def test_financial_status_is_canonical(said: str | None, status: str) -> None:
    """Refunds leave an order paid; what was only authorized is not paid."""
    assert mapped("orders", order(displayFinancialStatus=said))["orders"][0]["status"] == status


def test_unknown_financial_status_is_told() -> None:
    """A status Shopify invents later quarantines the order, it is not guessed."""
    with pytest.raises(MappingError, match=r"gid://shopify/Order/1: displayFinancialStatus: unknown value 'BARTERED'"):
        mapped("orders", order(displayFinancialStatus="BARTERED"))


def test_guest_without_codes_or_address() -> None:
    """A guest order has neither owner nor coupon."""
    found = mapped("orders", order(customer=None, email=None, discountCodes=[]))
    row = found["orders"][0]
    assert (row["source_customer_id"], row["email_key"], row["coupon"], found["order_codes"]) == (None, None, False, [])


def test_deleted_product_and_blank_names() -> None:
    """A line outlives its product; blank type and vendor are missing."""
    blank = {"id": "gid://shopify/Product/7", "productType": "", "tags": []}
    found = mapped("orders", order(line(1, "1", product=None), line(2, "1", vendor="", product=blank)))
    assert [(row["product_id"], row["category"], row["brand"]) for row in found["order_lines"]] == [
        (None, None, "Acme"),
        (7, None, None),
    ]
    assert found["product_tags"] == []


def test_order_keeps_its_own_currency_and_its_decimals() -> None:
    """Yen have no decimals, dinars three; the currency is that of the order."""
    yen = mapped("orders", order(line(1, "300", "50.0", currency="JPY"), currency="JPY"))["orders"][0]
    assert (yen["currency"], yen["gross"], yen["discount"], yen["total"]) == ("JPY", 300, 50, 25)
    dinar = mapped("orders", order(line(1, "1.125", currency="KWD"), currency="KWD"))["orders"][0]
    assert (dinar["gross"], dinar["refunded"]) == (1125, 5000)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (line(1, "free"), r"lineItems\.nodes\[0\]\.originalTotalSet: not an amount: 'free'"),
        (line(1, "Infinity"), r"originalTotalSet: not an amount"),
        (line(1, "1", originalTotalSet=None), r"lineItems\.nodes\[0\]\.originalTotalSet: is no amount of money"),
        (line(1, "1", "x"), r"lineItems\.nodes\[0\]\.discountAllocations: not an amount: 'x'"),
        (line(1, "1", currency="USD"), r"originalTotalSet: is in USD, the total in EUR"),
        (line(1, "1", quantity=None), r"lineItems\.nodes\[0\]\.quantity: is missing"),
        (line(1, "1.001"), r"nodes\[0\]\.originalTotalSet: '1\.001' has more than 2 decimals"),
    ],
)
def test_bad_line_refuses_its_order(bad: dict[str, Any], text: str) -> None:
    """An order is taken whole or refused with the place: a line is never dropped silently."""
    with pytest.raises(MappingError, match=text):
        mapped("orders", order(bad))


amounts = st.integers(0, 10**9)


@given(st.lists(st.tuples(amounts, st.lists(amounts, max_size=3)), max_size=5))
def test_sums_of_an_order_are_those_of_its_lines(lines: list[tuple[int, list[int]]]) -> None:
    """gross = Σ lines, discount = Σ allocations, net = gross − discount, to the cent."""

    def text(cents: int) -> str:
        return f"{cents // 100}.{cents % 100:02}"

    record = order(*[line(n, text(gross), *map(text, off)) for n, (gross, off) in enumerate(lines, 1)])
    found = mapped("orders", record)
    assert found["orders"][0]["gross"] == sum(gross for gross, _ in lines)
    assert found["orders"][0]["discount"] == sum(sum(off) for _, off in lines)
    assert [row["net"] for row in found["order_lines"]] == [gross - sum(off) for gross, off in lines]
    assert [row["discount"] for row in found["order_lines"]] == [sum(off) for _, off in lines]


def customer(**changes: Any) -> dict[str, Any]:
    return {
        "id": "gid://shopify/Customer/9",
        "createdAt": "2026-11-01T00:00:00Z",
        "updatedAt": "2026-11-02T00:00:00Z",
        "firstName": "Ann",
        "lastName": "",
        "state": "ENABLED",
        "locale": "en",
        "tags": ["VIP", "vip", "VIP"],
        "numberOfOrders": "3",
        "statistics": {"predictedSpendTier": None, "rfmGroup": "LOYAL"},
        "defaultEmailAddress": {
            "emailAddress": "Ann@Example.com",
            "marketingState": "SUBSCRIBED",
            "marketingUpdatedAt": "2026-11-01T00:00:00Z",
        },
        "defaultPhoneNumber": {"smsMarketingConsent": {"state": "NOT_SUBSCRIBED"}},
        "defaultAddress": {"city": "Los Angeles", "provinceCode": "CA", "countryCodeV2": "US"},
        **changes,
    }


def test_customer_and_tags() -> None:
    """Address as given and as key, consent, place names as Shopify's segments write them, tags as spelled."""
    found = mapped("customers", customer())
    row = found["customers"][0]
    assert (row["id"], row["email"], row["email_key"]) == (9, "Ann@Example.com", "ann@example.com")
    assert (row["email_status"], row["email_status_at"], row["sms_status"]) == (
        "SUBSCRIBED",
        1793491200,
        "NOT_SUBSCRIBED",
    )
    assert (row["country"], row["region"], row["city"]) == ("US", "US-CA", "US-CA-Los Angeles")
    assert (row["last_name"], row["platform_orders"], row["platform_rfm_group"]) == (None, 3, "LOYAL")
    assert found["customer_tags"] == [{"customer_id": 9, "tag": "VIP"}, {"customer_id": 9, "tag": "vip"}]


@pytest.mark.parametrize("path", ["defaultEmailAddress", "defaultPhoneNumber", "defaultAddress", "statistics"])
def test_customer_without_an_object(path: str) -> None:
    """What Shopify withholds or does not know is NULL."""
    assert mapped("customers", customer(**{path: None}))["customers"][0]["id"] == 9


def test_city_without_a_province() -> None:
    """Countries without provinces: country and city."""
    address = {"city": "Berlin", "provinceCode": None, "countryCodeV2": "DE"}
    row = mapped("customers", customer(defaultAddress=address))["customers"][0]
    assert (row["region"], row["city"]) == (None, "DE-Berlin")


@pytest.mark.parametrize(
    ("said", "status"), [("NEVER_SUBSCRIBED", "NOT_SUBSCRIBED"), ("REDACTED", "REDACTED"), ("MAYBE", "INVALID")]
)
def test_consent_is_never_guessed(said: str, status: str) -> None:
    """A state that is not in the vocabulary reads as no consent, for e-mail and SMS."""
    row = mapped(
        "customers",
        customer(
            defaultPhoneNumber={"smsMarketingConsent": {"state": said}},
            defaultEmailAddress={"emailAddress": "a@example.com", "marketingState": "MAYBE"},
        ),
    )["customers"][0]
    assert (row["sms_status"], row["email_status"]) == (status, "INVALID")


KEYED = "gid://shopify/AbandonedCheckoutLineItem/ee015e1efa018c1b9c0c05e330f8fc65?checkout=4766&index={}&actoken"


def test_cart_and_lines_without_numbers() -> None:
    """A checkout's total is the list value of its lines, whose ids are keys and get stable numbers."""
    record = {
        "id": "gid://shopify/AbandonedCheckout/5",
        "createdAt": "2026-11-01T00:00:00Z",
        "updatedAt": "2026-11-01T00:10:00Z",
        "completedAt": None,
        "customer": None,
        "totalPriceSet": bag("99.00"),
        "lineItems": {
            "nodes": [
                {
                    "id": KEYED.format(0),
                    "title": "Thing",
                    "quantity": 3,
                    "originalTotalPriceSet": bag("30.00"),
                    "product": {"id": "gid://shopify/Product/1", "productType": "Tea", "vendor": "Acme", "tags": ["t"]},
                }
            ]
        },
    }
    found = mapped("carts", record)
    assert (found["carts"][0]["total"], found["carts"][0]["completed_at"]) == (3000, None)
    only = found["cart_lines"][0]
    assert (only["cart_id"], only["brand"], only["quantity"], only["gross"]) == (5, "Acme", 3, 3000)
    assert only["id"] == cart_line_number("gid://shopify/AbandonedCheckout/5", KEYED.format(4))
    assert 0 <= only["id"] < 2**63
    assert only["id"] != cart_line_number("gid://shopify/AbandonedCheckout/6", KEYED.format(0))


@pytest.mark.parametrize(
    ("address", "columns"),
    [
        ({"marketingState": "SUBSCRIBED", "marketingUpdatedAt": "x"}, ["email", "email_key"]),
        (None, ["email", "email_key", "email_status", "email_status_at"]),
        ({"emailAddress": "a@x.org", "marketingState": "SUBSCRIBED"}, []),
    ],
)
def test_refused_field_withholds_what_went_with_it(address: Any, columns: list[str]) -> None:
    """A field that may not be null takes its object along; a record that has the value was not refused it."""
    record = {"id": "gid://shopify/Customer/1", "defaultEmailAddress": address}
    assert withheld("customers", record, ["defaultEmailAddress.emailAddress"]) == columns


@pytest.mark.parametrize("stream", ["customers", "orders", "carts"])
def test_every_column_that_a_refusal_could_empty_is_kept(stream: str) -> None:
    """All columns that may lack a value are named with their path."""
    raw = tomllib.loads(files("mappings").joinpath("shopify.toml").read_text("utf-8"))
    columns = raw["stream"][stream]["table"][stream]["columns"]
    empties = {
        name: spec["path"] for name, spec in columns.items()
        if spec.get("type", "").endswith("?") and name not in ("cancelled_at", "completed_at", "channel")
    }  # fmt: skip
    kept = {(column, path) for path, fed in limits().withheld[stream].items() for column in fed}
    plain = {(name, path) for name, path in empties.items() if not path.startswith("our")}
    assert plain <= kept
    assert set(empties) == {name for name, _ in kept}
