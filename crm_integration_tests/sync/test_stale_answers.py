"""Senders that were frozen, and records that two objects want: nobody's work is undone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text

from crm_integration.crms._registry import crm_connector
from crm_integration.errors import Transient
from crm_integration.mapping.compile import compile_mapping
from crm_integration.mapping.load import load_mapping
from crm_integration.quality.holds import open_hold
from crm_integration.sandbox.faults import FaultRule
from crm_integration.sync import crm_run
from crm_integration.sync import dispatch as dispatching
from crm_integration.sync.adoption import seek
from crm_integration.sync.crm_run import sync_crm
from crm_integration.sync.ledger import Claimed
from crm_integration.sync.project import Projected, project
from crm_integration.transport.budget import BudgetGate
from crm_integration_tests.house import MAPPINGS, VERSION, Tenant, account, at
from crm_integration_tests.sync.rows import claimed, wished


@dataclass
class _Frozen:
    """Lets another run go the whole way between a sender's write and its memory of it."""

    tenant: Tenant
    real: Any
    done: list[bool] = field(default_factory=list[bool])

    def __call__(self, sender: Any, batch: Any) -> None:
        if not self.done:
            self.done.append(True)
            with self.tenant.scope() as scope:
                scope.connection.execute(
                    text("update ledger set claim_expires_at = now() - interval '1 s'")
                )
            self.tenant.keep(account(1, at(5), "ada@example.com", first_name="Adele"))
            self.tenant.derive()
            self.tenant.sync("contact")
        self.real(sender, batch)


def test_a_frozen_sender_does_not_undo_what_its_successor_remembers(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its late answer put an old base under the record: the next store change was taken for a
    person's edit and never written."""
    tenant.keep(account(1, at(0), "ada@example.com", first_name="Ada"))
    tenant.derive()
    frozen = _Frozen(tenant, dispatching._commit)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(dispatching, "_commit", frozen)
    tenant.sync("contact")
    assert frozen.done
    assert [state for state, _ in tenant.state("contact")] == ["synced"]
    assert tenant.portal.one("contact")["firstname"] == "Adele"
    tenant.keep(account(1, at(9), "ada@example.com", first_name="Augusta"))
    tenant.derive()
    tenant.sync("contact")
    assert tenant.portal.one("contact")["firstname"] == "Augusta"


def test_a_sender_that_dies_after_the_write_leaves_one_record(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process was killed between the CRM's answer and our commit."""
    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()

    class _KilledError(BaseException):
        pass

    def killed(sender: Any, batch: Any) -> None:
        raise _KilledError

    with monkeypatch.context() as patch:
        patch.setattr(dispatching, "_commit", killed)
        with pytest.raises(_KilledError):
            tenant.sync("contact")
    assert tenant.sync("contact").calls == 0, "the claim still stands"
    with tenant.scope() as scope:
        scope.connection.execute(
            text("update ledger set claim_expires_at = now() - interval '1 s'")
        )
    tenant.sync("contact")
    assert len(tenant.portal.records("contact")) == 1
    assert [state for state, _ in tenant.state("contact")] == ["synced"]


def test_a_batch_whose_claim_is_nearly_over_is_not_sent(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow reads ate the claim; the write came when another process had taken the rows over."""
    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()
    monkeypatch.setattr(dispatching, "SEND_WITHIN", -1.0)
    run = tenant.sync("contact")
    assert run.problem == "Transient claim_nearly_over"
    assert tenant.portal.records("contact") == {}
    assert [state for state, _ in tenant.state("contact")] == ["retry"]


def test_every_call_of_a_batch_is_held_back_once_its_claim_is_nearly_over(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that was split over sixty calls outlived its claim and overwrote a newer value."""
    gate = BudgetGate(tenant.house.engines.ops, "hubspot", b"account", {})
    gate("batch")
    gate.deadline = 0.0
    with pytest.raises(Transient) as refused:
        gate("batch")
    assert refused.value.code == "claim_nearly_over"
    assert gate.calls == 1


def test_a_write_names_the_raw_record_and_the_mapping_it_was_made_from(tenant: Tenant) -> None:
    """After the next wish nobody could tell which payload a CRM value had come from."""
    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()
    tenant.sync("contact")
    (first,) = tenant.rows("select raw_id from raw_records")
    tenant.keep(account(1, at(9), "ada@example.com", last_name="Later"))
    tenant.derive()
    with tenant.scope() as scope:
        open_hold(scope, "contact", "row_rules", "a test", "release it", 1)
    tenant.sync("contact")
    (wished_now,) = tenant.rows("select raw_id from ledger")
    assert wished_now.raw_id != first.raw_id
    (attempt,) = tenant.rows("select raw_id, mapping_id from attempts")
    (row,) = tenant.rows("select written_raw_id, written_mapping_id from ledger")
    assert attempt.raw_id == row.written_raw_id == first.raw_id
    assert attempt.mapping_id == row.written_mapping_id == "hubspot/contact/v2"


def test_two_objects_that_match_one_record_are_both_left_to_a_person(tenant: Tenant) -> None:
    """The first of them took sales' contact, the second overwrote it in the same call."""
    wished(tenant)
    wished(tenant)
    rows = claimed(tenant)
    entered = tenant.portal.enter(email="info@example.com", firstname="Office")
    crm = crm_connector("hubspot")
    from crm_integration.crms._contract import CrmAccess

    adapter = crm.open(
        CrmAccess(tenant.portal.url, {"access_token": tenant.portal.token}), lambda _: None
    )
    both = [_matching(one, "info@example.com") for one in rows]
    found = seek(adapter, "contact", "email", both, ["email"])
    assert found.ambiguous == {one.object_id for one in rows}
    alone = seek(adapter, "contact", "email", both[:1], ["email"])
    adapter.close()
    assert [record.record_id for record in alone.adopted.values()] == [str(entered.id)]


def _matching(one: Claimed, email: str) -> Claimed:
    from dataclasses import replace

    return replace(one, desired=replace(one.desired, match=email))


def test_a_contact_found_by_a_conflict_gets_our_key(tenant: Tenant) -> None:
    """Sales entered it a moment ago: the search did not know it, the create was refused. Bound
    without our key it would be made a second time after the next lost answer."""
    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()
    held = tenant.portal.enter(email="ada@example.com", firstname="Addie")
    nothing = {"total": 0, "results": []}
    tenant.portal.follow(FaultRule("status", "POST", "contacts/search", status=200, body=nothing))
    tenant.sync("contact")
    contact = tenant.portal.one("contact")
    assert contact["hs_object_id"] == str(held.id)
    assert contact["firstname"] == "Addie"
    (bound,) = tenant.rows("select object_id, adopted from bindings")
    assert contact["ci_key"] == str(bound.object_id)
    assert bound.adopted
    assert [state for state, _ in tenant.state("contact")] == ["synced"]


def test_an_update_whose_answer_was_lost_is_not_taken_for_a_persons_edit(tenant: Tenant) -> None:
    """The CRM held what we had sent and nobody remembered: the field was left to sales for ever."""
    for minute, name in ((0, "Ada"), (5, "Adele"), (9, "Augusta")):
        tenant.keep(account(1, at(minute), "ada@example.com", first_name=name))
        tenant.derive()
        if name == "Adele":
            lost = FaultRule("commit_then_drop", "POST", "contacts/batch/update")
            tenant.portal.follow(lost)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("crm_integration.sync.crm_session.ROUNDS", 1)
                tenant.sync("contact")
            assert [state for state, _ in tenant.state("contact")] == ["unknown"]
        else:
            tenant.sync("contact")
    assert tenant.portal.one("contact")["firstname"] == "Augusta"


def test_an_answer_lost_twice_leaves_a_persons_edit_alone(tenant: Tenant) -> None:
    """Only what we sent ourselves counts as ours, not what was typed meanwhile."""
    tenant.keep(account(1, at(0), "ada@example.com", first_name="Ada"))
    tenant.derive()
    tenant.portal.follow(FaultRule("commit_then_drop", "POST", "contacts/batch/upsert"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crm_integration.sync.crm_session.ROUNDS", 1)
        tenant.sync("contact")
    (contact_id,) = tenant.portal.records("contact")
    tenant.portal.edit("contact", contact_id, firstname="Lady Ada")
    tenant.keep(account(1, at(5), "ada@example.com", first_name="Adele", last_name="King"))
    tenant.derive()
    tenant.sync("contact")
    contact = tenant.portal.one("contact")
    assert (contact["firstname"], contact["lastname"]) == ("Lady Ada", "King")


def test_who_works_by_an_older_mapping_sends_nothing_that_a_newer_one_made(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that had begun before the merchant was moved to version 2 claimed what version 2
    wanted, found none of its own fields to write, and called the new ones written."""
    older = {"contact": compile_mapping(load_mapping(MAPPINGS, "hubspot", "contact", 1), {})}
    newer = {"contact": compile_mapping(load_mapping(MAPPINGS, "hubspot", "contact", 2), {})}
    place = (tenant.house.engines, tenant.name)
    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()
    sync_crm(*place, older, VERSION, ("contact",), run_id="old")
    wanted = (tenant.house.tenancy, tenant.name, "crm", newer, VERSION)
    project(*wanted, run_id="new")
    with monkeypatch.context() as late:
        late.setattr(crm_run, "project", lambda *given, **more: Projected())
        sync_crm(*place, older, VERSION, ("contact",), run_id="late")
    assert tenant.portal.one("contact").get("ci_lifecycle_reason") is None
    sync_crm(*place, newer, VERSION, ("contact",), run_id="new")
    assert tenant.portal.one("contact")["ci_lifecycle_reason"] == "no order so far"
