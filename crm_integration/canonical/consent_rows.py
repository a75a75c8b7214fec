"""Writes consent events, and what they come to for each customer.

Prevents the opt-out that is lost between two looks: an event is written for each *change* of
what an identity said, with the time it was said, and never again for the same word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Table, and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from crm_integration.canonical.consent_decision import Decision, Word, decide
from crm_integration.canonical.consents import (
    CONSENT_SCHEMA,
    Channel,
    Consent,
    ConsentState,
    OptInLevel,
)
from crm_integration.canonical.identity import IdentityKey, object_id
from crm_integration.canonical.sourced import Sourced, Stamp, content_digest, version_values
from crm_integration.canonical.upsert import VERSION_COLUMNS
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.canonical import customer_identities, customers
from crm_integration.storage.tables.commerce import consent_events
from crm_integration.storage.tables.intake import raw_records
from crm_integration.tenancy.scope import TenantScope

_STATED = ("customer_kind", "customer_source_id", "channel", "state", "level", "explicit")
_COLUMNS = ("connection_id", "source_id", *_STATED, "event_at", "timed_by", "basis")
_DECIDED = tuple(f"{channel}_consent" for channel in Channel)

_Version = tuple[Any, int, int]


def write_consents(
    scope: TenantScope, batch: Sequence[Sourced[Consent]], stamp: Stamp
) -> set[IdentityKey]:
    """Add an event for each word that differs from the one before it; returns who spoke anew."""
    if not batch:
        return set()
    known = _known(scope, batch)
    received = _received(scope, {one.raw_id for one in batch})
    rows: dict[UUID, tuple[Any, ...]] = {}
    spoke: set[IdentityKey] = set()
    for one in sorted(batch, key=_version):
        events = known[one.connection_id, one.item.source_id]
        content = _content(scope, one.item)
        before = max((event for event in events if event[0] < _version(one)), default=None)
        if before is not None and before[1] == content:
            continue
        named = f"{one.item.source_id}/{one.raw_id}"
        event_id = object_id(scope, "consent", one.connection_id, named)
        events.append((_version(one), content))
        timed_by = "store" if one.item.consented_at else "change" if before else "first_sight"
        rows[event_id] = _row(event_id, one, content, stamp, received[one.raw_id], timed_by)
        item = one.item
        spoke.add(IdentityKey(one.connection_id, item.customer_kind, item.customer_source_id))
    _insert(scope, list(rows.values()))
    return spoke


def _version(one: Sourced[Consent]) -> _Version:
    return one.item.source_time, one.observation, one.raw_id


def _content(scope: TenantScope, item: Consent) -> bytes:
    said = [item.state, item.level, item.explicit, item.consented_at, item.basis]
    return content_digest(scope, "consent", said)


def _known(
    scope: TenantScope, batch: Sequence[Sourced[Consent]]
) -> dict[tuple[str, str], list[tuple[_Version, bytes]]]:
    """The events so far of those who speak: (version, content)."""
    names = ("connection_id", "source_id")
    keys = {(one.connection_id, one.item.source_id) for one in batch}
    asked = stage(scope.connection, consent_events, names, keys)
    table = consent_events.c
    rows = scope.connection.execute(
        select(
            table.connection_id,
            table.source_id,
            table.source_time,
            table.observation,
            table.raw_id,
            table.content_digest,
        ).join_from(
            asked,
            consent_events,
            and_(
                table.tenant_id == scope.tenant,
                *(table[name] == asked.c[name] for name in names),
            ),
        )
    )
    found: dict[tuple[str, str], list[tuple[_Version, bytes]]] = defaultdict(list)
    for connection_id, source_id, *version, content in rows:
        found[connection_id, source_id].append(((version[0], version[1], version[2]), content))
    return found


def _received(scope: TenantScope, raw_ids: Collection[int]) -> dict[int, Any]:
    rows = scope.connection.execute(
        select(raw_records.c.raw_id, raw_records.c.received_at).where(
            raw_records.c.tenant_id == scope.tenant, raw_records.c.raw_id.in_(raw_ids)
        )
    )
    return {row.raw_id: row.received_at for row in rows}


def _row(
    event_id: UUID,
    one: Sourced[Consent],
    content: bytes,
    stamp: Stamp,
    received: Any,
    timed_by: str,
) -> tuple[Any, ...]:
    item = one.item
    return (
        event_id,
        one.connection_id,
        item.source_id,
        *(getattr(item, name) for name in _STATED),
        item.consented_at or received,
        timed_by,
        item.basis,
        *version_values(one, stamp, rank=0, content=content, schema_version=CONSENT_SCHEMA),
    )


def _insert(scope: TenantScope, rows: Sequence[tuple[Any, ...]]) -> None:
    if not rows:
        return
    names = ("event_id", *_COLUMNS, *VERSION_COLUMNS)
    staged = stage(
        scope.connection,
        consent_events,
        ("tenant_id", *names),
        ((scope.tenant, *row) for row in rows),
    )
    scope.connection.execute(
        insert(consent_events)
        .from_select(["tenant_id", *names], select(*staged.c))
        .on_conflict_do_nothing()
    )


def refresh_consent(scope: TenantScope, customer_ids: Collection[UUID]) -> None:
    """Decide anew what the words of these customers' identities come to."""
    if not customer_ids:
        return
    asked = stage(scope.connection, customers, ("customer_id",), [(one,) for one in customer_ids])
    words = _words(scope, asked)
    decided = [
        (
            customer_id,
            *_columns(decide(words[customer_id, Channel.email])),
            *_columns(decide(words[customer_id, Channel.sms])),
        )
        for customer_id in customer_ids
    ]
    names = [f"{channel}{part}" for channel in _DECIDED for part in ("", "_at", "_basis")]
    staged = stage(scope.connection, customers, ("customer_id", *names), decided)
    scope.connection.execute(
        update(customers)
        .where(
            customers.c.tenant_id == scope.tenant,
            customers.c.customer_id == staged.c.customer_id,
            or_(*(customers.c[name].is_distinct_from(staged.c[name]) for name in names)),
        )
        .values({**{name: staged.c[name] for name in names}, "needs_projection": True})
    )


def _columns(decision: Decision | None) -> tuple[Any, Any, Any]:
    if decision is None:
        return None, None, None
    return decision.state, decision.at, decision.basis


def _words(scope: TenantScope, asked: Table) -> dict[tuple[UUID, str], list[Word]]:
    """All words of the identities of the asked customers, by customer and channel."""
    people, events = customer_identities.c, consent_events.c
    rows = scope.connection.execute(
        select(
            people.customer_id,
            people.connection_id,
            people.kind,
            people.source_id,
            people.trusted,
            people.linked_at,
            events.channel,
            events.state,
            events.level,
            events.explicit,
            events.event_at,
            events.timed_by,
            events.basis,
        )
        .join_from(
            asked,
            customer_identities,
            and_(people.tenant_id == scope.tenant, people.customer_id == asked.c.customer_id),
        )
        .join(
            consent_events,
            and_(
                events.tenant_id == people.tenant_id,
                events.connection_id == people.connection_id,
                events.customer_kind == people.kind,
                events.customer_source_id == people.source_id,
            ),
        )
    )
    found: dict[tuple[UUID, str], list[Word]] = defaultdict(list)
    for row in rows:
        found[row.customer_id, row.channel].append(
            Word(
                speaker=f"{row.connection_id}/{row.kind}/{row.source_id}",
                state=ConsentState(row.state),
                level=OptInLevel(row.level),
                explicit=row.explicit,
                at=row.event_at,
                timed_by=row.timed_by,
                trusted=row.trusted,
                linked_at=row.linked_at,
                basis=f"{row.connection_id}: {row.basis}" if row.basis else row.connection_id,
            )
        )
    return found
