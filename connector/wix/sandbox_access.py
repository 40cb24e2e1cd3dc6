"""Who may call, and how often: keys, tokens, scopes, the minute's limit.

dev.wix.com: "About API keys", "Authenticate using OAuth", "Rate limits". What a 429 looks like is not documented.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import orjson

from connector.base import Clock, Reply
from connector.sandbox.wire import Request
from connector.wix.sandbox_route import Problem

TOKEN_LIFE = 14_400
PER_MINUTE = 200
MINUTE = 60.0
_FORM = {"grant_type", "client_id", "client_secret", "instance_id"}


class Door:
    """Lets requests in. `revoke` ends all tokens of the app; keys stay until they are taken out of `keys`."""

    def __init__(self, clock: Clock, *, keys: Iterable[str], app: tuple[str, str, str] | None, site_id: str) -> None:
        self._clock = clock
        self.keys = set(keys)
        self.app = app
        self.site_id = site_id
        self._tokens: dict[str, float] = {}
        self._issued = 0

    def revoke(self) -> None:
        self._tokens.clear()

    def enter(self, headers: Mapping[str, str]) -> str:
        """Who calls; raises the 401 or 403."""
        sent = headers.get("authorization", "").removeprefix("Bearer ").strip()
        site, account = headers.get("wix-site-id"), headers.get("wix-account-id")
        if sent in self.keys:
            if site is None or account is not None or site != self.site_id:
                raise Problem(403, "Forbidden: an API key needs the header wix-site-id of a site of its account, alone")
            return "key"
        if self._tokens.get(sent, 0.0) > self._clock.now():
            if account is not None or (site is not None and site != self.site_id):
                raise Problem(403, "Forbidden: the token belongs to another site")
            return "app"
        raise Problem(401, "Unauthorized", {})

    def issue(self, request: Request) -> Reply:
        """POST /oauth2/token; its errors have OAuth's form (RFC 6749, 5.2), not Wix's."""
        try:
            body = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict) or set(body) != _FORM:
            return _oauth(400, "invalid_request", "grant_type, client_id, client_secret and instance_id are required")
        if body["grant_type"] != "client_credentials":
            return _oauth(400, "unsupported_grant_type", "only client_credentials is supported")
        given = (body["client_id"], body["client_secret"])
        if self.app is None or given != self.app[:2]:
            return _oauth(401, "invalid_client", "client authentication failed")
        if body["instance_id"] != self.app[2]:
            return _oauth(400, "invalid_grant", "the app is not installed under this instance id")
        self._issued += 1
        token = "OauthNG.JWS." + blake2b(f"{self.site_id}/{self._issued}".encode(), digest_size=32).hexdigest()
        self._tokens[token] = self._clock.now() + TOKEN_LIFE
        return _json(200, {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFE})


class Minute:
    """A limit of requests in a minute that begins on the minute; `scale` times as many where time is scaled.

    The minute itself stays one: clients count over a minute too, and may use it up in its first seconds.
    """

    def __init__(self, clock: Clock, limit: int, scale: float) -> None:
        self._clock = clock
        self.limit = limit * scale
        self._window = -1
        self._used = 0

    def take(self) -> bool:
        """Count a request; False if the minute is used up."""
        window = int(self._clock.now() // MINUTE)
        if window != self._window:
            self._window, self._used = window, 0
        if self._used >= self.limit:
            return False
        self._used += 1
        return True


def too_many(retry_after: float | None = None) -> Reply:
    """Too many requests: no header tells how long, the body is no JSON. With `retry_after` as a fault may have it."""
    wait = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return Reply(429, {"content-type": "text/plain", **wait}, b"Too Many Requests")


def _oauth(status: int, error: str, description: str) -> Reply:
    return _json(status, {"error": error, "error_description": description})


def _json(status: int, body: Any) -> Reply:
    return Reply(status, {"content-type": "application/json"}, orjson.dumps(body))
