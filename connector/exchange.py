"""The shapes of one exchange with a platform: a call, its reply, what that means. Import them from `connector.base`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a platform, not yet sent. `path` is joined to the client's base URL.

    `cost` is in the unit of the budget that pays (points, requests); `budget` names the budget where a platform
    has several (an endpoint's own window). At most one of `json` and `form` is given.
    """

    operation: str
    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    json: Any = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cost: float = 1.0
    budget: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as bytes. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Ok:
    """The reply answers the call."""


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Send again, after `seconds` if the server named them, else after our own backoff."""

    seconds: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Sending again would not help. `error` is a `connector.errors.PlatformError`."""

    error: Exception


Verdict = Ok | RetryAfter | Rejected


@dataclass(frozen=True, slots=True)
class Usage:
    """What the server says of a budget: `available` of `maximum` units now, restored at `rate` units a second.

    For a window of n seconds `rate` is maximum / n, and `resets` the seconds until the server's window begins anew.
    """

    budget: str
    available: float
    maximum: float
    rate: float
    spent: float | None = None
    resets: float | None = None


class Wire(Protocol):
    """The pure half of a platform that a `Client` needs."""

    platform: str

    def judge(self, call: Call, reply: Reply) -> Verdict:
        """What the reply means for the call."""

    def usage(self, call: Call, reply: Reply) -> Usage | None:
        """The server's own numbers, where the reply carries them."""

    def request_id(self, reply: Reply) -> str | None:
        """What the platform's support asks for."""
