"""Nothing that is printed names a person's address or holds a secret."""

from __future__ import annotations

import base64
import io
import logging
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connector.errors import BadRequest
from connector.redact import REDACTOR, Redactor, redact

TOKENS = st.text("abcdefABCDEF0123456789_-+/=%&", min_size=8, max_size=40)
LOCAL = st.from_regex(r"[\w!#$'*+^`{|}~-][\w.!#$'*+^`{|}~-]{0,20}", fullmatch=True)
DOMAIN = st.from_regex(r"[a-z0-9ü-]{1,12}(\.[a-z0-9-]{1,8}){0,3}", fullmatch=True)
AROUND = st.sampled_from(["", " ", '"', "<", ">", "(", ",", ";", ":", "email=", "\n", "/", '{"email":"'])


def quote_twice(text: str) -> str:
    return quote(quote(text, safe=""), safe="")


def escape(text: str) -> str:
    return text.replace("@", r"\u0040")


@pytest.mark.parametrize("encode", [str, quote, quote_plus, quote_twice, escape])
@given(local=LOCAL, domain=DOMAIN, before=AROUND, after=AROUND)
def test_no_address_is_left(encode, local, domain, before, after):
    """Plain, URL-encoded once or twice, or JSON-escaped."""
    seen = redact(before + encode(f"{local}@{domain}") + after)
    assert "<address>" in seen
    assert encode(local + "@") not in seen
    assert encode("@" + domain) not in seen


@given(st.lists(TOKENS, min_size=1, max_size=4), st.text(max_size=30), st.integers(0, 3))
def test_no_secret_is_left(secrets, around, which):
    """Also where one secret contains another, and in the forms in which secrets travel."""
    redactor = Redactor()
    redactor.add(*secrets[:-1], SecretStr(secrets[-1]))
    secret = secrets[which % len(secrets)]
    encoded = base64.b64encode(secret.encode()).decode()
    seen = redactor.redact(f"{around}{secret} {quote(secret, safe='')} {quote_plus(secret)} {encoded}{around}")
    for form in (secret, quote(secret, safe=""), quote_plus(secret), encoded):
        assert form not in seen


@given(st.text('ab@.%40 \n<>"=é'))
def test_redacting_twice_changes_nothing(text):
    """What is clean stays as it is."""
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text",
    ["@app.command", "100 % of 40 orders", "a @ b", "gid://shopify/Customer/7", "3@", "x&y;z", "2026-10-01T00:00Z"],
)
def test_other_text_is_left_alone(text):
    """What is no address is not masked."""
    assert redact(text) == text


def test_long_text_takes_linear_time():
    """A megabyte without an address is no trap."""
    text = "a" * 500_000 + " " + "a%" * 250_000
    assert redact(text) == text


def test_short_texts_are_no_secrets():
    """An empty or tiny key would mask half of every sentence."""
    redactor = Redactor()
    redactor.add("", " ", "abc")
    assert redactor.redact("abc is easy") == "abc is easy"


def test_structlog_events_are_cleaned_to_the_bottom():
    """Nested values, keys and exceptions too; numbers stay numbers."""
    redactor = Redactor()
    redactor.add("s3cr3t-token")
    event = {
        "event": "sent s3cr3t-token",
        "n": 3,
        "ok": True,
        "rows": [{"ann@example.org": ("x", None)}, ValueError("bob@example.org")],
        "secret": SecretStr("s3cr3t-token"),
        "body": b"eve@example.org",
    }
    cleaned = redactor(None, "info", event)
    assert "s3cr3t" not in repr(cleaned)
    assert "example" not in repr(cleaned)
    assert (cleaned["n"], cleaned["ok"], cleaned["rows"][0]) == (3, True, {"<address>": ["x", None]})


def test_log_records_are_cleaned_with_their_traceback():
    """Message, arguments, exception text and stack."""
    redactor = Redactor()
    redactor.add("s3cr3t-token")
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(redactor)
    logger = logging.Logger("redact")
    logger.addHandler(handler)
    try:
        raise ValueError("ann@example.org used s3cr3t-token")
    except ValueError:
        logger.exception("for %s", "bob@example.org", stack_info=True)
    assert "example" not in out.getvalue()
    assert "s3cr3t-token" not in out.getvalue().replace('redactor.add("s3cr3t-token")', "")
    assert "ValueError: <address> used <secret>" in out.getvalue()


def test_errors_quote_the_platform_without_addresses_and_on_one_line():
    """Whatever a platform puts into its refusal."""
    REDACTOR.add("pk_0123456789")
    error = BadRequest("klaviyo", "ImportProfiles", "ann@example.org\n is  taken (pk_0123456789)", "r-1")
    assert str(error) == "klaviyo: ImportProfiles: <address> is taken (<secret>) (request r-1)"
    assert "example" not in repr(error)
