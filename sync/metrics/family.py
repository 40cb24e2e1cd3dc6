"""What a group of metrics hands to the statement that puts them side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, ColumnElement


@dataclass(frozen=True, slots=True)
class Family:
    """`parts` have a unique column customer_id and are joined from the left; `columns` are metrics by name."""

    parts: tuple[CTE, ...]
    columns: Mapping[str, ColumnElement[Any]]
