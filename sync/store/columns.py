"""Column kinds that several tables share."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, false, text

BIG = BigInteger().with_variant(Integer(), "sqlite")
ZERO = {"server_default": text("0")}
FALSE = {"server_default": false()}
CLUSTERED = {"sqlite_with_rowid": False}


def own_id() -> Column[int]:
    """A key that the platform gave."""
    return Column(BIG, primary_key=True, autoincrement=False)


def reference() -> Column[int | None]:
    """Another record's key, where there is one."""
    return Column(BIG, nullable=True)


def digest_column() -> Column[int | None]:
    """A hash of 64 bits."""
    return Column(BIG, nullable=True)
