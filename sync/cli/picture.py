"""A shop's segments as bars in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(share: float, width: int) -> str:
    """A bar of `share` (0 to 1) of `width` cells, exact to an eighth; anything above zero shows."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    if share > 0:
        eighths = max(1, eighths)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def chart(title: str, rows: Sequence[tuple[str, int]], *, of: int, width: int = 40) -> str:
    """One bar a row, scaled to the largest, with its size and its share of `of`."""
    most = max((size for _, size in rows), default=0) or 1
    label = max((len(name) for name, _ in rows), default=0)
    number = max((len(f"{size:,}") for _, size in rows), default=0)
    lines = [title]
    for name, size in rows:
        share = 100 * size / of if of else 0.0
        lines.append(f"  {name:<{label}}  {bar(size / most, width)}  {size:>{number},}  {share:5.1f} %")
    return "\n".join(lines)
