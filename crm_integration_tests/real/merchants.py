"""What a merchant's shop and the engine's ledger are asked in every scenario with a real CRM."""

from __future__ import annotations

from crm_integration_tests.house import Tenant

HOME = {"address_1": "1 Old Road", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB",
        "phone": "0113 496 0000"}  # fmt: skip


def customer(merchant: Tenant, email: str = "ada@example.com", **billing: str) -> int:
    """An account with an address; its id in the shop."""
    number = merchant.shop.account(email)
    merchant.shop.call("PUT", f"/customers/{number}", {"billing": HOME | billing})
    return number


def all_synced(merchant: Tenant) -> bool:
    states = {row.state for row in merchant.rows("select state from ledger")}
    return states == {"synced"}
