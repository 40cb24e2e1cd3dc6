"""What can go wrong at a platform, as types.

PlatformError            one line: platform, operation, what happened, the way out, request id
├── AuthError            the key is refused (exit 1)
├── ScopeError           the key lacks a permission (exit 1)
├── WrongShop            no such shop, site or account (exit 1)
├── Stopped              the platform has closed the door: billing, lock, security (exit 1)
├── BadRequest           this request will never be accepted (exit 3; 1 where an owner's setting did it)
├── BadReply             the answer cannot be read or cannot be trusted (exit 4)
└── Unavailable          tries or time used up; running again goes on from there (exit 4)
    └── TimedOut         the last try got no answer in time
"""

from __future__ import annotations

from connector.redact import redact


class PlatformError(Exception):
    """A failed call. `operation` is the call's name; `request_id` is what the platform's support asks for.

    `text` may quote the platform: secrets and addresses are masked here, once for all.
    """

    exit_code = 1
    definite = True
    """The platform has said no, so nothing was done. Otherwise the request may have been carried out all the same."""

    def __init__(self, platform: str, operation: str, text: str, request_id: str | None = None) -> None:
        self.platform = platform
        self.operation = operation
        self.text = " ".join(redact(text).split())
        self.request_id = request_id
        super().__init__(platform, operation, self.text, request_id)

    @property
    def asked(self) -> str:
        """The call, and the id that the platform's support asks for."""
        return f"{self.operation}, request {self.request_id}" if self.request_id else self.operation

    def __str__(self) -> str:
        tail = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.platform}: {self.operation}: {self.text}{tail}"


class AuthError(PlatformError):
    """The key is refused."""


class ScopeError(PlatformError):
    """The key is good but may not do this."""


class WrongShop(PlatformError):
    """Nobody by that name is there."""


class Stopped(PlatformError):
    """The platform refuses all work until the owner acts."""


class BadRequest(PlatformError):
    """The platform will not accept this request, however often it is sent."""

    exit_code = 3


class BadReply(PlatformError):
    """The answer cannot be read, or says that it is not the answer to what was asked."""

    exit_code = 4
    definite = False


class Unavailable(PlatformError):
    """Still failing after all tries."""

    exit_code = 4
    definite = False


class TimedOut(Unavailable):
    """No answer came in time, at the last of all tries. Asking for less may help."""
