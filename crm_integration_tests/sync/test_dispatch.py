"""Dispatch against an account that fails as real ones do: one record each, nothing lost."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import text

from crm_integration.credentials import vault
from crm_integration.errors import NotFound
from crm_integration.quality.holds import open_hold, release
from crm_integration.sandbox.faults import FaultRule
from crm_integration.sync.waiting import HOLD
from crm_integration.tenancy.connections import save_connection
from crm_integration_tests import shop_life
from crm_integration_tests.house import House, Tenant, account, at, order
from crm_integration_tests.served import writes

UPSERT = "contacts/batch/upsert"


def _people(tenant: Tenant, count: int) -> None:
    tenant.keep(*(account(n, at(n), f"p{n}@example.com") for n in range(1, count + 1)))
    tenant.derive()


def _synced(tenant: Tenant, object_type: str = "contact") -> bool:
    return {state for state, _ in tenant.state(object_type)} == {"synced"}


def test_an_answer_that_is_lost_after_the_write_leaves_one_record(tenant: Tenant) -> None:
    """A retry after a dropped answer made the second contact, in every create-only writer."""
    _people(tenant, 3)
    tenant.portal.follow(FaultRule("commit_then_drop", "POST", UPSERT))
    tenant.sync("contact")
    tenant.sync("contact")
    assert len(tenant.portal.records("contact")) == 3
    assert _synced(tenant)
    tenant.portal.calls.clear()
    assert tenant.sync("contact").calls == 0


def test_a_record_whose_answer_was_lost_still_follows_the_store(tenant: Tenant) -> None:
    """Found again by our key it was taken for sales' own: its name never changed any more."""
    tenant.keep(account(1, at(0), "ada@example.com", first_name="Ada"))
    tenant.derive()
    tenant.portal.follow(FaultRule("commit_then_drop", "POST", UPSERT))
    tenant.sync("contact")
    tenant.sync("contact")
    tenant.keep(account(1, at(5), "ada@example.com", first_name="Adele"))
    tenant.derive()
    tenant.sync("contact")
    assert tenant.portal.one("contact")["firstname"] == "Adele"


def test_of_a_partly_refused_batch_only_the_refused_record_is_dead(tenant: Tenant) -> None:
    """A 207 taken as success lost the bad record; taken as failure it resent the good ones."""
    _people(tenant, 5)
    tenant.portal.follow(FaultRule("partial", "POST", UPSERT, records=("p3@example.com",), count=0))
    tenant.sync("contact")
    assert sorted(state for state, _ in tenant.state("contact")) == ["dead"] + ["synced"] * 4
    tenant.portal.calls.clear()
    tenant.sync("contact")
    assert not tenant.portal.calls, "what was written is sent again"
    sent = tenant.rows("select object_id, count(*) as n from attempts group by 1")
    assert {row.n for row in sent} == {1}


def test_a_conflict_for_the_whole_batch_costs_no_neighbour(tenant: Tenant) -> None:
    """A 409 for one record failed all 100; every later load of them, too."""
    _people(tenant, 6)
    tenant.portal.follow(FaultRule("conflict", "POST", UPSERT))
    tenant.sync("contact")
    tenant.hurry()
    tenant.sync("contact")
    assert len(tenant.portal.records("contact")) == 6
    assert _synced(tenant)


def test_too_many_calls_are_taken_up_again_not_before_the_crm_allows_it(tenant: Tenant) -> None:
    """A Retry-After that is ignored lengthens the ban for every tenant on the account."""
    _people(tenant, 3)
    tenant.portal.follow(FaultRule("status", "POST", UPSERT, status=429, retry_after=30))
    began = time.monotonic()
    assert tenant.sync("contact").problem, "a run that left records unwritten says so"
    assert time.monotonic() - began < 5, "what is due later is for a later run"
    assert {state for state, _ in tenant.state("contact")} == {"retry"}
    wait = tenant.value("select min(next_try_at - now()) from ledger")
    assert wait.total_seconds() > 25
    tenant.portal.calls.clear()
    tenant.sync("contact")
    tenant.hurry()
    tenant.sync("contact")
    assert not tenant.portal.calls, "a row's time is no leave while its account is banned"
    with tenant.house.engines.ops.begin() as connection:  # the ban is over
        connection.execute(text("update budgets set blocked_until = 0"))
    tenant.hurry()
    tenant.sync("contact")
    assert _synced(tenant)
    assert len(tenant.portal.records("contact")) == 3


def test_an_outage_costs_time_and_no_record(tenant: Tenant) -> None:
    """Measured at a peer: 250 of 500 delivered, and none of the next 20."""
    _people(tenant, 3)
    tenant.portal.follow(FaultRule("status", "POST", "/crm/v3/objects", status=503, count=0))
    tenant.sync("contact")
    assert tenant.portal.records("contact") == {}
    tenant.portal.follow()
    for _ in range(2):
        tenant.hurry()
        tenant.sync("contact")
    assert _synced(tenant)
    assert len(tenant.portal.records("contact")) == 3


def test_a_revoked_token_loses_nothing(tenant: Tenant) -> None:
    """A night without a token became a night of dead letters."""
    _people(tenant, 3)
    tenant.portal.follow(FaultRule("revoke", count=0))
    run = tenant.sync("contact")
    assert run.problem and run.problem.startswith("NeedsReconnect")
    assert {state for state, _ in tenant.state("contact")} <= {"pending", "retry"}
    tenant.portal.follow()
    tenant.hurry()
    tenant.sync("contact")
    assert _synced(tenant)


def test_a_token_revoked_in_mid_run_loses_nothing(tenant: Tenant) -> None:
    """Reading still worked, the write did not: the claimed rows must come back."""
    _people(tenant, 3)
    tenant.portal.follow(FaultRule("revoke", "POST", UPSERT, count=0))
    run = tenant.sync("contact")
    assert run.problem
    assert run.sent["contact"].failed == 3, "the run's metadata said that nothing failed"
    assert {state for state, _ in tenant.state("contact")} == {"retry"}
    tenant.portal.follow()
    tenant.hurry()
    tenant.sync("contact")
    assert _synced(tenant)


def test_a_token_of_another_account_writes_nothing(tenant: Tenant, neighbour: Tenant) -> None:
    """An agency picked the wrong portal: one merchant's customers went to another."""
    _people(tenant, 3)
    crm = neighbour.crm
    with tenant.scope() as scope:
        vault.store_secrets(scope, "crm", {"access_token": neighbour.portal.token})
        scope.connection.exec_driver_sql(
            "update connections set base_url = %s where side = 'crm'", (crm.base_url,)
        )
    run = tenant.sync("contact")
    assert run.problem == "NeedsReconnect other_account"
    assert neighbour.portal.records("contact") == {}
    assert writes(neighbour.portal.calls) == 0


def test_while_a_hold_is_open_a_run_of_the_crm_stage_alone_writes_nothing(
    tenant: Tenant,
) -> None:
    """The check failed, somebody re-ran only the sync, and the bad day was written."""
    tenant.keep(account(1, at(0), "ada@example.com"), order(7, at(1), customer_id=1))
    tenant.derive()
    with tenant.scope() as scope:
        open_hold(scope, "order", "volume", "too many", "look", 1)
    run = tenant.sync("order")
    assert run.holds == ("order",)
    assert (run.calls, dict(tenant.portal.calls)) == (0, {})
    assert {state for state, _ in tenant.state("order")} == {"held"}
    tenant.sync()
    assert tenant.portal.records("order") == {}
    assert len(tenant.portal.records("contact")) == 1, "other object types go on"
    with tenant.scope() as scope:
        assert release(scope, "order", None, by="test") == 1
    tenant.sync()
    assert len(tenant.portal.records("order")) == 1
    assert _synced(tenant, "order")


def test_an_opt_out_does_not_wait_for_a_company_that_is_held(house: House) -> None:
    """The check on companies had failed over the week-end: a customer who had come to belong to
    one and unsubscribed was written to on Monday."""
    tenant = house.tenant("shopify")
    ada = tenant.shop.account("ada@example.com")
    shop_life.says(tenant.shop, ada, "subscribed", "confirmed")
    tenant.run_once()
    with tenant.scope() as scope:
        open_hold(scope, "company", "volume", "too many", "look", 1)
    address = {"company": "Miller Ltd", "address_1": "1 High Street", "country": "GB"}
    tenant.shop.state.customers[ada].fields["billing"] = address
    shop_life.says(tenant.shop, ada, "unsubscribed")
    tenant.run_once()

    ((contact, said),) = tenant.portal.records("contact").items()
    assert said["ci_email_consent"] == "unsubscribed"
    assert (tenant.state("company"), _synced(tenant)) == ([("held", HOLD)], True)

    with tenant.scope() as scope:
        assert release(scope, "company", None, by="test") == 1
    tenant.run_once()
    assert tenant.portal.linked("contact", contact, "company") == {
        *tenant.portal.records("company")
    }
    assert len(tenant.portal.records("company")) == 1


def test_rows_of_an_old_rules_version_are_not_written_and_not_waited_for(
    tenant: Tenant,
) -> None:
    """They become due when they were judged by the rules that count now."""
    _people(tenant, 2)
    began = time.monotonic()
    run = tenant.sync("contact", version="newer")
    assert (run.calls, tenant.portal.records("contact")) == (0, {})
    assert time.monotonic() - began < 2
    tenant.sync("contact")
    assert len(tenant.portal.records("contact")) == 2


def test_a_desire_under_old_rules_is_not_written_either(tenant: Tenant) -> None:
    """The ledger's own row is asked for its version, not only the canonical one."""
    _people(tenant, 1)
    tenant.portal.follow(FaultRule("revoke", count=0))
    tenant.sync("contact")
    tenant.portal.follow()
    tenant.hurry()
    tenant.portal.calls.clear()
    assert tenant.sync("contact", version="newer").calls == 0
    assert not tenant.portal.calls


def test_one_tenants_crm_outage_leaves_its_neighbour_alone(
    tenant: Tenant, neighbour: Tenant
) -> None:
    """One account's dead token stopped the nightly run for everybody."""
    _people(tenant, 1)
    _people(neighbour, 1)
    tenant.portal.follow(FaultRule("revoke", count=0))
    assert tenant.sync("contact").problem
    assert neighbour.sync("contact").problem is None
    assert len(neighbour.portal.records("contact")) == 1


def test_a_tenant_without_a_crm_is_told_so(tenant: Tenant) -> None:
    """A clear error in place of a silent green run."""
    with tenant.scope() as scope:
        scope.connection.exec_driver_sql("delete from credentials where connection_id = 'crm'")
        scope.connection.exec_driver_sql("delete from connections where side = 'crm'")
    with pytest.raises(NotFound, match="no CRM"):
        tenant.sync()


def test_a_second_store_account_in_place_of_the_first_is_refused(
    tenant: Tenant, neighbour: Tenant
) -> None:
    """Bindings of one portal under the token of another write over strangers' records."""
    from dataclasses import replace

    from crm_integration.errors import BadInput

    other = replace(tenant.crm, account_id="99")
    with pytest.raises(BadInput, match="another account"), tenant.scope() as scope:
        save_connection(scope, other, {"access_token": "pat-other"}, actor="test")
    with pytest.raises(BadInput, match="connected already"), tenant.scope() as scope:
        taken = replace(neighbour.crm, connection_id="crm2")
        save_connection(scope, taken, {"access_token": "pat-other"}, actor="test")


def test_a_row_that_a_mapping_refused_is_mapped_again_when_the_mapping_is_right(
    tenant: Tenant,
) -> None:
    """Refused once, a record had no ledger row by which a later version could find it."""
    from dataclasses import replace

    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()
    right = tenant.house.mappings["contact"]
    name = replace(right.fields["phone"], required=True)
    strict = replace(right, digest="strict", fields={**right.fields, "phone": name})
    tenant.house.mappings["contact"] = strict
    try:
        assert tenant.sync("contact").projected.refused == {"contact": 1}
    finally:
        tenant.house.mappings["contact"] = right
    assert tenant.sync("contact").projected.wishes == {"contact": 1}
    assert len(tenant.portal.records("contact")) == 1
    assert tenant.value("select count(*) from quarantine where released_at is null") == 0
