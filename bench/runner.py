"""Measuring side by side: contenders take turns, the best round of each counts, only their ratio is judged.

Ratios are of CPU seconds (this process and its finished children), which other programs on the machine hardly move;
wall-clock seconds are shown beside them.
"""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Timed = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """The best of several rounds, each clock by itself."""

    cpu: float
    wall: float

    def __str__(self) -> str:
        return f"{seconds(self.cpu)} ({seconds(self.wall)} wall)"


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table. `passed` None: nothing is asked of the figure, or it could not be taken."""

    number: str
    what: str
    target: str
    ratio: str
    passed: bool | None
    figures: str

    @property
    def verdict(self) -> str:
        return "" if self.passed is None else "pass" if self.passed else "MISS"


@dataclass(frozen=True, slots=True)
class Bench:
    """What all targets share: sizes, rounds, a folder that is removed afterwards."""

    quick: bool
    folder: Path
    data: Path | None = None
    peers: Path | None = None
    kept: dict[str, object] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        return 2 if self.quick else 5

    def size(self, whole: int, quick: int) -> int:
        return quick if self.quick else whole


def alternate(rounds: int, **contenders: Callable[[], Timed]) -> dict[str, Timing]:
    """Each contender prepares itself, untimed, and hands back what is to be timed."""
    best: dict[str, Timing] = {}
    for _ in range(rounds):
        for name, prepare in contenders.items():
            run = prepare()
            gc.collect()
            wall, cpu = time.perf_counter(), _cpu()
            run()
            spent = Timing(_cpu() - cpu, time.perf_counter() - wall)
            held = best.get(name, spent)
            best[name] = Timing(min(held.cpu, spent.cpu), min(held.wall, spent.wall))
    return best


def at_most(number: str, what: str, limit: float, value: float, figures: str, unit: str = "x") -> Result:
    return Result(number, what, f"<= {limit:g}{unit}", f"{value:.3g}{unit}", value <= limit, figures)


def at_least(number: str, what: str, limit: float, value: float, figures: str, unit: str = "x") -> Result:
    return Result(number, what, f">= {limit:g}{unit}", f"{value:.3g}{unit}", value >= limit, figures)


def missing(number: str, what: str, target: str, reason: str) -> Result:
    return Result(number, what, target, "-", None, reason)


def seconds(value: float) -> str:
    """1.23 s, 4.56 ms."""
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.3g} ms"


def table(results: list[Result]) -> str:
    """Number, what, target, ratio, verdict; the absolute figures in a second line."""
    heads = ("#", "what", "target", "ratio", "verdict")
    rows = [(one.number, one.what, one.target, one.ratio, one.verdict) for one in results]
    widths = [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]

    def line(cells: tuple[str, ...]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()

    lines = [line(heads), line(tuple("-" * width for width in widths))]
    for one, row in zip(results, rows, strict=True):
        lines.append(line(row))
        lines += [f"{'':{widths[0]}}    {part}" for part in one.figures.splitlines()]
    return "\n".join(lines)


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
