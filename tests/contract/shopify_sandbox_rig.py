"""A small shop behind the simulated Admin API, asked with plain documents."""

from __future__ import annotations

from typing import Any

import orjson

from connector.base import Reply
from connector.sandbox.wire import Request
from connector.sandbox.world import World
from connector.shopify.sandbox import ShopifySandbox
from sync.clock import ManualClock

NOW = 1_795_000_000  # 2026-11-18T11:06:40Z
DAY = 86_400
TOKEN = "shpat_test"

CUSTOMERS = """query Customers($first: Int!, $after: String, $query: String) {
  customers(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    nodes { id updatedAt tags } pageInfo { hasNextPage endCursor }
  }
}"""
ORDERS = """query Orders($first: Int!, $after: String, $query: String, $lineItems: Int!) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    nodes { id customer { id } lineItems(first: $lineItems) { nodes { id } pageInfo { hasNextPage endCursor } } }
    pageInfo { hasNextPage endCursor }
  }
}"""


class Rig:
    """A world, its clock, its API."""

    def __init__(self, **options: Any) -> None:
        self.clock = ManualClock(NOW)
        self.world = World(clock=self.clock, zone="Europe/Berlin")
        self.mug = self.world.add_product("Stoneware mug", 1690, category="Mugs", vendor="Lind", tags=("gift",))
        self.tea = self.world.add_product("Earl Grey", 790)
        self.options = options

    def open(self) -> Rig:
        """Put the API before the world; what was done so far is indexed."""
        self.api = ShopifySandbox(self.world, tokens=(TOKEN,), **self.options)
        return self

    def post(self, body: Any, *, token: str = TOKEN, path: str = "/admin/api/2026-10/graphql.json",
             host: str = "127.0.0.1:9001") -> Reply:  # fmt: skip
        headers = {"host": host, "x-shopify-access-token": token}
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return self.api.handle(Request("POST", path, (), headers, data))

    def ask(self, document: str, /, **variables: Any) -> Any:
        """The answer of a document, as JSON."""
        reply = self.post({"query": document, "variables": variables})
        assert reply.status == 200
        return orjson.loads(reply.body)

    def ids(self, document: str, root: str, /, **variables: Any) -> list[int]:
        """Numbers of all records of a list, page after page, in its order."""
        found: list[int] = []
        after = None
        while True:
            answer = self.ask(document, after=after, **variables)["data"][root]
            found += [number(node["id"]) for node in answer["nodes"]]
            if not answer["pageInfo"]["hasNextPage"]:
                return found
            after = answer["pageInfo"]["endCursor"]
            self.clock.advance(10)


def number(gid: str) -> int:
    return int(gid.rsplit("/", 1)[-1])


def gid(kind: str, of: int) -> str:
    return f"gid://shopify/{kind}/{of}"
