"""How many of each kind a shop has and its CRM holds, for whoever counted by another way.

Prevents two counts that agree because one was taken from the other: these come from the shop's own
state and from the CRM's own listing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from crm_integration_tests.oracle.street.crm import Crm

Counts = dict[str, dict[str, int]]


def counted(shop: dict[str, Any], crm: Crm) -> Counts:
    """`store`: objects by kind; `crm`: records that carry our key, by kind."""
    orders = shop["orders"]
    store = {
        "customer": len(shop["accounts"]),
        "order": len(orders),
        "refund": sum(len(one["refunds"]) for one in orders),
        "product": len(shop["products"]),
        "shipment": sum(len(one["shipments"]) for one in orders),
        "cart": len(shop["carts"]),
    }
    held = Counter(one.kind for one in crm.records if one.ours)
    return {"store": store, "crm": dict(sorted(held.items()))}
