"""Bars say what the numbers say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sync.cli.picture import bar, chart


@given(st.floats(0, 1), st.floats(0, 1), st.integers(4, 80))
def test_a_larger_share_never_has_a_shorter_bar(a: float, b: float, width: int) -> None:
    """Bars keep the order of the numbers and the width of the column."""

    def length(share: float) -> int:
        return sum(8 if cell == "█" else " ▏▎▍▌▋▊▉".index(cell) for cell in bar(share, width))

    low, high = sorted((a, b))
    assert length(low) <= length(high)
    assert len(bar(low, width)) == width


def test_a_chart_shows_every_row_with_size_and_share() -> None:
    """Empty segments show an empty bar, the rest their share of the whole."""
    text = chart("Stages", [("loyal", 30), ("lost", 0)], of=120, width=10)
    assert text.splitlines() == [
        "Stages",
        "  loyal  ██████████  30   25.0 %",
        "  lost                0    0.0 %",
    ]
