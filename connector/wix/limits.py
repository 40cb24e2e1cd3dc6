"""Wix's limits, read from `mappings/wix.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pages(_Table):
    """Largest pages and requests, by what they hold."""

    orders: int
    carts: int
    contacts: int
    contacts_v5: int
    labels: int
    ids: int
    subscriptions: int
    payments: int
    products: int
    categories: int
    campaigns: int
    recipients: int
    activities: int


class Window(_Table):
    """Seconds over which requests are counted, and to wait after a 429 that names no time."""

    seconds: float
    wait: float


class Events(_Table):
    """Days of campaigns that are read again on each run; contacts whose activity log is read in one run."""

    campaign_days: int
    log_contacts: int


class Limits(BaseModel):
    """What reading needs of the file; what writing needs is read where labels are written.

    `scopes` are permissions with the operations that need them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    pages: Pages
    window: Window
    events: Events
    scopes: dict[str, tuple[str, ...]]

    def scope_of(self, operation: str) -> str | None:
        """The permission that an operation needs."""
        return next((scope for scope, operations in self.scopes.items() if operation in operations), None)


@cache
def limits() -> Limits:
    """The limits that hold for every site."""
    return Limits.model_validate(tomllib.loads(files("mappings").joinpath("wix.toml").read_text("utf-8")))
