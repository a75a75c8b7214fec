"""Money: decimals as stores write them to integer minor units, and back.

Prevents float money: 17.995 as a float rounds differently on two machines.
Decimals per currency are CLDR's (babel), so yen have none and dinars three.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache


@cache
def minor_digits(currency: str) -> int:
    """Decimal places of an ISO 4217 code. Raises ValueError for a code nobody uses."""
    from babel.core import get_global

    if currency not in get_global("all_currencies"):
        raise ValueError(f"unknown currency {currency[:8]!r}: expected an ISO 4217 code like EUR")
    fractions = get_global("currency_fractions")
    return int(fractions.get(currency, fractions["DEFAULT"])[0])


def to_minor(amount: str | float | Decimal, currency: str) -> int:
    """`"12.345"`, EUR -> 1235 (half up). Floats are read by their shortest decimal form.

    Raises ValueError for text that is no finite number and for an unknown currency.
    """
    digits = minor_digits(currency)
    try:
        value = Decimal(str(amount))
    except InvalidOperation as error:
        raise ValueError("an amount of money is not a number") from error
    if not value.is_finite():
        raise ValueError("an amount of money is not finite")
    return int(value.scaleb(digits).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def to_decimal_text(minor: int, currency: str) -> str:
    """1235, EUR -> `"12.35"`; 1235, JPY -> `"1235"`."""
    digits = minor_digits(currency)
    return f"{Decimal(minor).scaleb(-digits):.{digits}f}"
