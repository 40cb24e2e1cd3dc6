"""Fetching the results of batches: signed addresses on hosts of their own, which must not see the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from connector.auth import Renewal
from connector.base import Clock
from connector.budget import Budgets, Concurrency
from connector.errors import BadReply, PlatformError
from connector.http import Client
from connector.mailchimp.limits import limits
from connector.mailchimp.wire import PLATFORM
from connector.mailchimp.wire_batches import ArchiveWire, get_results
from connector.retry import Policy


class _Nobody:
    """No credentials."""

    def headers(self) -> Mapping[str, str]:
        return {}

    def renewal(self, now: float, refused: Mapping[str, str] | None = None) -> Renewal | None:
        return None


class Downloads:
    """A client without credentials per host."""

    def __init__(self, clock: Clock, transport: Any, policy: Policy) -> None:
        self._clock = clock
        self._transport = transport
        self._policy = policy
        self._clients: dict[str, Client] = {}

    @property
    def calls(self) -> int:
        """Requests sent so far."""
        return sum(client.calls for client in self._clients.values())

    def get(self, url: str) -> bytes:
        """The bytes. Raises Expired for an address that is not good any more."""
        parts = urlsplit(url)
        return self._client(f"{parts.scheme}://{parts.netloc}").send(get_results(url)).body

    def close(self) -> None:
        """Let go of the connections."""
        for client in self._clients.values():
            client.close()

    def _client(self, host: str) -> Client:
        if host not in self._clients:
            try:
                self._clients[host] = Client(
                    ArchiveWire(),
                    _Nobody(),
                    Budgets(Concurrency(limits().api.connections)),
                    base_url=host,
                    clock=self._clock,
                    transport=self._transport,
                    policy=self._policy,
                    read_timeout=limits().api.read_timeout,
                )
            except PlatformError as error:
                raise BadReply(PLATFORM, "GetResults", f"the results' address is none: {error.text}") from error
        return self._clients[host]
