"""What is known of a CRM record's fields before and after a write: the base of the next look.

Prevents two mistakes about whose a value is: one of ours that is taken for a person's because the
answer to its write was lost, and a person's that is taken for ours because the CRM repeated it.
"""

from __future__ import annotations

from dataclasses import replace

from crm_integration.crms._contract import CrmRecord, Write
from crm_integration.mapping.model import CompiledMapping
from crm_integration.mapping.normalised import alike
from crm_integration.mapping.ownership import remembered
from crm_integration.sync.bindings import Binding
from crm_integration.sync.ledger import Claimed


def recognised(
    mapping: CompiledMapping, one: Claimed, record: CrmRecord, binding: Binding | None
) -> Binding:
    """The binding with what was written by tries whose answers were lost.

    What the record holds of it is ours, so that a later change in the store is written too. A
    record that carries our key without a binding was made by such a try. Fields that an earlier
    mapping version wrote, and this one does not know, are ours as well: it may come back.
    """
    said = list(one.unclear)
    if binding is None:
        binding = Binding(one.object_id, record.record_id, False)
        said.append(one.desired)
    ours = {
        name: value
        for desired in said
        for name, value in desired.fields.items()
        if value is not None
        and alike(value, record.fields.get(name), _compared_as(mapping, name))
    }
    held = {name: record.fields.get(name) for name in ours}
    return replace(
        binding, given_back={**binding.given_back, **held}, sent={**binding.sent, **ours}
    )


def _compared_as(mapping: CompiledMapping, name: str) -> str:
    rule = mapping.fields.get(name)
    return "text" if rule is None else rule.compared_as


def rebound(before: Binding, write: Write, record: CrmRecord) -> Binding:
    """The base for the next look: only what we wrote takes the CRM's answer."""
    return Binding(
        before.object_id,
        record.record_id,
        before.adopted,
        remembered(before.given_back, written=write.fields, answered=record.fields),
        {**before.sent, **write.fields},
    )
