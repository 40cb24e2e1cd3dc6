"""How a condition's faults are shown: one line with all facts, then the line itself with a caret."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from sync.errors import SegmentError
from sync.segments.tree import Span


class Problem(Exception):
    """A fault at a place of the text, not yet told with file and segment."""

    def __init__(self, message: str, at: Span) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a condition's text stands: `line` and `column` of its first character in `file`.

    `columns` is False where the file spells the text with escapes, so that columns of the two differ.
    """

    file: str = "condition"
    line: int = 1
    column: int = 1
    key: str | None = None
    columns: bool = True

    def place(self, at: Span) -> tuple[int, int | None]:
        """Line and, where it can be told, column in the file."""
        column = at.column + (self.column - 1 if at.line == 1 else 0)
        return self.line + at.line - 1, column if self.columns else None

    def head(self, at: Span | None = None) -> str:
        """What every message about this segment begins with."""
        line = self.place(at)[0] if at else self.line
        return f"{self.file}:{line}" + (f' segment "{self.key}"' if self.key else "")

    def error(self, problem: Problem, text: str) -> SegmentError:
        """The problem as the user reads it: the first line says all, the caret points."""
        lines = text.splitlines() or [""]
        shown = lines[min(problem.at.line, len(lines)) - 1]
        indent = "".join("\t" if letter == "\t" else " " for letter in shown[: problem.at.column - 1])
        return SegmentError(f"{self.head(problem.at)}: {problem.message}\n  {shown}\n  {indent}^")


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` when something close exists, else nothing."""
    by_fold = {candidate.casefold(): candidate for candidate in names}
    found = get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.6)
    return f"; did you mean '{by_fold[found[0]]}'?" if found else ""
