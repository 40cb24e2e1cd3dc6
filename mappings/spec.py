"""What a mapping file may say.

A file names streams; a stream names tables; a table names columns. Five verbs make a column:

    path      where the value stands in the record: `a.b.c`; `.` is the item itself; a leading `^` starts at the record
              instead of at the item of a table with `each`
    type      gid id int money instant text key bool; a trailing `?` lets the value be missing (NULL)
    default   the column's value where the record has none
    const     the same value for every row
    map       the record's value to the column's; `*` stands for every other value

A table with `each` has a row for every item of that list of the record. `money` is decimal text in the
currency found at the stream's `currency`. `gid` is the number at the end of a path, `id` the key (`mappings.keys`) of
an id that may be any text, `key` text for comparing.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["gid", "id", "int", "money", "instant", "text", "key", "bool"]
KINDS: tuple[str, ...] = ("gid", "id", "int", "money", "instant", "text", "key", "bool")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """How one column is filled."""

    path: str | None = None
    type: str = "text"
    default: Any = None
    const: Any = None
    map: dict[str, str | int | bool] = Field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The type without its `?`."""
        return self.type.removesuffix("?")

    @property
    def optional(self) -> bool:
        """True where a record may lack the value."""
        return self.type.endswith("?") or self.default is not None

    @property
    def rooted(self) -> bool:
        """True where the value is the same for all rows of a record."""
        return self.path is None or self.path.startswith("^")

    @model_validator(mode="after")
    def _whole(self) -> Column:
        if (self.path is None) == (self.const is None):
            raise ValueError("a column has either a path or a const")
        if self.const is not None and self.model_fields_set - {"const"}:
            raise ValueError("a const stands alone")
        if self.kind not in KINDS:
            raise ValueError(f"no type {self.type!r}; known: {', '.join(KINDS)}")
        if self.path is not None and self.path != "." and "" in self.path.removeprefix("^").split("."):
            raise ValueError(f"not a path: {self.path!r}")
        return self


class Table(_Strict):
    """Rows of one table: one for the record, or one for each item of a list in it."""

    each: str | None = None
    columns: dict[str, Column]


class StreamSpec(_Strict):
    """One kind of record. `record` is the path of the id that errors name."""

    record: str
    currency: str | None = None
    table: dict[str, Table]

    @model_validator(mode="after")
    def _money_has_a_currency(self) -> StreamSpec:
        for name, table in self.table.items():
            for column, spec in table.columns.items():
                if spec.kind == "money" and self.currency is None:
                    raise ValueError(f"{name}.{column} is money, but the stream names no currency")
        return self
