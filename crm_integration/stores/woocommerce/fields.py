"""Checked reads out of one payload.

Prevents a strange payload from becoming a strange record: what has the wrong type is refused with
its JSON path (never its value), what no database takes (NUL, lone surrogates) is repaired and
marked.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, cast

from crm_integration.canonical.countries import country_code
from crm_integration.canonical.money import minor_digits, to_minor
from crm_integration.stores._contract import JsonObject, Unreadable
from crm_integration.stores.woocommerce.cutting import id_text, utc

TEXT_REPAIRED = "text_repaired"
COUNTRY_UNKNOWN = "country_unknown"
CREDIT_TAG_KEY = "crm_integration_tag"
_LARGEST_COUNT = 2**31 - 1
_LARGEST_MINOR = 2**63 - 1
"""What the database's columns hold: one absurd number must not stop a whole batch."""
_DIGITS = 30
_ADDRESS = (
    ("first_name", "first_name"),
    ("last_name", "last_name"),
    ("company", "company"),
    ("address_1", "line1"),
    ("address_2", "line2"),
    ("city", "city"),
    ("state", "region"),
    ("postcode", "postcode"),
    ("phone", "phone"),
)


class Fields:
    """Reads fields of one payload and gathers the flags of what was odd on the way."""

    def __init__(self) -> None:
        self._flags: set[str] = set()

    @property
    def flags(self) -> tuple[str, ...]:
        """Sorted, so that one payload always gives one record."""
        return tuple(sorted(self._flags))

    def flag(self, name: str) -> None:
        self._flags.add(name)

    def text(self, holder: JsonObject, name: str, path: str = "") -> str:
        """Text, `""` for a missing one or null; numbers as PHP writes them in place of text."""
        value = holder.get(name)
        if isinstance(value, str):
            if value.isascii() and "\0" not in value:
                return value
            return self._repaired(value)
        if value is None or value is False:  # PHP's false stands for "nothing"
            return ""
        if isinstance(value, int | float):
            return str(value)
        raise wrong_type(f"{path}{name}", "a text")

    def address(self, holder: JsonObject, kind: str) -> dict[str, Any] | None:
        """The block `billing` or `shipping` as values of an Address; None if it holds nothing."""
        block = self.block(holder, kind)
        found = {ours: self.text(block, theirs, f"{kind}.") for theirs, ours in _ADDRESS}
        country = self.text(block, "country", f"{kind}.").strip()
        code = country_code(country) if country else None
        if country and code is None:
            self.flag(COUNTRY_UNKNOWN)
        if code is None and not any(value.strip() for value in found.values()):
            return None
        return {"kind": kind, "country": code, **found}

    def block(self, holder: JsonObject, name: str) -> JsonObject:
        """An object; PHP writes an empty one as `[]`, and a missing one counts as empty."""
        value = holder.get(name)
        if isinstance(value, dict):
            return cast(JsonObject, value)
        if value is None or value == []:
            return {}
        raise wrong_type(name, "an object")

    def _repaired(self, value: str) -> str:
        repaired = value.replace("\0", "")
        try:
            repaired.encode("utf-8")
        except UnicodeEncodeError:
            # Halves of a pair that were escaped one by one join here; lone ones are replaced.
            repaired = repaired.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        if repaired != value:
            self.flag(TEXT_REPAIRED)
        return repaired


def rows(holder: JsonObject, name: str) -> list[JsonObject]:
    """A list of objects; missing and null count as empty. Raises Unreadable."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong_type(name, "a list")
    found = cast(list[Any], value)
    for position, row in enumerate(found):
        if not isinstance(row, dict):
            raise wrong_type(f"{name}[{position}]", "an object")
    return cast(list[JsonObject], found)


def required_id(holder: JsonObject, name: str) -> str:
    """A WordPress id as text. Raises Unreadable `no_id`."""
    found = id_text(holder.get(name))
    if found is None:
        raise Unreadable("no_id", field=name, fix="expected a WordPress id above 0")
    return found


def moment(holder: JsonObject, *names: str) -> datetime:
    """The first of the `*_gmt` times that is there, in UTC. Raises Unreadable `no_time`."""
    for name in names:
        found = utc(holder.get(name))
        if found is not None:
            return found
    raise Unreadable("no_time", field=names[0], fix="expected a time like 2026-01-31T12:00:00")


def currency_of(holder: JsonObject) -> str:
    """An ISO 4217 code that exists. Raises Unreadable `unknown_currency`."""
    return known_currency(holder.get("currency"))


def known_currency(value: Any) -> str:
    """See `currency_of`."""
    code = value.strip().upper() if isinstance(value, str) else ""
    try:
        minor_digits(code)
    except ValueError as error:
        raise Unreadable(
            "unknown_currency", field="currency", fix="expected an ISO 4217 code like EUR"
        ) from error
    return code


def money(holder: JsonObject, name: str, currency: str, path: str = "") -> int:
    """An amount in minor units; missing, null and `""` are 0. Raises Unreadable `not_money`."""
    value = holder.get(name)
    if value is None or value == "":
        return 0
    number = isinstance(value, int | float) and not isinstance(value, bool)
    found = _to_minor(str(value), currency) if number or isinstance(value, str) else None
    if found is None:
        raise Unreadable("not_money", field=f"{path}{name}", fix="expected a decimal such as 12.50")
    return found


def decimal(holder: JsonObject, name: str, path: str) -> Decimal:
    """A price as the store gave it; a float is read by its shortest form (17.995)."""
    value = holder.get(name)
    if value is None or value == "":
        return Decimal(0)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        found = _to_decimal(str(value))
        if found is not None:
            return found
    raise Unreadable("not_a_number", field=f"{path}{name}", fix="expected a number such as 17.995")


def whole_number(holder: JsonObject, name: str, path: str) -> int:
    """An integer; `2.0` is 2. Raises Unreadable `fractional`, `out_of_range`, `not_a_number`."""
    value = holder.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST_COUNT:
        return value
    number = decimal(holder, name, path)
    if number != number.to_integral_value():
        raise Unreadable("fractional", field=f"{path}{name}", fix="expected a whole number")
    if abs(number) > _LARGEST_COUNT:
        raise Unreadable("out_of_range", field=f"{path}{name}", fix="expected a smaller number")
    return int(number)


def wrong_type(path: str, expected: str) -> Unreadable:
    """The refusal of a value of another JSON type."""
    return Unreadable("wrong_type", field=path, fix=f"expected {expected}")


@lru_cache(maxsize=65_536)
def _to_minor(text: str, currency: str) -> int | None:
    try:
        found = to_minor(text, currency)
    except (ValueError, InvalidOperation):
        return None
    return found if abs(found) <= _LARGEST_MINOR else None


@lru_cache(maxsize=65_536)
def _to_decimal(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    sane = found.is_finite() and abs(found.adjusted()) <= _DIGITS
    return found if sane else None
