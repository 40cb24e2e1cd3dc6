"""The vocabulary as values: attributes from `metrics.toml`, functions from `functions.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
KINDS = ("int", "float", "money", "date", "text", "bool", "list")
LAYERS = ("profile", "personal", "store", "rank", "age", "figure")


class VocabularyError(Exception):
    """A declaration that makes no sense; a fault of the product, not of its user."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a customer. `of` is the date an age is computed from; `zero`: 0, not NULL, without orders.

    `source` is the stream or feed without which the attribute is unavailable; so are those of `needs` that the store
    has.
    """

    name: str
    kind: str
    layer: str
    meaning: str
    unit: str | None = None
    of: str | None = None
    zero: bool = False
    clock: bool = False
    values: tuple[str, ...] = ()
    source: str = "orders"
    needs: tuple[str, ...] = ()

    @property
    def money(self) -> bool:
        """Kept in minor units, whether whole (sums) or not (averages)."""
        return self.kind == "money" or self.unit == "money"


@dataclass(frozen=True, slots=True)
class Function:
    """Events of one kind and the arguments that pick among them: name to kind.

    `aggregates` are the arguments that look at all matching events together (count, sums). `needs` names a further
    source of an argument, where the store has it.
    """

    name: str
    meaning: str
    source: str
    arguments: Mapping[str, str]
    aggregates: frozenset[str]
    needs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All names a condition may use."""

    attributes: Mapping[str, Attribute]
    functions: Mapping[str, Function]
    figures: Mapping[str, Attribute]


def _attribute(name: str, row: Mapping[str, object]) -> Attribute:
    kind, layer = str(row["type"]), str(row["layer"])
    if kind not in KINDS or layer not in LAYERS:
        raise VocabularyError(f"metrics.toml: {name}: type {kind!r}, layer {layer!r}")
    values, needs = row.get("values", []), row.get("needs", [])
    return Attribute(
        name=name,
        kind=kind,
        layer=layer,
        meaning=str(row["meaning"]),
        unit=str(row["unit"]) if "unit" in row else None,
        of=str(row["of"]) if "of" in row else None,
        zero=row.get("null") == "zero",
        clock=bool(row.get("clock", False)),
        values=tuple(str(value) for value in values) if isinstance(values, list) else (),
        source=str(row.get("source", "customers" if layer == "profile" else "orders")),
        needs=tuple(str(stream) for stream in needs) if isinstance(needs, list) else (),
    )


@cache
def load_vocabulary(folder: Path = FOLDER) -> Vocabulary:
    """Read once per process."""
    rows = tomllib.loads((folder / "metrics.toml").read_text("utf-8"))
    declared = {name: _attribute(name, row) for name, row in rows.items()}
    functions = {
        name: Function(
            name=name,
            meaning=row["meaning"],
            source=row["source"],
            arguments=row["arguments"],
            aggregates=frozenset(row["aggregates"]),
            needs=row.get("needs", {}),
        )
        for name, row in tomllib.loads((folder / "functions.toml").read_text("utf-8")).items()
    }
    return Vocabulary(
        attributes={name: one for name, one in declared.items() if one.layer != "figure"},
        functions=functions,
        figures={name: one for name, one in declared.items() if one.layer == "figure"},
    )
