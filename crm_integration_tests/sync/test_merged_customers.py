"""Two customers who become one, and come apart again: whose their orders are, and their records."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from crm_integration.canonical.identity_actions import split
from crm_integration.sync.crm_session import CrmRun
from crm_integration.sync.tenant_settings import USUAL
from crm_integration_tests.house import Tenant, account, at, order

ARCHIVE = replace(USUAL, merged_contacts="archive")
KEEP = USUAL


@pytest.fixture
def merged(tenant: Tenant) -> Tenant:
    """Ada's account with an order, and a guest's order under another address, both written; then
    the account takes the guest's address: the two are one."""
    tenant.keep(account(1, at(0), "ada@example.com"), order(7, at(1), customer_id=1))
    tenant.keep(order(8, at(1), email="countess@example.com", first_name="Ada"))
    tenant.derive()
    tenant.sync()
    assert len(tenant.portal.records("contact")) == 2
    guest = {"first_name": "Ada", "last_name": "Account", "email": "ada@example.com"}
    tenant.keep(order(8, at(5), email="ada@example.com", billing={**guest, "country": "GB"}))
    tenant.derive()
    assert tenant.value("select count(*) from customers where merged_into is null") == 1
    return tenant


def _orders(tenant: Tenant) -> dict[str, set[int]]:
    return {
        properties["hs_external_order_id"]: tenant.portal.linked("order", one, "contact")
        for one, properties in tenant.portal.records("order").items()
    }


def _ids(tenant: Tenant) -> tuple[int, int]:
    """Record ids of the one who lives on and of the one who was merged."""
    rows = tenant.rows(
        "select b.crm_record_id, c.merged_into from bindings b"
        " join customers c on c.customer_id = b.object_id where object_type = 'contact'"
    )
    by_life = {row.merged_into is None: int(row.crm_record_id) for row in rows}
    return by_life[True], by_life[False]


def _run(tenant: Tenant, settings: object = KEEP) -> CrmRun:
    run = tenant.sync(settings=settings)  # type: ignore[arg-type]
    assert run.problem is None
    return run


def test_orders_of_a_merged_customer_leave_the_old_contact(merged: Tenant) -> None:
    """The order hung on both contacts: sales saw one purchase twice."""
    winner, loser = _ids(merged)
    timeline = {
        one for one in merged.portal.records("activity")
        if loser in merged.portal.linked("activity", one, "contact")
    }  # fmt: skip
    assert timeline, "the guest's order had milestones"
    run = _run(merged)
    assert set(map(frozenset, _orders(merged).values())) == {frozenset({winner})}
    for one in timeline:
        assert merged.portal.linked("activity", one, "contact") == {winner}
    assert loser in merged.portal.records("contact"), "kept, unless the tenant says otherwise"
    assert run.archived == 0
    assert _run(merged).calls == 0


def test_what_a_person_tied_stays_tied(merged: Tenant) -> None:
    """Sales had put a colleague on the order; a merge of two others took her off."""
    winner, _ = _ids(merged)
    colleague = merged.portal.enter(email="colleague@example.com")
    for one in merged.portal.records("order"):
        label = [("USER_DEFINED", 7)]
        merged.portal.state.associate(
            ("orders", one), ("contacts", colleague.id), label, [("USER_DEFINED", 8)]
        )
    _run(merged)
    assert set(map(frozenset, _orders(merged).values())) == {frozenset({winner, colleague.id})}


def test_the_merged_record_is_archived_where_the_tenant_wants_it(merged: Tenant) -> None:
    """Two contacts of one person: the older one went on getting letters."""
    winner, loser = _ids(merged)
    run = _run(merged, ARCHIVE)
    assert run.archived == 1
    assert list(merged.portal.records("contact")) == [winner]
    assert set(map(frozenset, _orders(merged).values())) == {frozenset({winner})}
    assert merged.value("select count(*) from attempts where kind = 'archive'") == 1
    assert loser not in {int(r.crm_record_id) for r in merged.rows("select * from bindings")}
    assert _run(merged, ARCHIVE).calls == 0


def test_a_record_is_not_archived_while_an_order_hangs_on_it(merged: Tenant) -> None:
    """The contact was archived first, and its order lost its customer for good."""
    _, loser = _ids(merged)
    run = merged.sync("contact", settings=ARCHIVE)
    assert run.archived == 0
    assert loser in merged.portal.records("contact")
    assert _run(merged, ARCHIVE).archived == 1


def test_a_record_that_sales_made_is_never_archived(merged: Tenant) -> None:
    """It held five years of notes."""
    _, loser = _ids(merged)
    with merged.scope() as scope:
        scope.connection.execute(
            text("update bindings set adopted = true where crm_record_id = :r"), {"r": str(loser)}
        )
    assert _run(merged, ARCHIVE).archived == 0
    assert loser in merged.portal.records("contact")
    assert _run(merged, ARCHIVE).calls == 0


@pytest.mark.parametrize("settings", [KEEP, ARCHIVE], ids=["kept", "archived"])
def test_a_split_brings_the_other_back(merged: Tenant, settings: object) -> None:
    """Support took the merge back, and the second customer had no contact any more."""
    _run(merged, settings)
    with merged.scope() as scope:
        split(scope, merged_id(merged), actor="support", reason="two people")
    merged.derive()
    _run(merged, settings)
    assert merged.state("contact") == [("synced", None)] * 2
    assert len(merged.portal.records("contact")) == 2
    owners = _orders(merged)
    assert all(len(one) == 1 for one in owners.values())
    assert len(set(map(frozenset, owners.values()))) == 2
    assert _run(merged, settings).calls == 0


def merged_id(tenant: Tenant) -> int:
    """The merge that can be taken back."""
    return tenant.value("select merge_id from identity_merges order by merge_id limit 1")


def test_an_account_that_was_only_named_takes_over_the_guests_record(tenant: Tenant) -> None:
    """An order named the account before anybody had read it, and a guest of that address stood in
    the CRM: the CRM refused the account's contact, which waited for ever."""
    tenant.keep(order(8, at(0), email="ada@example.com", first_name="Ada"))
    tenant.derive()
    tenant.sync()
    (record,) = tenant.portal.records("contact")
    tenant.keep(order(9, at(1), email="", customer_id=1))
    tenant.derive()
    tenant.keep(account(1, at(2), "ada@example.com", first_name="Ada", last_name="Guest"))
    tenant.derive()
    assert tenant.value("select count(*) from customers where merged_into is not null") == 1
    _run(tenant)
    assert list(tenant.portal.records("contact")) == [record]
    assert tenant.portal.one("contact")["ci_customer_kind"] == "registered"
    assert {state for state, _ in tenant.state("contact")} == {"synced", "skipped"}
    assert {one for some in _orders(tenant).values() for one in some} == {record}
    assert _run(tenant).calls == 0
