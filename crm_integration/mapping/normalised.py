"""Compares field values the way CRMs treat them as equal.

Prevents the endless rewrite: a CRM gives back `12.3` for our `12.30`, trims blanks, turns a
time into milliseconds, and holds no difference between a missing value and an empty one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from crm_integration.mapping.model import FieldValue


def normalised(value: FieldValue, kind: str) -> str:
    """One text per meaning within a `FieldRule.compared_as`; "" for a missing or blank value.

    Text that does not read as its kind is compared as it stands.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value).strip().replace("\r\n", "\n")
    if kind == "number":
        return _number(text)
    if kind in {"datetime", "date"}:
        return _moment(text, whole_days=kind == "date")
    return text.lower() if kind in {"bool", "email"} else text


def same(one: FieldValue, other: FieldValue, kind: str) -> bool:
    """True when a CRM would call the two equal."""
    return normalised(one, kind) == normalised(other, kind)


def alike(one: FieldValue, other: FieldValue, kind: str) -> bool:
    """True when a CRM that reshapes values may have made one of the other.

    Letters and digits in their order are all that counts of texts: `+441134960123` may come back
    as `+44 113 496 0123`. For what we are known to have sent, never to tell two people's words
    apart.
    """
    if same(one, other, kind):
        return True
    bare = [
        "".join(letter for letter in str(value or "").casefold() if letter.isalnum())
        for value in (one, other)
    ]
    return bool(bare[0]) and bare[0] == bare[1] and kind in ("text", "enum", "email")


def rank(value: FieldValue, kind: str) -> Decimal | None:
    """A number or a time as something to compare, None where the value is neither."""
    try:
        return Decimal(normalised(value, kind if kind == "number" else "datetime"))
    except InvalidOperation:
        return None


def _number(text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if not number.is_finite() or abs(number.adjusted()) > 100:
        return text
    # "+ 0" turns -0 into 0; "f" never writes an exponent.
    return f"{number.normalize() + 0:f}"


def _moment(text: str, *, whole_days: bool) -> str:
    """Milliseconds since 1970 as text; HubSpot takes and gives both forms."""
    if text.lstrip("-").isdigit() and len(text) > 8:
        millis = int(text)
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return text
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        millis = round(aware.timestamp() * 1000)
    return str(millis // 86_400_000 * 86_400_000 if whole_days else millis)
