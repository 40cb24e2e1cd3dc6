"""Mailchimp's names and limits, read from `mappings/mailchimp.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Api(_Table):
    """Where Mailchimp is spoken to, and how patiently."""

    url: str
    connections: int
    read_timeout: float
    name_length: int


class Pages(_Table):
    """Reading: largest page, rows read twice, and addresses for which no page of all members is read."""

    size: int
    overlap: int
    lookup: int


class Writes(_Table):
    """Largest writes, and the break-even between single calls and a batch."""

    tag: int
    alone: int
    in_flight: int
    batch: int


class Job(_Table):
    """Seconds between looks at batches, and without progress until they are given up."""

    first_wait: float
    longest_wait: float
    patience: float


class Pace(_Table):
    """Seconds a call and a batch usually take."""

    call: float
    batch: float


class MergeField(_Table):
    """A field of our own on members."""

    tag: str
    name: str
    type: Literal["text", "date"]


class Merge(_Table):
    """Merge fields an audience may have."""

    most: int


class Limits(_Table):
    """The whole file."""

    api: Api
    pages: Pages
    writes: Writes
    job: Job
    pace: Pace
    fields: dict[str, MergeField]
    merge: Merge


@cache
def limits() -> Limits:
    """The limits that hold for every account."""
    return Limits.model_validate(tomllib.loads(files("mappings").joinpath("mailchimp.toml").read_text("utf-8")))
