"""The section [tags], which every store's write-back has."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, field_validator


class PrefixSettings(BaseModel):
    """An audience is called prefix + segment key. `noun` is the platform's word for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    noun: ClassVar[str] = "tags"

    enabled: bool = True
    prefix: str = "seg-"

    @field_validator("prefix")
    @classmethod
    def _usable(cls, value: str) -> str:
        if not value.strip() or value != value.lstrip():
            raise ValueError(f"a prefix is needed, without a space before it: only {cls.noun} that carry it are ours")
        if len(value) > 50:
            raise ValueError("at most 50 characters")
        return value
