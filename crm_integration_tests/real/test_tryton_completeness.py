"""The proof against Tryton itself, which reshapes what it takes and lets little be changed."""

from __future__ import annotations

import pytest

from crm_integration_tests.house import Tenant
from crm_integration_tests.real.tryton_server import TrytonAccount
from crm_integration_tests.sync.proving import healed, lives, proven, verdicts

pytestmark = pytest.mark.usefixtures("no_pauses")


def test_a_merchant_on_tryton_is_whole_and_a_hole_is_found_and_healed(
    merchant: Tenant, crm: TrytonAccount
) -> None:
    """What sales may change is no difference; what is ours is written again."""
    order = lives(merchant)
    merchant.shop.call("PUT", f"/orders/{order}", {"status": "cancelled"})
    merchant.run_once()
    done = proven(merchant, surplus=True)
    assert verdicts(done) == {}, done.problems
    assert done.whole

    # Sales' own words for a person, an amount that is the store's, and a record of nobody.
    (person, *_) = crm.records.parties()
    crm.records.edit("party.party", person["id"], name="Adelaide")
    (deal, *_) = [one for one in crm.records.opportunities() if one["state"] == "lead"]
    wrong = {"__class__": "Decimal", "decimal": "1.00"}
    crm.records.edit("sale.opportunity", deal["id"], amount=wrong)
    stranger = "ci-00000000-0000-4000-8000-000000000000"
    crm.records.create("party.party", name="Of an import", code=stranger)
    found = verdicts(proven(merchant, surplus=True))
    assert found == {("order", "crm", "differs"): 1, ("company", "crm", "surplus"): 1}
    first, second = healed(merchant)
    assert verdicts(first) == {("order", "crm", "differs"): 1}, "surplus was not asked for"
    assert second.whole, (verdicts(second), second.problems)
