"""Minor units and the decimal text that APIs speak, by ISO 4217 exponent."""

from __future__ import annotations

from decimal import Decimal

_EXPONENTS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF",
                     "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}  # fmt: skip


def exponent(currency: str) -> int:
    """Digits after the point."""
    return _EXPONENTS.get(currency, 2)


def to_minor(text: str, currency: str) -> int:
    """Exact minor units; ValueError where the text is finer than the currency."""
    amount = Decimal(text).scaleb(exponent(currency))
    if amount != amount.to_integral_value():
        raise ValueError(f"{text} is finer than a minor unit of {currency}")
    return int(amount)


def to_text(minor: int, currency: str) -> str:
    """As Shopify writes decimals: at least one digit after the point and no further trailing zeros."""
    digits = exponent(currency)
    sign = "-" if minor < 0 else ""
    whole, part = divmod(abs(minor), 10**digits)
    fraction = f"{part:0{digits}d}".rstrip("0") if digits else ""
    return f"{sign}{whole}.{fraction or '0'}"
