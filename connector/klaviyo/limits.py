"""Klaviyo's names and limits, read from `mappings/klaviyo.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Api(_Table):
    """Where and in which revision Klaviyo is spoken to."""

    url: str
    revision: str
    name_length: int


class Pages(_Table):
    """Largest pages, by what they hold."""

    lists: int
    profiles: int
    members: int
    import_errors: int
    filter: int


class Writes(_Table):
    """Largest writes."""

    relationship: int
    import_profiles: int
    import_bytes: int
    list_creates_per_day: int
    isolate: int
    people: int
    call: float


class Job(_Table):
    """Seconds between looks at an import, and how long a run waits for it."""

    first_wait: float
    longest_wait: float
    patience: float


class Metrics(_Table):
    """What events are called."""

    entered: str
    left: str


class Operation(_Table):
    """Requests a second and a minute that an account may make, and what its key must be allowed to do."""

    burst: int
    steady: int
    scopes: tuple[str, ...]

    def seconds(self, calls: int) -> float:
        """How long `calls` take with a fresh minute: bursts until the steady limit is used up, then the next minute."""
        if calls <= 0:
            return 0.0
        minutes, rest = divmod(calls - 1, self.steady)
        return minutes * 60.0 + (rest + 1) / self.burst


class Limits(_Table):
    """The whole file."""

    api: Api
    pages: Pages
    writes: Writes
    job: Job
    events: Metrics
    operations: dict[str, Operation]


@cache
def limits() -> Limits:
    """The limits that hold for every account."""
    return Limits.model_validate(tomllib.loads(files("mappings").joinpath("klaviyo.toml").read_text("utf-8")))
