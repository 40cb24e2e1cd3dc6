"""Money as integers: how many decimals a currency has, and the exact way between decimal text and minor units."""

from __future__ import annotations

import tomllib
from functools import cache, lru_cache
from importlib.resources import files


@cache
def _exponents() -> dict[str, int]:
    table = tomllib.loads(files("mappings").joinpath("currencies.toml").read_text("utf-8"))["exponents"]
    return {code: int(exponent) for exponent, codes in table.items() for code in codes}


def exponent(currency: str) -> int:
    """Decimals of the currency by ISO 4217. Raises ValueError for a code that is not listed."""
    try:
        return _exponents()[currency]
    except KeyError:
        raise ValueError(f"no currency {currency!r} in ISO 4217") from None


@lru_cache(maxsize=4096)
def to_minor(text: str, decimals: int) -> int:
    """`12.50` with 2 decimals is 1250. Raises ValueError for anything but a plain decimal that fits exactly.

    A shop has few prices, and each stands in many orders.
    """
    whole, _, part = text.partition(".")
    digits = whole + part
    if decimals and len(part) == decimals and digits.isdigit() and digits.isascii() and whole:
        return int(digits)
    sign = 1
    if whole.startswith("-"):
        sign, whole = -1, whole[1:]
    if not (whole.isdigit() and whole.isascii()) or (part and not (part.isdigit() and part.isascii())):
        raise ValueError(f"not an amount: {text!r}")
    if part[decimals:].strip("0"):
        raise ValueError(f"{text!r} has more than {decimals} decimals")
    return sign * int(whole + part[:decimals].ljust(decimals, "0"))


def to_text(minor: int, decimals: int) -> str:
    """1250 with 2 decimals is `12.50`."""
    sign, digits = ("-", str(-minor)) if minor < 0 else ("", str(minor))
    if not decimals:
        return sign + digits
    digits = digits.rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"
