"""The sections [store] and [tags] of a Wix site."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from connector.wix import TagsSettings, WixSettings, platform

SITE = "5A1D0B0E-51DE-4F00-8A11-000000000001"


def test_a_site_is_named_by_its_guid() -> None:
    """In any case, with blanks around it; the address has a default."""
    settings = WixSettings(site_id=f" {SITE} ")
    assert settings.site_id == SITE.lower()
    assert settings.base_url == "https://www.wixapis.com"
    assert settings.requests_per_minute == 150


@pytest.mark.parametrize("name", ["", "my-shop", "https://manage.wix.com/dashboard/x", SITE[:-1], SITE + "0"])
def test_anything_else_is_refused_with_the_place_to_look(name: str) -> None:
    """The message says where the id stands."""
    with pytest.raises(ValidationError, match="/dashboard/"):
        WixSettings(site_id=name)


def test_the_pace_is_at_least_one_request() -> None:
    """None at all would wait for ever."""
    with pytest.raises(ValidationError):
        WixSettings(site_id=SITE, requests_per_minute=0)


@pytest.mark.parametrize("prefix", ["", "  ", " seg-", "x" * 51])
def test_labels_need_a_prefix(prefix: str) -> None:
    """Only labels that carry it are ours."""
    with pytest.raises(ValidationError):
        TagsSettings(prefix=prefix)


def test_a_key_or_an_app() -> None:
    """Two groups of secrets, one of which must be whole."""
    groups: dict[str, list[str]] = {}
    for secret in platform.secrets:
        groups.setdefault(secret.group, []).append(secret.name)
    assert groups == {
        "key": ["REGULARS_WIX_API_KEY"],
        "app": ["REGULARS_WIX_APP_ID", "REGULARS_WIX_APP_SECRET", "REGULARS_WIX_INSTANCE_ID"],
    }
