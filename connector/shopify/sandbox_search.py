"""Shopify's search syntax (shopify.dev/docs/api/usage/search-syntax), with the ways in which the real one is lenient.

Terms are joined by AND, `OR`, `NOT` or `-`, and parentheses. An unknown field is dropped with a warning, so the filter
fails open; `>` and `<` are inclusive, as seen in practice; an offset in a date is ignored; a time must be quoted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Values = Mapping[str, Any]
Predicate = Callable[[Values], bool]

DAY = 86_400
_TOKEN = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|(?P<minus>-)(?=\S)|
    (?P<term>(?P<field>[A-Za-z_][\w.]*):(?P<op><=|>=|<|>)?(?P<value>'[^']*'|"[^"]*"|[^\s()'"]+)
    |'[^']*'|"[^"]*"|[^\s()]+))""",
    re.VERBOSE,
)


@dataclass(slots=True)
class Search:
    """A parsed query. `lower` and `equal` are bounds that every match satisfies: a way in for an index."""

    matches: Predicate
    lower: dict[str, int] = field(default_factory=dict)
    equal: dict[str, int] = field(default_factory=dict)
    warnings: list[dict[str, str]] = field(default_factory=list)


class Unparsable(Exception):
    """A value that its field cannot take."""


def parse(text: str, fields: Mapping[str, str]) -> Search:
    """Read a query for a root whose filters are `fields` (name: time, day, id, number, bool, tag, tag_not or text)."""
    parser = _Parser(text, fields)
    search = parser.search
    search.matches = parser.alternatives()
    if parser.mixed:
        search.lower.clear()
        search.equal.clear()
    return search


class _Parser:
    def __init__(self, text: str, fields: Mapping[str, str]) -> None:
        self.fields = fields
        self.search = Search(lambda values: True)
        self.mixed = False
        self.tokens = list(_tokens(text))
        self.at = 0

    def peek(self) -> re.Match[str] | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def alternatives(self) -> Predicate:
        parts = [self.conjunction()]
        while (token := self.peek()) is not None and token["term"] == "OR":
            self.at += 1
            self.mixed = True
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else lambda values: any(part(values) for part in parts)

    def conjunction(self) -> Predicate:
        parts: list[Predicate] = []
        while (token := self.peek()) is not None and not token["close"] and token["term"] != "OR":
            if token["term"] == "AND":
                self.at += 1
                continue
            part = self.factor()
            if part is not None:
                parts.append(part)
        if len(parts) == 1:
            return parts[0]
        return lambda values: all(part(values) for part in parts)

    def factor(self) -> Predicate | None:
        token = self.tokens[self.at]
        self.at += 1
        if token["minus"] or token["term"] == "NOT":
            following = self.peek()
            if following is None or following["close"]:
                return None
            self.mixed = True
            inner = self.factor()
            return None if inner is None else (lambda values: not inner(values))
        if token["open"]:
            inside = self.alternatives()
            if (closing := self.peek()) is not None and closing["close"]:
                self.at += 1
            return inside
        if token["field"]:
            return self.term(token["field"], token["op"] or "", token["value"])
        word = _unquote(token["term"]).casefold()
        return lambda values: word in values["text"]

    def term(self, name: str, operator: str, raw: str) -> Predicate | None:
        kind = self.fields.get(name)
        if kind is None:
            self.warn(name, "Invalid search field for this query.", "invalid_field")
            return None
        try:
            low, high = _bounds(kind, operator, raw)
        except Unparsable as problem:
            self.warn(name, str(problem), "invalid_value")
            return None
        if kind in ("tag", "tag_not"):
            tag = _unquote(raw).casefold()
            return lambda values: (tag in values["tag"]) is (kind == "tag")
        if kind in ("text", "bool"):
            return _text(name, _unquote(raw).casefold())
        if low is not None:
            self.search.lower[name] = max(low, self.search.lower.get(name, low))
        if low is not None and low == high:
            self.search.equal[name] = low
        return _range(name, low, high)

    def warn(self, name: str, message: str, code: str) -> None:
        self.search.warnings.append({"field": name, "message": message, "code": code})


def _tokens(text: str) -> list[re.Match[str]]:
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            break
        found.append(match)
        at = match.end()
    return found


def _range(name: str, low: int | None, high: int | None) -> Predicate:
    def within(values: Values) -> bool:
        value = values[name]
        return value is not None and (low is None or value >= low) and (high is None or value <= high)

    return within


def _text(name: str, wanted: str) -> Predicate:
    if wanted.endswith("*"):
        return lambda values: str(values[name] or "").casefold().startswith(wanted[:-1])
    return lambda values: str(values[name] if values[name] is not None else "").casefold() == wanted


def _unquote(raw: str) -> str:
    return raw[1:-1] if len(raw) > 1 and raw[0] == raw[-1] and raw[0] in "'\"" else raw


def _bounds(kind: str, operator: str, raw: str) -> tuple[int | None, int | None]:
    """The inclusive range that a comparison admits."""
    text = _unquote(raw)
    if kind in ("time", "day"):
        if text == raw and "T" in text:
            raise Unparsable("Date values with a time must be quoted.")
        low = _instant(text)
        whole_day = kind == "day" or (not operator and "T" not in text)
        low -= low % DAY if whole_day else 0
        high = low + DAY - 1 if whole_day else low
    elif kind in ("id", "number"):
        try:
            low = high = int(text.rsplit("/", 1)[-1])
        except ValueError:
            raise Unparsable(f"Invalid number {text!r}.") from None
    else:
        return None, None
    if operator.startswith(">"):
        return low, None
    if operator.startswith("<"):
        return None, high
    return low, high


def _instant(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Unparsable(f"Invalid date {text!r}.") from None
    return int(moment.replace(tzinfo=UTC).timestamp())
