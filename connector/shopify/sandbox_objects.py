"""How a world's records look as Admin API 2026-10 objects: the types and fields that a reader of behaviour needs.

Names, nullability and enums follow the published schema; `shop_money` is what analytics read, in the shop's currency at
order time (shopify.dev/docs/api/admin-graphql/2026-10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from connector.sandbox.money import to_text
from connector.sandbox.records import Cart, Customer, Event, Line, Order, Product
from connector.shopify.sandbox_types import Field, Run, Slice

F = Field
Money = tuple[int, str]


class OrderLine(NamedTuple):
    """A line with what it needs from its order."""

    line: Line
    currency: str
    returned: int


class CartLine(NamedTuple):
    """A line of a checkout, which has a key and no number: `key` is what follows the type in its id."""

    line: Line
    currency: str
    key: str


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


@lru_cache(maxsize=65_536)
def instant(at: int | None) -> str | None:
    """Timestamps have whole seconds."""
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _offset_slice(items: Sequence[Any], arguments: Mapping[str, Any]) -> Slice:
    """A page of a list that has no sort key: cursors count places."""
    after = arguments.get("after")
    start = int(str(after).removeprefix("place-")) if after else 0
    stop = start + int(arguments["first"])
    return Slice(items[start:stop], lambda at: f"place-{start + at + 1}", stop < len(items), start > 0)


def _order_lines(order: Order, arguments: Mapping[str, Any], run: Run) -> Slice:
    page = _offset_slice(order.lines, arguments)
    back = order.returned() if order.refunds else {}
    currency = order.currency
    nodes = [OrderLine(line, currency, back.get(line[0], 0)) for line in page.nodes]
    return Slice(nodes, page.cursors, page.has_next, page.has_previous)


def _cart_lines(cart: Cart, arguments: Mapping[str, Any], run: Run) -> Slice:
    page = _offset_slice(cart.lines, arguments)
    nodes = [
        CartLine(line, cart.currency, _line_key(cart, line, int(page.cursors(at).removeprefix("place-")) - 1))
        for at, line in enumerate(page.nodes)
    ]
    return Slice(nodes, page.cursors, page.has_next, page.has_previous)


def _line_key(cart: Cart, line: Line, index: int) -> str:
    """As the Admin API shows it: `<hex>?checkout=<token>&index=0&actoken`."""
    name = blake2b(str(line.number).encode(), digest_size=16).hexdigest()
    return f"{name}?checkout={cart.guid.replace('-', '')}&index={index}&actoken"


def _discounted(view: OrderLine, arguments: Mapping[str, Any], run: Run) -> Money:
    """Without order-level discounts always, without codes unless asked."""
    codes = arguments.get("withCodeDiscounts")
    line = view.line
    off = sum(a.amount for a in line.allocations if not a.across and (codes or a.code is None))
    return line.quantity * line.price - off, view.currency


def _spent(customer: Customer, arguments: Mapping[str, Any], run: Run) -> Money:
    world = run.site.world
    orders = [o for o in world.orders_of(customer) if not o.test and not o.cancelled_at]
    return sum(o.total - o.refunded for o in orders if o.currency == world.currency), world.currency


def _last_order(customer: Customer, arguments: Mapping[str, Any], run: Run) -> Order | None:
    return max(run.site.world.orders_of(customer), key=lambda o: (o.processed_at, o.number), default=None)


def _order_count(customer: Customer, arguments: Mapping[str, Any], run: Run) -> str:
    return str(len(run.site.world.orders_of(customer)))


def _journey(order: Order, arguments: Mapping[str, Any], run: Run) -> dict[str, Any] | None:
    if order.source != "web":
        return None
    index = None
    if order.customer is not None and not order.test:
        index = sum(1 for o in run.site.world.orders_of(order.customer) if o.processed_at < order.processed_at)
    return {"ready": True, "customerOrderIndex": index, "daysToConversion": None}


def financial_status(order: Order) -> str:
    if not order.paid:
        return "VOIDED" if order.cancelled_at else "PENDING"
    refunded = order.refunded
    if not refunded:
        return "PAID"
    return "REFUNDED" if refunded >= order.total else "PARTIALLY_REFUNDED"


def _address(record: Customer | Order | Cart) -> Customer | Order | Cart | None:
    return record if record.country else None


def _handle(product: Product) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in product.title.lower()).split()) or str(product.number)


def _key(name: str) -> Field:
    return F(lambda o: o.get(name))


def _bag(get: Any) -> Field:
    return F(get, of="MoneyBag")


SHOP_INFO: dict[str, Field] = {
    "id": F(lambda world: gid("Shop", 70_000_000_001)),
    "name": F(lambda world: world.name),
    "myshopifyDomain": F(lambda world: world.domain),
    "currencyCode": F(lambda world: world.currency),
    "enabledPresentmentCurrencies": F(lambda world: [world.currency]),
    "ianaTimezone": F(lambda world: world.zone),
    "timezoneOffset": F(lambda world: zone_offset(world)[0]),
    "timezoneOffsetMinutes": F(lambda world: zone_offset(world)[1]),
    "taxesIncluded": F(lambda world: True),
    "plan": F(
        lambda world: {"publicDisplayName": "Basic", "shopifyPlus": False, "partnerDevelopment": True}, "ShopPlan"
    ),
}


def zone_offset(world: Any) -> tuple[str, int]:
    """`+0100` and 60, as of the world's time."""
    moment = datetime.fromtimestamp(world.now(), ZoneInfo(world.zone))
    offset = moment.utcoffset()
    return moment.strftime("%z"), int(offset.total_seconds() // 60) if offset is not None else 0


TYPES: dict[str, dict[str, Field]] = {
    "Shop": SHOP_INFO,
    "ShopPlan": {name: _key(name) for name in ("publicDisplayName", "shopifyPlus", "partnerDevelopment")},
    "AppInstallation": {
        "id": F(lambda site: gid("AppInstallation", 600_000_001)),
        "app": F(lambda site: site, "App"),
        "accessScopes": F(lambda site: sorted(site.scopes()), "AccessScope", many=True),
    },
    "App": {
        "id": F(lambda site: gid("App", 500_000_001)),
        "title": F(lambda site: "Regulars"),
        "apiKey": F(lambda site: site.client_id),
    },
    "AccessScope": {"handle": F(lambda scope: scope)},
    "Count": {"count": F(lambda count: count[0]), "precision": F(lambda count: count[1])},
    "MoneyBag": {"shopMoney": F(lambda money: money, "MoneyV2"), "presentmentMoney": F(lambda money: money, "MoneyV2")},
    "MoneyV2": {"amount": F(lambda money: to_text(*money)), "currencyCode": F(lambda money: money[1])},
    "Customer": {
        "id": F(lambda c: gid("Customer", c.number)),
        "legacyResourceId": F(lambda c: str(c.number)),
        "createdAt": F(lambda c: instant(c.created_at)),
        "updatedAt": F(lambda c: instant(c.updated_at)),
        "firstName": F(lambda c: c.first_name, private=True),
        "lastName": F(lambda c: c.last_name, private=True),
        "state": F(lambda c: c.account),
        "locale": F(lambda c: c.language),
        "verifiedEmail": F(lambda c: c.email is not None),
        "taxExempt": F(lambda c: False),
        "dataSaleOptOut": F(lambda c: False),
        "productSubscriberStatus": F(lambda c: "NEVER_SUBSCRIBED"),
        "tags": F(lambda c: c.tag_list),
        "numberOfOrders": F(_order_count, active=True),
        "amountSpent": F(_spent, "MoneyV2", active=True),
        "lastOrder": F(_last_order, "Order", active=True),
        "statistics": F(lambda c: {}, "CustomerStatistics"),
        "defaultEmailAddress": F(lambda c: c if c.email else None, "CustomerEmailAddress"),
        "defaultPhoneNumber": F(lambda c: c if c.phone else None, "CustomerPhoneNumber"),
        "defaultAddress": F(_address, "MailingAddress"),
    },
    "CustomerStatistics": {"predictedSpendTier": _key("predictedSpendTier"), "rfmGroup": _key("rfmGroup")},
    "CustomerEmailAddress": {
        "emailAddress": F(lambda c: c.email, private=True),
        "validFormat": F(lambda c: "@" in c.email),
        "marketingState": F(lambda c: c.email_consent),
        "marketingOptInLevel": F(lambda c: "SINGLE_OPT_IN" if c.email_consent == "SUBSCRIBED" else None),
        "marketingUpdatedAt": F(lambda c: instant(c.email_consent_at)),
        "openTrackingLevel": F(lambda c: "UNKNOWN"),
    },
    "CustomerPhoneNumber": {
        "phoneNumber": F(lambda c: c.phone, private=True),
        "smsMarketingConsent": F(lambda c: c if c.sms_consent else None, "SmsMarketingConsent"),
    },
    "SmsMarketingConsent": {
        "state": F(lambda c: c.sms_consent),
        "optInLevel": F(lambda c: "SINGLE_OPT_IN"),
        "updatedAt": F(lambda c: instant(c.updated_at)),
        "collectedFrom": F(lambda c: "OTHER"),
    },
    "MailingAddress": {
        "city": F(lambda o: o.city),
        "provinceCode": F(lambda o: o.region),
        "countryCodeV2": F(lambda o: o.country),
        "zip": F(lambda o: getattr(o, "zip", None), private=True),
    },
    "Order": {
        "id": F(lambda o: gid("Order", o.number)),
        "legacyResourceId": F(lambda o: str(o.number)),
        "name": F(lambda o: o.name),
        "email": F(lambda o: o.email, private=True),
        "createdAt": F(lambda o: instant(o.created_at)),
        "processedAt": F(lambda o: instant(o.processed_at)),
        "updatedAt": F(lambda o: instant(o.updated_at)),
        "cancelledAt": F(lambda o: instant(o.cancelled_at)),
        "cancelReason": F(lambda o: o.cancel_reason),
        "closedAt": F(lambda o: None),
        "test": F(lambda o: o.test),
        "confirmed": F(lambda o: True),
        "edited": F(lambda o: o.edited),
        "displayFinancialStatus": F(financial_status),
        "displayFulfillmentStatus": F(lambda o: "UNFULFILLED" if o.cancelled_at else "FULFILLED"),
        "returnStatus": F(lambda o: "RETURNED" if o.refunds else "NO_RETURN"),
        "sourceName": F(lambda o: o.source),
        "cartToken": F(lambda o: None),
        "checkoutToken": F(lambda o: None),
        "customerLocale": F(lambda o: o.language),
        "customerAcceptsMarketing": F(lambda o: o.accepts_marketing),
        "currencyCode": F(lambda o: o.currency),
        "presentmentCurrencyCode": F(lambda o: o.currency),
        "taxesIncluded": F(lambda o: True),
        "tags": F(lambda o: []),
        "discountCodes": F(lambda o: list(o.codes)),
        "currentSubtotalLineItemsQuantity": F(
            lambda o: sum(line.quantity for line in o.lines) - sum(o.returned().values())
        ),
        "subtotalPriceSet": _bag(lambda o: (o.gross - o.discount, o.currency)),
        "totalDiscountsSet": _bag(lambda o: (o.discount, o.currency)),
        "totalShippingPriceSet": _bag(lambda o: (o.shipping, o.currency)),
        "totalTaxSet": _bag(lambda o: (o.tax, o.currency)),
        "totalPriceSet": _bag(lambda o: (o.total, o.currency)),
        "totalRefundedSet": _bag(lambda o: (o.refunded, o.currency)),
        "currentTotalPriceSet": _bag(lambda o: (o.total - o.refunded, o.currency)),
        "customer": F(lambda o: o.customer, "Customer"),
        "app": F(lambda o: o.source, "OrderApp"),
        "attribution": F(lambda o: None, "OrderAttribution"),
        "shippingAddress": F(_address, "MailingAddress"),
        "refunds": F(
            lambda o, arguments, run: [(refund, o.currency) for refund in o.refunds[: arguments.get("first")]],
            "Refund",
            many=True,
            args=("first",),
        ),
        "customerJourneySummary": F(_journey, "CustomerJourneySummary", active=True),
        "lineItems": F(_order_lines, "LineItem", connection=True, args=("first", "after")),
    },
    "OrderApp": {
        "id": F(lambda source: gid("OrderApp", 580_111)),
        "name": F(lambda source: {"web": "Online Store", "pos": "Point of Sale"}.get(source, source)),
    },
    "OrderAttribution": {"handle": _key("handle"), "displayName": _key("displayName")},
    "Refund": {
        "id": F(lambda r: gid("Refund", r[0].number)),
        "legacyResourceId": F(lambda r: str(r[0].number)),
        "createdAt": F(lambda r: instant(r[0].created_at)),
        "processedAt": F(lambda r: instant(r[0].created_at)),
        "updatedAt": F(lambda r: instant(r[0].created_at)),
        "note": F(lambda r: r[0].note),
        "totalRefundedSet": _bag(lambda r: (r[0].amount, r[1])),
    },
    "CustomerJourneySummary": {
        "ready": _key("ready"),
        "customerOrderIndex": _key("customerOrderIndex"),
        "daysToConversion": _key("daysToConversion"),
        "firstVisit": F(lambda journey: None, "CustomerVisit"),
        "lastVisit": F(lambda journey: None, "CustomerVisit"),
    },
    "CustomerVisit": {
        **{n: _key(n) for n in ("occurredAt", "source", "sourceType", "referrerUrl", "landingPage")},
        "utmParameters": F(lambda visit: None, "UTMParameters"),
    },
    "UTMParameters": {name: _key(name) for name in ("source", "medium", "campaign", "content", "term")},
    "LineItem": {
        "id": F(lambda v: f"gid://shopify/LineItem/{v[0][0]}"),
        "title": F(lambda v: v[0][1].title),
        "variantTitle": F(lambda v: None),
        "sku": F(lambda v: v[0][1].sku),
        "vendor": F(lambda v: v[0][1].vendor),
        "quantity": F(lambda v: v[0][2]),
        "currentQuantity": F(lambda v: v[0][2] - v[2]),
        "isGiftCard": F(lambda v: False),
        "originalTotalSet": _bag(lambda v: (v[0][2] * v[0][3], v[1])),
        "discountedTotalSet": F(_discounted, "MoneyBag", args=("withCodeDiscounts",)),
        "totalDiscountSet": _bag(lambda v: (sum(a.amount for a in v[0][4] if not a.across), v[1])),
        "discountAllocations": F(lambda v: [(a.amount, v[1]) for a in v[0][4]], "DiscountAllocation", many=True),
        "product": F(lambda v: v[0][1], "Product", needs="read_products"),
        "variant": F(lambda v: v[0][1], "ProductVariant", needs="read_products"),
    },
    "DiscountAllocation": {"allocatedAmountSet": _bag(lambda money: money)},
    "Product": {
        "id": F(lambda p: gid("Product", p.number)),
        "title": F(lambda p: p.title),
        "handle": F(_handle),
        "productType": F(lambda p: p.category or ""),
        "vendor": F(lambda p: p.vendor or ""),
        "tags": F(lambda p: sorted(p.tags)),
    },
    "ProductVariant": {"id": F(lambda p: gid("ProductVariant", p.number + 36_000_000_000_000))},
    "AbandonedCheckout": {
        "id": F(lambda c: gid("AbandonedCheckout", c.number)),
        "name": F(lambda c: f"#{c.number}"),
        "createdAt": F(lambda c: instant(c.created_at)),
        "updatedAt": F(lambda c: instant(c.updated_at)),
        "completedAt": F(lambda c: instant(c.completed_at)),
        "abandonedCheckoutUrl": F(lambda c: f"https://shop.example/checkouts/{c.guid}/recover"),
        "discountCodes": F(lambda c: list(c.codes)),
        "customer": F(lambda c: c.customer, "Customer"),
        "shippingAddress": F(_address, "MailingAddress"),
        "subtotalPriceSet": _bag(lambda c: (c.gross - c.discount, c.currency)),
        "totalDiscountSet": _bag(lambda c: (c.discount, c.currency)),
        "totalPriceSet": _bag(lambda c: (c.gross - c.discount, c.currency)),
        "lineItems": F(_cart_lines, "AbandonedCheckoutLineItem", connection=True, args=("first", "after")),
    },
    "AbandonedCheckoutLineItem": {
        "id": F(lambda v: f"gid://shopify/AbandonedCheckoutLineItem/{v.key}"),
        "title": F(lambda v: v.line.product.title),
        "variantTitle": F(lambda v: None),
        "sku": F(lambda v: v.line.product.sku),
        "quantity": F(lambda v: v.line.quantity),
        "originalTotalPriceSet": _bag(lambda v: (v.line.gross, v.currency)),
        "discountedTotalPriceWithCodeDiscount": _bag(lambda v: (v.line.gross - v.line.discount, v.currency)),
        "product": F(lambda v: v.line.product, "Product", needs="read_products"),
        "variant": F(lambda v: v.line.product, "ProductVariant", needs="read_products"),
    },
    "BasicEvent": {
        "id": F(lambda e: gid("BasicEvent", e.number)),
        "action": F(lambda e: e.action),
        "createdAt": F(lambda e: instant(e.at)),
        "message": F(lambda e: f"{e.kind} {e.action}"),
        "subjectId": F(lambda e: gid(e.kind.capitalize(), e.subject)),
        "subjectType": F(lambda e: e.kind.upper()),
    },
    "UserError": {"field": _key("field"), "message": _key("message")},
}
VALUE_TYPES = frozenset({"MoneyBag", "MoneyV2", "Product", "ProductVariant", "OrderApp", "DiscountAllocation"})


def kind_of(value: Any) -> str:
    """The type name of a node."""
    for kind, name in ((Customer, "Customer"), (Order, "Order"), (Cart, "AbandonedCheckout"), (Event, "BasicEvent")):
        if isinstance(value, kind):
            return name
    raise TypeError(f"{type(value).__name__} is no node")
