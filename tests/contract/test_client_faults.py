"""The client against everything a server and a network can do to it, in process and over real sockets."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fake_platform import FakeWire, Server, Step, ok, on_loopback, refusal

from connector.auth import StaticHeader
from connector.base import Call, Reply
from connector.budget import Budgets, Window
from connector.errors import AuthError, BadReply, BadRequest, PlatformError, Unavailable, WrongShop
from connector.http import Client, handler_transport
from connector.retry import Policy
from connector.sandbox.wire import Drop
from sync.clock import ManualClock

START = 1_790_000_000.0
READ = Call("ReadThings", "GET", "/things")
HTML = Reply(500, {"content-type": "text/html", "x-request-id": "r-7"}, b"<html>oh no</html>")
TRUNCATED = Reply(200, {"content-type": "application/json", "content-length": "500"}, b'{"value": 1')
DAMAGED = Reply(200, {"content-encoding": "gzip"}, gzip.compress(b'{"value": 1}')[:-6] + b"xxxxxx")
NO_JSON = Reply(200, {"content-type": "application/json", "x-request-id": "r-7"}, b'{"value": ')
THROTTLED = Reply(200, {"x-request-id": "r-7"}, b'{"throttled": 3}')

Make = Callable[..., tuple[Client, Server, ManualClock]]


@pytest.fixture(params=["in process", "loopback"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """A client and its scripted server, joined by a function call or by a socket."""
    with ExitStack() as stack:

        def build(*steps: Step, auth: Any = None, budget: Any = None, **options: Any) -> Any:
            server, clock = Server(*steps), ManualClock(START)
            base_url, transport = "https://fake.example/api", None
            if request.param == "loopback":
                base_url = stack.enter_context(on_loopback(server, threading.Event())) + "/api"
            else:
                transport = handler_transport(server)
            client = Client(
                FakeWire(),
                auth or StaticHeader("X-Key", "s3cr3t-key"),
                budget or Budgets(Window(1000, 1)),
                base_url=base_url,
                clock=clock,
                transport=transport,
                read_timeout=0.25,
                random=lambda: 0.5,
                **options,
            )
            return stack.enter_context(client), server, clock

        yield build


FAULTS: dict[str, tuple[Step, str]] = {
    "429": (Reply(429, {}, b"slow down"), "HTTP 429"),
    "throttled": (THROTTLED, "throttled"),
    "500 page": (HTML, "HTTP 500"),
    "reset": (Drop(), "the connection to .* broke off"),
    "timeout": (Drop(timeout=True), "no answer from .* within 0.25 s"),
    "truncated": (TRUNCATED, "the connection to .* broke off"),
    "damaged": (DAMAGED, "the answer arrived damaged"),
    "no JSON": (NO_JSON, r"the answer \(HTTP 200\) is no JSON"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_is_overcome(make: Make, fault: str):
    """Whatever goes wrong twice, the third answer counts, and the request is the same each time."""
    step = FAULTS[fault][0]
    client, server, clock = make(step, step, ok("at last"))
    reply = client.send(Call("WriteThing", "POST", "/things", json={"name": "é"}))
    assert reply.body == b'{"value":"at last"}'
    assert [each.body for each in server.requests] == ['{"name":"é"}'.encode()] * 3
    assert client.calls == 3
    assert clock.slept == client.waited > 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lasting_fault_ends_with_numbers(make: Make, fault: str):
    """Platform, operation, what happened, how many tries in how many seconds, and the request id where one came."""
    step, reason = FAULTS[fault]
    client, server, _clock = make(*[step] * 9, policy=Policy(tries=3))
    pattern = rf"^fake: ReadThings: {reason}; gave up after 3 tries in \d+ s, run again to go on"
    with pytest.raises(Unavailable, match=pattern) as caught:
        client.send(READ)
    assert len(server.requests) == 3
    assert caught.value.exit_code == 4
    assert caught.value.request_id == ("r-7" if fault in ("throttled", "500 page", "no JSON") else None)


def test_retry_after_is_waited_out(make: Make):
    """At least as long as the server says."""
    client, _server, clock = make(Reply(429, {"retry-after": "40"}, b""), ok())
    client.send(READ)
    assert 40 <= clock.slept <= 45


def test_429_without_a_number_backs_off(make: Make):
    """Half of 1, 2, 4 seconds with the dice at one half."""
    client, _server, clock = make(*[Reply(429, {}, b"")] * 3, ok())
    client.send(READ)
    assert clock.slept == 0.5 + 1 + 2


def test_a_pause_of_an_hour_is_not_waited_for(make: Make):
    """The error says how long; until then nothing else goes out on that budget either."""
    client, server, clock = make(Reply(429, {"retry-after": "3600", "x-request-id": "r-9"}, b""))
    with pytest.raises(Unavailable, match=r"the platform asks for 60 min of pause \(after 1 try.*\(request r-9\)$"):
        client.send(READ)
    with pytest.raises(Unavailable, match="used up for the next 60 min; run again then"):
        client.send(READ)
    assert len(server.requests) == 1
    clock.advance(3601)
    assert client.send(READ) is not None
    assert clock.slept == 0


def test_total_time_is_capped(make: Make):
    """Tries that wait a minute each end before the fifth minute is over."""
    client, server, clock = make(*[Reply(429, {"retry-after": "60"}, b"")] * 9)
    with pytest.raises(Unavailable, match=r"after 5 tries in 25. s"):
        client.send(READ)
    assert len(server.requests) == 5
    assert clock.slept < 300


def test_a_refused_key_is_not_tried_again(make: Make):
    """A key that cannot be renewed is refused once."""
    client, server, clock = make(refusal(401, detail="no"))
    with pytest.raises(AuthError, match="the key is refused") as caught:
        client.send(READ)
    assert (len(server.requests), clock.slept) == (1, 0)
    assert caught.value.request_id == "r-7"


def test_a_refused_request_is_not_tried_again_and_names_nobody(make: Make):
    """The platform's words come through, addresses and keys do not."""
    client, server, _clock = make(refusal(422, detail="ann@example.org (s3cr3t-key) is taken; see a%40b.example"))
    with pytest.raises(BadRequest) as caught:
        client.send(READ)
    assert str(caught.value) == (
        "fake: ReadThings: HTTP 422: <address> (<secret>) is taken; see <address> (request r-7)"
    )
    assert len(server.requests) == 1


def test_a_redirect_is_not_followed(make: Make):
    """The key stays with the host it was meant for."""
    client, server, _clock = make(Reply(302, {"location": "https://elsewhere.example/x?key=1"}, b""))
    with pytest.raises(WrongShop, match=r"redirects to elsewhere.example, which is not followed"):
        client.send(READ)
    assert len(server.requests) == 1


def test_a_link_to_another_host_is_not_followed(make: Make):
    """A `next` link must lie where the base lies; there it is followed as given."""
    client, server, _clock = make()
    with pytest.raises(BadReply, match=r"leads to elsewhere.example"):
        client.send(Call("NextPage", "GET", "https://elsewhere.example/api/things?page=2"))
    assert server.requests == []
    client.send(Call("NextPage", "GET", f"{client._base.copy_with(path='/')}api/things?page=2"))
    assert (server.requests[0].path, server.requests[0].query) == ("/api/things", (("page", "2"),))


def test_what_is_sent(make: Make):
    """Path joined to the base, query encoded, key, JSON and form bodies with their types, no cookies kept."""
    client, server, _clock = make(Reply(200, {"set-cookie": "session=1; Path=/"}, b"{}"))
    client.send(Call("Find", "GET", "/things", params=(("filter", 'equals(email,"a+b@c.d")'), ("filter", "x y"))))
    client.send(Call("Write", "DELETE", "things/é", json=[1], headers={"Content-Type": "application/vnd.api+json"}))
    client.send(Call("Token", "POST", "/things", form={"grant_type": "client_credentials", "secret": "a&b"}))
    find, write, form = server.requests
    assert find.query == (("filter", 'equals(email,"a+b@c.d")'), ("filter", "x y"))
    assert (find.path, find.headers["x-key"]) == ("/api/things", "s3cr3t-key")
    assert "gzip" in find.headers["accept-encoding"]
    assert (write.method, write.path, write.body) == ("DELETE", "/api/things/%C3%A9", b"[1]")
    assert write.headers["content-type"] == "application/vnd.api+json"
    assert form.headers["content-type"] == "application/x-www-form-urlencoded"
    assert form.body == b"grant_type=client_credentials&secret=a%26b"
    assert not any("cookie" in each.headers for each in server.requests)


def test_compressed_answers_are_read(make: Make):
    """Header names come in lower case, the body unpacked."""
    client, _server, _clock = make(Reply(200, {"Content-Encoding": "gzip"}, gzip.compress(b'{"value":1}')))
    reply = client.send(READ)
    assert (reply.body, reply.headers["content-encoding"]) == (b'{"value":1}', "gzip")


def test_the_servers_numbers_set_the_pace(make: Make):
    """Its count replaces ours from the first answer on."""
    numbers = {"available": 0, "maximum": 4, "rate": 4 / 60, "resets": 30, "spent": 2.5}
    client, server, clock = make(
        Reply(200, {}, b'{"usage": {"available": 0, "maximum": 4, "rate": 0.0667, "resets": 30, "spent": 2.5}}'),
        budget=Budgets(Window(100, 60)),
    )
    client.send(READ)
    assert clock.slept == 0
    client.send(READ)
    assert clock.slept == pytest.approx(numbers["resets"], abs=0.01)
    assert (client.cost, client.waited, len(server.requests)) == (3.5, clock.slept, 2)


def test_operations_are_counted(make: Make):
    """Every request, repeated ones too."""
    client, _server, _clock = make(HTML)
    client.send(READ)
    client.send(Call("Other", "GET", "/"))
    assert client.operations == {"ReadThings": 2, "Other": 1}
    assert (client.calls, client.cost) == (3, 2.0)


def test_a_key_with_a_line_break_inside_is_refused_without_showing_it(make: Make):
    """It would not even make a header."""
    client, server, _clock = make(auth=StaticHeader("X-Key", "s3cr3t\nkey-two"))
    with pytest.raises(AuthError, match="a character that no key has") as caught:
        client.send(READ)
    assert "key-two" not in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("address", ["http://shop.example", "http://10.0.0.1", "ftp://x.example", "shop.example", ""])
def test_addresses_that_would_expose_the_key_are_refused(address: str):
    """Plain HTTP is for this machine alone."""
    with pytest.raises(PlatformError, match=r"^fake: address: "):
        Client(FakeWire(), StaticHeader("X-Key", "s3cr3t-key"), Window(1, 1), base_url=address, clock=ManualClock(0))


@pytest.mark.parametrize(
    "address", ["http://localhost:1", "http://127.0.0.2:1/x", "http://[::1]:1", "https://x.example"]
)
def test_addresses_that_are_safe(address: str):
    """Loopback by any of its names, and TLS everywhere."""
    with Client(FakeWire(), StaticHeader("X", "s3cr3t-key"), Window(1, 1), base_url=address, clock=ManualClock(0)) as c:
        assert c.calls == 0
