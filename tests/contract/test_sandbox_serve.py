"""Simulators over loopback HTTP."""

from __future__ import annotations

import threading
from http.client import HTTPConnection, RemoteDisconnected

import orjson
import pytest

from connector.base import Reply
from connector.sandbox.serve import Server, serving
from connector.sandbox.wire import Drop, Request


class Echo:
    """Answers with what it was sent."""

    platform = "echo"

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0

    def handle(self, request: Request) -> Reply:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            if request.path == "/reset":
                raise Drop
            if request.path == "/hang":
                raise Drop(timeout=True)
            threading.Event().wait(0.01)
            body = {"method": request.method, "path": request.path, "query": request.query,
                    "key": request.headers.get("x-key"), "body": request.body.decode()}  # fmt: skip
            return Reply(201, {"content-type": "application/json", "x-request-id": "r1"}, orjson.dumps(body))
        finally:
            self.inside -= 1


def test_a_request_arrives_whole_and_its_reply_too() -> None:
    """Method, path, repeated parameters, headers and body; status, headers and body back, on one kept connection."""
    with serving([Echo()]) as [server]:
        wire = HTTPConnection("127.0.0.1", server.port, timeout=5)
        for method in ("GET", "POST", "PATCH", "DELETE"):
            wire.request(method, "/a/b?x=1&x=2&y=", body=b"hello", headers={"X-Key": "k"})
            reply = wire.getresponse()
            assert (reply.status, reply.headers["x-request-id"]) == (201, "r1")
            got = orjson.loads(reply.read())
            assert (got["method"], got["path"], got["key"], got["body"]) == (method, "/a/b", "k", "hello")
            assert got["query"] == [["x", "1"], ["x", "2"], ["y", ""]]
        wire.close()


def test_a_drop_closes_the_connection_without_an_answer() -> None:
    """Reset is at once, timeout keeps the client waiting; the server lives on."""
    with serving([Echo()]) as [server]:
        wire = HTTPConnection("127.0.0.1", server.port, timeout=0.3)
        wire.request("GET", "/reset")
        with pytest.raises((ConnectionResetError, RemoteDisconnected)):
            wire.getresponse()
        wire.close()
        wire.request("GET", "/hang")
        with pytest.raises(TimeoutError):
            wire.getresponse()
        wire.close()
        wire.request("GET", "/still-there")
        assert wire.getresponse().status == 201
        wire.close()


def test_one_request_at_a_time_in_one_world() -> None:
    """Clients in parallel wait for each other, also across platforms."""
    echo = Echo()
    with serving([echo, echo]) as servers:

        def ask(server: Server) -> None:
            wire = HTTPConnection("127.0.0.1", server.port, timeout=5)
            wire.request("GET", "/x")
            wire.getresponse().read()
            wire.close()

        threads = [threading.Thread(target=ask, args=(server,)) for server in servers * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert echo.most == 1


def test_only_loopback_is_served_and_ports_are_freed() -> None:
    """The address is 127.0.0.1, and after the end nobody listens."""
    with serving([Echo()]) as [server]:
        assert server.url == f"http://127.0.0.1:{server.port}"
    with pytest.raises(ConnectionRefusedError):
        HTTPConnection("127.0.0.1", server.port, timeout=1).connect()
    with serving([Echo()], port_base=server.port) as [again]:
        assert again.port == server.port
