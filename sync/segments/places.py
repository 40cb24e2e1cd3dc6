"""Where the strings of a TOML file stand: tomllib keeps no positions, and an error without a line is half an error."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_TOKEN = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\#[^\n]*|\n|[=\[\]{},.]|[^\s=\[\]{},."'\#]+''',
    re.DOTALL,
)
_OPENS, _CLOSES = "[{", "]}"


@dataclass(frozen=True, slots=True)
class Place:
    """1-based line and column of the first character of a value (of a string: behind its quotes).

    `exact` is False where escapes make columns of the file and of the value differ.
    """

    line: int
    column: int
    exact: bool = True


def places(text: str) -> Mapping[tuple[str, ...], Place]:
    """The place of every value that stands at a key of its own, by its path; `text` must be valid TOML."""
    found: dict[tuple[str, ...], Place] = {}
    table: tuple[str, ...] = ()
    for statement in _statements(text):
        words = [word for word, _ in statement]
        if words[0] == "[":
            table = _path(word for word in words if word not in "[]")
            found[table] = _place(text, *statement[0])
        else:
            equals = words.index("=")
            found[(*table, *_path(words[:equals]))] = _place(text, *statement[equals + 1])
    return found


def _statements(text: str) -> Iterator[list[tuple[str, int]]]:
    """Headers and assignments, as tokens with their offsets."""
    statement: list[tuple[str, int]] = []
    depth = 0
    for match in _TOKEN.finditer(text):
        word = match.group()
        if word.startswith("#"):
            continue
        if word == "\n":
            if statement and not depth:
                yield statement
                statement = []
            continue
        depth += (word in _OPENS) - (word in _CLOSES)
        statement.append((word, match.start()))
    if statement:
        yield statement


def _path(words: Iterator[str] | list[str]) -> tuple[str, ...]:
    return tuple(word.strip("\"'") for word in words if word != ".")


def _place(text: str, word: str, offset: int) -> Place:
    quotes = next((mark for mark in ('"""', "'''", '"', "'") if word.startswith(mark)), "")
    offset += len(quotes)
    if len(quotes) == 3 and text[offset : offset + 1] == "\n":
        offset += 1
    line = text.count("\n", 0, offset) + 1
    column = offset - (text.rfind("\n", 0, offset) + 1) + 1
    return Place(line, column, exact=not (quotes.startswith('"') and "\\" in word))
