"""Everything that talks to the outside. A further platform is one folder beside these and one name in `PLATFORMS`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector.base import Platform

PLATFORMS = {"shopify": "store", "wix": "store", "klaviyo": "destination", "mailchimp": "destination"}
"""By name: a store is read and written to, a destination only written to."""


def load_platform(name: str) -> Platform:
    """The platform of that name, imported only now: start-up stays quick."""
    platform: Platform = import_module(f"connector.{name}").platform
    return platform


def stores() -> tuple[str, ...]:
    """Names of the platforms that can be read."""
    return tuple(name for name, role in PLATFORMS.items() if role == "store")


def destinations() -> tuple[str, ...]:
    """Names of the platforms that are destinations only."""
    return tuple(name for name, role in PLATFORMS.items() if role == "destination")
