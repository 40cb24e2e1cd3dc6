"""A condition in plain English, for people who did not write it."""

from __future__ import annotations

from collections.abc import Iterator

from mappings.vocabulary import load_vocabulary
from sync.metrics.lifecycle import AT_RISK, LAPSED, LOST_DAYS, LOYAL_ORDERS, LOYAL_QUARTERS, WINBACK
from sync.segments import tree as t

_COMPARED = {
    "=": "is",
    "!=": "is not",
    "<": "is less than",
    "<=": "is at most",
    ">": "is more than",
    ">=": "is at least",
}
_DATED = {
    "=": "is on",
    "!=": "is not on",
    "<": "is before",
    "<=": "is on or before",
    ">": "is after",
    ">=": "is on or after",
}
_UNITS = {"d": "day", "w": "week", "m": "month", "y": "year"}
_EVENTS = {
    "orders_placed": "an order was placed",
    "products_purchased": "a product was bought",
    "products_in_cart": "a product is in an open cart",
    "checkouts_abandoned": "a checkout was left open",
    "storefront.product_viewed": "a product page was viewed",
    "storefront.page_viewed": "a page was viewed",
    "storefront.collection_viewed": "a collection was viewed",
    "email.opened": "an e-mail was opened",
    "email.clicked": "an e-mail was clicked",
    "email.received": "an e-mail was received",
    "email.bounced": "an e-mail bounced",
    "email.unsubscribed": "an e-mail was answered by unsubscribing",
    "events": "an event was recorded",
}
_EXPECTED = "the days expected between two orders"
_STAGES = {
    "aware": "no order, and no cart in the last 30 days",
    "consideration": "no order, but a cart in the last 30 days",
    "new": f"one order, no longer ago than {AT_RISK} times {_EXPECTED}",
    "active": f"two orders or more, the last no longer ago than {AT_RISK} times {_EXPECTED}, and not loyal",
    "loyal": f"{LOYAL_ORDERS} orders or more in at least {LOYAL_QUARTERS} quarters, the last no longer ago than "
    f"{AT_RISK} times {_EXPECTED}",
    "at-risk": f"no order for more than {AT_RISK} and up to {WINBACK} times {_EXPECTED}",
    "winback": f"no order for more than {WINBACK} and up to {LAPSED} times {_EXPECTED}",
    "lapsed": f"no order for more than {LAPSED} times {_EXPECTED}, but for less than {LOST_DAYS} days",
    "lost": f"no order for more than {LAPSED} times {_EXPECTED}, and for {LOST_DAYS} days or more",
}


def stages(node: t.Condition) -> Iterator[str]:
    """The limits of each stage that the condition names: `lifecycle_stage` alone tells an owner little."""
    named = [found for each in t.walk(node) for found in _stages_of(each)]
    yield from (f"{name}: {_STAGES[name]}" for name in dict.fromkeys(named) if name in _STAGES)


def _stages_of(node: t.Node) -> list[str]:
    match node:
        case t.Compare(_, t.Attribute("lifecycle_stage"), t.Text(name)):
            return [name]
        case t.In(t.Attribute("lifecycle_stage"), options):
            return [option.value for option in options if isinstance(option, t.Text)]
        case _:
            return []


def words(node: t.Condition) -> str:
    """The condition as one sentence without its full stop."""
    match node:
        case t.And(parts):
            return " and ".join(_part(part) for part in parts)
        case t.Or(parts):
            return " or ".join(_part(part, t.And) for part in parts)
        case t.Not(part):
            return _negated(part)
        case t.Compare(operator, left, right):
            said = _DATED if isinstance(right, t.Day | t.Relative) else _COMPARED
            return f"{value(left)} {said[operator]} {value(right)}"
        case t.Between(subject, low, high):
            return f"{value(subject)} is between {value(low)} and {value(high)}"
        case t.In(subject, options):
            return f"{value(subject)} is {_either(options)}"
        case t.IsNull(subject):
            return f"{value(subject)} {'are empty' if _is_list(subject) else 'is not known'}"
        case t.Contains(subject, text):
            return f"{value(subject)} include {t.quote(text)}"
        case t.Flag(name):
            return name.replace("_", " ")
        case t.InSegment(key):
            return f"the customer is in segment {key}"
        case t.Matches(function, arguments):
            return _EVENTS[function] + _such(arguments)


def _negated(part: t.Condition) -> str:
    match part:
        case t.Between(subject, low, high):
            return f"{value(subject)} is not between {value(low)} and {value(high)}"
        case t.In(subject, options):
            return f"{value(subject)} is not {_either(options)}"
        case t.IsNull(subject):
            return f"{value(subject)} {'are not empty' if _is_list(subject) else 'is known'}"
        case t.Contains(subject, text):
            return f"{value(subject)} do not include {t.quote(text)}"
        case t.InSegment(key):
            return f"the customer is not in segment {key}"
        case t.Matches(function, arguments):
            return f"it is not so that {_EVENTS[function]}{_such(arguments)}"
        case _:
            return f"it is not so that ({words(part)})"


def _part(node: t.Condition, *bare: type) -> str:
    return f"({words(node)})" if isinstance(node, t.And | t.Or) and not isinstance(node, bare) else words(node)


def _such(arguments: tuple[t.Condition, ...]) -> str:
    return f" ({', '.join(words(argument) for argument in arguments)})" if arguments else ""


def _either(options: tuple[t.Value, ...]) -> str:
    shown = [value(option) for option in options]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def value(node: t.Value) -> str:
    """A value in words."""
    match node:
        case t.Attribute(name):
            return name.replace("_", " ")
        case t.Relative(amount, unit):
            return relative(amount, unit)
        case t.Percentile(name):
            return f"the percentile of {name.replace('_', ' ')} among buyers"
        case t.Figure(name):
            return f"the shop's {name.replace('_', ' ')}"
        case t.Anniversary(name):
            return f"the anniversary of {name.replace('_', ' ')}"
        case t.Arithmetic(operator, left, right):
            constant = t.constant(node)
            return f"{_operand(left)} {operator} {_operand(right)}" if constant is None else format(constant, "f")
        case _:
            return t.value_text(node)


def _is_list(node: t.Value) -> bool:
    return isinstance(node, t.Attribute) and load_vocabulary().attributes[node.name].kind == "list"


def _operand(node: t.Value) -> str:
    return f"({value(node)})" if isinstance(node, t.Arithmetic) else value(node)


def relative(amount: int, unit: str) -> str:
    """`-30d` is 30 days ago."""
    if not amount:
        return "today"
    if (amount, unit) == (-1, "d"):
        return "yesterday"
    number = abs(amount)
    span = f"{number} {_UNITS[unit]}{'' if number == 1 else 's'}"
    return f"{span} ago" if amount < 0 else f"{span} from today"
