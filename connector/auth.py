"""How calls prove who sends them. Pure: a token is asked for through a `Renewal` that the client carries out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from pydantic import SecretStr

from connector.base import Call, Ok, Rejected, Reply, RetryAfter, Verdict
from connector.errors import AuthError, BadReply
from connector.redact import REDACTOR

EARLY = 60.0
"""Seconds before its end at which a token is renewed, as in the sample of
https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant"""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A call for new credentials, what its reply means, and where a good reply goes."""

    call: Call
    judge: Callable[[Call, Reply], Verdict]
    accept: Callable[[Reply, float], None]


class Auth(Protocol):
    """Credentials of one account."""

    def headers(self) -> Mapping[str, str]:
        """What goes with each call now."""

    def renewal(self, now: float, refused: Mapping[str, str] | None = None) -> Renewal | None:
        """What to do first: nothing, or a renewal because the token ends soon or exactly `refused` was refused."""


class StaticHeader:
    """A key that never changes, in one header. A scheme may stand in `prefix` or before the key."""

    def __init__(self, header: str, secret: SecretStr | str, *, prefix: str = "") -> None:
        self._header = header
        self._secret = _secret(secret)
        self._prefix = prefix
        REDACTOR.add(self._secret, *self._secret.get_secret_value().split()[-1:])

    def headers(self) -> Mapping[str, str]:
        return {self._header: self._prefix + self._secret.get_secret_value()}

    def renewal(self, now: float, refused: Mapping[str, str] | None = None) -> Renewal | None:
        return None


def basic(user: str, secret: SecretStr | str) -> StaticHeader:
    """HTTP Basic, RFC 7617. The key is masked in its encoded form too."""
    plain = _secret(secret).get_secret_value()
    REDACTOR.add(plain)
    return StaticHeader("Authorization", base64.b64encode(f"{user}:{plain}".encode()).decode(), prefix="Basic ")


class ClientCredentials:
    """A token bought with a client id and secret, RFC 6749 section 4.4; there is no refresh token, it is asked again.

    `call` builds the token request and is called at each renewal, so that the secret lies in no object meanwhile.
    `hints` maps a word of the platform's refusal to what the owner can do about it.
    """

    def __init__(
        self,
        platform: str,
        call: Callable[[], Call],
        *,
        secret: SecretStr | str,
        header: str = "Authorization",
        prefix: str = "",
        hints: Mapping[str, str] | None = None,
    ) -> None:
        self._platform = platform
        self._call = call
        self._header = header
        self._prefix = prefix
        self._hints = dict(hints or {})
        self._token: SecretStr | None = None
        self._ends = 0.0
        REDACTOR.add(_secret(secret))

    def headers(self) -> Mapping[str, str]:
        return {} if self._token is None else {self._header: self._prefix + self._token.get_secret_value()}

    def renewal(self, now: float, refused: Mapping[str, str] | None = None) -> Renewal | None:
        due = self._token is None or now >= self._ends
        if due or (refused is not None and refused == self.headers()):
            return Renewal(self._call(), self._judge, self._accept)
        return None

    def _judge(self, call: Call, reply: Reply) -> Verdict:
        if reply.status == 429 or reply.status >= 500:
            return RetryAfter(retry_after(reply), f"the token request got HTTP {reply.status}")
        if reply.status >= 400:
            text = reply.body[:4000].decode("utf-8", "replace")
            hint = next((hint for word, hint in self._hints.items() if word in text), None)
            way_out = hint or "check the client id and the client secret"
            refusal = f"no token (HTTP {reply.status}{_said(reply)}); {way_out}"
            return Rejected(AuthError(self._platform, call.operation, refusal))
        if not _is_json(reply):
            return RetryAfter(None, "the token request was answered with no JSON")
        if _token(reply) is None:
            return Rejected(BadReply(self._platform, call.operation, "the token request was answered without a token"))
        return Ok()

    def _accept(self, reply: Reply, now: float) -> None:
        parsed = _token(reply)
        if parsed is None:
            raise TypeError("a token reply was accepted without a token")
        token, lives = parsed
        REDACTOR.add(token)
        self._token, self._ends = token, now + lives - min(EARLY, lives / 2)


def retry_after(reply: Reply) -> float | None:
    """The header's delay in seconds; its form as a date (RFC 9110, 10.2.3) is sent by none of the platforms."""
    value = reply.headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e9 else None


def _secret(secret: SecretStr | str) -> SecretStr:
    plain = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    return SecretStr(plain.strip())


def _object(reply: Reply) -> Mapping[str, Any]:
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _is_json(reply: Reply) -> bool:
    try:
        orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return False
    return True


def _token(reply: Reply) -> tuple[SecretStr, float] | None:
    body = _object(reply)
    token, lives = body.get("access_token"), body.get("expires_in")
    if not isinstance(token, str) or not token or not isinstance(lives, (int, float)):
        return None
    return SecretStr(token), float(lives)


def _said(reply: Reply) -> str:
    """The error code and text of an OAuth error reply, RFC 6749 section 5.2."""
    body = _object(reply)
    parts = [body[key] for key in ("error", "error_description") if isinstance(body.get(key), str)]
    return "".join(f", {part}" for part in parts)
