"""How Mailchimp's requests select, page and trim, and how its errors look. Pure.

https://mailchimp.com/developer/marketing/docs/methods-parameters/, https://mailchimp.com/developer/marketing/docs/errors/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

PAGE = 10
LARGEST_PAGE = 1000


@dataclass(slots=True)
class Problem(Exception):
    """An answer that is a problem document. `errors` are (field, message)."""

    status: int
    title: str
    detail: str
    errors: tuple[tuple[str, str], ...] = ()


def invalid(detail: str, *errors: tuple[str, str]) -> Problem:
    """What a document or parameter gets that Mailchimp does not take."""
    return Problem(400, "Invalid Resource", detail, errors)


def malformed(*errors: tuple[str, str]) -> Problem:
    """Fields of the wrong shape, or missing."""
    text = "The resource submitted could not be validated. For field-specific details, see the 'errors' array."
    return invalid(text, *errors)


def missing() -> Problem:
    """Whatever the path names does not exist."""
    return Problem(404, "Resource Not Found", "The requested resource could not be found.")


def page(query: Mapping[str, str], found: Sequence[Any]) -> Sequence[Any]:
    """The part of `found` that `count` and `offset` ask for."""
    count = _number(query, "count", PAGE)
    offset = _number(query, "offset", 0)
    if count > LARGEST_PAGE:
        raise malformed(("count", f"This value should be less than or equal to {LARGEST_PAGE}."))
    return found[offset : offset + count]


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isdecimal():
        raise malformed((name, "Schema describes integer, string found instead"))
    return int(text)


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean of the query; absent is false."""
    text = query.get(name, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise malformed((name, "Schema describes boolean, string found instead"))
    return text in ("true", "1")


def choice(query: Mapping[str, str], name: str, allowed: Sequence[str]) -> str | None:
    """One of a fixed set of values; None if absent."""
    text = query.get(name)
    if text is not None and text not in allowed:
        raise malformed((name, f"This value should be one of: {', '.join(allowed)}"))
    return text


def instant(query: Mapping[str, str], name: str) -> float | None:
    """An ISO 8601 time. A `+` of the zone that was sent bare arrives as a space and is refused."""
    text = query.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise malformed((name, "Please provide a valid ISO 8601 datetime.")) from error
    if " " in text:
        raise malformed((name, "Please provide a valid ISO 8601 datetime."))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def iso(at: float | None) -> str:
    """Whole seconds, as Mailchimp writes them; an empty text where there is no time."""
    return "" if at is None else datetime.fromtimestamp(int(at), UTC).isoformat()


_Tree = dict[str, Any]


class Selection:
    """`fields` and `exclude_fields`: dotted paths of what an answer holds. Unknown paths select nothing."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._kept = _tree(query["fields"]) if query.get("fields") else None
        self._dropped = _tree(query.get("exclude_fields", ""))

    def wants(self, key: str, inside: str = "") -> bool:
        """Whether the property `key` (of the entries of `inside`) will be in the answer."""
        kept, dropped = self._kept, self._dropped
        if inside:
            kept = {} if kept is not None and inside not in kept else (kept or {}).get(inside)
            dropped = dropped.get(inside, {}) or {}
        return (kept is None or key in kept) and not (key in dropped and dropped[key] is None)

    def trim(self, document: Any) -> Any:
        """The document with only what was asked for."""
        kept = document if self._kept is None else _keep(document, self._kept)
        return _drop(kept, self._dropped) if self._dropped else kept


def _tree(text: str) -> _Tree:
    """Nested names; None stands for everything below."""
    root: _Tree = {}
    for path in filter(None, text.split(",")):
        node = root
        *steps, last = path.strip().split(".")
        for step in steps:
            inner = node.setdefault(step, {})
            if inner is None:
                break
            node = inner
        else:
            node[last] = None
    return root


def _keep(node: Any, tree: _Tree) -> Any:
    if isinstance(node, list):
        return [_keep(each, tree) for each in node]
    if not isinstance(node, dict):
        return node
    return {key: value if tree[key] is None else _keep(value, tree[key]) for key, value in node.items() if key in tree}


def _drop(node: Any, tree: _Tree) -> Any:
    if isinstance(node, list):
        return [_drop(each, tree) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _drop(value, tree[key]) if tree.get(key) else value
        for key, value in node.items()
        if key not in tree or tree[key] is not None
    }
