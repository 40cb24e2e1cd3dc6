"""The vocabulary of the executor: what types offer, what a run carries, what a compiled operation is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector.shopify.sandbox_cost import Priced, Rows

MAX_PAGE = 250


class Refused(Exception):
    """The document or its variables will never run."""

    def __init__(self, message: str, code: str, **extensions: Any) -> None:
        super().__init__(message)
        self.error = {"message": message, "extensions": {"code": code, **extensions}}


@dataclass(slots=True)
class Run:
    """One execution. `denied` collects the fields that were withheld, with the object they are missing from."""

    site: Any
    variables: Mapping[str, Any]
    denied: list[tuple[dict[str, Any], str, dict[str, Any]]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    rows: Rows = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slice:
    """A page of a connection: nodes and their cursors."""

    nodes: Sequence[Any]
    cursors: Callable[[int], str]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True, slots=True)
class Field:
    """What a type offers under a name.

    `get` takes the object, or (object, arguments, run) where the field has `args` or is `active`. `of` is the type of
    an object, None for a scalar. `needs` is a scope, `private` marks protected customer data of level 2.
    """

    get: Callable[..., Any]
    of: str | None = None
    many: bool = False
    connection: bool = False
    args: tuple[str, ...] = ()
    active: bool = False
    mutation: bool = False
    needs: str | None = None
    private: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """Types by name. `kind_of` names the concrete type of an object of an abstract one; `values` are types whose
    objects are hashable and always look the same."""

    types: Mapping[str, Mapping[str, Field]]
    abstract: frozenset[str]
    values: frozenset[str]
    kind_of: Callable[[Any], str]


Render = Callable[[Any, Run], Any]


@dataclass(frozen=True, slots=True)
class Compiled:
    """An operation ready to run."""

    kind: str
    name: str
    render: Render
    cost: Priced
    required: tuple[tuple[str, str], ...]
    defaults: Mapping[str, Any]
    known: frozenset[str]

    def variables(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Check and complete the variables."""
        for name, kind in self.required:
            if given.get(name) is None:
                text = f"Variable ${name} of type {kind} was provided invalid value"
                raise Refused(
                    text,
                    "INVALID_VARIABLE",
                    value=None,
                    problems=[{"path": [], "explanation": "Expected value to not be null"}],
                )
        return {**self.defaults, **{name: value for name, value in given.items() if name in self.known}}
