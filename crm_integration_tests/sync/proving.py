"""Proofs of a tenant in tests, and what they found in short."""

from __future__ import annotations

from collections import Counter
from typing import Any

from crm_integration.sync.completeness.heal import prove_healed
from crm_integration.sync.completeness.model import Completeness, Request
from crm_integration.sync.completeness.prove import prove
from crm_integration.sync.path import House
from crm_integration_tests.house import MAPPINGS, Tenant


def lives(tenant: Tenant) -> int:
    """Two accounts, three orders, a refund, all the way to the CRM; the last order's id."""
    shop = tenant.shop
    ada = shop.account("ada@example.com")
    shop.account("bob@example.com")
    shop.order(ada, total="20.00")
    shop.refund(shop.order(ada, total="30.00"), "5.00")
    last = shop.guest_order("gus@example.com")
    tenant.run_once()
    return last


def house_of(tenant: Tenant) -> House:
    return House(tenant.house.engines, MAPPINGS)


def proven(tenant: Tenant, **asked: Any) -> Completeness:
    """Proven without healing."""
    return prove(house_of(tenant), Request(tenant.name, **asked), run_id="proof")


def healed(tenant: Tenant, **asked: Any) -> tuple[Completeness, Completeness]:
    """Proven, healed, proven again."""
    return prove_healed(house_of(tenant), Request(tenant.name, **asked), run_id="heal", by="test")


def verdicts(done: Completeness, *, all_of: bool = False) -> dict[tuple[str, str, str], int]:
    """(entity, stage, verdict) -> how many; without `all_of` those that are not proven."""
    rows = done.found[["entity", "stage", "verdict"]].itertuples(index=False, name=None)
    counted = Counter((str(one[0]), str(one[1]), str(one[2])) for one in rows)
    return {key: number for key, number in counted.items() if all_of or key[2] != "proven"}
