"""What Wix's records are turned into before they are mapped."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.wix.records import PREPARE, refunded_in_parts, spread
from mappings.keys import key
from mappings.load import MappingError, load

ORDER_ID = "0c9d5b1e-9b5c-4c6e-8f0a-1d3d0a4d5e6f"
CONTACT_ID = "7a585d4b-74f1-4ff5-9d42-489299bf5259"


def rows(stream: str, record: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The rows of a record, by table and column."""
    mapping = load("wix").stream(stream)
    mapped = mapping(PREPARE[stream](record))
    return {
        table: [dict(zip(mapping.columns[table], row, strict=True)) for row in found] for table, found in mapped.items()
    }


def price(amount: Any) -> dict[str, str]:
    return {"amount": str(amount)}


def order(**facts: Any) -> dict[str, Any]:
    """An order of two shirts at 42.50, five off, five tax."""
    return {
        "id": ORDER_ID,
        "number": "10042",
        "createdDate": "2026-11-02T10:15:30.123Z",
        "updatedDate": "2026-11-03T08:00:00.000Z",
        "status": "APPROVED",
        "paymentStatus": "PAID",
        "currency": "EUR",
        "buyerInfo": {"contactId": CONTACT_ID, "email": " Ana@Example.com "},
        "lineItems": [
            {
                "id": "00000000-0000-0000-0000-000000000001",
                "productName": {"original": "Linen shirt"},
                "catalogReference": {"catalogItemId": "c8539b66-7a44-fe18-affc-afec4be8562a"},
                "quantity": 2,
                "price": price("40.00"),
                "priceBeforeDiscounts": price("42.50"),
                "totalDiscount": price("5.00"),
            }
        ],
        "priceSummary": {
            "subtotal": price("85.00"),
            "tax": price("5.00"),
            "discount": price("5.00"),
            "total": price("85.00"),
        },
        "balanceSummary": {"paid": price("85.00"), "refunded": price("0.00")},
        "channelInfo": {"type": "WEB"},
        **facts,
    }


def test_an_order_is_read_with_its_line() -> None:
    """Total as charged, list value, net without tax; ids become keys; the address is compared in lower case."""
    found = rows("orders", order())
    assert found["orders"] == [
        {
            "id": key(ORDER_ID),
            "source_customer_id": key(CONTACT_ID),
            "email_key": "ana@example.com",
            "name": "#10042",
            "placed_at": 1_793_614_530,
            "created_at": 1_793_614_530,
            "updated_at": 1_793_692_800,
            "currency": "EUR",
            "gross": 8500,
            "discount": 500,
            "total": 8500,
            "refunded": 0,
            "coupon": False,
            "test": False,
            "cancelled_at": None,
            "channel": "WEB",
            "status": "paid",
            "checkout_key": None,
        }
    ]
    (line,) = found["order_lines"]
    assert (line["gross"], line["discount"], line["net"], line["quantity"]) == (8500, 500, 8000, 2)
    assert line["product_id"] == key("c8539b66-7a44-fe18-affc-afec4be8562a")
    assert "category" not in line


def test_a_discount_on_the_whole_order_reaches_the_lines() -> None:
    """What the lines do not carry is shared out by value; one on shipping is on no line."""
    lines = [
        {"id": "a", "quantity": 1, "priceBeforeDiscounts": price("30.00"), "totalDiscount": price("0.00")},
        {"id": "b", "quantity": 1, "priceBeforeDiscounts": price("10.01"), "totalDiscount": price("2.00")},
    ]
    found = rows(
        "orders",
        order(
            lineItems=lines,
            priceSummary={"discount": price("11.00"), "shipping": price("4.00"), "total": price("33.01")},
            appliedDiscounts=[
                {"discountType": "SHIPPING", "coupon": {"code": "SHIP", "amount": price("4.00")}},
                {"discountType": "GLOBAL", "coupon": {"code": "FIVE", "amount": price("5.00")}},
            ],
        ),
    )
    assert [line["discount"] for line in found["order_lines"]] == [395, 305]
    assert found["orders"][0]["discount"] == 700
    assert found["orders"][0]["coupon"] is True
    assert [each["code"] for each in found["order_codes"]] == ["SHIP", "FIVE"]


def test_what_is_sold_by_weight_has_its_weight_as_quantity() -> None:
    """`quantity` is 1 there, the amount in `decimalQuantity`."""
    line = {"id": "a", "quantity": 1, "decimalQuantity": {"value": "1.255"}, "priceBeforeDiscounts": price("10.00")}
    (found,) = rows("orders", order(lineItems=[line], priceSummary={"total": price("12.55")}))["order_lines"]
    assert (found["gross"], found["quantity"]) == (1255, 1)


def test_list_value_follows_from_the_price_where_it_is_not_told() -> None:
    """`price` is after the line's discounts."""
    line = {"id": "a", "quantity": 2, "price": price("40.00"), "totalDiscount": price("5.00")}
    (found,) = rows("orders", order(lineItems=[line]))["order_lines"]
    assert (found["gross"], found["net"]) == (8500, 8000)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 10_000), min_size=1, max_size=12))
def test_shares_add_up(amount: int, values: list[int]) -> None:
    """Whatever is shared out arrives, and no line gets more than it is worth."""
    amount = min(amount, sum(values))
    shares = spread(amount, values)
    assert sum(shares) == amount
    assert all(0 <= share <= value for share, value in zip(shares, values, strict=True))


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9_999), st.integers(0, 100)), min_size=1, max_size=6),
    st.integers(0, 100),
    st.integers(0, 999),
    st.integers(0, 999),
)
def test_nets_add_up_to_what_was_charged(
    lines: list[tuple[int, int, int]], across: int, shipping: int, tax: int
) -> None:
    """Net values are the total less shipping and tax, whichever part of a discount the lines carry."""
    gross = [quantity * unit for quantity, unit, _ in lines]
    own = [listed * share // 100 for listed, (_, _, share) in zip(gross, lines, strict=True)]
    rest = (sum(gross) - sum(own)) * across // 100
    items = [
        {
            "id": str(at),
            "quantity": quantity,
            "priceBeforeDiscounts": price(Decimal(unit) / 100),
            "totalDiscount": price(Decimal(own[at]) / 100),
        }
        for at, (quantity, unit, _) in enumerate(lines)
    ]
    total = sum(gross) - sum(own) - rest + shipping + tax
    summary = {
        "discount": price(Decimal(sum(own) + rest) / 100),
        "shipping": price(Decimal(shipping) / 100),
        "tax": price(Decimal(tax) / 100),
        "total": price(Decimal(total) / 100),
    }
    found = rows("orders", order(lineItems=items, priceSummary=summary))
    assert sum(line["net"] for line in found["order_lines"]) == found["orders"][0]["total"] - shipping - tax


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"paymentStatus": "PAID"}, "paid"),
        ({"paymentStatus": "PARTIALLY_PAID"}, "paid"),
        ({"paymentStatus": "FULLY_REFUNDED"}, "paid"),
        ({"paymentStatus": "PENDING", "status": "PENDING"}, "unpaid"),
        ({"paymentStatus": "NOT_PAID"}, "unpaid"),
        ({"paymentStatus": "SOMETHING_NEW"}, "unpaid"),
        ({"paymentStatus": "DECLINED"}, "declined"),
        ({"paymentStatus": "CANCELED"}, "voided"),
        ({"paymentStatus": "PAID", "status": "REJECTED"}, "rejected"),
    ],
)
def test_the_status_decides_whether_an_order_counts(facts: dict[str, str], status: str) -> None:
    """Rejected and declined orders do not count; an enum member nobody knew yet is no error."""
    assert rows("orders", order(**facts))["orders"][0]["status"] == status


def test_a_cancelled_order_is_dated_by_its_activity() -> None:
    """Else by its last change; an order that is not cancelled any more has no date."""
    activity = {"id": "x", "activityType": "ORDER_CANCELED", "createdDate": "2026-11-03T07:00:00Z"}
    dated = rows("orders", order(status="CANCELED", activities=[activity]))["orders"][0]
    undated = rows("orders", order(status="CANCELED"))["orders"][0]
    again = rows("orders", order(activities=[activity]))["orders"][0]
    assert (dated["cancelled_at"], undated["cancelled_at"], again["cancelled_at"]) == (
        1_793_689_200,
        1_793_692_800,
        None,
    )


def test_a_migrated_order_is_dated_by_its_purchase() -> None:
    """`createdDate` of an imported order is the time of the import."""
    found = rows("orders", order(purchasedDate="2025-01-01T00:00:00Z"))
    assert found["orders"][0]["placed_at"] == 1_735_689_600
    assert found["order_lines"][0]["placed_at"] == 1_735_689_600


def test_one_refund_is_dated_by_the_order_itself() -> None:
    """One activity tells the date, the balance the amount."""
    activity = {"id": "r1", "activityType": "PAYMENT_REFUNDED", "createdDate": "2026-11-03T07:00:00Z"}
    record = order(activities=[activity], balanceSummary={"refunded": price("10.00")})
    assert not refunded_in_parts(record)
    (refund,) = rows("orders", record)["refunds"]
    assert (refund["amount"], refund["refunded_at"]) == (1000, 1_793_689_200)


def refund(name: str, day: int, *parts: tuple[str, str]) -> dict[str, Any]:
    """A refund of that day of November in parts, each with its amount and status."""
    return {
        "id": name,
        "createdDate": f"2026-11-0{day}T00:00:00Z",
        "transactions": [{"amount": price(amount), "refundStatus": status} for amount, status in parts],
    }


def test_several_refunds_are_taken_from_the_transactions() -> None:
    """Only what succeeded has gone back; without an answer the sum stands on the last date known."""
    activities = [
        {"id": str(day), "activityType": "PAYMENT_REFUNDED", "createdDate": f"2026-11-0{day}T00:00:00Z"}
        for day in (4, 3)
    ]
    record = order(activities=activities, balanceSummary={"refunded": price("10.00")})
    assert refunded_in_parts(record)
    told = [
        refund("a", 3, ("4.00", "SUCCEEDED")),
        refund("b", 4, ("3.50", "SUCCEEDED"), ("2.50", "SUCCEEDED"), ("9.00", "FAILED")),
        refund("c", 5, ("1.00", "PENDING")),
    ]
    found = rows("orders", {**record, "ourTransactions": told})["refunds"]
    assert [(each["amount"], each["refunded_at"]) for each in found] == [(400, 1_793_664_000), (600, 1_793_750_400)]
    (whole,) = rows("orders", record)["refunds"]
    assert (whole["amount"], whole["refunded_at"]) == (1000, 1_793_750_400)


@pytest.mark.parametrize(
    ("status", "deliverability", "consent"),
    [
        ("SUBSCRIBED", "VALID", "SUBSCRIBED"),
        ("SUBSCRIBED", None, "SUBSCRIBED"),
        ("SUBSCRIBED", "INACTIVE", "SUBSCRIBED"),
        ("SUBSCRIBED", "BOUNCED", "INVALID"),
        ("SUBSCRIBED", "SPAM_COMPLAINT", "INVALID"),
        ("SUBSCRIBED", "SOMETHING_NEW", "INVALID"),
        ("UNSUBSCRIBED", "BOUNCED", "UNSUBSCRIBED"),
        ("PENDING", "VALID", "PENDING"),
        ("NOT_SET", "VALID", "NOT_SUBSCRIBED"),
        ("NO_SUBSCRIPTION_STATUS", "VALID", "NOT_SUBSCRIBED"),
        ("SOMETHING_NEW", "VALID", "INVALID"),
    ],
)
def test_consent_is_what_may_be_mailed(status: str, deliverability: str | None, consent: str) -> None:
    """A subscription to an address that bounces is none, nor is a state nobody knew yet."""
    primary = {"email": "ana@example.com", "subscriptionStatus": status, "deliverabilityStatus": deliverability}
    record = {"id": CONTACT_ID, "updatedDate": "2026-11-03T08:00:00Z", "primaryEmail": primary}
    assert rows("customers", record)["customers"][0]["email_status"] == consent


def test_consent_comes_from_the_subscription_where_the_contact_lacks_it() -> None:
    """It was asked for beside the record; a contact without an address has no consent at all."""
    record = {"id": CONTACT_ID, "updatedDate": "2026-11-03T08:00:00Z", "revision": "7"}
    reached = {
        **record,
        "primaryInfo": {"email": "ana@example.com"},
        "ourConsent": {"subscriptionStatus": "SUBSCRIBED"},
    }
    assert rows("customers", reached)["customers"][0]["email_status"] == "SUBSCRIBED"
    assert rows("customers", record)["customers"][0]["email_status"] is None


def test_a_bare_contact_is_read() -> None:
    """Absent means empty, at any depth, and unknown fields are ignored."""
    record = {"id": CONTACT_ID, "updatedDate": "2026-11-03T08:00:00Z", "info": {}, "somethingNew": [1]}
    found = rows("customers", record)
    assert found["customers"][0]["id"] == key(CONTACT_ID.upper())
    assert found["customer_tags"] == []


def test_places_are_spelled_as_segments_name_them() -> None:
    """`US-CA` and `US-CA-Los Angeles`, whether Wix writes the country into the subdivision or not."""
    for subdivision in ("CA", "US-CA"):
        address = {"address": {"country": "US", "subdivision": subdivision, "city": "Los Angeles"}}
        record = {
            "id": CONTACT_ID,
            "updatedDate": "2026-11-03T08:00:00Z",
            "info": {"addresses": {"items": [{"address": {}}, address]}},
        }
        (found,) = rows("customers", record)["customers"]
        assert (found["country"], found["region"], found["city"]) == ("US", "US-CA", "US-CA-Los Angeles")


def cart(**facts: Any) -> dict[str, Any]:
    line = {"quantity": 2, "productName": {"original": "Shirt"}, "price": price("40.00")}
    return {
        "id": "5f0e6d0a-0a43-4b52-9a7c-2d2f6c1b8a10",
        "createdDate": "2026-11-05T09:00:00Z",
        "updatedDate": "2026-11-06T09:00:00Z",
        "status": "ABANDONED",
        "checkoutId": "a1b2c3d4-0000-4000-8000-000000000001",
        "currency": "EUR",
        "buyerInfo": {"email": "ana@example.com"},
        "lineItems": [line, line],
        **facts,
    }


def test_a_checkout_has_lines_of_its_own() -> None:
    """Lines without ids are told apart; the value is that of the lines."""
    found = rows("carts", cart())
    assert found["carts"][0]["total"] == 16000
    assert found["carts"][0]["completed_at"] is None
    assert len({line["id"] for line in found["cart_lines"]}) == 2


def test_a_checkout_that_was_bought_is_complete() -> None:
    """By Wix's own date, else by the last change."""
    own = cart(status="RECOVERED", checkoutRecoveredDate="2026-11-05T10:00:00Z")
    undated = cart(status="RECOVERED")
    dates = [rows("carts", each)["carts"][0]["completed_at"] for each in (own, undated)]
    assert dates == [1_793_872_800, 1_793_955_600]


def test_both_catalogues_give_the_same_product() -> None:
    """Version 1 has the brand as text and another name for the date of change."""
    first = {"id": "p", "name": "Shirt", "brand": "Lind", "lastUpdated": "2026-11-03T08:00:00Z"}
    third = {"id": "p", "name": "Shirt", "brand": {"name": "Lind"}, "updatedDate": "2026-11-03T08:00:00Z"}
    assert rows("products", first) == rows("products", third)


def test_an_amount_that_is_none_names_its_place() -> None:
    """The record goes to quarantine with the reason."""
    line = {"id": "a", "quantity": 1, "priceBeforeDiscounts": price("many")}
    with pytest.raises(MappingError, match=r"lineItems\[0\].priceBeforeDiscounts.amount: is no decimal"):
        rows("orders", order(lineItems=[line]))
