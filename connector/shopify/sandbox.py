"""Shopify's Admin GraphQL API 2026-10 over a world, with its limits, its leniency and its errors.

What it knows of the real one is in shopify.dev/docs/api/admin-graphql and in recorded responses: costs reserved from a
bucket, errors inside a 200, lists served by an index that lags, orders cut to 60 days, tags that ignore case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl

import orjson
from graphql import GraphQLError, GraphQLSchema, parse, validate

from connector.base import Clock, Reply
from connector.sandbox.faults import Answer, Fault, Faults
from connector.sandbox.wire import Request
from connector.sandbox.world import World
from connector.shopify.sandbox_cost import MAX_QUERY_COST, Bucket, actual, requested
from connector.shopify.sandbox_query import compile_operation
from connector.shopify.sandbox_site import SCHEMA, Site
from connector.shopify.sandbox_types import Compiled, Refused, Run

API_VERSION = "2026-10"
TOKEN_LIFE = 86_400
INDEX_LAG = 10.0
_HTML = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>Not Found</body></html>"
_BAD_TOKEN = {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}


class ShopifySandbox:
    """One shop's API. `protected` False withholds names and addresses (protected customer data of level 2).

    `served` is the version that replies claim: another than was asked for means that ours is retired.
    `scale` makes the bucket and the index run so many times faster. With a `schema`, every distinct document is held
    against it once. `operations` counts requests by operation name, `site.writes` tag mutations, `site.touched` lists
    those that changed something.
    """

    platform = "shopify"

    def __init__(
        self,
        world: World,
        *,
        clock: Clock | None = None,
        tokens: Iterable[str] = ("shpat_sandbox",),
        client_id: str = "sandbox-client",
        client_secret: str = "sandbox-secret",  # noqa: S107 - this secret opens a toy
        scale: float = 1.0,
        lag: float = INDEX_LAG,
        faults: Faults | None = None,
        protected: bool = True,
        bucket: float = 2000.0,
        restore_rate: float = 100.0,
        schema: GraphQLSchema | None = None,
    ) -> None:
        self.world = world
        self.clock = clock or world.clock
        self.faults = faults or Faults()
        self.protected = protected
        self.site = Site(world, lag=lag / scale, client_id=client_id)
        self.bucket = Bucket(self.clock, maximum=bucket, rate=restore_rate, scale=scale)
        self.operations: Counter[str] = Counter()
        self.served = API_VERSION
        self.requested_points = 0
        self.actual_points = 0
        self._tokens: dict[str, float | None] = dict.fromkeys(tokens)
        self._secret = client_secret
        self._schema = schema
        self._requests = 0
        self._compiled: dict[tuple[object, ...], Compiled] = {}
        self._documents: dict[str, Any] = {}
        self._special: Mapping[str, Callable[[Fault, Answer], Reply]] = {
            "throttled": self._throttle_fault,
            "server_error": self._server_error,
            "partial": self._partial,
            "token_expired": self._expire,
        }

    @property
    def writes(self) -> int:
        """Tag mutations executed, those without effect included."""
        return sum(self.site.writes.values())

    def handle(self, request: Request) -> Reply:
        """Answer one HTTP request."""
        self._requests += 1
        name = _operation_name(request)
        self.operations[name] += 1
        reply = self.faults.run(
            name, request.path, lambda: self._route(request), clock=self.clock, special=self._special
        )
        return Reply(reply.status, {**self._headers(), **reply.headers}, reply.body)

    def revoke(self) -> None:
        """End every token that was issued for client credentials; static ones stay."""
        self._tokens = {token: ends for token, ends in self._tokens.items() if ends is None}

    def _headers(self) -> dict[str, str]:
        request_id = blake2b(f"{self.world.domain}/{self._requests}".encode(), digest_size=12).hexdigest()
        return {
            "content-type": "application/json; charset=utf-8",
            "x-request-id": request_id,
            "x-shopify-api-version": self.served,
        }

    def _route(self, request: Request) -> Reply:
        host = request.headers.get("host", "").split(":")[0]
        if host.endswith(".myshopify.com") and host != self.world.domain:
            return Reply(404, {"content-type": "text/html"}, _HTML)
        if request.path == "/admin/oauth/access_token" and request.method == "POST":
            return self._issue_token(request)
        if request.path != f"/admin/api/{API_VERSION}/graphql.json" or request.method != "POST":
            return Reply(404, {"content-type": "text/html"}, _HTML)
        if not self._authorized(request.headers.get("x-shopify-access-token", "")):
            return _json(_BAD_TOKEN, 401)
        try:
            body = orjson.loads(request.body)
            text, variables = str(body["query"]), body.get("variables") or {}
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return _json({"errors": {"query": "Required parameter missing or invalid"}}, 400)
        try:
            return self._execute(text, body.get("operationName"), variables)
        except Refused as refused:
            return _json({"errors": [refused.error]})

    def _authorized(self, token: str) -> bool:
        if token not in self._tokens:
            return False
        ends = self._tokens[token]
        return ends is None or self.clock.now() < ends

    def _issue_token(self, request: Request) -> Reply:
        """Client credentials: 24 hours, no refresh token (shopify.dev, "client credentials grant")."""
        form = dict(parse_qsl(request.body.decode()))
        if form.get("grant_type") != "client_credentials":
            return _json({"error": "invalid_request", "error_description": "Unsupported grant type"}, 400)
        if (form.get("client_id"), form.get("client_secret")) != (self.site.client_id, self._secret):
            return _json({"error": "invalid_client", "error_description": "Client authentication failed"}, 400)
        token = "shpat_" + blake2b(f"{self.world.domain}/{self._requests}".encode(), digest_size=16).hexdigest()
        self._tokens[token] = self.clock.now() + TOKEN_LIFE
        scope = ",".join(sorted(self.site.scopes()))
        return _json({"access_token": token, "scope": scope, "expires_in": TOKEN_LIFE - 1})

    def _compile(self, text: str, name: str | None) -> Compiled:
        scopes = self.site.scopes()
        key = (text, name, scopes, self.protected, self.world.catalogue)
        compiled = self._compiled.get(key)
        if compiled is None:
            document = self._documents.get(text)
            if document is None:
                try:
                    document = parse(text)
                except GraphQLError as problem:
                    raise Refused(problem.message, "PARSE_ERROR") from None
                if self._schema is not None and (problems := validate(self._schema, document)):
                    raise Refused(problems[0].message, "INVALID_DOCUMENT")
                self._documents[text] = document
            compiled = self._compiled[key] = compile_operation(document, name, SCHEMA, scopes, self.protected)
        return compiled

    def _execute(self, text: str, name: str | None, given: Mapping[str, Any]) -> Reply:
        compiled = self._compile(text, name)
        variables = compiled.variables(given)
        price = requested(compiled.cost, variables)
        if price > MAX_QUERY_COST:
            message = f"Query cost is {price}, which exceeds the single query max cost limit ({MAX_QUERY_COST})."
            raise Refused(message, "MAX_COST_EXCEEDED", cost=price, maxCost=MAX_QUERY_COST)
        if not self.bucket.take(price):
            return _json(self._throttled(price))
        run = Run(self.site, variables)
        try:
            data = compiled.render(None, run)
        except Refused:
            self.bucket.give_back(price)
            raise
        spent = price if compiled.kind == "mutation" else min(price, actual(compiled.cost, run.rows))
        self.bucket.give_back(price - spent)
        self.requested_points += price
        self.actual_points += spent
        out: dict[str, Any] = {"data": data}
        if run.denied or run.errors:
            out["errors"] = [*run.errors, *_denials(data, run)]
        out["extensions"] = {"cost": self._cost(price, spent)}
        if run.warnings:
            out["extensions"]["search"] = run.warnings
        return _json(out)

    def _cost(self, price: float, spent: float | None) -> dict[str, Any]:
        return {"requestedQueryCost": price, "actualQueryCost": spent, "throttleStatus": self.bucket.status()}

    def _throttled(self, price: float) -> dict[str, Any]:
        error = {
            "message": "Throttled",
            "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/limits"},
        }
        return {"errors": [error], "extensions": {"cost": self._cost(price, None)}}

    # faults that only Shopify has

    def _throttle_fault(self, fault: Fault, answer: Answer) -> Reply:
        return _json(self._throttled(self.bucket.available() + max(1.0, fault.seconds) * self.bucket.rate))

    def _server_error(self, fault: Fault, answer: Answer) -> Reply:
        return _json({"errors": [self._internal([])]})

    def _partial(self, fault: Fault, answer: Answer) -> Reply:
        """The first record of the first list is missing, and an error says so."""
        body = orjson.loads(answer().body)
        for root, value in (body.get("data") or {}).items():
            nodes = value.get("nodes") if isinstance(value, dict) else None
            if nodes:
                nodes[0] = None
            body.setdefault("errors", []).append(self._internal([root, "nodes", 0] if nodes else [root]))
            break
        return _json(body)

    def _expire(self, fault: Fault, answer: Answer) -> Reply:
        self.revoke()
        return _json(_BAD_TOKEN, 401)

    def _internal(self, path: list[str | int]) -> dict[str, Any]:
        request_id = self._headers()["x-request-id"]
        message = f"Internal error. Looks like something went wrong on our end.\nRequest ID: {request_id}"
        return {
            "message": message,
            "path": path,
            "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id},
        }


def _operation_name(request: Request) -> str:
    if not request.path.endswith("/graphql.json"):
        return request.path.rsplit("/", 1)[-1]
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return "unreadable"
    return str(body.get("operationName") or "anonymous") if isinstance(body, dict) else "unreadable"


def _denials(data: Any, run: Run) -> list[dict[str, Any]]:
    """Errors for withheld fields, each with the path of the object it is missing from."""
    wanted = {id(holder) for holder, _, _ in run.denied}
    paths: dict[int, list[str | int]] = {}
    stack: list[tuple[Any, list[str | int]]] = [(data, [])] if wanted else []
    while stack:
        value, path = stack.pop()
        if isinstance(value, dict):
            if id(value) in wanted:
                paths[id(value)] = path
            stack.extend((inner, [*path, key]) for key, inner in value.items())
        elif isinstance(value, list):
            stack.extend((inner, [*path, at]) for at, inner in enumerate(value))
    return [{**error, "path": [*paths.get(id(holder), []), key]} for holder, key, error in run.denied]


def _json(body: Any, status: int = 200) -> Reply:
    return Reply(status, {"content-type": "application/json; charset=utf-8"}, orjson.dumps(body))
