"""Text to tree. The grammar stands in `grammar.lark`; Shopify's own language is a subset of it
(https://shopify.dev/docs/api/shopifyql/segment-query-language-reference)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from mappings.vocabulary import Vocabulary, load_vocabulary
from sync.segments import tree as t
from sync.segments.problems import Origin, Problem
from sync.segments.types import Checker, Reads

_SHOWN = {
    "_AND": "AND",
    "_OR": "OR",
    "NOT": "NOT",
    "_BETWEEN": "BETWEEN",
    "_IN": "IN",
    "_IS": "IS",
    "_NULL": "NULL",
    "_CONTAINS": "CONTAINS",
    "_MATCHES": "MATCHES",
    "_SEGMENT": "SEGMENT",
    "OPERATOR": "= != < <= > >=",
    "NUMBER": "a number",
    "TEXT": "a 'text'",
    "NAME": "a name",
    "DAY": "a date",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "$END": "the end",
}
MOST_TESTS = 400
"""SQLite takes expressions 1,000 levels deep (https://www.sqlite.org/limits.html); a chain of OR is as deep as long."""
_UNITS = {"day": "d", "week": "w", "month": "m", "year": "y"}


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition that has passed every check but the existence of the segments it names."""

    tree: t.Condition
    text: str
    warnings: tuple[str, ...]
    reads: frozenset[str]
    functions: frozenset[str]
    figures: frozenset[str]
    segments: frozenset[str]
    sources: frozenset[str]


@cache
def _parser() -> Lark:
    grammar = (Path(__file__).parent / "grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=True, maybe_placeholders=True)


def parse(
    text: str,
    *,
    file: str = "condition",
    line: int = 1,
    key: str | None = None,
    origin: Origin | None = None,
    vocabulary: Vocabulary | None = None,
) -> Rule:
    """Read and check one condition; raises SegmentError naming file, line and the nearest name, with a caret."""
    origin = origin or Origin(file=file, line=line, key=key)
    try:
        builder = _Builder()
        condition = builder.condition(_read(text).children[0])
        tests = sum(isinstance(node, t.TESTS) for node in t.walk(condition))
        if tests > MOST_TESTS:
            raise Problem(f"has {tests} tests, more than {MOST_TESTS}; use IN (...) or split it", t.Span())
        checker = Checker(vocabulary or load_vocabulary())
        checker.condition(condition)
    except Problem as problem:
        raise origin.error(problem, text) from None
    except RecursionError:
        raise origin.error(Problem("is nested too deeply; split it into segments", t.Span()), text) from None
    reads: Reads = checker.reads
    warnings = tuple(f"{origin.head(at)}: {words}" for words, at in (*builder.warnings, *checker.warnings))
    return Rule(
        tree=condition,
        text=text,
        warnings=warnings,
        reads=frozenset(reads.attributes),
        functions=frozenset(reads.functions),
        figures=frozenset(reads.figures),
        segments=frozenset(reads.segments),
        sources=frozenset(reads.sources),
    )


def _read(text: str) -> Tree[Token]:
    if not text.strip():
        raise Problem("the condition is empty", t.Span())
    try:
        return _parser().parse(text)
    except UnexpectedInput as error:
        raise _misread(error, text) from None


def _misread(error: UnexpectedInput, text: str) -> Problem:
    """Lark's complaint in the user's words."""
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        at = t.Span(error.line, error.column, error.pos_in_stream or 0, error.token.end_pos or 0)
        return Problem(f"unexpected '{error.token}'{_expected(error.accepts or error.expected)}", at)
    if isinstance(error, UnexpectedCharacters):
        rest = text[error.pos_in_stream or 0 :]
        start = error.pos_in_stream or 0
        at = t.Span(error.line, error.column, start, start + 1)
        if rest.startswith("'"):
            return Problem("the text that begins here has no closing '", at)
        word = rest.split()[0]
        hint = ""
        if word[0].isdigit() and word[-1:].lower() in "dwmy":
            hint = "; a number of days back is written -30d"
        elif word[0] in '"“”‘’':
            hint = "; texts stand between ' and '"
        return Problem(f"cannot read '{word}'{hint}", at)
    end = text.rstrip()
    line = end.count("\n") + 1
    column = len(end) - (end.rfind("\n") + 1) + 1
    expected = error.accepts or error.expected if isinstance(error, UnexpectedToken) else None
    if isinstance(error, UnexpectedEOF):
        expected = set(error.expected)
    return Problem(f"the condition ends too early{_expected(expected)}", t.Span(line, column, len(end), len(end)))


def _expected(names: set[str] | None) -> str:
    shown = [_SHOWN[name] for name in _SHOWN if names and name in names]
    return f"; expected {', '.join(shown)}" if shown else ""


def _span(node: Tree[Token] | Token) -> t.Span:
    if isinstance(node, Token):
        return t.Span(node.line or 1, node.column or 1, node.start_pos or 0, node.end_pos or 0)
    meta = node.meta
    return t.Span(meta.line, meta.column, meta.start_pos, meta.end_pos)


def _unquote(token: Token) -> str:
    return str(token)[1:-1].replace("''", "'")


class _Builder:
    """Tells conditions from values in lark's tree; names and types are the Checker's."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, t.Span]] = []

    def condition(self, node: Tree[Token] | Token) -> t.Condition:
        assert isinstance(node, Tree)
        at, parts = _span(node), node.children
        match node.data:
            case "or_":
                return t.Or(tuple(self.condition(part) for part in parts), at=at)
            case "and_":
                return t.And(tuple(self.condition(part) for part in parts), at=at)
            case "negation":
                return t.Not(self.condition(parts[1]), at=at)
            case "compare":
                return t.Compare(str(parts[1]), self.value(parts[0]), self.value(parts[2]), at=at)
            case "between":
                subject, negated, low, high = parts
                made: t.Condition = t.Between(self.value(subject), self.value(low), self.value(high), at=at)
            case "in_":
                subject, negated, *options = parts
                made = t.In(self.value(subject), tuple(self.value(option) for option in options), at=at)
            case "is_null":
                subject, negated = parts
                made = t.IsNull(self.value(subject), at=at)
            case "contains":
                subject, negated, text = parts
                made = t.Contains(self.value(subject), self._text(text), at=at)
            case "matches":
                subject, negated, arguments = parts
                made = t.Matches(self._name(subject), tuple(self._arguments(arguments)), at=at)
            case "in_segment":
                return t.InSegment(_unquote(_token(parts[0])), at=at)
            case "attribute":
                return t.Flag(str(parts[0]).lower(), at=at)
            case _:
                raise Problem("this is a value, not a condition; compare it with something", at)
        return t.Not(made, at=at) if negated is not None else made

    def value(self, node: Tree[Token] | Token) -> t.Value:
        assert isinstance(node, Tree)
        at, parts = _span(node), node.children
        match node.data:
            case "number":
                return t.Number(Decimal(str(parts[0])), at=at)
            case "signed":
                return t.Number(Decimal(f"{parts[0]}{parts[1]}"), at=at)
            case "text":
                return t.Text(_unquote(_token(parts[0])), at=at)
            case "true" | "false":
                return t.Truth(node.data == "true", at=at)
            case "attribute":
                return t.Attribute(str(parts[0]).lower(), at=at)
            case "arithmetic":
                value = self.value(parts[0])
                for sign, right in zip(parts[1::2], parts[2::2], strict=True):
                    operand = self.value(right)
                    value = t.Arithmetic(str(sign), value, operand, at=replace(at, end=operand.at.end))
                return value
            case "call":
                return self._call(str(parts[0]).lower(), parts[1], at)
            case "day" | "relative" | "named" | "today" | "yesterday":
                return self._day(node, at)
            case _:
                raise Problem("this is a condition, not a value", at)

    def _day(self, node: Tree[Token], at: t.Span) -> t.Value:
        word = str(node.children[0]).lower() if node.children else ""
        match node.data:
            case "today":
                return t.Relative(0, "d", at=at)
            case "yesterday":
                return t.Relative(-1, "d", at=at)
            case "relative":
                return t.Relative(int(word[:-1]), word[-1], at=at)
            case "named":
                amount, unit, _ = word.split("_")
                short = f"-{int(amount)}{_UNITS[unit.rstrip('s')]}"
                self.warnings.append((f"'{word}' is an old form; write {short}", at))
                return t.Relative(-int(amount), short[-1], at=at)
            case _:
                try:
                    return t.Day(date.fromisoformat(word), at=at)
                except ValueError:
                    raise Problem(f"{word} is no day of the calendar", at) from None

    def _call(self, name: str, inner: Tree[Token] | Token, at: t.Span) -> t.Value:
        match name:
            case "percentile":
                return t.Percentile(self._name(inner), at=at)
            case "anniversary":
                return t.Anniversary(self._name(inner), at=at)
            case "store":
                return t.Figure(self._text(inner), at=at)
            case _:
                raise Problem(f"unknown function '{name}'; there are percentile, store and anniversary", at)

    def _arguments(self, node: Tree[Token] | Token | None) -> Iterator[t.Condition]:
        for part in node.children if isinstance(node, Tree) else ():
            argument = self.condition(part)
            test = argument.part if isinstance(argument, t.Not) else argument
            if not isinstance(test, t.Compare | t.Between | t.In | t.Contains):
                raise Problem("an argument is name = value, or with != < <= > >= BETWEEN IN CONTAINS", _span(part))
            subject = test.left if isinstance(test, t.Compare) else test.value
            if not isinstance(subject, t.Attribute):
                raise Problem("an argument begins with its name", subject.at)
            yield argument

    def _name(self, node: Tree[Token] | Token) -> str:
        if isinstance(node, Tree) and node.data == "attribute":
            return str(node.children[0]).lower()
        raise Problem("a name stands here", _span(node))

    def _text(self, node: Tree[Token] | Token) -> str:
        if isinstance(node, Tree) and node.data == "text":
            return _unquote(_token(node.children[0]))
        raise Problem("a 'text' stands here", _span(node))


def _token(node: Tree[Token] | Token) -> Token:
    assert isinstance(node, Token)
    return node
