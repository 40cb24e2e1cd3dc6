"""Requests for the catalogue of Wix Stores. Pure.

A site has version 1 or version 3, for good: `GET /stores/v3/provision/version` answers `{catalogVersion: V1_CATALOG |
V3_CATALOG | STORES_NOT_INSTALLED}` (types, stores_catalog-versioning; dev.wix.com, Get Catalog Version). Calls of
version 3 get 428 on a site of version 1 (dev.wix.com, Query Products (Catalog V1)).

Version 1: `POST /stores-reader/v1/products/query` and `.../collections/query`. Filter and sort are JSON written as
strings, at most 100 a page. `numericId` ascends with creation; all products are read sorted by `[{"numericId": "asc"}]`
with `{"numericId": {"$gt": last}}` (dev.wix.com, Stores Catalog: Filter and Sort). Products have `collectionIds`,
`brand`, `lastUpdated` (types, stores_products); every product is also in the collection "All Products". Answers count
in `totalResults`. Collections carry no date. Hidden products are left out silently unless `includeHiddenProducts` is
true, which takes the right to manage products (types, QueryProductsRequest); version 3 shows them to keys with
SCOPE.STORES.PRODUCT_READ_ADMIN alone.
Version 3: `POST /stores/v3/products/query`, cursors, at most 100; `mainCategoryId`, `brand{name}`, `updatedDate`;
direct categories only with the field DIRECT_CATEGORIES_INFO (types, stores_products-v-3).
`POST /categories/v1/categories/query` `{query, treeReference: {appNamespace: "@wix/stores"},
returnNonVisibleCategories}` (types, categories_categories). Permission for all: SCOPE.DC-STORES.READ-PRODUCTS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from connector.base import Call
from connector.wix.limits import limits

V1 = "V1_CATALOG"
V3 = "V3_CATALOG"

ALL_PRODUCTS = "00000000-000000-000000-000000000001"
"""The collection of version 1 that holds everything."""


def version() -> Call:
    """Which catalogue the site has."""
    return Call("GetCatalogVersion", "GET", "/stores/v3/provision/version")


def products_v1(matching: Mapping[str, Any], after: int | None = None, *, hidden: bool = False) -> Call:
    """A page of products in the order of their creation, those behind the number `after`."""
    bound = {} if after is None else {"numericId": {"$gt": after}}
    query: dict[str, Any] = {
        "sort": _json([{"numericId": "asc"}]),
        "paging": {"limit": limits().pages.products, "offset": 0},
    }
    if matching or bound:
        query["filter"] = _json({**matching, **bound})
    body = {"query": query, "includeHiddenProducts": True} if hidden else {"query": query}
    return Call("QueryProductsV1", "POST", "/stores-reader/v1/products/query", json=body)


def collections(offset: int) -> Call:
    """A page of collections."""
    query = {"paging": {"limit": limits().pages.categories, "offset": offset}}
    return Call("QueryCollections", "POST", "/stores-reader/v1/collections/query", json={"query": query})


def products_v3(matching: Mapping[str, Any], cursor: str | None, limit: int | None = None) -> Call:
    """A page of products."""
    paging: dict[str, Any] = {"limit": limit or limits().pages.products}
    if cursor is not None:
        query: dict[str, Any] = {"cursorPaging": {**paging, "cursor": cursor}}
    else:
        query = {"sort": [{"fieldName": "createdDate", "order": "ASC"}], "cursorPaging": paging}
        if matching:
            query["filter"] = dict(matching)
    body = {"query": query, "fields": ["DIRECT_CATEGORIES_INFO"]}
    return Call("QueryProductsV3", "POST", "/stores/v3/products/query", json=body)


def categories(cursor: str | None) -> Call:
    """A page of categories, hidden ones too: what was bought from them still belongs there."""
    paging: dict[str, Any] = {"limit": limits().pages.categories}
    body = {
        "query": {"cursorPaging": paging if cursor is None else {**paging, "cursor": cursor}},
        "treeReference": {"appNamespace": "@wix/stores", "treeKey": None},
        "returnNonVisibleCategories": True,
    }
    return Call("QueryCategories", "POST", "/categories/v1/categories/query", json=body)


def ids(values: Sequence[str]) -> dict[str, Any]:
    """The filter for these products."""
    return {"id": {"$in": list(values)}}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
