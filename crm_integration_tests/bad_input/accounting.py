"""The accounts after a batch: where has every raw record and every accepted object gone?

Prevents the silent drop, which no test of a single outcome finds: what was kept must be applied,
known, kept back with a reason or replaced; what was accepted must be in the ledger; what the
ledger calls synced must be in the CRM.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from crm_integration.stores._contract import SourceObject
from crm_integration_tests.house import Tenant

_ENDED = ("synced", "parked", "dead", "skipped")
_ROUNDS = 4
_TOLD = ("applied", "same", "older", "superseded", "quarantined")


@dataclass(frozen=True)
class Account:
    """What became of a batch. `outcomes` of raw records, `states` of the ledger's rows by object
    type, `reasons` of what is kept back."""

    outcomes: Counter[str]
    states: Counter[tuple[str, str]]
    reasons: Counter[str]
    ends: Counter[tuple[str, ...]]

    def ended(self, object_type: str, state: str = "synced") -> int:
        return self.states[object_type, state]


def settled(tenant: Tenant, batch: Iterable[SourceObject]) -> Account:
    """Keep the batch, take it the whole way to the CRM, and balance the accounts."""
    objects = list(batch)
    kept = tenant.keep(*objects)
    assert kept.kept + kept.suppressed == len(objects), "an object was not kept"
    return accounted(tenant)


def accounted(tenant: Tenant) -> Account:
    """Take everything kept the whole way to the CRM, and balance the accounts."""
    tenant.derive()
    to_the_crm(tenant)
    return balanced(tenant)


def to_the_crm(tenant: Tenant) -> None:
    """Send until nothing is due; a hold is let go as a person would who has looked at it."""
    for _ in range(_ROUNDS):
        _let_go(tenant)
        run = tenant.sync()
        assert run.problem is None, run.problem
        waiting = tenant.value("select count(*) from ledger where state <> all(:s)", s=[*_ENDED])
        if not waiting:
            return
        tenant.hurry()


def balanced(tenant: Tenant) -> Account:
    """Balance the accounts of everything this tenant has. Fails with what does not add up."""
    outcomes = _raw_records(tenant)
    reasons = _kept_back(tenant)
    states = _ledger(tenant)
    _crm(tenant)
    rows = tenant.rows("select object_type, state, reason from ledger where state <> 'synced'")
    return Account(outcomes, states, reasons, Counter(tuple(row) for row in rows))


def _raw_records(tenant: Tenant) -> Counter[str]:
    rows = tenant.rows("select outcome, count(*) from raw_records group by 1")
    found = Counter({str(outcome): number for outcome, number in rows})
    assert set(found) <= set(_TOLD), found
    return found


def _kept_back(tenant: Tenant) -> Counter[str]:
    """Every quarantined record that no newer one replaced is told, with reason and advice."""
    untold = tenant.rows(
        """select r.object_type, r.source_id from raw_records r
           where r.outcome = 'quarantined'
             and not exists (select 1 from quarantine q where q.raw_id = r.raw_id
                             and q.released_at is null and q.position = -1)
             and not exists (select 1 from raw_records n where n.object_type = r.object_type
                             and n.source_id = r.source_id and n.raw_id > r.raw_id)"""
    )
    assert not untold, f"quarantined without a word: {untold[:5]}"
    rows = tenant.rows("select rule, reason, fix from quarantine where released_at is null")
    assert all(row.reason.strip() and row.fix.strip() for row in rows), "no reason or no advice"
    return Counter(row.reason for row in rows)


_CANONICAL = {
    "contact": (
        "customer",
        "select customer_id from customers where known and merged_into is null",
    ),
    "order": ("order", "select order_id from orders"),
    "refund": (
        "refund",
        """select refund_id from refunds r where order_source_id is null
           or exists (select 1 from orders o where o.order_id = r.order_id)""",
    ),
    "product": ("product", "select product_id from products"),
}
"""Ledger object type -> the entity, and which rows of it the CRM must come to hold."""


def _ledger(tenant: Tenant) -> Counter[tuple[str, str]]:
    """Every canonical row has its row in the ledger, or its mapping says why not."""
    for object_type, (entity, living) in _CANONICAL.items():
        lost = tenant.rows(
            f"""with living(id) as ({living}) select id from living
                where not exists (select 1 from ledger l
                                  where l.object_type = :t and l.object_id = living.id)
                  and not exists (select 1 from quarantine q where q.entity = :e
                                  and q.source_id = living.id::text and q.released_at is null)""",
            t=object_type,
            e=entity,
        )
        assert not lost, f"{len(lost)} of {entity} accepted and never to be sent"
    rows = tenant.rows("select object_type, state, reason from ledger")
    open_ends = [tuple(row) for row in rows if row.state not in _ENDED]
    assert not open_ends, f"no end in sight: {Counter(open_ends)}"
    mute = [tuple(row) for row in rows if row.state != "synced" and not row.reason]
    assert not mute, f"given up without a reason: {mute[:5]}"
    return Counter((row.object_type, row.state) for row in rows)


def _crm(tenant: Tenant) -> None:
    """What is called synced is there, once."""
    rows = tenant.rows(
        """select l.object_type, b.crm_record_id from ledger l left join bindings b
           on b.object_type = l.object_type and b.object_id = l.object_id
           where l.state = 'synced'"""
    )
    for object_type in {row.object_type for row in rows}:
        bound = [row.crm_record_id for row in rows if row.object_type == object_type]
        there = {str(one) for one in tenant.portal.records(object_type)}
        assert len(set(bound)) == len(bound), f"two of {object_type} on one CRM record"
        assert set(bound) <= there, f"{object_type}: synced, and not in the CRM"


def _let_go(tenant: Tenant) -> None:
    from crm_integration.quality.release import release_by_person

    held = tenant.rows("select object_type, reason, fix from holds where released_at is null")
    for row in held:
        assert row.reason, "a hold without a reason"
        assert row.fix, "a hold without advice"
        with tenant.scope() as scope:
            release_by_person(scope, row.object_type, None, "test")
