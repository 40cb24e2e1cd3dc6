"""What the log writes."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from connector.redact import REDACTOR
from sync.log import bind_run, configure, log


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure(as_json=True)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def test_a_line_names_the_run_and_hides_secrets_and_people(written: io.StringIO) -> None:
    """One JSON object a line on stderr; secrets and addresses are masked, also in what is raised."""
    REDACTOR.add("shpat_very_secret")
    bind_run(12)
    try:
        raise ValueError("no shpat_very_secret for ann@x.org")
    except ValueError:
        log.exception("refused", who="ann@x.org", header="shpat_very_secret", tries=3)
    line = json.loads(written.getvalue())
    assert (line["event"], line["run"], line["level"], line["tries"]) == ("refused", 12, "error", 3)
    assert "ValueError" in line["exception"]
    assert "shpat" not in written.getvalue()
    assert "ann@" not in written.getvalue()


def test_other_libraries_are_heard_from_warnings_on(written: io.StringIO) -> None:
    """What they say goes the same way; their small talk is dropped."""
    logging.getLogger("httpx").info("HTTP Request: GET https://x/?token=1")
    logging.getLogger("httpx").warning("slow for ann@x.org")
    assert [json.loads(line)["event"] for line in written.getvalue().splitlines()] == ["slow for <address>"]
