"""Checked reads of what WooCommerce does in its own way: ids, `*_gmt` times, addresses.

Prevents its habits from travelling on: ids as numbers, times without a zone, a plugin's words in
place of a country's code.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from crm_integration.stores._contract import JsonObject
from crm_integration.stores._payload import first_moment
from crm_integration.stores._payload import required_id as required
from crm_integration.stores._php import PhpReading, section
from crm_integration.stores.woocommerce.cutting import gmt, id_text

CREDIT_TAG_KEY = "crm_integration_tag"
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


class Fields(PhpReading):
    """Reads fields of one payload and gathers the flags of what was odd on the way."""

    def block_address(self, holder: JsonObject, kind: str) -> dict[str, Any] | None:
        """The block `billing` or `shipping` as values of an Address; None if it holds nothing."""
        found, path = section(holder, kind), f"{kind}."
        said = {ours: self.text(found, theirs, path) for theirs, ours in _ADDRESS}
        return self.address(kind, said, self.text(found, "country", path).strip())

    def addresses(self, holder: JsonObject) -> list[dict[str, Any]]:
        """Those of both blocks that hold something."""
        blocks = (self.block_address(holder, kind) for kind in ("billing", "shipping"))
        return [found for found in blocks if found]


def required_id(holder: JsonObject, name: str) -> str:
    """A WordPress id as text. Raises Unreadable `no_id`."""
    return required(id_text(holder.get(name)), name, "a WordPress id above 0")


def moment(holder: JsonObject, *names: str) -> datetime:
    """The first of the `*_gmt` times that is there, in UTC. Raises Unreadable `no_time`."""
    found = (gmt(holder.get(name)) for name in names)
    return first_moment(found, names[0], "a time like 2026-01-31T12:00:00")
