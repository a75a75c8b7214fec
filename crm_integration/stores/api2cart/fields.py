"""Checked reads of what API2Cart does in its own way: ids, dates, numbers, addresses.

Prevents a cart's habits from travelling on: numbers in place of text, floats for money, dates in
any form, null blocks.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any

from crm_integration.canonical.countries import country_code
from crm_integration.stores._contract import JsonObject, StoreContext, Unreadable
from crm_integration.stores._payload import Reading, block, decimal, money
from crm_integration.stores.api2cart.dates import ZONE_ASSUMED, read_date, zone_of

COUNTRY_UNKNOWN = "country_unknown"
_LARGEST_COUNT = 2**31 - 1
_ADDRESS = (
    ("first_name", "first_name"),
    ("last_name", "last_name"),
    ("company", "company"),
    ("address1", "line1"),
    ("address2", "line2"),
    ("city", "city"),
    ("postcode", "postcode"),
)


class Fields(Reading):
    """Reads one payload; `zone` is the store's for dates that state none."""

    def __init__(self, context: StoreContext) -> None:
        super().__init__()
        self._zone: tzinfo | None = zone_of(context.settings.get("timezone"))

    def text(self, holder: JsonObject, name: str, path: str = "") -> str:
        """Text; carts also send numbers where the description says text."""
        value = holder.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if value is False:  # PHP's false stands for "nothing"
            return ""
        return super().text(holder, name, path)

    def date(self, holder: JsonObject, name: str, path: str = "") -> datetime | None:
        """A `{value, format}` date in UTC, None for none. Raises Unreadable (`dates.read_date`)."""
        found = read_date(holder.get(name), self._zone, f"{path}{name}")
        if found is None:
            return None
        if found.assumed:
            self.flag(ZONE_ASSUMED)
        return found.at

    def moment(self, holder: JsonObject, *names: str, path: str = "") -> datetime:
        """The first of the dates that is there. Raises Unreadable `no_time`."""
        for name in names:
            found = self.date(holder, name, path)
            if found is not None:
                return found
        raise Unreadable("no_time", field=f"{path}{names[0]}", fix="expected {value, format}")

    def address(self, holder: JsonObject, kind: str, path: str) -> dict[str, Any] | None:
        """One address block as values of an Address; None if it holds nothing."""
        found = {ours: self.text(holder, theirs, path) for theirs, ours in _ADDRESS}
        found["phone"] = self.text(holder, "phone", path) or self.text(holder, "phone_mobile", path)
        found["region"] = self._region(holder, path)
        country = section(holder, "country", path)
        said = [self.text(country, name, f"{path}country.") for name in ("code2", "code3", "name")]
        code = next((known for one in said if one.strip() and (known := country_code(one))), None)
        if code is None and any(one.strip() for one in said):
            self.flag(COUNTRY_UNKNOWN)
        if code is None and not any(value.strip() for value in found.values()):
            return None
        return {"kind": kind, "country": code, **found}

    def _region(self, holder: JsonObject, path: str) -> str:
        state = section(holder, "state", path)
        code = self.text(state, "code", f"{path}state.")
        return (
            code or self.text(state, "name", f"{path}state.") or self.text(holder, "region", path)
        )


def section(holder: JsonObject, name: str, path: str = "") -> JsonObject:
    """An object; PHP writes an empty one as `[]`, and a missing one counts as empty."""
    return {} if holder.get(name) == [] else block(holder, name, path)


def amount(holder: JsonObject, name: str, currency: str, path: str = "") -> int:
    """A JSON number or decimal text in minor units, floats by their shortest decimal form;
    missing, null and `""` are 0. Raises Unreadable `not_money`."""
    value = holder.get(name)
    return 0 if value in (None, "") else money(_written(value), currency, f"{path}{name}")


def number(holder: JsonObject, name: str, path: str = "") -> Decimal:
    """A JSON number or decimal text; missing is 0. Raises Unreadable `not_a_number`."""
    value = holder.get(name)
    return Decimal(0) if value in (None, "") else decimal(_written(value), f"{path}{name}")


def count(holder: JsonObject, name: str, path: str = "") -> int:
    """A whole number; `2.0` is 2. Raises Unreadable `fractional`, `out_of_range`."""
    found = number(holder, name, path)
    if found != found.to_integral_value():
        raise Unreadable("fractional", field=f"{path}{name}", fix="expected a whole number")
    if abs(found) > _LARGEST_COUNT:
        raise Unreadable("out_of_range", field=f"{path}{name}", fix="expected a smaller number")
    return int(found)


def _written(value: Any) -> Any:
    """What a JSON number says in its shortest form; everything else as it is."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value
