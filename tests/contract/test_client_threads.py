"""One client, many threads, real sockets."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from fake_platform import FakeWire, Server, ok, on_loopback

from connector.auth import StaticHeader
from connector.base import Call, Reply
from connector.budget import Budgets, Concurrency, Window
from connector.http import Client
from connector.sandbox.wire import Request
from sync.clock import ManualClock

READ = Call("ReadThings", "GET", "/things")


def client_at(base_url: str, budget: Budgets) -> Client:
    return Client(FakeWire(), StaticHeader("X-Key", "s3cr3t-key"), budget, base_url=base_url, clock=ManualClock(0))


def test_connections_are_used_again():
    """Ten calls, one connection."""
    server = Server()
    with on_loopback(server, threading.Event()) as base_url, client_at(base_url, Budgets(Window(100, 1))) as client:
        for _ in range(10):
            client.send(READ)
    assert (len(server.requests), server.connections) == (10, 1)


def test_no_more_calls_at_once_than_allowed():
    """Twelve threads share two places, and use both."""
    counting, both = threading.Lock(), threading.Barrier(2)
    now = most = 0

    def slow(request: Request) -> Reply:
        nonlocal now, most
        with counting:
            now += 1
            most = max(most, now)
        both.wait(5)
        with counting:
            now -= 1
        return ok()

    server = Server(*[slow] * 12)
    budget = Budgets({"": (Concurrency(2), Window(1000, 60))})
    with (
        on_loopback(server, threading.Event()) as base_url,
        client_at(base_url, budget) as client,
        ThreadPoolExecutor(12) as pool,
    ):
        for each in [pool.submit(client.send, READ) for _ in range(12)]:
            each.result(10)
    assert most == 2
    assert (client.calls, client.operations["ReadThings"], client.cost) == (12, 12, 12.0)


def test_two_clients_of_one_account_share_its_limit():
    """What one has spent the other waits for."""
    budget = Budgets(Window(3, 60))
    server = Server()
    with (
        on_loopback(server, threading.Event()) as base_url,
        client_at(base_url, budget) as reader,
        client_at(base_url, budget) as writer,
    ):
        for client in (reader, writer, reader, writer):
            client.send(READ)
    assert reader.waited == 0
    assert 60 <= writer.waited < 60.1
