"""The story of one dead letter: from the store's payload to the CRM's answer.

Prevents the guess of whoever must mend it: all that led to the write is opened in one place,
inside the tenant's walls, and that somebody looked is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select

from crm_integration.audit import trail
from crm_integration.crms._contract import FieldValue
from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.sync import attempts, ledger
from crm_integration.sync.dead_letters import DeadLetter
from crm_integration.sync.ledger import TABLE, Desired, row_name
from crm_integration.sync.views import VIEWS, Choice, View
from crm_integration.tenancy.scope import TenantScope

TRIES_TOLD = 5
"""The last tries; a letter that was given up after twelve had twelve alike."""


@dataclass(frozen=True)
class Payload:
    """What the store said; `body` is parsed where it is JSON."""

    raw_id: int
    connection_id: str
    object_type: str
    source_id: str
    source_time: datetime
    body: Any = field(repr=False)


@dataclass(frozen=True)
class Tried:
    """One try with what was sent and what the CRM said."""

    at: datetime
    kind: str
    status: int
    code: str | None
    run_id: str
    request: Any = field(repr=False)
    answer: Any = field(repr=False)


@dataclass(frozen=True)
class Story:
    """Everything about one dead letter. Holds personal data: for the eyes of one person.

    `payload` and `canonical` are None where they are gone (erased, or never kept). `original` is
    what was desired before a person's edit.
    """

    letter: DeadLetter
    advice: str
    payload: Payload | None = field(repr=False)
    canonical: View | None = field(repr=False)
    desired: Mapping[str, FieldValue] = field(repr=False)
    original: Mapping[str, FieldValue] | None = field(repr=False)
    tries: tuple[Tried, ...] = field(repr=False)


def tell(
    scope: TenantScope, connection_id: str, letter: DeadLetter, entity: str, *, by: str
) -> Story:
    """Open all that belongs to a letter; leaves an audit entry. `entity` is its mapping's."""
    trail.record(
        scope,
        actor=by,
        action="dead_letter.show",
        subject=f"{letter.object_type}/{letter.object_id}",
    )
    desired, original = _wished(scope, connection_id, letter)
    return Story(
        letter,
        advice(scope.tenant, letter),
        _payload(scope, letter.raw_id),
        _canonical(scope, entity, letter),
        desired,
        original,
        _tries(scope, connection_id, letter),
    )


def advice(tenant: str, letter: DeadLetter) -> str:
    """What to do, in plain words."""
    edit = f"crm-integration dead-letters edit {tenant} {letter.object_id}"
    again = f"crm-integration dead-letters redrive {tenant} {letter.object_id}"
    reason = letter.reason
    if reason.startswith(REFUSES):
        name = reason.removeprefix(REFUSES).strip()
        return (
            f"The CRM does not take the value of {name}. Correct it in the store: the next version "
            f"is sent by itself. Or correct it here: {edit} --set {name}=VALUE --reason TEXT, "
            f"then: {again}. If many records say so, the mapping is wrong: {letter.mapping_id}."
        )
    if "given up after" in reason:
        return (
            "The CRM was busy or out of reach at every try; nothing is wrong with the record. "
            f"When it answers again: {again}, or all of a kind by --reason."
        )
    return (
        "The CRM refuses this request whatever its values are. Its answer above says why; mend "
        f"that in the CRM (a permission, a missing property, a deleted record), then: {again}."
    )


REFUSES = "the CRM refuses "
"""How the reason of a rejected record begins (`outcomes.failed`)."""


def _wished(
    scope: TenantScope, connection_id: str, letter: DeadLetter
) -> tuple[dict[str, FieldValue], dict[str, FieldValue] | None]:
    row = scope.connection.execute(
        select(ledger.c.desired, ledger.c.edited_from).where(
            ledger.c.tenant_id == scope.tenant,
            ledger.c.connection_id == connection_id,
            ledger.c.object_type == letter.object_type,
            ledger.c.object_id == letter.object_id,
        )
    ).one()
    name = row_name(connection_id, letter.object_type, letter.object_id)

    def opened(sealed: bytes) -> dict[str, FieldValue]:
        return Desired.decoded(scope.keys.open(TABLE, name, sealed)).fields

    return opened(row.desired), None if row.edited_from is None else opened(row.edited_from)


def _payload(scope: TenantScope, raw_id: int) -> Payload | None:
    row = scope.connection.execute(
        select(raw_records).where(
            raw_records.c.tenant_id == scope.tenant, raw_records.c.raw_id == raw_id
        )
    ).one_or_none()
    if row is None:
        return None
    body = scope.keys.open("raw_records", str(row.uid), row.payload)
    return Payload(
        row.raw_id, row.connection_id, row.object_type, row.source_id, row.source_time, _read(body)
    )


def _read(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")


def _canonical(scope: TenantScope, entity: str, letter: DeadLetter) -> View | None:
    choice = Choice(None, 1, waiting=False, among=(letter.object_id,))
    found = VIEWS[entity].read(scope, choice)
    return found[0].view if found else None


def _tries(scope: TenantScope, connection_id: str, letter: DeadLetter) -> tuple[Tried, ...]:
    rows = scope.connection.execute(
        select(attempts)
        .where(
            attempts.c.tenant_id == scope.tenant,
            attempts.c.connection_id == connection_id,
            attempts.c.object_type == letter.object_type,
            attempts.c.object_id == letter.object_id,
        )
        .order_by(attempts.c.attempt_id.desc())
        .limit(TRIES_TOLD)
    ).all()
    return tuple(_tried(scope, row) for row in reversed(rows))


def _tried(scope: TenantScope, row: Any) -> Tried:
    exchange: dict[str, Any] = {}
    if row.exchange is not None:
        exchange = orjson.loads(scope.keys.open("attempts", str(row.uid), row.exchange))
    return Tried(
        row.at,
        row.kind,
        row.status,
        row.code,
        row.run_id,
        exchange.get("request"),
        exchange.get("answer"),
    )
