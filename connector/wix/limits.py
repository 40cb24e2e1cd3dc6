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
    labels: int
    ids: int
    subscriptions: int


class Window(_Table):
    """Seconds over which requests are counted, and to wait after a 429 that names no time."""

    seconds: float
    wait: float


class Limits(BaseModel):
    """What reading needs of the file; what writing needs is read where labels are written."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pages: Pages
    window: Window


@cache
def limits() -> Limits:
    """The limits that hold for every site."""
    return Limits.model_validate(tomllib.loads(files("mappings").joinpath("wix.toml").read_text("utf-8")))
