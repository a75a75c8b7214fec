"""A person's correction of a dead letter.

Prevents two losses: the correction that a re-projection silently takes back, and the one that
stands for ever against what the store says next. An edit holds until something else is desired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, select, update

from crm_integration.audit import trail
from crm_integration.errors import BadInput, NotFound
from crm_integration.mapping.model import CompiledMapping, FieldValue
from crm_integration.mapping.paths import suggest
from crm_integration.mapping.typed_value import typed_value
from crm_integration.storage.tables.sync import ledger
from crm_integration.sync.dead_letters import DeadLetter
from crm_integration.sync.ledger import TABLE, Desired, row_name
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import TenantScope


def edit(
    scope: TenantScope,
    connection_id: str,
    mapping: CompiledMapping,
    letter: DeadLetter,
    changes: Mapping[str, str],
    *,
    by: str,
    reason: str,
) -> tuple[str, ...]:
    """Change fields of what a dead letter wants to write; returns the names of those that differ.

    The original stays beside it. The audit entry names the fields, never their values; the letter
    stays dead until it is redriven. Raises BadInput for a field that is not mapped or a value that
    does not fit, NotFound for a letter that has come alive.
    """
    if not reason.strip():
        raise BadInput("an edit needs a reason: --reason, which is kept for ever; name no person")
    _refuse_other_mapping(mapping, letter)
    values = {name: _value(mapping, name, text) for name, text in changes.items()}
    row = _locked(scope, connection_id, letter)
    name = row_name(connection_id, letter.object_type, letter.object_id)
    before = Desired.decoded(scope.keys.open(TABLE, name, row.desired))
    after = _changed(mapping, before, values)
    differing = tuple(one for one in values if values[one] != before.fields.get(one))
    if not differing:
        raise BadInput("these fields hold these values already: nothing to change")
    encoded = after.encoded()
    digest = scope.keys.digest("desired", encoded)
    original, original_digest = row.edited_from, row.edited_from_digest
    if original is None:
        original, original_digest = row.desired, row.desired_digest
    taken_back = digest == original_digest
    scope.connection.execute(
        update(ledger)
        .where(*_row(scope, connection_id, letter))
        .values(
            desired=scope.keys.seal(TABLE, name, encoded),
            desired_digest=digest,
            edited_from=None if taken_back else original,
            edited_from_digest=None if taken_back else original_digest,
        )
    )
    trail.record(
        scope,
        actor=by,
        action="dead_letter.edit",
        subject=f"{letter.object_type}/{letter.object_id}",
        fields=sorted(differing),
        reason=reason,
    )
    return differing


def _changed(
    mapping: CompiledMapping, before: Desired, values: Mapping[str, FieldValue]
) -> Desired:
    """With the match field goes what the record is looked for by."""
    after = replace(before, fields={**before.fields, **values})
    if mapping.match is not None and mapping.match.field in values:
        value = values[mapping.match.field]
        after = replace(after, match=None if value is None else str(value))
    return after


def _value(mapping: CompiledMapping, name: str, text: str) -> FieldValue:
    rule = mapping.fields.get(name)
    if rule is None:
        raise BadInput(f"{mapping.mapping_id} has no field {name[:60]!r}. "
                       + suggest(name, tuple(mapping.fields)))  # fmt: skip
    return typed_value(rule, text)


def _refuse_other_mapping(mapping: CompiledMapping, letter: DeadLetter) -> None:
    if mapping.mapping_id != letter.mapping_id:
        raise BadInput(
            f"this letter was made by {letter.mapping_id}, the tenant now uses "
            f"{mapping.mapping_id}: the next run maps it anew; look at it after that"
        )


def _locked(scope: TenantScope, connection_id: str, letter: DeadLetter) -> Any:
    row = scope.connection.execute(
        select(ledger).where(*_row(scope, connection_id, letter)).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound(f"{letter.object_id} is no dead letter any more: its data changed")
    return row


def _row(
    scope: TenantScope, connection_id: str, letter: DeadLetter
) -> tuple[ColumnElement[bool], ...]:
    return (
        ledger.c.tenant_id == scope.tenant,
        ledger.c.connection_id == connection_id,
        ledger.c.object_type == letter.object_type,
        ledger.c.object_id == letter.object_id,
        ledger.c.state == State.dead.value,
    )
