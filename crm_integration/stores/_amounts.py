"""Checked reads of numbers: currencies, money, prices, counts.

Prevents one absurd number from stopping a whole batch, a float from passing as money, and a
half refunded order from hiding behind "paid".
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, TypeGuard

from crm_integration.canonical.money import minor_digits, to_minor
from crm_integration.canonical.orders import FinancialState
from crm_integration.stores._contract import JsonObject, Unreadable

LARGEST_COUNT = 2**31 - 1
"""What the database's columns hold."""
_LARGEST_MINOR = 10**15
"""A 9,000th of what a column of sums holds: an order's refunds are added up, and one absurd amount
must not stop a whole batch."""
_DIGITS = 30
_LONGEST = 100
"""Characters of a number; longer texts are none, and would stay in the caches below."""


def known_currency(value: Any, path: str = "currency") -> str:
    """An ISO 4217 code that exists. Raises Unreadable `unknown_currency`."""
    code = value.strip().upper() if isinstance(value, str) else ""
    try:
        minor_digits(code)
    except ValueError as error:
        raise Unreadable(
            "unknown_currency", field=path, fix="expected an ISO 4217 code like EUR"
        ) from error
    return code


def money(value: Any, currency: str, path: str) -> int:
    """A decimal text in minor units. Raises Unreadable `not_money`, for a JSON float too."""
    found = _to_minor(value, currency) if _is_short(value) else None
    if found is None:
        raise Unreadable("not_money", field=path, fix='expected a decimal text such as "12.50"')
    return found


def decimal(value: Any, path: str) -> Decimal:
    """A decimal text as the store gave it. Raises Unreadable `not_a_number`."""
    found = _to_decimal(value) if _is_short(value) else None
    if found is None:
        raise Unreadable("not_a_number", field=path, fix='expected a text such as "17.995"')
    return found


def whole_number(holder: JsonObject, name: str, path: str = "") -> int:
    """An integer of JSON. Raises Unreadable `not_a_number`, `out_of_range`."""
    value = holder.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable("not_a_number", field=f"{path}{name}", fix="expected a whole number")
    if abs(value) > LARGEST_COUNT:
        raise Unreadable("out_of_range", field=f"{path}{name}", fix="expected a smaller number")
    return value


def paid_state(total: int, refunded: int) -> FinancialState:
    """The state of a paid order by how much of it went back; shops that only say "paid" or
    "completed" leave it to their refunds to tell."""
    if 0 < total <= refunded:
        return FinancialState.refunded
    partly = 0 < refunded < total
    return FinancialState.partially_refunded if partly else FinancialState.paid


def _is_short(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= _LONGEST


@lru_cache(maxsize=8_192)
def _to_minor(text: str, currency: str) -> int | None:
    try:
        found = to_minor(text, currency)
    except (ValueError, InvalidOperation):
        return None
    return found if abs(found) <= _LARGEST_MINOR else None


@lru_cache(maxsize=8_192)
def _to_decimal(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    sane = found.is_finite() and abs(found.adjusted()) <= _DIGITS
    return found if sane else None
