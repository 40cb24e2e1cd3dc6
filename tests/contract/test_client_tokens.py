"""Tokens that are bought, end, are refused and are bought again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fake_platform import FakeWire, Server, ok, refusal

from connector.auth import ClientCredentials, StaticHeader, basic
from connector.base import Call, Reply, Verdict
from connector.budget import Window
from connector.errors import AuthError, BadReply, Unavailable
from connector.http import Client, handler_transport
from connector.redact import redact
from connector.sandbox.wire import Drop, Request
from sync.clock import ManualClock

START = 1_790_000_000.0
SECRET = "shpss_0123456789abcdef"
READ = Call("ReadThings", "GET", "/things")


class Shop:
    """Sells tokens and lets in whoever holds one that it has not revoked."""

    platform = "fake"

    def __init__(self, *token_steps: Any, lives: float = 86_399) -> None:
        self.tokens = Server(*token_steps)
        self.lives = lives
        self.valid: set[str] = set()
        self.reads = 0
        self.sold = 0
        self.deaf = False

    def handle(self, request: Request) -> Reply:
        if request.path == "/oauth/token":
            reply = self.tokens.handle(request)
            return self.sell() if reply == ok() else reply
        self.reads += 1
        return ok() if not self.deaf and request.headers.get("x-token") in self.valid else refusal(401)

    def sell(self) -> Reply:
        self.sold += 1
        self.valid.add(f"token-number-{self.sold}")
        body = b'{"access_token":"token-number-%d","scope":"read","expires_in":%d}' % (self.sold, self.lives)
        return Reply(200, {}, body)


def ask() -> Call:
    form = {"grant_type": "client_credentials", "client_id": "id-1", "client_secret": SECRET}
    return Call("Token", "POST", "/oauth/token", form=form, cost=0)


def open_client(shop: Shop, wire: FakeWire | None = None) -> tuple[Client, ManualClock]:
    clock = ManualClock(START)
    hints = {"shop_not_permitted": "install the app in this shop"}
    auth = ClientCredentials("fake", ask, secret=SECRET, header="X-Token", hints=hints)
    transport = handler_transport(shop)
    client = Client(
        wire or FakeWire(), auth, Window(1000, 1), base_url="https://x.example", clock=clock, transport=transport
    )
    return client, clock


def test_a_token_is_bought_once():
    """At the first call, for all that follow."""
    shop = Shop()
    client, _clock = open_client(shop)
    for _ in range(3):
        client.send(READ)
    assert (shop.sold, shop.reads) == (1, 3)
    assert b"client_secret=" + SECRET.encode() in shop.tokens.requests[0].body
    assert "x-token" not in shop.tokens.requests[0].headers


def test_a_token_is_renewed_a_minute_before_it_ends():
    """No call has to be refused first."""
    shop = Shop(lives=3600)
    client, clock = open_client(shop)
    client.send(READ)
    clock.advance(3539)
    client.send(READ)
    assert shop.sold == 1
    clock.advance(1)
    client.send(READ)
    assert (shop.sold, shop.reads) == (2, 3)


def test_a_very_short_token_is_not_renewed_at_each_call():
    """Where a minute is more than its life, half of its life counts."""
    shop = Shop(lives=40)
    client, clock = open_client(shop)
    for _ in range(4):
        client.send(READ)
        clock.advance(10)
    assert shop.sold == 2


def test_a_token_revoked_in_mid_run_is_replaced():
    """The refused call is made again with the new token."""
    shop = Shop()
    client, _clock = open_client(shop)
    client.send(READ)
    shop.valid.clear()
    client.send(READ)
    assert (shop.sold, shop.reads) == (2, 3)


def test_a_refusal_of_the_new_token_too_is_final():
    """One renewal, one more try."""
    shop = Shop()
    client, _clock = open_client(shop)
    client.send(READ)
    shop.deaf = True
    with pytest.raises(AuthError, match=r"^fake: ReadThings: the key is refused \(request r-7\)$"):
        client.send(READ)
    assert (shop.sold, shop.reads) == (2, 3)


def test_the_token_request_is_tried_again_like_any_other():
    """Reset, throttled, broken page: then the token comes."""
    shop = Shop(Drop(), Reply(429, {"retry-after": "5"}, b""), Reply(503, {}, b"<html>"))
    client, clock = open_client(shop)
    client.send(READ)
    assert (shop.sold, len(shop.tokens.requests)) == (1, 4)
    assert clock.slept >= 5


def test_a_token_server_that_stays_down():
    """Says which request could not be made."""
    shop = Shop(*[Drop()] * 9)
    client, _clock = open_client(shop)
    with pytest.raises(Unavailable, match=r"^fake: Token: the connection .* after 8 tries"):
        client.send(READ)
    assert shop.reads == 0


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            Reply(400, {}, b'{"error":"invalid_client","error_description":"%s of a@b.c"}' % SECRET.encode()),
            "no token (HTTP 400, invalid_client, <secret> of <address>); check the client id and the client secret",
        ),
        (
            Reply(400, {}, b"<html>Oauth error shop_not_permitted: Client credentials cannot be performed</html>"),
            "no token (HTTP 400); install the app in this shop",
        ),
        (Reply(401, {}, b""), "no token (HTTP 401); check the client id and the client secret"),
    ],
)
def test_refused_client_credentials(answer, text):
    """Asked once; the way out is said, the secret is not."""
    shop = Shop(answer)
    client, _clock = open_client(shop)
    with pytest.raises(AuthError) as caught:
        client.send(READ)
    assert str(caught.value) == f"fake: Token: {text}"
    assert len(shop.tokens.requests) == 1


@pytest.mark.parametrize("body", [b"[]", b'{"access_token": ""}', b'{"access_token": "x"}'])
def test_an_answer_without_a_token(body):
    """Is not taken for one."""
    client, _clock = open_client(Shop(Reply(200, {}, body)))
    with pytest.raises(BadReply, match="without a token"):
        client.send(READ)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"access_token": "x", "expi'])
def test_an_answer_that_is_no_json(body):
    """Was cut short or spoilt on the way: the token is asked for again."""
    shop = Shop(Reply(200, {}, body))
    client, _clock = open_client(shop)
    client.send(READ)
    assert (len(shop.tokens.requests), shop.sold) == (2, 1)


def test_threads_share_one_renewal():
    """Eight calls refused at once buy one token, however long the shop takes over it."""
    together = threading.Barrier(8)

    class RefusedTogether(FakeWire):
        def judge(self, call: Call, reply: Reply) -> Verdict:
            if reply.status == 401:
                together.wait(5)
            return super().judge(call, reply)

    def take_time(request: Request) -> Reply:
        threading.Event().wait(0.05)
        return ok()

    shop = Shop(ok(), *[take_time] * 8)
    client, _clock = open_client(shop, RefusedTogether())
    client.send(READ)
    shop.valid.clear()
    with ThreadPoolExecutor(8) as pool:
        for each in [pool.submit(client.send, READ) for _ in range(8)]:
            each.result(10)
    assert (shop.sold, shop.reads) == (2, 1 + 8 + 8)


def test_secrets_are_masked_as_soon_as_they_are_known():
    """The bought token, a key behind its scheme, a key within HTTP Basic."""
    client, _clock = open_client(Shop())
    client.send(READ)
    StaticHeader("Authorization", "Klaviyo-API-Key pk_123456")
    header = basic("any", "mailchimp-key-us19").headers()["Authorization"]
    assert header == "Basic YW55Om1haWxjaGltcC1rZXktdXMxOQ=="
    seen = redact(f"token-number-1 pk_123456 {header} mailchimp-key-us19 {SECRET}")
    assert seen == "<secret> <secret> Basic <secret> <secret> <secret>"


def test_credentials_do_not_show_themselves():
    """Not when an object of theirs is printed, and white space around a pasted key is no part of it."""
    auth = StaticHeader("X-Key", " s3cr3t-key\n")
    assert auth.headers() == {"X-Key": "s3cr3t-key"}
    assert "s3cr3t" not in repr(vars(auth))
