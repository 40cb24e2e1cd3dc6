"""Mailchimp: tags of one audience."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connector.base import Access, Destination, Platform, Secret

API_KEY = "REGULARS_MAILCHIMP_API_KEY"


class MailchimpSettings(BaseModel):
    """The section [mailchimp].

    A tag is called by `tag_prefix` and the segment's key, which never changes: a segment that gets another name keeps
    its tag, and with it the automations and campaigns built on it. `add_consented` adds people whom the audience does
    not hold, if the store has their consent; Mailchimp bills each of them. `api_url` replaces the address that the
    key's data centre gives.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    audience_id: str = Field(description="Audience id: Mailchimp shows it under Audience, All contacts, Settings")
    tag_prefix: str = "seg:"
    add_consented: bool = False
    merge_fields: tuple[Literal["rfm_group", "lifecycle_stage", "last_order_date"], ...] = ()
    api_url: str | None = None

    @field_validator("audience_id")
    @classmethod
    def _id(cls, value: str) -> str:
        if not (value.isascii() and value.isalnum()):
            raise ValueError(
                f"{value!r} is no audience id; it has letters and digits only, like a1b2c3d4e5, and Mailchimp shows it "
                "under Audience, All contacts, Settings"
            )
        return value


def _destination(access: Access, _tags: Any) -> Destination:
    from connector.mailchimp.destination import open_destination

    return open_destination(access)


platform = Platform(
    name="mailchimp",
    title="Mailchimp",
    settings=MailchimpSettings,
    secrets=(
        Secret(
            API_KEY,
            hint="Mailchimp: Account & billing, Extras, API keys, create a key; it ends in the data centre (-us19)",
        ),
    ),
    audience_kind="tag",
    destination=_destination,
)
