"""Shopify: customers, orders and abandoned checkouts in, customer tags out."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connector.base import Access, Destination, Platform, Secret, Source
from connector.settings import PrefixSettings

_DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")


class ShopifySettings(BaseModel):
    """The section [store] of a Shopify shop."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shop: str = Field(description="Shop address, such as my-shop.myshopify.com")
    api_url: str | None = None

    @field_validator("shop")
    @classmethod
    def _domain(cls, value: str) -> str:
        name = value.strip().lower().removeprefix("https://").rstrip("/")
        if name and "." not in name:
            name += ".myshopify.com"
        if not _DOMAIN.fullmatch(name):
            raise ValueError(f"{value!r} is not the shop's own address; it looks like my-shop.myshopify.com")
        return name

    @property
    def base_url(self) -> str:
        """Where calls go."""
        return self.api_url or f"https://{self.shop}"


class TagsSettings(PrefixSettings):
    """The section [tags]."""

    @field_validator("prefix")
    @classmethod
    def _whole(cls, value: str) -> str:
        if "," in value:
            raise ValueError("a comma would split the tag in two")
        return value


def _source(access: Access) -> Source:
    from connector.shopify.connection import connect
    from connector.shopify.source import ShopifySource

    return ShopifySource(connect(access))


def _destination(access: Access, tags: Any) -> Destination:
    from connector.shopify.connection import connect
    from connector.shopify.destination import ShopifyTags

    return ShopifyTags(connect(access), tags.prefix)


platform = Platform(
    name="shopify",
    title="Shopify",
    settings=ShopifySettings,
    secrets=(
        Secret(
            "REGULARS_SHOPIFY_TOKEN",
            group="token",
            hint="Shopify: Admin API token of an app created in the admin",
        ),
        Secret("REGULARS_SHOPIFY_CLIENT_ID", group="app", hint="Shopify: Dev Dashboard, your app, Settings, Client ID"),
        Secret(
            "REGULARS_SHOPIFY_CLIENT_SECRET", group="app", hint="Shopify: Dev Dashboard, your app, Settings, Secret"
        ),
    ),
    audience_kind="tag",
    source=_source,
    destination=_destination,
    tags_settings=TagsSettings,
)
