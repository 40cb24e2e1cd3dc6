"""What is printed: results to stdout, progress to stderr. Plain text that survives a pipe."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from sync.progress import Progress, Silent

LINE = 100


def show(text: str = "") -> None:
    """One line (or block) of the result."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """One line that is not the result."""
    sys.stderr.write(text + "\n")


def show_json(value: Any) -> None:
    """The result as JSON."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def counted(number: int, noun: str) -> str:
    """1 gap, 2 gaps."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def width() -> int:
    """Cells of a line: the terminal's, at most 100; 100 where there is none."""
    return min(LINE, shutil.get_terminal_size((LINE, 24)).columns)


def wrapped(text: str, first: str = "", rest: str | None = None) -> str:
    """The text in lines that fit, the first behind `first`, the others behind `rest` (as deep, where it is absent)."""
    return textwrap.fill(
        text,
        max(width(), len(first) + 20),
        initial_indent=first,
        subsequent_indent=" " * len(first) if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def folded(text: str, rest: int) -> str:
    """The text as it is where it fits or ends in a command to copy; else in lines, the further ones `rest` deep."""
    if len(text) <= width() or text.startswith(("Next", "Or,")):
        return text
    inner = text.lstrip()
    return wrapped(inner, text[: len(text) - len(inner)], " " * rest)


def table(
    head: Sequence[str], rows: Iterable[Sequence[Any]], right: frozenset[int] = frozenset(), *, fit: bool = False
) -> str:
    """Rows under their head, in columns; `right` aligns those columns to the right, `fit` cuts the last one."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    if fit:
        others = sum(max(len(row[i]) for row in cells) + 2 for i in range(len(head) - 1))
        for row in cells:
            row[-1] = cut(row[-1], max(20, width() - others))
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = []
    for row in cells:
        parts = [cell.rjust(widths[i]) if i in right else cell.ljust(widths[i]) for i, cell in enumerate(row)]
        lines.append("  ".join(parts).rstrip())
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(lines)


def cut(text: str, cells: int) -> str:
    """As much of the text as fits, with a mark where it was cut."""
    return text if len(text) <= cells else text[: cells - 1].rstrip(" ,;") + "…"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def _told(task: str, done: int, total: int | None) -> str:
    """`8,655 read` of a stream whose end is not known, `1,200 of 2,004` of what has one."""
    if total is not None:
        return f"{done:,} of {total:,}"
    return f"{done:,}" if ":" in task else f"{done:,} read"


class Bars(Progress):
    """Progress on stderr, for terminals only: a bar where the end is known, else a spinner and a count.

    Use as a context manager.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
        from rich.progress import Progress as RichProgress

        class Way(ProgressColumn):
            """The bar or the spinner."""

            spinner, bar = SpinnerColumn(), BarColumn()

            def render(self, task: Task) -> Any:
                return (self.spinner if task.total is None else self.bar).render(task)

        self._bars = RichProgress(
            TextColumn("{task.description:<28}"),
            TextColumn("{task.fields[told]:>18}"),
            Way(),
            console=Console(stderr=True),
            transient=True,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def update(self, task: str, done: int, total: int | None = None) -> None:
        if task not in self._tasks:
            self._tasks[task] = self._bars.add_task(task, total=total, told="")
        self._bars.update(self._tasks[task], completed=done, total=total, told=_told(task, done, total))


class _Quiet(Silent):
    def __enter__(self) -> _Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def progress() -> Bars | _Quiet:
    """Bars on a terminal, silence elsewhere."""
    return Bars() if sys.stderr.isatty() else _Quiet()
