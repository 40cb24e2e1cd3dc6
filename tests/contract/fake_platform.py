"""A platform made up for the tests of the client: its wire, its server by script, and two ways to reach that server."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from connector.auth import retry_after
from connector.base import Call, Ok, Rejected, Reply, RetryAfter, Usage, Verdict
from connector.errors import AuthError, BadRequest
from connector.sandbox.wire import Drop, Request

Step = Reply | Drop | Callable[[Request], Reply]


def ok(value: Any = None, **headers: str) -> Reply:
    """A good answer."""
    return Reply(200, {"content-type": "application/json", **headers}, orjson.dumps({"value": value}))


def refusal(status: int, **body: Any) -> Reply:
    """A status, with a body as JSON."""
    return Reply(status, {"content-type": "application/json", "x-request-id": "r-7"}, orjson.dumps(body))


class FakeWire:
    """Throttles at 429 and in the body, refuses at 401, takes its budget's numbers from the body."""

    platform = "fake"

    def judge(self, call: Call, reply: Reply) -> Verdict:
        if reply.status == 401:
            return Rejected(AuthError("fake", call.operation, "the key is refused"))
        if reply.status == 429 or reply.status >= 500:
            return RetryAfter(retry_after(reply), f"HTTP {reply.status}")
        body = orjson.loads(reply.body)
        if reply.status >= 400:
            return Rejected(BadRequest("fake", call.operation, f"HTTP {reply.status}: {body['detail']}"))
        if "throttled" in body:
            return RetryAfter(body["throttled"], "throttled")
        return Ok()

    def usage(self, call: Call, reply: Reply) -> Usage | None:
        numbers = orjson.loads(reply.body).get("usage")
        return Usage(call.budget, **numbers) if numbers else None

    def request_id(self, reply: Reply) -> str | None:
        return reply.headers.get("x-request-id")


class Server:
    """Answers by script, one step a request, then `ok()` for ever. Keeps what it was asked."""

    platform = "fake"

    def __init__(self, *steps: Step) -> None:
        self.steps = deque(steps)
        self.requests: list[Request] = []
        self.connections = 0

    def handle(self, request: Request) -> Reply:
        self.requests.append(request)
        step = self.steps.popleft() if self.steps else ok()
        if isinstance(step, Drop):
            raise step
        return step if isinstance(step, Reply) else step(request)


@contextmanager
def on_loopback(server: Server, patience: threading.Event) -> Iterator[str]:
    """Serves over real sockets, and gives the base URL. `patience` ends the silence of a `Drop(timeout=True)`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            server.connections += 1
            super().setup()

        def answer(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = tuple(parse_qsl(url.query, keep_blank_values=True))
            try:
                reply = server.handle(Request(self.command, url.path, query, headers, body))
            except Drop as drop:
                self.drop(drop)
                return
            self.send_response(reply.status)
            for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)
            self.close_connection = int(reply.headers.get("content-length", 0)) > len(reply.body)

        def drop(self, drop: Drop) -> None:
            if drop.timeout:
                patience.wait(10)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
            self.close_connection = True

        def log_message(self, *args: Any) -> None:
            return

    for method in ("GET", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}"
    finally:
        patience.set()
        http.shutdown()
        thread.join()
        http.server_close()
