"""How the simulated API is put together: routes, what they see of a request, and how they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connector.wix.sandbox_site import Site


class Problem(Exception):
    """An answer in Wix's form of errors. `details` is what stands under that key; None leaves it out."""

    def __init__(self, status: int, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details

    def body(self) -> dict[str, Any]:
        shown = {} if self.details is None else {"details": dict(self.details)}
        return {"message": self.message, **shown}


def refused(status: int, code: str, description: str, data: Mapping[str, Any] | None = None) -> Problem:
    """An error with an application code, the only part of it that clients may switch on."""
    error = {"code": code, "description": description, "data": dict(data or {})}
    return Problem(status, description, {"applicationError": error})


def invalid(field_name: str, description: str, rule: str = "OTHER") -> Problem:
    """A 400 of the gateway's validation."""
    violation = {"field": field_name, "description": description, "violatedRule": rule, "data": {}}
    return Problem(400, f"{field_name} {description}", {"validationError": {"fieldViolations": [violation]}})


@dataclass(slots=True)
class Seen:
    """One request, let in and read. `body` is the parsed JSON, None where the method has none.

    `caller` is `key` or `app`.
    """

    site: Site
    path: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    body: Any
    now: float
    caller: str = "key"

    def param(self, name: str) -> str | None:
        """The first query parameter of this name."""
        return next((value for key, value in self.query if key == name), None)

    def params(self, name: str) -> list[str]:
        """All query parameters of this name."""
        return [value for key, value in self.query if key == name]


Body = bytes | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Route:
    """An operation. `path` has {names}; any one of `scopes` is needed. `act` answers 200, or raises `Problem`.

    `feature` names what a site must have: v5, activity_log, or the version of the catalogue.
    """

    operation: str
    method: str
    path: str
    scopes: tuple[str, ...]
    act: Callable[[Seen], Body]
    feature: str | None = None
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path)))


def envelope(body: Any, *known: str) -> dict[str, Any]:
    """The body as an object with no keys but these."""
    if not isinstance(body, dict):
        raise Problem(400, "Expected an object")
    for key in body:
        if key not in known:
            raise invalid(key, f"'{key}' is not a field of this request", "UNKNOWN_FIELD")
    return body
