"""The catalogue, in the version the site has: 1 with collections, 3 with categories. The other version answers 428.

Shapes: the SDK's types, stores_products 1.0.108, stores_collections 1.0.51, stores_products-v-3 1.0.226,
categories_categories 1.0.145, stores_catalog-versioning 1.0.81. Paths, limits and the filter written as a string in
version 1: dev.wix.com, recipes "Query Products (Catalog V1)" and "Query Products from a Wix Store".
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import orjson

from connector.sandbox.records import Product, guid
from connector.wix.sandbox_contact import stamp
from connector.wix.sandbox_filter import BadFilter, Field, Fields, compile_filter
from connector.wix.sandbox_index import Entry, Listing, Sort
from connector.wix.sandbox_orders import amount
from connector.wix.sandbox_pages import cursor_page, read_limit, validation
from connector.wix.sandbox_route import Body, Route, Seen, envelope, invalid
from connector.wix.sandbox_site import Site
from connector.wix.sandbox_tables import BOTH, Endpoint

READ_PRODUCTS = ("SCOPE.DC-STORES.READ-PRODUCTS",)
MAX_PAGE = 100
ALL_PRODUCTS = "00000000-000000-000000-000000000001"
"""The collection that holds everything; its id is no GUID."""
MADE = 1_577_836_800
FIELDS = frozenset({
    "URL", "CURRENCY", "INFO_SECTION", "MERCHANT_DATA", "PLAIN_DESCRIPTION", "INFO_SECTION_PLAIN_DESCRIPTION",
    "SUBSCRIPTION_PRICES_INFO", "BREADCRUMBS_INFO", "WEIGHT_MEASUREMENT_UNIT_INFO", "VARIANT_OPTION_CHOICE_NAMES",
    "MEDIA_ITEMS_INFO", "DESCRIPTION", "DIRECT_CATEGORIES_INFO", "ALL_CATEGORIES_INFO", "MIN_VARIANT_PRICE_INFO",
    "INFO_SECTION_DESCRIPTION", "THUMBNAIL", "DIRECT_CATEGORY_IDS",
})  # fmt: skip
_ANY = frozenset("$eq $ne $exists $in $hasSome $startsWith $gt $gte $lt $lte".split())  # noqa: SIM905 - one line
_FIELDS: Fields = {
    "id": Field("text", _ANY),
    "name": Field("text", _ANY),
    "numericId": Field("amount", _ANY),
    "lastUpdated": Field("date", _ANY),
    "createdDate": Field("date", _ANY),
    "updatedDate": Field("date", _ANY),
    "collections.id": Field("list", frozenset({"$hasSome", "$hasAll"})),
}
_SORTS = {"createdDate": BOTH, "updatedDate": BOTH, "name": BOTH, "id": BOTH}
PRODUCTS_V3 = Endpoint("QueryProductsV3", "product", _FIELDS, _SORTS, (Sort("createdDate"),), 100, MAX_PAGE, 5)
CATEGORIES = Endpoint("QueryCategories", "category", _FIELDS, _SORTS, (Sort("createdDate"),), 100, 1000, 5)


def category_id(name: str) -> str:
    """The id of a collection or category."""
    return guid("category", crc32(name.encode()))


def _categories(site: Site) -> dict[str, int]:
    """How many products each category has."""
    counts: dict[str, int] = {}
    for product in site.world.products.values():
        if product.category:
            counts[product.category] = counts.get(product.category, 0) + 1
    return counts


def _listing(site: Site) -> Listing:
    """All products; made anew when the catalogue changed."""
    world = site.world
    state = (world.catalogue, len(world.products))
    if site.products is None or site.products[0] != state:
        listing = Listing({number: Entry(_values(product)) for number, product in world.products.items()})
        site.products = (state, listing)
    return site.products[1]


def _values(product: Product) -> dict[str, Any]:
    collections = (ALL_PRODUCTS, *([category_id(product.category)] if product.category else []))
    return {
        "id": product.guid,
        "name": product.title,
        "numericId": product.number,
        "createdDate": MADE,
        "lastUpdated": MADE,
        "updatedDate": MADE,
        "collections.id": collections,
    }


def query_products_v1(seen: Seen) -> Body:
    """Offsets, at most 100 a page. Filter and sort are JSON in a string here."""
    body = envelope(seen.body, "query", "includeVariants", "includeHiddenProducts", "includeMerchantSpecificData")
    query = envelope(body.get("query") or {}, "filter", "sort", "paging")
    limit, offset = _offset_paging(query.get("paging"))
    try:
        wanted = compile_filter(_string(query.get("filter"), "filter"), _FIELDS)
    except BadFilter as bad:
        raise validation(bad) from bad
    products = seen.site.world.products
    found = [key[-1] for key in _listing(seen.site).walk(_sorts_v1(query.get("sort")), wanted)]
    page = [_show_v1(products[number], seen.site.world.currency) for number in found[offset : offset + limit]]
    return {"products": page, "metadata": {"items": limit, "offset": offset}, "totalResults": len(found)}


def _show_v1(product: Product, currency: str) -> dict[str, Any]:
    price = float(amount(product.price, currency))
    return {
        "id": product.guid,
        "numericId": str(product.number),
        "name": product.title[:80],
        "slug": product.guid,
        "visible": True,
        "productType": "physical",
        "sku": product.sku,
        "priceData": {"currency": currency, "price": price, "discountedPrice": price},
        "collectionIds": list(_values(product)["collections.id"]),
        "lastUpdated": stamp(MADE),
        "createdDate": stamp(MADE),
        **({"brand": product.vendor[:50]} if product.vendor else {}),
    }


def query_collections(seen: Seen) -> Body:
    query = envelope(envelope(seen.body, "query").get("query") or {}, "filter", "sort", "paging")
    limit, offset = _offset_paging(query.get("paging"))
    everything = (ALL_PRODUCTS, "All Products", len(seen.site.world.products))
    found = [everything, *((category_id(name), name, many) for name, many in sorted(_categories(seen.site).items()))]
    shown = [
        {"id": number, "name": name[:50], "numberOfProducts": many, "slug": number, "visible": True}
        for number, name, many in found[offset : offset + limit]
    ]
    return {"collections": shown, "metadata": {"items": limit, "offset": offset}, "totalResults": len(found)}


def query_products_v3(seen: Seen) -> Body:
    """Cursors. Categories and the currency come only if `fields` asks for them."""
    body = envelope(seen.body, "query", "fields")
    fields = body.get("fields") or []
    if unknown := sorted(set(fields) - FIELDS):
        raise invalid("fields", f"has no value {unknown[0]}", "ENUM")
    page = cursor_page(PRODUCTS_V3, body.get("query") or {}, _listing(seen.site), seen.site.cursors)
    world = seen.site.world
    shown = [_show_v3(world.products[number], world.currency, fields) for number in page.numbers]
    metadata = {"count": len(shown), "cursors": page.cursors, "hasNext": page.next is not None}
    return {"products": shown, "pagingMetadata": metadata}


def _show_v3(product: Product, currency: str, fields: list[str]) -> dict[str, Any]:
    price = {"amount": amount(product.price, currency)}
    shown: dict[str, Any] = {
        "id": product.guid,
        "revision": "1",
        "createdDate": stamp(MADE),
        "updatedDate": stamp(MADE),
        "name": product.title[:80],
        "slug": product.guid,
        "visible": True,
        "productType": "PHYSICAL",
        "physicalProperties": {},
        "actualPriceRange": {"minValue": price, "maxValue": price},
        "variantSummary": {"variantCount": 1},
    }
    if product.vendor:
        shown["brand"] = {"id": guid("brand", crc32(product.vendor.encode())), "name": product.vendor[:50]}
    if "CURRENCY" in fields:
        shown["currency"] = currency
    if product.category:
        shown["mainCategoryId"] = category_id(product.category)
        categories = {"categories": [{"id": category_id(product.category), "index": 0}]}
        for field, name in (("DIRECT", "directCategoriesInfo"), ("ALL", "allCategoriesInfo")):
            if f"{field}_CATEGORIES_INFO" in fields:
                shown[name] = categories
    return shown


def query_categories(seen: Seen) -> Body:
    """Every request names the tree: that of Wix Stores."""
    body = envelope(seen.body, "query", "treeReference", "fields", "returnNonVisibleCategories")
    tree = body.get("treeReference")
    if not isinstance(tree, dict) or tree.get("appNamespace") != "@wix/stores" or tree.get("treeKey") is not None:
        raise invalid("treeReference", "must name the tree @wix/stores", "REQUIRED")
    counts = sorted(_categories(seen.site).items())
    entries = {at: Entry(_category_values(name)) for at, (name, _) in enumerate(counts)}
    page = cursor_page(CATEGORIES, body.get("query") or {}, Listing(entries), seen.site.cursors)
    shown = [_show_category(*counts[at]) for at in page.numbers]
    metadata = {"count": len(shown), "cursors": page.cursors, "hasNext": page.next is not None}
    return {"categories": shown, "pagingMetadata": metadata}


def _category_values(name: str) -> dict[str, Any]:
    return {"id": category_id(name), "name": name, "createdDate": MADE, "updatedDate": MADE}


def _show_category(name: str, products: int) -> dict[str, Any]:
    return {
        "id": category_id(name),
        "revision": "1",
        "createdDate": stamp(MADE),
        "updatedDate": stamp(MADE),
        "name": name[:80],
        "itemCounter": products,
        "visible": True,
        "slug": category_id(name),
        "treeReference": {"appNamespace": "@wix/stores", "treeKey": None},
    }


def catalogue_version(seen: Seen) -> Body:
    return {"catalogVersion": "V3_CATALOG" if seen.site.catalogue_version == "v3" else "V1_CATALOG"}


def _offset_paging(given: Any) -> tuple[int, int]:
    paging = envelope(given or {}, "limit", "offset")
    limit = read_limit(paging.get("limit", MAX_PAGE), MAX_PAGE, "paging.limit")
    offset = paging.get("offset", 0)
    if not isinstance(offset, int) or offset < 0:
        raise invalid("paging.offset", "must not be negative", "RANGE")
    return limit, offset


def _string(given: Any, name: str) -> Any:
    """The JSON in a string; an object in its place is refused."""
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise invalid(f"query.{name}", "Expected a string")
    try:
        return orjson.loads(given)
    except orjson.JSONDecodeError:
        raise invalid(f"query.{name}", "is no JSON") from None


def _sorts_v1(given: Any) -> tuple[Sort, ...]:
    asked = _string(given, "sort") or []
    sorts = [(name, str(order)) for each in asked for name, order in each.items()]
    for name, _ in sorts:
        if name not in _FIELDS:
            raise invalid("query.sort", f"has no field {name}")
    return tuple(Sort(name, order.lower() == "desc") for name, order in sorts)


ROUTES = (
    Route("QueryProducts", "POST", "/stores-reader/v1/products/query", READ_PRODUCTS, query_products_v1, "v1"),
    Route("QueryProducts", "POST", "/stores/v1/products/query", READ_PRODUCTS, query_products_v1, "v1"),
    Route("QueryCollections", "POST", "/stores-reader/v1/collections/query", READ_PRODUCTS, query_collections, "v1"),
    Route("QueryCollections", "POST", "/stores/v1/collections/query", READ_PRODUCTS, query_collections, "v1"),
    Route("QueryProductsV3", "POST", "/stores/v3/products/query", READ_PRODUCTS, query_products_v3, "v3"),
    Route("QueryCategories", "POST", "/categories/v1/categories/query", READ_PRODUCTS, query_categories, "v3"),
    Route("GetCatalogVersion", "GET", "/stores/v3/provision/version", READ_PRODUCTS, catalogue_version),
)
