"""One way into a shop, shared by reading and writing: they pay from the same bucket of points."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import cast

from connector.auth import Auth, ClientCredentials, StaticHeader
from connector.base import Access, Call, Clock, Shop
from connector.budget import Budgets, PointsBucket
from connector.http import Client
from connector.shopify import wire
from connector.shopify.judge import PLATFORM, ShopifyWire
from connector.shopify.limits import limits

CLIENT_ID = "REGULARS_SHOPIFY_CLIENT_ID"
CLIENT_SECRET = "REGULARS_SHOPIFY_CLIENT_SECRET"  # noqa: S105
TOKEN = "REGULARS_SHOPIFY_TOKEN"  # noqa: S105
TOKEN_PATH = "/admin/oauth/access_token"  # noqa: S105

HINTS = {
    "shop_not_permitted": "the app belongs to another organization; create it in the Dev Dashboard of the shop's own",
    "app_not_installed": "the app is not installed in this shop; install it from the Dev Dashboard",
}
"""Refusals of shopify.dev/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant"""

TRUNCATED = f"token lacks scope read_all_orders, so only the last {limits().history.days} days of orders are visible"
WAY_OUT = "add it in the Dev Dashboard (needs approval)"
"""https://shopify.dev/docs/api/usage/access-scopes"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer with the requests it took, tries included."""

    answer: wire.Answer
    calls: int


class Connection:
    """A client with what was learnt through it: points per call, refused fields, the version that is served."""

    def __init__(
        self, client: Client, judge: ShopifyWire, costs: wire.Costs, bucket: PointsBucket, clock: Clock
    ) -> None:
        self.client = client
        self.costs = costs
        self._judge = judge
        self.bucket = bucket
        self.clock = clock
        self.denied: dict[str, None] = {}
        self.served: str | None = None
        self._shop: Shop | None = None

    def ask(self, call: Call) -> Asked:
        """Send a call and read its answer. Refused fields are kept in `denied` and logged once each."""
        before = self.client.calls
        reply = self.client.send(call)
        self.served = reply.headers.get("x-shopify-api-version", self.served)
        answer = wire.answer(self._judge.bodies.of(reply) or {})
        self._judge.bodies.forget()
        for path in answer.denied:
            if path not in self.denied:
                self.denied[path] = None
                _log.warning("shopify: %s: access to %s is denied; see regulars doctor", call.operation, path)
        return Asked(answer, self.client.calls - before)

    def shop(self) -> Shop:
        """The shop as it was when first asked for."""
        if self._shop is None:
            self._shop = self.read_shop()
        return self._shop

    def read_shop(self) -> Shop:
        """The shop as it is now. A write scope includes its read scope."""
        data = self.ask(wire.query(self.costs, "ShopInfo")).answer.data
        shop = data["shop"]
        granted = {scope["handle"] for scope in data["currentAppInstallation"]["accessScopes"]}
        scopes = granted | {f"read_{scope.removeprefix('write_')}" for scope in granted if scope.startswith("write_")}
        oldest = None if "read_all_orders" in scopes else int(self.clock.now()) - limits().history.days * 86_400
        self._shop = Shop(
            id=str(wire.number(shop["id"])),
            name=shop["name"],
            currency=shop["currencyCode"],
            zone=shop["ianaTimezone"],
            scopes=frozenset(scopes),
            oldest_order=oldest,
            truncated="" if oldest is None else f"{TRUNCATED}; {WAY_OUT}",
        )
        return self._shop


def connect(access: Access) -> Connection:
    """The connection of this access: made once, then shared through `access.budgets`."""
    known = access.budgets.get(f"{PLATFORM}.connection")
    if known is not None:
        return cast(Connection, known)
    points = limits().points
    bucket = PointsBucket(points.bucket, points.rate)
    budgets = access.budgets.setdefault(PLATFORM, Budgets(bucket))
    costs = wire.Costs()
    judge = ShopifyWire(costs)
    client = Client(
        judge,
        _auth(access),
        budgets,
        base_url=access.settings.base_url,
        clock=access.clock,
        transport=access.transport,
        policy=access.policy,
    )
    access.closing.callback(client.close)
    connection = Connection(client, judge, costs, bucket, access.clock)
    access.budgets[f"{PLATFORM}.connection"] = connection
    return connection


def _auth(access: Access) -> Auth:
    header = "X-Shopify-Access-Token"
    secrets = access.secrets
    if secrets.get(TOKEN):
        return StaticHeader(header, secrets[TOKEN])
    form = {
        "grant_type": "client_credentials",
        "client_id": secrets[CLIENT_ID],
        "client_secret": secrets[CLIENT_SECRET],
    }

    def token_call() -> Call:
        return Call("AccessToken", "POST", TOKEN_PATH, form=form, cost=0.0)

    return ClientCredentials(PLATFORM, token_call, secret=secrets[CLIENT_SECRET], header=header, hints=HINTS)
