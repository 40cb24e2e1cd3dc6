"""Names and types: what may stand where. Everything found to be read is collected on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from mappings.vocabulary import Attribute, Function, Vocabulary
from sync.segments import tree as t
from sync.segments.problems import Problem, nearest

_NUMERIC = ("int", "float", "money")
_SAID = {
    "number": "a number",
    "date": "a date",
    "text": "a text",
    "bool": "true or false",
    "list": "a list",
    "id": "an id",
}
_TYPICAL = {
    "number": "a number such as 3 or 19.90",
    "date": "a day such as 2026-01-31, -30d or today",
    "text": "a 'text'",
    "bool": "true or false",
}


@dataclass(slots=True)
class Reads:
    """What a condition looks at."""

    attributes: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    figures: set[str] = field(default_factory=set)
    segments: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)


class Checker:
    """Checks one tree against a vocabulary; raises Problem at the first fault."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.reads = Reads()
        self.warnings: list[tuple[str, t.Span]] = []
        self._function: Function | None = None

    def condition(self, node: t.Condition) -> None:
        match node:
            case t.And(parts) | t.Or(parts):
                for part in parts:
                    self.condition(part)
            case t.Not(part):
                self.condition(part)
            case t.Flag(name):
                if self._attribute(name, node.at).kind != "bool":
                    raise Problem(f"'{name}' is {_said(self._kind_of(name, node.at))}, not a flag; compare it", node.at)
            case t.InSegment(key):
                self.reads.segments.add(key)
            case t.Matches():
                self._matches(node)
            case t.Compare():
                self._compare(node)
            case t.Between(value, low, high):
                kind = self.value(value)
                self._pair(value, kind, low)
                self._pair(value, kind, high)
                if kind not in ("number", "date"):
                    raise Problem(f"BETWEEN needs a number or a date, not {_said(kind)}", node.at)
                self._order(node)
            case t.In(value, options):
                kind = self.value(value)
                for option in options:
                    self._pair(value, kind, option)
            case t.IsNull(value):
                self.value(value)
            case t.Contains(value):
                self._contains(value, node)

    def value(self, node: t.Value) -> str:
        """The kind of a value: number, date, text, bool, list or id."""
        match node:
            case t.Number():
                return "number"
            case t.Text():
                return "text"
            case t.Truth():
                return "bool"
            case t.Day() | t.Relative():
                return "date"
            case t.Attribute(name):
                return self._kind_of(name, node.at)
            case t.Percentile(name):
                if self._outer(node.at) and _kind(self._attribute(name, node.at).kind) != "number":
                    raise Problem(f"percentile() needs a number, not {_said(self._kind_of(name, node.at))}", node.at)
                return "number"
            case t.Anniversary(name):
                if self._outer(node.at) and self._attribute(name, node.at).kind != "date":
                    raise Problem(f"anniversary() needs a date, not {_said(self._kind_of(name, node.at))}", node.at)
                return "date"
            case t.Figure(name):
                found = self.vocabulary.figures.get(name)
                if found is None:
                    raise Problem(f"unknown store figure '{name}'{nearest(name, self.vocabulary.figures)}", node.at)
                self.reads.figures.add(name)
                self.reads.sources.add(found.source)
                return _kind(found.kind)
            case t.Arithmetic():
                return self._arithmetic(node)

    def _arithmetic(self, node: t.Arithmetic) -> str:
        kinds = self.value(node.left), self.value(node.right)
        instants = all(isinstance(side, t.Attribute) for side in (node.left, node.right))
        if node.operator == "-" and kinds == ("date", "date") and instants:
            return "number"
        for side, kind in zip((node.left, node.right), kinds, strict=True):
            if kind != "number":
                raise Problem(f"'{node.operator}' needs numbers, and this is {_said(kind)}", side.at)
        return "number"

    def _compare(self, node: t.Compare) -> None:
        left, right = node.left, node.right
        if isinstance(left, t.LITERALS) and not isinstance(right, t.LITERALS):
            left, right = right, left
        kind = self.value(left)
        self._pair(left, kind, right)
        ordered = node.operator not in ("=", "!=")
        if ordered and kind in ("text", "bool", "id"):
            raise Problem(f"'{node.operator}' needs a number or a date, not {_said(kind)}; use = != or IN", node.at)
        if isinstance(left, t.Anniversary) and node.operator != "=":
            raise Problem("anniversary(...) is compared with =, BETWEEN or IN", node.at)
        if isinstance(right, t.Anniversary):
            raise Problem("anniversary(...) stands on the left", right.at)

    def _pair(self, left: t.Value, kind: str, right: t.Value) -> None:
        """The right side of a test must be of the left side's kind."""
        if kind == "list" and self._function is None:
            raise Problem(f"{t.value_text(left)} is a list; write {t.value_text(left)} CONTAINS 'text'", left.at)
        if self._function is not None and any(isinstance(one, t.Attribute) for one in t.walk(right)):
            raise Problem("an argument is compared with a fixed value, not with another name", right.at)
        other = self.value(right)
        wanted = "text" if kind == "list" else kind
        if wanted == "id":
            if _may_be_id(right):
                return
            raise Problem(
                "an id is a whole number, or a 'text' with digits in it, as the store's admin shows it", right.at
            )
        if other != wanted:
            typical = f"; write {_TYPICAL[wanted]}" if wanted in _TYPICAL else ""
            raise Problem(f"{t.value_text(left)} is {_said(kind)}, and this is {_said(other)}{typical}", right.at)
        if isinstance(left, t.Anniversary) and not isinstance(right, t.Day | t.Relative):
            raise Problem("anniversary(...) is compared with a day", right.at)
        if isinstance(left, t.Attribute) and isinstance(right, t.Text) and self._function is None:
            values = self.vocabulary.attributes[left.name].values
            if values and right.value not in values:
                hint = nearest(right.value, values) or f"; it is one of {', '.join(values)}"
                raise Problem(f"{left.name} is never {t.quote(right.value)}{hint}", right.at)

    def _contains(self, value: t.Value, node: t.Contains) -> None:
        kind = self.value(value)
        if kind != "list" and not (self._function and kind == "text"):
            raise Problem(f"{t.value_text(value)} is {_said(kind)}, not a list; use =", node.at)

    def _order(self, node: t.Between) -> None:
        low, high = node.low, node.high
        if isinstance(low, t.Number) and isinstance(high, t.Number):
            reversed_ = low.value > high.value
        elif isinstance(low, t.Relative) and isinstance(high, t.Relative):
            reversed_ = _rough(low) > _rough(high)
        elif isinstance(low, t.Day) and isinstance(high, t.Day):
            reversed_ = low.value > high.value
        else:
            reversed_ = False
        if reversed_:
            self.warnings.append(("BETWEEN is written with the larger value first and is never true", node.at))

    def _matches(self, node: t.Matches) -> None:
        functions: Mapping[str, Function] = self.vocabulary.functions
        if self._function is not None:
            raise Problem("MATCHES cannot stand inside MATCHES", node.at)
        function = functions.get(node.function)
        if function is None:
            raise Problem(f"unknown function '{node.function}'{nearest(node.function, functions)}", node.at)
        self.reads.functions.add(function.name)
        self.reads.sources.add(function.source)
        self._function = function
        for argument in node.arguments:
            self.condition(argument)
        self._function = None

    def _outer(self, at: t.Span) -> bool:
        if self._function is not None:
            raise Problem("an argument is compared with a fixed value, not with the customer's own", at)
        return True

    def _attribute(self, name: str, at: t.Span) -> Attribute:
        attributes = self.vocabulary.attributes
        found = attributes.get(name)
        if found is None:
            if name in self.vocabulary.functions:
                raise Problem(f"'{name}' is a function; write {name} MATCHES (...)", at)
            raise Problem(f"unknown attribute '{name}'{nearest(name, attributes)}", at)
        self.reads.attributes.add(name)
        self.reads.sources.update((found.source, *found.needs))
        return found

    def _kind_of(self, name: str, at: t.Span) -> str:
        if self._function is None:
            return _kind(self._attribute(name, at).kind)
        kind = self._function.arguments.get(name)
        if kind is None:
            known = self._function.arguments
            hint = nearest(name, known) or f"; it takes {', '.join(known)}"
            raise Problem(f"{self._function.name} has no argument '{name}'{hint}", at)
        if name in self._function.needs:
            self.reads.sources.add(self._function.needs[name])
        return _kind(kind)


def _kind(declared: str) -> str:
    return "number" if declared in _NUMERIC else declared


def _may_be_id(node: t.Value) -> bool:
    if isinstance(node, t.Number):
        return node.value >= 0 and node.value == node.value.to_integral_value()
    return isinstance(node, t.Text) and any(character.isdigit() for character in node.value)


def _said(kind: str) -> str:
    return _SAID[kind]


def _rough(day: t.Relative) -> Decimal:
    return day.amount * {"d": Decimal(1), "w": Decimal(7), "m": Decimal("30.4"), "y": Decimal("365.2")}[day.unit]
