"""How many of each kind a shop has and its CRM holds, for whoever counted by another way.

Prevents two counts that agree because one was taken from the other: these come from the shop's own
state and from the CRM's own listing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from crm_integration_tests.oracle.street.crm import Crm

Counts = dict[str, dict[str, int]]


def counted(tenant: dict[str, Any], crm: Crm) -> Counts:
    """`store`: objects that its shop lists, by kind; `crm`: records with our key, by kind."""
    shop, orders = tenant["shop"], tenant["shop"]["orders"]
    bought_leave = tenant["platform"] == "api2cart"
    carts = [one for one in shop["carts"] if not bought_leave or one["completed"] is None]
    store = {
        "customer": len(shop["accounts"]),
        "order": len(orders),
        "refund": sum(len(one["refunds"]) for one in orders),
        "product": len(shop["products"]),
        "shipment": sum(len(one["shipments"]) for one in orders),
        "cart": len(carts),
    }
    held = Counter(one.kind for one in crm.records if one.ours)
    return {"store": store, "crm": dict(sorted(held.items()))}
