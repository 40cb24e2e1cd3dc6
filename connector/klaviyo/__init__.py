"""Klaviyo: e-mail lists."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from connector.base import Access, Destination, Platform, Secret
from connector.klaviyo.limits import limits

API_KEY = "REGULARS_KLAVIYO_API_KEY"


class KlaviyoSettings(BaseModel):
    """The section [klaviyo]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    list_prefix: str = "Regulars: "
    api_url: str = limits().api.url


def _destination(access: Access, _tags: Any) -> Destination:
    from connector.klaviyo.destination import open_destination

    return open_destination(access)


platform = Platform(
    name="klaviyo",
    title="Klaviyo",
    settings=KlaviyoSettings,
    secrets=(
        Secret(
            API_KEY,
            hint="Klaviyo: Settings, API keys, create a custom private key with accounts:read, flows:read, "
            "lists:read, lists:write, profiles:read, profiles:write (leave subscriptions out)",
        ),
    ),
    audience_kind="list",
    destination=_destination,
)
