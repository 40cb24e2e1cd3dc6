"""A condition as a tree of frozen values. Positions travel along and take no part in comparison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stands in its text: 1-based line and column, and the offsets [start, end)."""

    line: int = 1
    column: int = 1
    start: int = 0
    end: int = 0


_NOWHERE = Span()


@dataclass(frozen=True, slots=True)
class Located:
    """What every node carries besides its meaning."""

    at: Span = field(default=_NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Number(Located):
    value: Decimal


@dataclass(frozen=True, slots=True)
class Text(Located):
    value: str


@dataclass(frozen=True, slots=True)
class Truth(Located):
    value: bool


@dataclass(frozen=True, slots=True)
class Day(Located):
    """A day of the calendar."""

    value: date


@dataclass(frozen=True, slots=True)
class Relative(Located):
    """A day counted from today: `amount` days, weeks, calendar months or calendar years (d w m y)."""

    amount: int
    unit: str


@dataclass(frozen=True, slots=True)
class Attribute(Located):
    """An attribute of the customer; inside MATCHES an argument of the event."""

    name: str


@dataclass(frozen=True, slots=True)
class Percentile(Located):
    """Where the customer stands among buyers by a numeric attribute, 0 to 100."""

    attribute: str


@dataclass(frozen=True, slots=True)
class Figure(Located):
    """A figure of the whole store."""

    name: str


@dataclass(frozen=True, slots=True)
class Anniversary(Located):
    """The month and day of a date, whatever the year."""

    attribute: str


@dataclass(frozen=True, slots=True)
class Arithmetic(Located):
    operator: str
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Compare(Located):
    operator: str
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Between(Located):
    value: Value
    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class In(Located):
    value: Value
    options: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class IsNull(Located):
    value: Value


@dataclass(frozen=True, slots=True)
class Contains(Located):
    value: Value
    text: str


@dataclass(frozen=True, slots=True)
class Flag(Located):
    """A boolean attribute standing alone."""

    name: str


@dataclass(frozen=True, slots=True)
class InSegment(Located):
    key: str


@dataclass(frozen=True, slots=True)
class Matches(Located):
    """Events of `function` that meet every argument; each argument is a test of an Attribute named like it."""

    function: str
    arguments: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not(Located):
    part: Condition


@dataclass(frozen=True, slots=True)
class And(Located):
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or(Located):
    parts: tuple[Condition, ...]


Value = Number | Text | Truth | Day | Relative | Attribute | Percentile | Figure | Anniversary | Arithmetic
Test = Compare | Between | In | IsNull | Contains | Flag | InSegment | Matches
Condition = Test | Not | And | Or
Node = Value | Condition
TESTS = (Compare, Between, In, IsNull, Contains, Flag, InSegment, Matches)
VALUES = (Number, Text, Truth, Day, Relative, Attribute, Percentile, Figure, Anniversary, Arithmetic)
LITERALS = (Number, Text, Truth, Day, Relative)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below, in the order they are written."""
    match node:
        case And() | Or():
            return node.parts
        case Not():
            return (node.part,)
        case Compare() | Arithmetic():
            return (node.left, node.right)
        case Between():
            return (node.value, node.low, node.high)
        case In():
            return (node.value, *node.options)
        case IsNull() | Contains():
            return (node.value,)
        case Matches():
            return node.arguments
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, arguments of functions excepted."""
    yield node
    if not isinstance(node, Matches):
        for child in children(node):
            yield from walk(child)


def constant(node: Value) -> Decimal | None:
    """What a value without names comes to; None where there are names, or a division by zero."""
    match node:
        case Number(value):
            return value
        case Arithmetic(operator, left, right):
            return calculate(operator, constant(left), constant(right))
        case _:
            return None


def calculate(operator: str, left: Decimal | None, right: Decimal | None) -> Decimal | None:
    """One step of arithmetic; unknown in, unknown out."""
    if left is None or right is None:
        return None
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            return left / right if right else None


_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2}
_NAMED = {(0, "d"): "today", (-1, "d"): "yesterday"}


def quote(text: str) -> str:
    """As the language writes a text."""
    return "'" + text.replace("'", "''") + "'"


def value_text(node: Value) -> str:
    """A value as the language writes it."""
    match node:
        case Number(value):
            return format(value, "f")
        case Text(value):
            return quote(value)
        case Truth(value):
            return "true" if value else "false"
        case Day(value):
            return value.isoformat()
        case Relative(amount, unit):
            return _NAMED.get((amount, unit), f"{amount:+d}{unit}")
        case Attribute(name):
            return name
        case Percentile(name):
            return f"percentile({name})"
        case Figure(name):
            return f"store({quote(name)})"
        case Anniversary(name):
            return f"anniversary({name})"
        case Arithmetic(operator, left, right):
            binding = _BINDING[operator]
            return f"{_operand(left, binding)} {operator} {_operand(right, binding + 1)}"


def _operand(node: Value, binding: int) -> str:
    text = value_text(node)
    return f"({text})" if isinstance(node, Arithmetic) and _BINDING[node.operator] < binding else text


def _test_text(node: Condition, negated: bool) -> str | None:
    """A test, with its own NOT where it has one; None where NOT stands in front."""
    word = "NOT " if negated else ""
    match node:
        case Between(value, low, high):
            return f"{value_text(value)} {word}BETWEEN {value_text(low)} AND {value_text(high)}"
        case In(value, options):
            return f"{value_text(value)} {word}IN ({', '.join(value_text(option) for option in options)})"
        case IsNull(value):
            return f"{value_text(value)} IS {word}NULL"
        case Contains(value, text):
            return f"{value_text(value)} {word}CONTAINS {quote(text)}"
        case InSegment(key):
            return f"{word}IN SEGMENT {quote(key)}"
        case Matches(function, arguments):
            return f"{function} {word}MATCHES ({', '.join(to_text(argument) for argument in arguments)})"
        case Compare(operator, left, right) if not negated:
            return f"{value_text(left)} {operator} {value_text(right)}"
        case Flag(name) if not negated:
            return name
        case _:
            return None


def to_text(node: Condition) -> str:
    """The condition in canonical form: `parse` of it gives an equal tree."""
    match node:
        case And(parts):
            return " AND ".join(_grouped(part, And | Or) for part in parts)
        case Or(parts):
            return " OR ".join(_grouped(part, Or) for part in parts)
        case Not(part):
            return _test_text(part, negated=True) or f"NOT {_grouped(part, And | Or)}"
        case _:
            text = _test_text(node, negated=False)
            assert text is not None
            return text


def _grouped(node: Condition, kinds: object) -> str:
    text = to_text(node)
    return f"({text})" if isinstance(node, kinds) else text  # type: ignore[arg-type]
