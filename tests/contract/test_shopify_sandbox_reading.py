"""The simulated Admin API as a reader meets it: lists, cursors, index lag, nested pages, scopes, the 60-day window."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from graphql import build_schema
from hypothesis import given
from hypothesis import strategies as st
from shopify_sandbox_rig import CUSTOMERS, DAY, NOW, ORDERS, Rig, gid, number

from connector.shopify.documents import document, operations

SCHEMA = Path(__file__).parent.parent / "specs" / "shopify_admin_2026-10.graphql"


@given(st.lists(st.integers(0, 4), max_size=25), st.integers(1, 7))
def test_pages_join_to_the_whole_list_in_order(moments: list[int], size: int) -> None:
    """Whatever the page size and however many records share a second, every record comes once, oldest change first."""
    rig = Rig()
    people = [rig.world.add_customer(at=NOW - DAY + moment) for moment in moments]
    rig.open()
    expected = [p.number for p in sorted(people, key=lambda p: (p.updated_at, p.number))]
    assert rig.ids(CUSTOMERS, "customers", first=size, query="updated_at:>='2026-11-01T00:00:00Z'") == expected


def test_a_row_changed_while_paging_comes_again() -> None:
    """Sorted by date of change, a row that changes moves behind the cursor: a duplicate, never a loss."""
    rig = Rig(lag=0.0)
    people = [rig.world.add_customer(at=NOW - 10 * DAY + n) for n in range(4)]
    rig.open()
    query = "updated_at:>='2026-11-01T00:00:00Z'"
    first = rig.ask(CUSTOMERS, first=2, query=query)["data"]["customers"]
    rig.clock.advance(5)
    rig.world.add_tags(people[0], ["hello"])
    rest = rig.ids(CUSTOMERS, "customers", first=2, query=query)
    seen = [number(node["id"]) for node in first["nodes"]]
    assert seen == [people[0].number, people[1].number]
    assert rest == [people[1].number, people[2].number, people[3].number, people[0].number]


def test_filtered_lists_lag_and_reading_by_id_does_not() -> None:
    """The search index shows a change ten seconds late; nodes(ids:) and unfiltered lists show it at once."""
    rig = Rig()
    ana = rig.world.add_customer(at=NOW - 40 * DAY)
    rig.open()
    rig.world.add_tags(ana, ["fresh"])
    today = "updated_at:>='2026-11-18T00:00:00Z'"
    nodes = rig.ask(
        "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Customer { tags } } }", ids=[gid("Customer", ana.number)]
    )
    assert nodes["data"]["nodes"] == [{"tags": ["fresh"]}]
    assert rig.ids(CUSTOMERS, "customers", first=5) == [ana.number]
    assert rig.ids(CUSTOMERS, "customers", first=5, query=today) == []
    assert rig.ids(CUSTOMERS, "customers", first=5, query="updated_at:<'2026-11-01T00:00:00Z'") == [ana.number]
    rig.clock.advance(10)
    assert rig.ids(CUSTOMERS, "customers", first=5, query=today) == [ana.number]
    assert rig.ids(CUSTOMERS, "customers", first=5, query="tag:FRESH") == [ana.number]


def test_scale_shortens_the_lag() -> None:
    """A world that runs 50 times faster indexes 50 times sooner."""
    rig = Rig(scale=50.0).open()
    ana = rig.world.add_customer()
    rig.clock.advance(0.3)
    assert rig.ids(CUSTOMERS, "customers", first=5, query=f"id:{ana.number}") == [ana.number]


def test_nested_lines_page_to_their_end() -> None:
    """More lines than fit in the nested page are reached through the order's own pages, each once."""
    rig = Rig()
    order = rig.world.place_order(rig.world.add_customer(), [(rig.mug, 1)] * 310)
    rig.open()
    page = rig.ask(ORDERS, first=1, lineItems=250)["data"]["orders"]["nodes"][0]["lineItems"]
    more = """query More($id: ID!, $after: String) { order(id: $id) {
      lineItems(first: 250, after: $after) { nodes { id } pageInfo { hasNextPage } } } }"""
    rest = rig.ask(more, id=gid("Order", order.number), after=page["pageInfo"]["endCursor"])["data"]["order"][
        "lineItems"
    ]
    found = [number(node["id"]) for node in (*page["nodes"], *rest["nodes"])]
    assert (page["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)
    assert found == [line.number for line in order.lines]


def test_lines_of_checkouts_have_keys_for_ids() -> None:
    """A checkout's line is known by a key with its place in the checkout, which does not depend on the page."""
    rig = Rig()
    cart = rig.world.abandon_cart(rig.world.add_customer(), [(rig.mug, 1), (rig.tea, 1), (rig.mug, 2)])
    rig.open()
    query = """query Lines($id: ID!, $first: Int!, $after: String) { node(id: $id) { ... on AbandonedCheckout {
      lineItems(first: $first, after: $after) { nodes { id } pageInfo { endCursor } } } } }"""

    def lines(first: int, after: str | None) -> tuple[list[str], str]:
        found = rig.ask(query, id=gid("AbandonedCheckout", cart.number), first=first, after=after)
        page = found["data"]["node"]["lineItems"]
        return [node["id"] for node in page["nodes"]], page["pageInfo"]["endCursor"]

    whole, _ = lines(3, None)
    head, after = lines(1, None)
    assert head + lines(2, after)[0] == whole
    keyed = re.compile(r"gid://shopify/AbandonedCheckoutLineItem/(\w{32})\?checkout=(\w{32})&index=(\d)&actoken")
    parts = [keyed.fullmatch(each) for each in whole]
    assert [part and part[3] for part in parts] == ["0", "1", "2"]
    assert len({part[1] for part in parts if part}) == 3
    assert len({part[2] for part in parts if part}) == 1


def test_merged_and_deleted_people_are_null_by_id_and_gone_from_lists() -> None:
    """A merged id and a deleted id answer null; the merged one's orders belong to the survivor with their old date."""
    rig = Rig()
    loser, survivor, lonely = (rig.world.add_customer(at=NOW - 3 * DAY) for _ in range(3))
    order = rig.world.place_order(loser, [(rig.mug, 1)], at=NOW - 2 * DAY)
    rig.open()
    rig.world.merge(loser, survivor)
    rig.world.delete_customer(lonely)
    rig.clock.advance(20)
    ids = [gid("Customer", person.number) for person in (loser, survivor, lonely)]
    answer = rig.ask("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert answer["data"]["nodes"] == [None, {"id": ids[1]}, None]
    assert rig.ids(CUSTOMERS, "customers", first=9, query="updated_at:>='2026-11-01'") == [survivor.number]
    mine = rig.ask(ORDERS, first=9, lineItems=1, query=f"customer_id:{survivor.number}")["data"]["orders"]["nodes"]
    assert [(number(node["id"]), number(node["customer"]["id"])) for node in mine] == [(order.number, survivor.number)]
    assert order.updated_at == NOW - 2 * DAY


def test_counts_stop_at_ten_thousand_unless_lifted() -> None:
    """A count says so when it is only a lower bound."""
    rig = Rig()
    for _ in range(3):
        rig.world.add_customer()
    rig.open()
    answer = rig.ask(
        "{ a: customersCount(limit: 2) { count precision } b: customersCount(limit: null) { count precision } }"
    )
    assert answer["data"] == {"a": {"count": 2, "precision": "AT_LEAST"}, "b": {"count": 3, "precision": "EXACT"}}


def test_old_orders_are_cut_off_silently_without_read_all_orders() -> None:
    """Without the scope only 60 days of orders exist, in lists, counts and by id; no error says so."""
    rig = Rig()
    ana = rig.world.add_customer(at=NOW - 400 * DAY)
    old = rig.world.place_order(ana, [(rig.mug, 1)], at=NOW - 61 * DAY)
    new = rig.world.place_order(ana, [(rig.mug, 1)], at=NOW - 59 * DAY)
    rig.open()
    assert rig.ids(ORDERS, "orders", first=9, lineItems=1) == [old.number, new.number]
    rig.world.denied.add("read_all_orders")
    assert rig.ids(ORDERS, "orders", first=9, lineItems=1) == [new.number]
    answer = rig.ask(
        "query($ids: [ID!]!) { ordersCount { count } nodes(ids: $ids) { id } "
        "customers(first: 1) { nodes { numberOfOrders } } }",
        ids=[gid("Order", old.number)],
    )
    assert answer["data"]["ordersCount"] == {"count": 1}
    assert answer["data"]["nodes"] == [None]
    assert answer["data"]["customers"]["nodes"] == [{"numberOfOrders": "2"}]
    assert "errors" not in answer


def test_a_missing_scope_leaves_a_hole_and_says_where() -> None:
    """ACCESS_DENIED comes in a 200, with the path, and the rest of the data stays."""
    rig = Rig()
    rig.world.denied.add("read_products")
    rig.world.place_order(None, [(rig.mug, 1)], email="guest@example.com")
    rig.open()
    answer = rig.ask(
        "{ shop { name } orders(first: 1) { nodes { lineItems(first: 5) { nodes { title product { id } } } } } }"
    )
    assert answer["data"]["shop"] == {"name": "Sandbox Shop"}
    assert answer["data"]["orders"]["nodes"][0]["lineItems"]["nodes"] == [{"title": "Stoneware mug", "product": None}]
    [error] = answer["errors"]
    assert error["path"] == ["orders", "nodes", 0, "lineItems", "nodes", 0, "product"]
    assert error["extensions"]["code"] == "ACCESS_DENIED"
    assert error["extensions"]["requiredAccess"] == "`read_products` access scope."


def test_protected_fields_are_null_with_an_error_each() -> None:
    """An app without approval for names and addresses gets null for them, and everything else."""
    rig = Rig(protected=False)
    rig.world.add_customer("ana@example.com", first_name="Ana")
    rig.open()
    answer = rig.ask(
        "{ customers(first: 1) { nodes { firstName state defaultEmailAddress { emailAddress marketingState } } } }"
    )
    [node] = answer["data"]["customers"]["nodes"]
    assert node == {
        "firstName": None,
        "state": "DISABLED",
        "defaultEmailAddress": {"emailAddress": None, "marketingState": "NOT_SUBSCRIBED"},
    }
    paths = {tuple(error["path"][3:]) for error in answer["errors"]}
    assert paths == {("firstName",), ("defaultEmailAddress", "emailAddress")}


def test_money_of_lines_tells_kinds_of_discounts_apart() -> None:
    """Order-level discounts reach a line only in discountAllocations; codes only on request."""
    rig = Rig()
    lines = [rig.world.make_line(rig.mug, 2, off=300, code="MUG"), rig.world.make_line(rig.tea, 1)]
    order = rig.world.place_order(None, lines, order_off=100, codes=("TEN",), email="a@example.com")
    rig.world.refund(order, {order.lines[0].number: 1})
    rig.open()
    money = "{ shopMoney { amount currencyCode } }"
    answer = rig.ask(f"""{{ orders(first: 1) {{ nodes {{ subtotalPriceSet {money} totalDiscountsSet {money}
      totalRefundedSet {money} discountCodes displayFinancialStatus
      lineItems(first: 1) {{ nodes {{ quantity currentQuantity originalTotalSet {money} totalDiscountSet {money}
      bare: discountedTotalSet {money} coded: discountedTotalSet(withCodeDiscounts: true) {money}
      discountAllocations {{ allocatedAmountSet {money} }} }} }} }} }} }}""")
    [node] = answer["data"]["orders"]["nodes"]
    [line] = node["lineItems"]["nodes"]

    def euros(amount: str) -> dict[str, dict[str, str]]:
        return {"shopMoney": {"amount": amount, "currencyCode": "EUR"}}

    assert (node["subtotalPriceSet"], node["totalDiscountsSet"]) == (euros("37.7"), euros("4.0"))
    assert (node["totalRefundedSet"], node["displayFinancialStatus"]) == (euros("15.0"), "PARTIALLY_REFUNDED")
    assert (line["quantity"], line["currentQuantity"]) == (2, 1)
    assert (line["originalTotalSet"], line["totalDiscountSet"]) == (euros("33.8"), euros("3.0"))
    assert (line["bare"], line["coded"]) == (euros("33.8"), euros("30.8"))
    shares = [one["allocatedAmountSet"] for one in line["discountAllocations"]]
    assert shares == [euros("3.0"), euros("0.8")]


def test_old_checkouts_are_purged_on_mondays_where_retention_is_set() -> None:
    """With a retention of 95 days, checkouts older than that on the last Monday are gone."""
    rig = Rig()
    ana = rig.world.add_customer(at=NOW - 200 * DAY)
    monday = NOW - NOW % DAY - 2 * DAY
    rig.world.abandon_cart(ana, [(rig.mug, 1)], at=monday - 95 * DAY - 1)
    kept = rig.world.abandon_cart(ana, [(rig.mug, 1)], at=monday - 95 * DAY)
    rig.open()
    query = (
        "query A($first: Int!, $after: String) { abandonedCheckouts(first: $first, after: $after) "
        "{ nodes { id } pageInfo { hasNextPage } } }"
    )
    assert len(rig.ids(query, "abandonedCheckouts", first=9)) == 2
    rig.world.retention_days = 95
    assert rig.ids(query, "abandonedCheckouts", first=9) == [kept.number]


@pytest.mark.parametrize("operation", operations())
def test_every_document_of_the_connector_is_answered(operation: str) -> None:
    """Each document we send passes the real schema and finds all its fields here."""
    schema = build_schema(SCHEMA.read_text("utf-8"), assume_valid=True)
    rig = Rig(schema=schema)
    ana = rig.world.add_customer("ana@example.com", country="DE", phone="+4930", sms_consent="SUBSCRIBED")
    order = rig.world.place_order(ana, [(rig.mug, 2)])
    rig.world.refund(order)
    cart = rig.world.abandon_cart(ana, [(rig.tea, 1)])
    rig.open()
    gids = [gid("Customer", ana.number), gid("Order", order.number), gid("AbandonedCheckout", cart.number)]
    variables = {"first": 5, "lineItems": 5, "ids": gids, "after": None, "query": None}
    answer = rig.ask(document(operation), **variables)
    assert "errors" not in answer
    assert all(value is not None for value in answer["data"].values())
