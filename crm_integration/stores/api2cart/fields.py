"""Checked reads of what API2Cart does in its own way: ids, dates, addresses.

Prevents a cart's habits from travelling on: ids of any form, dates in any form, a country as code
or by name.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

from crm_integration.stores._contract import JsonObject, StoreContext
from crm_integration.stores._payload import first_moment
from crm_integration.stores._payload import required_id as required
from crm_integration.stores._php import PhpReading, section
from crm_integration.stores.api2cart.dates import ZONE_ASSUMED, read_date, zone_of
from crm_integration.stores.api2cart.objects import id_text

_ADDRESS = (
    ("first_name", "first_name"),
    ("last_name", "last_name"),
    ("company", "company"),
    ("address1", "line1"),
    ("address2", "line2"),
    ("city", "city"),
    ("postcode", "postcode"),
)


class Fields(PhpReading):
    """Reads one payload; `zone` is the store's for dates that state none."""

    def __init__(self, context: StoreContext) -> None:
        super().__init__()
        self._zone: tzinfo | None = zone_of(context.settings.get("timezone"))

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
        found = (self.date(holder, name, path) for name in names)
        return first_moment(found, f"{path}{names[0]}", "{value, format}")

    def address_in(self, holder: JsonObject, kind: str, path: str) -> dict[str, Any] | None:
        """One address block as values of an Address; None if it holds nothing."""
        found = {ours: self.text(holder, theirs, path) for theirs, ours in _ADDRESS}
        found["phone"] = self.text(holder, "phone", path) or self.text(holder, "phone_mobile", path)
        found["region"] = self._region(holder, path)
        country = section(holder, "country", path)
        said = [self.text(country, name, f"{path}country.") for name in ("code2", "code3", "name")]
        return self.address(kind, found, *(one.strip() for one in said))

    def _region(self, holder: JsonObject, path: str) -> str:
        state = section(holder, "state", path)
        code = self.text(state, "code", f"{path}state.")
        return (
            code or self.text(state, "name", f"{path}state.") or self.text(holder, "region", path)
        )


def required_id(row: JsonObject, what: str, path: str = "") -> str:
    """The `id` of a row. Raises Unreadable `no_id`."""
    return required(id_text(row.get("id")), f"{path}id", what)
