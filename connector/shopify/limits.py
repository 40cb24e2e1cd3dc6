"""Shopify's names and limits, read from `mappings/shopify.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel, ConfigDict

from mappings.load import load


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Api(_Table):
    """The version all documents are written against."""

    version: str

    @property
    def path(self) -> str:
        """Where GraphQL is served."""
        return f"/admin/api/{self.version}/graphql.json"


class Pages(_Table):
    """Largest pages, by what they hold, and the smallest worth trying."""

    records: int
    lines: int
    ids: int
    smallest: int


class Points(_Table):
    """Points: of one query at most, of the bucket and its refill until the server names them, of a mutation."""

    query: int
    bucket: int
    rate: int
    mutation: int


class Tags(_Table):
    """Characters of a tag, tags of a customer, mutations of a request."""

    length: int
    per_customer: int
    mutations: int


class History(_Table):
    """Days of orders visible without read_all_orders."""

    days: int


class Limits(_Table):
    """All tables of the file but the streams. `withheld`: per stream and path of a record the columns it feeds."""

    api: Api
    pages: Pages
    points: Points
    tags: Tags
    history: History
    withheld: Mapping[str, Mapping[str, tuple[str, ...]]]


@cache
def limits() -> Limits:
    """The limits that hold for every shop."""
    return Limits.model_validate(load("shopify").data)
