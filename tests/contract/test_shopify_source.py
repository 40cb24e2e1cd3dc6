"""Reading a shop through the real client, against the simulated Admin API."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from connector.base import Access, Audience, Cursor, Op, Page, Person, Record, Reply, Source, Stream
from connector.errors import AuthError, BadReply, ScopeError, Unavailable
from connector.http import handler_transport
from connector.sandbox.faults import Fault, Faults
from connector.sandbox.wire import Request
from connector.sandbox.world import World
from connector.shopify import ShopifySettings, TagsSettings, platform
from connector.shopify.sandbox import ShopifySandbox
from connector.shopify.wire import STREAMS, number
from mappings.load import MappingError
from sync.clock import ManualClock

NOW = 1_795_176_000
DAY = 86_400
CUSTOMERS, ORDERS, CARTS = STREAMS
START = Cursor()


class Shop:
    """A small shop and a source that reads it."""

    def __init__(self, *faults: Fault, people: int = 0, token: str = "shpat_sandbox", **options: Any) -> None:
        self.clock = ManualClock(NOW - 100 * DAY)
        self.world = World(clock=self.clock, domain="toy.myshopify.com", denied=options.pop("denied", ()))
        self.tea = self.world.add_product("Tea", 500, category="Drinks", vendor="Acme", tags=["green"])
        self.people = [self.world.add_customer(f"p{n}@example.com") for n in range(people)]
        self.sandbox = ShopifySandbox(self.world, clock=self.clock, faults=Faults(faults), **options)
        secrets = {"REGULARS_SHOPIFY_TOKEN": token}
        if token == "app":
            secrets = {
                "REGULARS_SHOPIFY_CLIENT_ID": "sandbox-client",
                "REGULARS_SHOPIFY_CLIENT_SECRET": "sandbox-secret",
            }
        self.access = Access(ShopifySettings(shop="toy"), secrets, self.clock, handler_transport(self.sandbox))
        assert platform.source is not None
        self.source: Source = platform.source(self.access)

    def behind(self, handle: Callable[[Request], Reply]) -> Source:
        """A source whose requests go through `handle`."""
        assert platform.source is not None
        return platform.source(replace(self.access, transport=handler_transport(handle), budgets={}))

    def go_to(self, instant: float) -> None:
        self.clock.advance(instant - self.clock.now())

    def read(self, stream: Stream, cursor: Cursor = START) -> list[Record]:
        return list(records(self.source.pages(stream, cursor)))

    def rows(self, stream: Stream) -> list[dict[str, list[tuple[Any, ...]]]]:
        to_rows = self.source.to_rows(stream)
        return [dict(to_rows(record)) for record in self.read(stream)]


def records(pages: Iterator[Page]) -> Iterator[Record]:
    for page in pages:
        yield from page.records


def ids(found: list[Record]) -> list[int]:
    return [number(record["id"]) for record in found]


def test_shop_tells_itself() -> None:
    """Name, currency, zone, scopes; all of history is visible with read_all_orders."""
    shop = Shop().source.shop()
    assert (shop.name, shop.currency, shop.zone) == ("Sandbox Shop", "EUR", "Europe/Berlin")
    assert {"read_customers", "write_customers", "read_orders"} <= shop.scopes
    assert shop.oldest_order is None


def test_history_is_cut_to_sixty_days() -> None:
    """Without read_all_orders the shop says since when orders are visible, and doctor says how to get the rest."""
    shop = Shop(denied=["read_all_orders"])
    assert shop.source.shop().oldest_order == shop.clock.now() - 60 * DAY
    (finding,) = [f for f in shop.source.doctor() if f.subject == "history"]
    assert "only the last 60 days" in finding.text
    assert "--force truncated-history" in finding.fix


@pytest.mark.parametrize(("people", "calls"), [(0, 1), (1, 1), (250, 1), (251, 2), (600, 3)])
def test_customers_come_in_the_fewest_pages(people: int, calls: int) -> None:
    """Everybody once, 250 a call."""
    shop = Shop(people=people)
    pages = list(shop.source.pages(CUSTOMERS, Cursor()))
    assert [number(r["id"]) for p in pages for r in p.records] == [person.number for person in shop.people]
    assert sum(page.calls for page in pages) == len(pages) == shop.sandbox.operations["CustomersPage"] == calls


def test_page_token_resumes_behind_its_page() -> None:
    """A killed run goes on with the page after the last one it stored."""
    shop = Shop(people=600)
    first = next(iter(shop.source.pages(CUSTOMERS, Cursor())))
    rest = shop.read(CUSTOMERS, Cursor(page_token=first.next_token))
    assert ids(rest) == [person.number for person in shop.people[250:]]


def test_every_record_maps() -> None:
    """What the API serves fits the mapping of all three streams, long orders and carts included."""
    shop = Shop(people=2)
    lines = [(shop.tea, 1)] * 620
    shop.world.place_order(shop.people[0], lines, codes=["TEN"], order_off=100)
    shop.world.place_order(None, [(shop.tea, 2)], email="Guest@Example.com")
    shop.world.abandon_cart(shop.people[1], lines)
    guest, long = shop.rows(ORDERS)
    (cart,) = shop.rows(CARTS)
    assert [len(long["order_lines"]), len(guest["order_lines"]), len(cart["cart_lines"])] == [620, 1, 620]
    at = shop.source.columns(CARTS)["cart_lines"].index("id")
    assert len({row[at] for row in cart["cart_lines"]}) == 620
    columns = shop.source.columns(ORDERS)["orders"]
    order = dict(zip(columns, long["orders"][0], strict=True))
    assert (order["gross"], order["discount"], order["coupon"]) == (620 * 500, 100, True)
    assert order["total"] == order["gross"] - order["discount"]
    assert guest["orders"][0][columns.index("email_key")] == "guest@example.com"
    assert len(shop.rows(CUSTOMERS)) == 2
    for operation in ("OrderLinesBatch", "CheckoutLinesBatch"):
        assert shop.sandbox.operations[operation] == 2


def test_changes_since_a_mark() -> None:
    """Orders changed since the mark less its lag come again, older ones do not; customers by whole days."""
    shop = Shop(people=2)
    old = shop.world.place_order(shop.people[0], [(shop.tea, 1)])
    shop.go_to(NOW)
    shop.world.touch(shop.people[1])
    new = shop.world.place_order(None, [(shop.tea, 1)])
    shop.clock.advance(60)
    assert ids(shop.read(ORDERS, Cursor(NOW + ORDERS.lag))) == [new.number]
    assert ids(shop.read(ORDERS, Cursor(NOW + ORDERS.lag + 1))) == []
    assert ids(shop.read(CUSTOMERS, Cursor(NOW + 3600))) == [shop.people[1].number]
    assert old.number in ids(shop.read(ORDERS))


def test_late_recovery_of_a_cart_is_seen() -> None:
    """Carts are filtered by change although they cannot be sorted by it."""
    shop = Shop(people=1)
    cart = shop.world.abandon_cart(shop.people[0], [(shop.tea, 1)])
    shop.go_to(NOW)
    shop.world.complete_cart(cart)
    shop.clock.advance(60)
    (found,) = shop.read(CARTS, Cursor(NOW))
    assert (number(found["id"]), found["completedAt"] is None) == (cart.number, False)


def test_counts_and_sweep() -> None:
    """Live customers and orders are counted in one call and swept by number; checkouts are not."""
    shop = Shop(people=300)
    shop.world.place_order(shop.people[0], [(shop.tea, 1)])
    assert shop.source.counts() == {"customers": 300, "orders": 1}
    shop.world.delete_customer(shop.people[7])
    swept = [record["id"] for record in records(shop.source.ids(CUSTOMERS))]
    assert sorted(swept) == sorted(set(shop.world.customers))
    assert shop.sandbox.operations["CustomerIdsPage"] == 2
    with pytest.raises(ValueError, match="carts cannot be swept"):
        list(shop.source.ids(CARTS))


def test_records_by_number() -> None:
    """Read past the index; who is gone or merged is absent; an order tells its present owner."""
    shop = Shop(people=3)
    loser, survivor, deleted = shop.people
    order = shop.world.place_order(loser, [(shop.tea, 1)] * 300)
    shop.world.merge(loser, survivor)
    shop.world.delete_customer(deleted)
    found = list(records(shop.source.by_ids(CUSTOMERS, [str(person.number) for person in shop.people])))
    assert ids(found) == [survivor.number]
    (again,) = records(shop.source.by_ids(ORDERS, [str(order.number), "1"]))
    assert number(again["customer"]["id"]) == survivor.number
    assert len(again["lineItems"]["nodes"]) == 300


def test_record_with_odd_shape_is_refused_by_name() -> None:
    """What cannot even be prepared for the mapping still names its record."""
    with pytest.raises(MappingError, match="gid://shopify/Order/1"):
        Shop().source.to_rows(ORDERS)({"id": "gid://shopify/Order/1", "lineItems": []})


def test_client_credentials_are_renewed_on_the_way() -> None:
    """A token of 24 hours that ends between two pages costs nothing but a further token."""
    shop = Shop(people=600, token="app")
    pages = iter(shop.source.pages(CUSTOMERS, Cursor()))
    next(pages)
    shop.clock.advance(DAY)
    assert sum(len(page.records) for page in pages) == 350
    shop.sandbox.revoke()
    assert len(shop.read(CUSTOMERS)) == 600


def test_refused_key_is_said_once() -> None:
    """A wrong token stops at the first call, with the status and Shopify's words."""
    with pytest.raises(AuthError, match=r"ShopInfo: the key is refused \(401: \[API\] Invalid API key"):
        Shop(token="shpat_wrong").source.shop()


def test_missing_scope_stops_its_stream() -> None:
    """Orders that may not be read are an error, not an empty shop."""
    shop = Shop(denied=["read_orders"])
    with pytest.raises(ScopeError, match="OrdersPage"):
        shop.read(ORDERS)
    (finding,) = [f for f in shop.source.doctor() if f.level == "error"]
    assert "read_orders is missing" in finding.text


def test_hidden_addresses_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """Refused protected data leaves the customers, is logged once, and doctor names the fields."""
    shop = Shop(people=2, protected=False)
    with caplog.at_level(logging.WARNING):
        assert len(shop.rows(CUSTOMERS)) == 2
        shop.read(CUSTOMERS)
    assert len([r for r in caplog.records if "emailAddress" in r.getMessage()]) == 1
    (finding,) = [f for f in shop.source.doctor() if f.subject == "protected data"]
    assert "emailAddress" in finding.text
    assert finding.level == "error"


def test_healthy_key_has_no_complaints() -> None:
    """Everything granted: nothing but good news."""
    assert {finding.level for finding in Shop(people=1).source.doctor()} == {"ok"}


@pytest.mark.parametrize(
    "fault",
    [
        Fault("CustomersPage", "throttled", nth=2),
        Fault("CustomersPage", "server_error", nth=2),
        Fault("CustomersPage", "status", nth=2, status=503, retry_after=2),
        Fault("CustomersPage", "html_500", nth=2),
        Fault("CustomersPage", "reset", nth=2),
        Fault("CustomersPage", "timeout", nth=2),
        Fault("CustomersPage", "truncated", nth=2),
        Fault("CustomersPage", "malformed", nth=2),
        Fault("CustomersPage", "status", nth=2, times=2, status=504),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_passing_fault_loses_nobody(fault: Fault) -> None:
    """Whatever goes wrong for a while, everybody is read exactly once."""
    shop = Shop(fault, people=600)
    assert ids(shop.read(CUSTOMERS)) == [person.number for person in shop.people]
    assert fault.fired


def test_lasting_fault_ends_the_stream() -> None:
    """A platform that stays away is given up, with exit code 4."""
    with pytest.raises(Unavailable) as caught:
        Shop(Fault("CustomersPage", "status", times=0, status=503)).read(CUSTOMERS)
    assert caught.value.exit_code == 4


def test_small_bucket_is_not_overdrawn() -> None:
    """After the first reply the client keeps to the shop's own bucket: nothing is throttled."""
    shop = Shop(bucket=500, restore_rate=50)
    for _ in range(600):
        shop.world.place_order(None, [(shop.tea, 1)])
    shop.source.shop()
    assert len(shop.read(ORDERS)) == 600
    assert shop.sandbox.operations["OrdersPage"] == 3


def test_too_costly_page_is_halved_for_good() -> None:
    """A page over the limit shrinks until it fits, and stays small."""
    shop = Shop(people=300)
    sizes: list[int] = []

    def strict(request: Request) -> Reply:
        first = orjson.loads(request.body)["variables"].get("first", 0)
        sizes.append(first)
        if first <= 70:
            return shop.sandbox.handle(request)
        error = {"message": "Query cost is 1203", "extensions": {"code": "MAX_COST_EXCEEDED"}}
        return Reply(200, {}, orjson.dumps({"errors": [error]}))

    source = shop.behind(strict)
    assert len(list(records(source.pages(CUSTOMERS, Cursor())))) == 300
    assert sizes == [250, 125, 62, 62, 62, 62, 62]


def test_loop_in_paging_is_noticed() -> None:
    """A cursor that comes again would never end."""
    shop = Shop(people=600)

    def stuck(request: Request) -> Reply:
        body = orjson.loads(request.body)
        body["variables"]["after"] = None
        return shop.sandbox.handle(replace(request, body=orjson.dumps(body)))

    with pytest.raises(BadReply, match="loop detected in paging"):
        list(shop.behind(stuck).pages(CUSTOMERS, Cursor()))


def test_tags_are_written_and_read_back() -> None:
    """Through one connection: batches out, members found and confirmed, a lost customer refused alone."""
    shop = Shop(people=120)
    assert platform.destination is not None
    tags = platform.destination(shop.access, TagsSettings())
    assert [finding.level for finding in tags.doctor()] == ["ok"]
    audience = Audience("vip", tags.audience_name("vip", "VIPs"))
    shop.world.delete_customer(shop.people[5])
    ops = [Op(n, "add", audience, Person(person.number)) for n, person in enumerate(shop.people)]
    receipts = [receipt for batch in tags.batches(ops) for receipt in tags.push(batch)]
    assert [receipt.op for receipt in receipts if receipt.outcome != "done"] == [5]
    assert shop.sandbox.operations["TagsBatch"] == 2
    shop.clock.advance(60)
    assert sorted(tags.members(audience)) == sorted(str(n) for n in shop.world.customers)
    removal = [Op(1, "remove", audience, Person(shop.people[0].number))]
    assert [r.outcome for batch in tags.batches(removal) for r in tags.push(batch)] == ["done"]
    assert str(shop.people[0].number) not in set(tags.members(audience))


def test_missing_write_scope_is_found() -> None:
    """doctor names the scope that tags need."""
    shop = Shop(denied=["write_customers"])
    assert platform.destination is not None
    (finding,) = platform.destination(shop.access, TagsSettings()).doctor()
    assert (finding.level, "write_customers" in finding.text) == ("error", True)
