"""Wix: contacts, catalogue, orders, abandoned checkouts and what is known of behaviour in, contact labels out."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connector.base import Access, Destination, Platform, Secret, Source
from connector.settings import PrefixSettings

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ADDRESS = "https://www.wixapis.com"


class WixSettings(BaseModel):
    """The section [store] of a Wix site.

    Wix publishes 200 requests a minute for an app on a site and nothing for keys, and other jobs of the same key pay
    from the same minute: hence 150.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    site_id: str = Field(description="Site id: the part after /dashboard/ in the address of the site's dashboard")
    api_url: str | None = None
    requests_per_minute: int = Field(default=150, ge=1)

    @field_validator("site_id")
    @classmethod
    def _guid(cls, value: str) -> str:
        name = value.strip().lower()
        if not _GUID.fullmatch(name):
            raise ValueError(
                f"{value!r} is no site id; it is the part after /dashboard/ in the address of the site's dashboard, "
                "like 1a2b3c4d-0000-4000-8000-0123456789ab"
            )
        return name

    @property
    def base_url(self) -> str:
        """Where calls go."""
        return self.api_url or _ADDRESS


class TagsSettings(PrefixSettings):
    """The section [tags]: contact labels."""

    noun = "labels"


def _source(access: Access) -> Source:
    from connector.wix.connection import connect
    from connector.wix.source import WixSource

    return WixSource(connect(access))


def _destination(access: Access, tags: Any) -> Destination:
    from connector.wix.connection import connect
    from connector.wix.destination import WixLabels

    return WixLabels(connect(access), tags.prefix)


platform = Platform(
    name="wix",
    title="Wix",
    settings=WixSettings,
    secrets=(
        Secret(
            "REGULARS_WIX_API_KEY",
            group="key",
            hint="Wix: API key, made by the account's owner at manage.wix.com/account/api-keys",
        ),
        Secret("REGULARS_WIX_APP_ID", group="app", hint="Wix: your app's dashboard, OAuth, App ID"),
        Secret("REGULARS_WIX_APP_SECRET", group="app", hint="Wix: your app's dashboard, OAuth, App Secret Key"),
        Secret("REGULARS_WIX_INSTANCE_ID", group="app", hint="Wix: the id of the app's instance on this site"),
    ),
    audience_kind="label",
    source=_source,
    destination=_destination,
    tags_settings=TagsSettings,
)
