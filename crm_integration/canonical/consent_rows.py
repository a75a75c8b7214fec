"""Writes consent events, and what they come to for each customer.

Prevents the opt-out that is lost between two looks: an event is written for each *change* of
what an identity said, with the time it was said, and never again for the same word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Executable,
    FromClause,
    Update,
    and_,
    any_,
    bindparam,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from crm_integration.canonical.consent_decision import Decision, TimedBy, Word, decide
from crm_integration.canonical.consents import (
    CONSENT_SCHEMA,
    Channel,
    Consent,
    ConsentState,
    OptInLevel,
)
from crm_integration.canonical.crm_words import crm_words
from crm_integration.canonical.identity import IdentityKey, object_id
from crm_integration.canonical.sourced import Sourced, Stamp, content_digest, version_values
from crm_integration.canonical.upsert import VERSION_COLUMNS
from crm_integration.storage.bulk import Handed, hand, stage
from crm_integration.storage.tables.canonical import customer_identities, customers
from crm_integration.storage.tables.commerce import consent_events
from crm_integration.storage.tables.intake import raw_records
from crm_integration.tenancy.scope import TenantScope

_STATED = ("customer_kind", "customer_source_id", "channel", "state", "level", "explicit")
_COLUMNS = ("connection_id", "source_id", *_STATED, "event_at", "timed_by", "basis")
_DECISION = tuple(
    f"{channel}_consent{part}" for channel in Channel for part in ("", "_at", "_basis")
)

_Version = tuple[Any, int, int]
_Events = dict[_Version, tuple[bytes, Any]]
"""What one speaker said on one channel: (content, event time) by version."""


def write_consents(
    scope: TenantScope, batch: Sequence[Sourced[Consent]], stamp: Stamp
) -> set[IdentityKey]:
    """Add an event for each word that differs from the one before it; returns who spoke anew."""
    if not batch:
        return set()
    known = _known(scope, batch)
    received = _received(scope, {one.raw_id for one in batch})
    said: list[tuple[Sourced[Consent], TimedBy]] = []
    for one in sorted(batch, key=_version):
        events = known[one.connection_id, one.item.source_id]
        timed_by = _news(one, _content(scope, one.item), events, received[one.raw_id])
        if timed_by is not None:
            said.append((one, timed_by))
    # The newest first: what came late is older than what is known of the same speaker.
    rows = [
        _row(scope, one, known[one.connection_id, one.item.source_id], stamp, timed_by)
        for one, timed_by in reversed(said)
    ]
    _insert(scope, rows)
    return {
        IdentityKey(one.connection_id, one.item.customer_kind, one.item.customer_source_id)
        for one, _ in said
    }


def _news(one: Sourced[Consent], content: bytes, events: _Events, received: Any) -> TimedBy | None:
    """Add a word to the events; None for one that is known or says what the one before said."""
    version = _version(one)
    if version in events:
        return None
    before = max((other for other in events if other < version), default=None)
    if before is not None and events[before][0] == content:
        return None
    events[version] = content, one.item.consented_at or received
    return "store" if one.item.consented_at else "change" if before else "first_sight"


def _version(one: Sourced[Consent]) -> _Version:
    return one.item.source_time, one.observation, one.raw_id


def _content(scope: TenantScope, item: Consent) -> bytes:
    said = [item.state, item.level, item.explicit, item.consented_at, item.basis]
    return content_digest(scope, "consent", said)


def _known(scope: TenantScope, batch: Sequence[Sourced[Consent]]) -> dict[tuple[str, str], _Events]:
    """The events so far of those who speak."""
    keys = {(one.connection_id, one.item.source_id) for one in batch}
    asked = hand(scope.connection, "asked", consent_events, _SPEAKER, keys)
    said = {"tenant": scope.tenant, **asked.values}
    found: dict[tuple[str, str], _Events] = defaultdict(dict)
    for row in scope.connection.execute(_events_of(asked.source), said):
        version = row.source_time, row.observation, row.raw_id
        found[row.connection_id, row.source_id][version] = row.content_digest, row.event_at
    return found


_SPEAKER = ("connection_id", "source_id")


@lru_cache(maxsize=16)
def _events_of(asked: FromClause) -> Executable:
    table = consent_events.c
    return select(
        *(table.connection_id, table.source_id, table.source_time, table.observation),
        *(table.raw_id, table.content_digest, table.event_at),
    ).join_from(
        asked,
        consent_events,
        and_(
            table.tenant_id == bindparam("tenant"),
            *(table[name] == asked.c[name] for name in _SPEAKER),
        ),
    )


def _received(scope: TenantScope, raw_ids: Collection[int]) -> dict[int, Any]:
    asked = {"tenant": scope.tenant, "ids": list(raw_ids)}
    return {row.raw_id: row.received_at for row in scope.connection.execute(_RECEIVED, asked)}


_RECEIVED = select(raw_records.c.raw_id, raw_records.c.received_at).where(
    raw_records.c.tenant_id == bindparam("tenant"),
    raw_records.c.raw_id == any_(bindparam("ids", type_=ARRAY(BigInteger))),
)


def _row(
    scope: TenantScope,
    one: Sourced[Consent],
    events: _Events,
    stamp: Stamp,
    timed_by: TimedBy,
) -> tuple[Any, ...]:
    item = one.item
    content, at = events[_version(one)]
    if timed_by != "store":
        at = min(at, _next_said(one, events, at))
        events[_version(one)] = content, at
    return (
        object_id(scope, "consent", one.connection_id, f"{item.source_id}/{one.raw_id}"),
        one.connection_id,
        item.source_id,
        *(getattr(item, name) for name in _STATED),
        at,
        timed_by,
        item.basis,
        *version_values(one, stamp, rank=0, content=content, schema_version=CONSENT_SCHEMA),
    )


def _next_said(one: Sourced[Consent], events: _Events, otherwise: Any) -> Any:
    """When the speaker's next newer word was said: an older version that comes late was said
    before it, whenever we got it."""
    newer = min((other for other in events if other > _version(one)), default=None)
    return otherwise if newer is None else events[newer][1]


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
    ids = [(one,) for one in customer_ids]
    words = _words(scope, hand(scope.connection, "asked", customers, ("customer_id",), ids))
    decided = [
        (
            customer_id,
            *_columns(decide(words[customer_id, Channel.email])),
            *_columns(decide(words[customer_id, Channel.sms])),
        )
        for customer_id in customer_ids
    ]
    rows = hand(scope.connection, "decided", customers, ("customer_id", *_DECISION), decided)
    scope.connection.execute(_decided(rows.source), {"tenant": scope.tenant, **rows.values})


@lru_cache(maxsize=16)
def _decided(decided: FromClause) -> Update:
    return (
        update(customers)
        .where(
            customers.c.tenant_id == bindparam("tenant"),
            customers.c.customer_id == decided.c.customer_id,
            or_(*(customers.c[name].is_distinct_from(decided.c[name]) for name in _DECISION)),
        )
        .values({**{name: decided.c[name] for name in _DECISION}, "needs_projection": True})
    )


def _columns(decision: Decision | None) -> tuple[Any, Any, Any]:
    if decision is None:
        return None, None, None
    return decision.state, decision.at, decision.basis


def _words(scope: TenantScope, asked: Handed) -> dict[tuple[UUID, str], list[Word]]:
    """All words of the asked customers' identities, and what the CRM holds of these customers;
    by customer and channel."""
    said = {"tenant": scope.tenant, **asked.values}
    found: dict[tuple[UUID, str], list[Word]] = defaultdict(list)
    for customer_id, channel, word in crm_words(scope, asked):
        found[customer_id, channel].append(word)
    for row in scope.connection.execute(_spoken(asked.source), said):
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


@lru_cache(maxsize=16)
def _spoken(asked: FromClause) -> Executable:
    people, events = customer_identities.c, consent_events.c
    return (
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
            and_(
                people.tenant_id == bindparam("tenant"),
                people.customer_id == asked.c.customer_id,
            ),
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
