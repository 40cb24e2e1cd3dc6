"""The destinations that the contract holds for, and what some of their platforms do not have."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from destinations_mail import KlaviyoLists, KlaviyoProperties, MailchimpAdding, MailchimpTags
from destinations_rig import Place, leaks
from destinations_store import ShopifyTags, WixLabels

PLACES: tuple[type[Place], ...] = (
    ShopifyTags,
    WixLabels,
    KlaviyoLists,
    KlaviyoProperties,
    MailchimpTags,
    MailchimpAdding,
)

_NO_CONSENT = "tags and labels ignore consent"
_BY_USE = "a tag exists by being used: it is neither made nor named, and gone when nobody carries it"
_VALUE = "a value in an array is nothing of its own: it is neither made nor named"
_AT_ONCE = "what is written shows at once"

ABSENT: Mapping[str, Mapping[str, str]] = {
    "a whole request is refused": {"shopify": "each change of a request is judged by itself"},
    "jobs": {"shopify": "changes are answered at once", "klaviyo-properties": "changes are answered at once"},
    "lateness": dict.fromkeys(("klaviyo-properties", "mailchimp", "mailchimp-adding"), _AT_ONCE),
    "consent": {"shopify": _NO_CONSENT, "wix": _NO_CONSENT},
    "audiences of their own": {"shopify": _BY_USE, "klaviyo-properties": _VALUE},
    "one name for several audiences": {
        "shopify": _BY_USE,
        "klaviyo-properties": _VALUE,
        "mailchimp": "tag names are unique, whatever their case",
        "mailchimp-adding": "tag names are unique, whatever their case",
    },
}
"""By what a case is about: destinations whose platform has no such thing, and why."""


def everywhere(case: str = "") -> pytest.MarkDecorator:
    """Run a test for every destination that has what the case is about."""
    absent = ABSENT[case] if case else {}
    kinds = [
        pytest.param(
            its,
            id=its.title,
            marks=[pytest.mark.skip(reason=absent[its.title])] if its.title in absent else [],
        )
        for its in PLACES
    ]
    return pytest.mark.parametrize("place", kinds, indirect=True)


def opened(kind: type[Place], folder: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Place]:
    """A place for one test. Afterwards: consent is untouched, and neither address nor key was told to anybody.

    Of libraries what they warn of counts, as in the program's own log; of ours every record.
    """
    caplog.set_level(logging.DEBUG, "connector")
    caplog.set_level(logging.DEBUG, "regulars")
    place = kind(folder / "shop.db")
    yield place
    place.check_consent()
    records = [its for its in caplog.records if its.levelno >= logging.WARNING or its.name.startswith(("conn", "reg"))]
    assert not leaks(place, [its.getMessage() for its in records])
    place.rig.store.close()
