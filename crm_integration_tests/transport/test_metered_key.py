"""A key that all tenants share: the account's own limit is everybody's, a store's is not."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from crm_integration.errors import Transient
from crm_integration.transport.budget import BudgetGate
from crm_integration.transport.quota import CallBudget
from crm_integration_tests.house import House
from crm_integration_tests.stores.api2cart.carts import Cart, Refusal, opened


@pytest.mark.parametrize(("code", "pauses"), [(10, True), (7, False)])
def test_only_the_accounts_limit_pauses_the_account(house: House, code: int, pauses: bool) -> None:
    """One slow store stopped the calls to all others."""

    def answer(method: str, query: dict[str, str]) -> dict[str, Any]:
        raise Refusal(code, "too many", None)

    account = f"key{code}".encode()
    budgets = {"all": CallBudget(calls=10, seconds=1)}
    gate = BudgetGate(house.engines.ops, "api2cart", account, budgets, "store")
    with opened(house.street, Cart(answer).app, gate=gate) as client, pytest.raises(Transient):
        client.write("GET", "order.list", {})
    with house.engines.ops.begin() as connection:
        found = connection.execute(
            text("select rate, blocked_until > 0 as paused from budgets where account = :a"),
            {"a": account},
        ).one()
    assert (found.rate, found.paused) == ((0.5, True) if pauses else (1.0, False))
