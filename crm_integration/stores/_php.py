"""Checked reads of what shops written in PHP send.

Prevents a loosely typed shop from losing whole orders: numbers stand where text is promised and
text where numbers are, `false` or `""` for nothing, and an empty object is written as `[]`. What
is none of these is refused as everywhere.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from crm_integration.stores._amounts import LARGEST_COUNT, decimal, money
from crm_integration.stores._contract import JsonObject, Unreadable
from crm_integration.stores._payload import Reading, block


class PhpReading(Reading):
    """Reads texts of one payload."""

    def text(self, holder: JsonObject, name: str, path: str = "") -> str:
        """Text, a number in place of it, `""` for nothing. Raises Unreadable `wrong_type`."""
        value = holder.get(name)
        if value is False:
            return ""
        return str(value) if _is_number(value) else super().text(holder, name, path)


def section(holder: JsonObject, name: str, path: str = "") -> JsonObject:
    """An object; `[]`, null and a missing one count as empty. Raises Unreadable `wrong_type`."""
    return {} if holder.get(name) == [] else block(holder, name, path)


def amount(holder: JsonObject, name: str, currency: str, path: str = "") -> int:
    """A JSON number or decimal text in minor units, floats by their shortest decimal form;
    missing, null and `""` are 0. Raises Unreadable `not_money`."""
    value = holder.get(name)
    return 0 if value in (None, "") else money(_written(value), currency, f"{path}{name}")


def number(holder: JsonObject, name: str, path: str = "") -> Decimal:
    """A JSON number or decimal text as the shop gave it, floats by their shortest decimal form
    (17.995); missing, null and `""` are 0. Raises Unreadable `not_a_number`."""
    value = holder.get(name)
    return Decimal(0) if value in (None, "") else decimal(_written(value), f"{path}{name}")


def count(holder: JsonObject, name: str, path: str = "") -> int:
    """A whole number; `2.0` is 2, missing is 0. Raises Unreadable `not_a_number`, `fractional`,
    `out_of_range`."""
    found = number(holder, name, path)
    if found != found.to_integral_value():
        raise Unreadable("fractional", field=f"{path}{name}", fix="expected a whole number")
    if abs(found) > LARGEST_COUNT:
        raise Unreadable("out_of_range", field=f"{path}{name}", fix="expected a smaller number")
    return int(found)


def _written(value: Any) -> Any:
    """What a JSON number says in its shortest form; everything else as it is."""
    return str(value) if _is_number(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
