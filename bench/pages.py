"""A loopback server with the pages of a shop's orders, rendered before the first request: it costs all readers alike.

Run as a program it serves `python -m bench.pages ORDERS` and prints its address; it ends when its stdin closes.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

import orjson

PAGE = 250
CUSTOMERS = 4_000
PRODUCTS = 400
FIRST_ORDER = 5_800_000_000_000
FIRST_CUSTOMER = 7_100_000_000_000
FIRST_LINE = 14_500_000_000_000
FIRST_PRODUCT = 8_200_000_000_000
START = 1_700_000_000
WORDS = ("Stoneware", "Linen", "Walnut", "Enamel", "Wool", "Brass", "Glass", "Oak")
KINDS = ("Mugs", "Tea", "Coffee", "Kitchen", "Textiles", "Candles")


def order(number: int, rng: Random) -> dict[str, Any]:
    """One order as `OrdersPage` asks for it: 2.4 lines on average, some discounts and refunds."""
    lines = [_line(number * 8 + place, rng) for place in range(min(7, 1 + int(rng.expovariate(0.55))))]
    cents = sum(line["cents"] for line in lines)
    for line in lines:
        del line["cents"]
    placed = START + number * 600
    person = int(CUSTOMERS * rng.random() ** 2)
    refunds = []
    if rng.random() < 0.05:
        refunds = [_refund(number, placed, cents)]
    return {
        "id": f"gid://shopify/Order/{FIRST_ORDER + number}",
        "name": f"#{number}",
        "email": f"person{person}@example.org",
        "createdAt": _instant(placed),
        "processedAt": _instant(placed),
        "updatedAt": _instant(placed + 60),
        "cancelledAt": _instant(placed + 50) if rng.random() < 0.02 else None,
        "test": False,
        "displayFinancialStatus": "PAID",
        "sourceName": "web",
        "discountCodes": ["WELCOME10"] if rng.random() < 0.2 else [],
        "totalPriceSet": _money(cents + 490),
        "totalRefundedSet": _money(cents if refunds else 0),
        "customer": {"id": f"gid://shopify/Customer/{FIRST_CUSTOMER + person}"},
        "refunds": refunds,
        "lineItems": {"nodes": lines, "pageInfo": {"hasNextPage": False, "endCursor": "end"}},
    }


def _line(number: int, rng: Random) -> dict[str, Any]:
    product = int(PRODUCTS * rng.random() ** 2)
    quantity, price = rng.choice((1, 1, 1, 2, 3)), 490 + product * 17
    off = price * quantity // 10 if rng.random() < 0.15 else 0
    kind = KINDS[product % len(KINDS)]
    return {
        "id": f"gid://shopify/LineItem/{FIRST_LINE + number}",
        "title": f"{WORDS[product % len(WORDS)]} {kind.lower()} no. {product}",
        "vendor": f"Maker {product % 12}",
        "quantity": quantity,
        "originalTotalSet": _money(price * quantity),
        "discountAllocations": [{"allocatedAmountSet": _money(off)}] if off else [],
        "product": {
            "id": f"gid://shopify/Product/{FIRST_PRODUCT + product}",
            "productType": kind,
            "tags": ["gift", "bestseller"][: product % 3],
        },
        "cents": price * quantity - off,
    }


def _refund(number: int, placed: int, cents: int) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/Refund/{910_000_000_000 + number}",
        "createdAt": _instant(placed + 86_400),
        "totalRefundedSet": _money(cents),
    }


def _money(cents: int) -> dict[str, Any]:
    return {"shopMoney": {"amount": f"{cents / 100:.2f}", "currencyCode": "EUR"}}


def _instant(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def render(orders: int) -> list[bytes]:
    """Every page as the body of a reply. The cursor is the number of the next page; points never run out."""
    rng = Random(11)
    cost = {
        "requestedQueryCost": 420,
        "actualQueryCost": 123,
        "throttleStatus": {"maximumAvailable": 1e9, "currentlyAvailable": 1e9, "restoreRate": 1e9},
    }
    pages = []
    count = -(-orders // PAGE)
    for page in range(count):
        nodes = [order(number, rng) for number in range(page * PAGE, min(orders, (page + 1) * PAGE))]
        info = {"hasNextPage": page + 1 < count, "endCursor": str(page + 1) if page + 1 < count else None}
        body = {"data": {"orders": {"nodes": nodes, "pageInfo": info}}, "extensions": {"cost": cost}}
        pages.append(orjson.dumps(body))
    return pages


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pages: list[bytes]

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def do_POST(self) -> None:
        asked = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
        self._answer(self.pages[int(asked["variables"].get("after") or 0)])

    def do_GET(self) -> None:
        """The same pages for readers that speak REST: /orders?after=N."""
        self._answer(self.pages[int(self.path.partition("after=")[2] or 0)])

    def _answer(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def serving(orders: int) -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, "-m", "bench.pages", str(orders)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def main() -> None:
    handler = type("Handler", (_Handler,), {"pages": render(int(sys.argv[1]))})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
