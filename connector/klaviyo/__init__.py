"""Klaviyo: lists, or segment keys on each profile."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from connector.base import Access, Destination, Platform, Secret
from connector.klaviyo.limits import limits

API_KEY = "REGULARS_KLAVIYO_API_KEY"


class KlaviyoSettings(BaseModel):
    """The section [klaviyo].

    `mode`: a list per segment, or the segment's key in the array `property` of each profile, or both. `events` also
    records who enters and who leaves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    list_prefix: str = "Regulars: "
    mode: Literal["lists", "properties", "both"] = "lists"
    property: str = Field(default="regulars_segments", pattern=r"^[A-Za-z][A-Za-z0-9_ -]{0,63}$")
    events: bool = False
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
            "lists:read, lists:write, profiles:read, profiles:write (leave subscriptions out; events = true also needs "
            "events:write, metrics:read)",
        ),
    ),
    audience_kind="list",
    destination=_destination,
)
