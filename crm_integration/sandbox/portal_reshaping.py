"""What some accounts do to values beyond HubSpot's own trimming.

Prevents a comparison that only works on a CRM that gives back what it got: phones come back
grouped, blanks in the middle of a text as one, amounts with two decimals, all at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

from crm_integration.sandbox.portal_properties import Property

_PHONES = {"phone", "mobilephone"}


def reshaped(known: Mapping[str, Property], stored: Mapping[str, str]) -> dict[str, str]:
    """Stored values as such an account keeps them."""
    return {name: _value(known[name], value) for name, value in stored.items()}


def _value(definition: Property, value: str) -> str:
    if not value or definition.unique or definition.kind not in {"string", "number"}:
        return value
    if definition.name in _PHONES:
        return _grouped(value)
    if definition.kind == "number":
        cents = Decimal(value).quantize(Decimal("0.01"), ROUND_HALF_UP)
        return f"{cents:f}" if cents != cents.to_integral_value() else f"{cents:.0f}"
    return re.sub(r"[ \t]+", " ", value)


def _grouped(phone: str) -> str:
    """`+442079460123` becomes `+44 207 946 0123`, as forms that group by threes show it."""
    digits = re.sub(r"[^\d+]", "", phone)
    if not digits.startswith("+") or len(digits) < 9:
        return phone
    country, rest = digits[:3], digits[3:]
    return " ".join([country, rest[:3], rest[3:6], rest[6:]]).strip()
