"""What people change in the CRM comes back: opt-outs, values that a mapping wants, merges."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from crm_integration.canonical.identity_actions import split
from crm_integration.crms._contract import CrmRecord
from crm_integration.crms.hubspot.adapter import Adapter
from crm_integration.mapping.model import CompiledMapping, FieldRule
from crm_integration.sandbox.faults import FaultRule
from crm_integration.sandbox.portal_merges import merge
from crm_integration.sandbox.portal_state import Record
from crm_integration.sync.crm_changes import CrmRead, read_changes, worth_reading
from crm_integration.sync.crm_values import CrmValue, values_of
from crm_integration_tests import shop_life
from crm_integration_tests.house import VERSION, House, Tenant, account, at, order

STATUS = FieldRule("hs_lead_status", "text", "crm", "never", back=True)


def _read(tenant: Tenant, mappings: dict[str, CompiledMapping] | None = None) -> CrmRead:
    read = read_changes(
        tenant.house.engines, tenant.name, mappings or tenant.mappings, VERSION, run_id="read"
    )
    assert read.problem is None
    return read


def _contact(tenant: Tenant) -> Record:
    (found,) = (one for one in tenant.portal.state.records("contacts") if not one.archived)
    return found


def _consent(tenant: Tenant) -> tuple[str | None, str | None]:
    ((state, basis),) = tenant.rows(
        "select email_consent, email_consent_basis from customers where merged_into is null"
    )
    return state, basis


@pytest.fixture
def ada(house: House) -> Tenant:
    """Ada, who subscribed in the shop, is a contact."""
    tenant = house.tenant("shopify")
    shop_life.says(tenant.shop, tenant.shop.account("ada@example.com"), "subscribed", "confirmed")
    tenant.run_once()
    assert _consent(tenant)[0] == "subscribed"
    assert _read(tenant).opted_out == 0
    return tenant


def _account(tenant: Tenant) -> int:
    (number,) = tenant.shop.state.customers
    return number


def test_an_opt_out_in_the_crm_is_a_word_about_consent(ada: Tenant) -> None:
    """The CRM knew of it, and everything else went on saying subscribed."""
    ada.portal.state.opted_out(_contact(ada))
    read = _read(ada)
    assert (read.seen, read.opted_out) == (1, 1)
    assert _consent(ada) == ("unsubscribed", "crm: hs_email_optout")
    word = ada.rows("select * from consent_events where customer_kind = 'crm'")[0]
    assert (word.timed_by, word.run_id, word.connection_id) == ("first_sight", "read", "crm")
    kept = ada.rows("select * from raw_records where raw_id = :r", r=word.raw_id)
    assert [one.object_type for one in kept] == ["crm_consent"], "every word names its raw record"
    ada.sync()
    assert _contact(ada).properties["ci_email_consent"] == "unsubscribed"
    again = _read(ada)
    assert (again.opted_out, again.lifted) == (0, 0), "our own write is no news"
    assert ada.value("select count(*) from consent_events where customer_kind = 'crm'") == 1


def test_no_opt_in_of_a_store_counts_while_the_crm_says_no(ada: Tenant) -> None:
    """She had told sales not to write; a box that was ticked at the checkout beat that."""
    ada.portal.state.opted_out(_contact(ada))
    _read(ada)
    shop_life.says(ada.shop, _account(ada), "unsubscribed")
    shop_life.says(ada.shop, _account(ada), "subscribed", "confirmed")
    ada.run_once()
    assert _consent(ada)[0] == "unsubscribed"
    assert _contact(ada).properties["ci_email_consent"] == "unsubscribed"


def test_lifted_in_the_crm_the_stores_decide_again(ada: Tenant) -> None:
    """She subscribed again with sales, and no letter ever came; nor is lifting it an opt-in."""
    ada.portal.state.opted_out(_contact(ada))
    _read(ada)
    ada.sync()
    ada.portal.state.opted_out(_contact(ada), value=False)
    read = _read(ada)
    assert (read.opted_out, read.lifted) == (0, 1)
    assert _consent(ada)[0] == "subscribed", "as she had said in the shop"
    ada.sync()
    assert _contact(ada).properties["ci_email_consent"] == "subscribed"
    shop_life.says(ada.shop, _account(ada), "unsubscribed")
    ada.run_once()
    assert _consent(ada)[0] == "unsubscribed"
    ada.portal.state.opted_out(_contact(ada))
    _read(ada)
    ada.portal.state.opted_out(_contact(ada), value=False)
    assert _read(ada).lifted == 1
    assert _consent(ada)[0] == "unsubscribed", "the shop's own opt-out stands"


def test_a_person_who_writes_unsubscribed_into_our_field_is_heard(ada: Tenant) -> None:
    """Without an opt-out field for text messages, sales write it where they see it."""
    ada.portal.edit("contact", _contact(ada).id, ci_sms_consent="unsubscribed")
    assert _read(ada).opted_out == 1
    ((state, basis),) = ada.rows("select sms_consent, sms_consent_basis from customers")
    assert (state, basis) == ("unsubscribed", "crm: ci_sms_consent")
    ada.sync()
    assert _read(ada).lifted == 0, "that we wrote it, too, takes nothing back"
    ada.portal.edit("contact", _contact(ada).id, ci_sms_consent="")
    assert _read(ada).lifted == 1


def test_an_opt_out_from_before_the_first_look_is_found(ada: Tenant) -> None:
    """Reading started with the changes of today; who had opted out last year stayed unknown."""
    a_week_ago = time.time() - 7 * 86_400
    ada.portal.state.clock = lambda: a_week_ago
    ada.portal.state.opted_out(_contact(ada))
    ada.portal.state.clock = time.time
    assert _read(ada).opted_out == 0, "nothing changed since we looked last"
    with ada.scope() as scope:
        scope.connection.execute(text("delete from crm_reads"))
    assert _read(ada).opted_out == 1


def test_what_is_being_written_is_judged_later(ada: Tenant) -> None:
    """Our own opt-out, written a second ago and not noted so far, was taken for a person's."""
    ada.portal.edit("contact", _contact(ada).id, ci_email_consent="unsubscribed")
    with ada.scope() as scope:
        scope.connection.execute(text("update ledger set state = 'in_flight'"))
    assert _read(ada).opted_out == 0
    with ada.scope() as scope:
        scope.connection.execute(text("update ledger set state = 'synced'"))
    assert _read(ada).opted_out == 1


@pytest.mark.parametrize("state", ["pending", "retry"])
def test_what_a_lost_try_may_have_written_is_judged_later(ada: Tenant, state: str) -> None:
    """The run died after it had written our opt-out. Until the next one had looked, the row was
    merely pending, and the opt-out was taken for a person's: with the time of today."""
    ada.portal.edit("contact", _contact(ada).id, ci_email_consent="unsubscribed")
    with ada.scope() as scope:
        lost = text("update ledger set state = :state, sending = desired")
        scope.connection.execute(lost, {"state": state})
    assert _read(ada).opted_out == 0
    with ada.scope() as scope:
        scope.connection.execute(text("update ledger set sending = null"))
    assert _read(ada).opted_out == 1, "nothing is unclear any more: a person wrote it"


def test_an_opt_out_goes_with_the_customer_into_a_merge_and_out_again(tenant: Tenant) -> None:
    """Merged, the one who had said no got letters; split, the other one did not."""
    tenant.keep(account(1, at(0), "ada@example.com"), order(7, at(1), customer_id=1))
    tenant.keep(order(8, at(1), email="countess@example.com", first_name="Ada"))
    tenant.derive()
    tenant.sync()
    second = tenant.portal.one("contact", email="countess@example.com")
    held = tenant.portal.state.get("contacts", second["hs_object_id"])
    assert held is not None
    tenant.portal.state.opted_out(held)
    assert _read(tenant).opted_out == 1
    guest = {"first_name": "Ada", "last_name": "Account", "email": "ada@example.com"}
    tenant.keep(order(8, at(5), email="ada@example.com", billing={**guest, "country": "GB"}))
    tenant.derive()
    assert _consent(tenant)[0] == "unsubscribed"
    merge_id = tenant.value("select merge_id from identity_merges order by merge_id limit 1")
    with tenant.scope() as scope:
        split(scope, merge_id, actor="support", reason="two people")
    states = tenant.rows("select email_consent from customers where merged_into is null")
    assert sorted(str(one.email_consent) for one in states) == ["None", "unsubscribed"]


def _with_status(tenant: Tenant) -> dict[str, CompiledMapping]:
    contact = tenant.mappings["contact"]
    return {"contact": replace(contact, fields={**contact.fields, STATUS.name: STATUS})}


def _statuses(tenant: Tenant) -> list[CrmValue]:
    with tenant.scope() as scope:
        ids = [row.object_id for row in tenant.rows("select object_id from bindings")]
        found = values_of(scope, "crm", "contact", ids)
    return [value for values in found.values() for value in values.values()]


def test_a_field_of_the_crms_comes_back_where_a_mapping_wants_it(tenant: Tenant) -> None:
    """Support saw a lead in the shop's list that sales had called unqualified for weeks."""
    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()
    tenant.sync("contact")
    contact = _contact(tenant)
    tenant.portal.edit("contact", contact.id, hs_lead_status="OPEN")
    assert _read(tenant).values == 0, "nobody wants it"
    assert _read(tenant, _with_status(tenant)).values == 1, "every bound record is looked at"
    (first,) = _statuses(tenant)
    assert (first.value, first.record_id) == ("OPEN", str(contact.id))
    assert (first.mapping_id, first.run_id) == (tenant.mappings["contact"].mapping_id, "read")

    assert _read(tenant, _with_status(tenant)).values == 0
    tenant.portal.edit("contact", contact.id, hs_lead_status="UNQUALIFIED")
    assert _read(tenant, _with_status(tenant)).values == 1
    (second,) = _statuses(tenant)
    assert second.value == "UNQUALIFIED"
    assert second.seen_at > first.seen_at
    sealed = tenant.value("select value from crm_values")
    assert b"UNQUALIFIED" not in bytes(sealed)
    tenant.portal.edit("contact", contact.id, hs_lead_status="")
    assert _read(tenant, _with_status(tenant)).values == 1
    assert _statuses(tenant)[0].value is None


def test_a_field_that_comes_back_is_never_written(tenant: Tenant) -> None:
    """The CRM's own, computed fields refuse every write, and the whole mapping with it."""
    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()
    seen = replace(STATUS, name="createdate", kind="datetime")
    contact = tenant.mappings["contact"]
    mappings = {"contact": replace(contact, fields={**contact.fields, seen.name: seen})}
    tenant.house.mappings, before = {**tenant.mappings, **mappings}, tenant.house.mappings
    try:
        assert tenant.sync("contact").problem is None
    finally:
        tenant.house.mappings = before
    assert _read(tenant, mappings).values == 1


def test_a_merge_in_the_crm_is_noticed_without_a_change_in_the_store(tenant: Tenant) -> None:
    """For months our contact was an id that only answered for another one."""
    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()
    tenant.sync("contact")
    _read(tenant)
    theirs = tenant.portal.enter(email="lady@example.com", firstname="Lady")
    survivor = merge(tenant.portal.state, "contacts", theirs, _first(tenant, "ada@example.com"))
    assert _read(tenant).merged == 1
    tenant.sync("contact")
    assert tenant.value("select crm_record_id from bindings") == str(survivor.id)
    assert _read(tenant).merged == 0


def _first(tenant: Tenant, email: str) -> Record:
    held = tenant.portal.state.get("contacts", email, "email")
    assert held is not None
    return held


def test_a_look_that_breaks_off_goes_on_where_it_was(tenant: Tenant) -> None:
    """A first look at 100,000 records began anew with each outage."""
    tenant.keep(*(account(n, at(n), f"p{n}@example.com") for n in range(1, 8)))
    tenant.derive()
    tenant.sync("contact")
    for one in tenant.portal.state.records("contacts"):
        tenant.portal.state.opted_out(one)
    tenant.portal.follow(FaultRule("status", path="/search", count=0))
    read = read_changes(tenant.house.engines, tenant.name, tenant.mappings, VERSION, run_id="read")
    assert read.problem is not None
    assert read.opted_out == 7, "what was read stays read"
    tenant.portal.follow()
    assert _read(tenant).opted_out == 0


def test_a_run_that_has_nothing_to_send_does_not_look(tenant: Tenant) -> None:
    """A second run over an unchanged window makes no call at all."""

    def worth(minutes: int = 0) -> bool:
        place = (tenant.house.tenancy, tenant.name, tenant.mappings, VERSION)
        return worth_reading(*place, not_within=timedelta(minutes=minutes))

    assert not worth()
    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()
    assert worth()
    tenant.sync()
    assert not worth()
    _read(tenant)
    tenant.keep(account(1, at(5), "ada@example.com", last_name="King"))
    tenant.derive()
    assert worth(), "something is to be sent"
    assert not worth(15), "and nobody looked within the time the tenant set"


def test_what_we_wrote_while_the_crm_was_being_read_is_no_word_of_a_person(
    ada: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing showed our own opt-out of a moment before; meanwhile the shop's opt-in had been
    written, and what it showed passed for what a person had typed: she never got a letter again."""
    shop_life.says(ada.shop, _account(ada), "unsubscribed")
    ada.run_once()
    assert _contact(ada).properties["ci_email_consent"] == "unsubscribed"
    known = Adapter.changed_since
    written: list[bool] = []

    def overtaken(*given: Any) -> Iterator[CrmRecord]:
        shown = list(known(*given))
        if not written:
            written.append(True)
            shop_life.says(ada.shop, _account(ada), "subscribed", "confirmed")
            ada.run_once()
        yield from shown

    with monkeypatch.context() as patch:
        patch.setattr(Adapter, "changed_since", overtaken)
        assert _read(ada).opted_out == 0
    assert written
    assert _consent(ada)[0] == "subscribed"
    assert _read(ada).opted_out == 0, "looked at again, now that nobody writes it"
    ada.sync()
    assert _contact(ada).properties["ci_email_consent"] == "subscribed"
