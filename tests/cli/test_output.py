"""What is printed fits the screen and says the numbers."""

from __future__ import annotations

import pytest

from sync.cli.output import LINE, Bars, counted, cut, table, wrapped


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 60 cells."""
    monkeypatch.setenv("COLUMNS", "60")


def test_a_fitted_table_cuts_its_last_column_alone() -> None:
    """The others stay whole; what was cut says so."""
    text = table(("key", "who"), [("loyal", "word " * 30), ("new", "short")], fit=True)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[2].startswith("loyal  word word")
    assert lines[2].endswith("…")
    assert lines[3] == "new    short"


def test_cut_keeps_what_fits() -> None:
    """Nothing is lost where there is room, to the last cell."""
    assert cut("exactly", 7) == "exactly"
    assert cut("exactly so", 9) == "exactly…"


def test_wrapped_lines_fit_and_hang_behind_their_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wider than the terminal, nor than 100 cells on a wide one; conditions keep their hyphens."""
    words = "open-carts " * 40
    lines = wrapped(words, "  = ").splitlines()
    assert max(map(len, lines)) <= 60
    assert all(line.startswith("    open-carts") for line in lines[1:])
    monkeypatch.setenv("COLUMNS", "300")
    assert LINE - 12 < max(map(len, wrapped(words).splitlines())) <= LINE


@pytest.mark.parametrize(("number", "said"), [(0, "0 gaps"), (1, "1 gap"), (1200, "1,200 gaps")])
def test_counted(number: int, said: str) -> None:
    """One is one."""
    assert counted(number, "gap") == said


def test_progress_says_how_far(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A count while the end is not known, so much of so much where it is."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with Bars() as bars:
        bars.update("orders", 8655)
        bars.update("metrics", 1200, 2004)
        bars.update("klaviyo: writing", 40)
    said = capsys.readouterr().err
    for part in ("8,655 read", "1,200 of 2,004", " 40 "):
        assert part in said
