"""The server's side of a request, and what a simulator is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from connector.base import Reply


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a server sees it. Header names are lower case; `query` keeps order and repeats."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes


class Drop(Exception):
    """Raised by a simulator to close the connection without an answer (`timeout`: let the client wait in vain)."""

    def __init__(self, *, timeout: bool = False) -> None:
        super().__init__("timeout" if timeout else "reset")
        self.timeout = timeout


class Simulator(Protocol):
    """One platform's API over a world."""

    platform: str

    def handle(self, request: Request) -> Reply:
        """Answer, or raise `Drop`."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A simulator with what a project folder needs to use it: keys of its TOML section, and secrets.

    `record_id` of a store gives the id by which it shows a record of the world, from kind and number.
    """

    simulator: Simulator
    settings: Mapping[str, str | int]
    secrets: Mapping[str, str]
    record_id: Callable[[str, int], str] | None = None
