"""What the CRM itself holds about consent, as words among the stores' words.

Prevents the opt-out that only the CRM knows of: a second CRM, a report or a mapping would go on
showing the store's old opt-in. Of what was set in the CRM only the newest counts: lifted there, an
opt-out is no word at all, and the stores decide.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, Executable, FromClause, Text, and_, bindparam, cast, select
from sqlalchemy.dialects.postgresql import distinct_on

from crm_integration.canonical.consent_decision import Word
from crm_integration.canonical.consents import ConsentState, OptInLevel
from crm_integration.storage.bulk import Handed, hand, stage
from crm_integration.storage.tables.canonical import customers
from crm_integration.storage.tables.commerce import consent_events
from crm_integration.storage.tables.tenancy import connections
from crm_integration.tenancy.scope import TenantScope

SPEAKER = "crm"
"""`customer_kind` of these events; their `customer_source_id` is the customer's id."""


@dataclass(frozen=True)
class Said:
    """What a CRM record showed: the state, by which field, and when it was last changed."""

    state: ConsentState
    basis: str
    at: datetime


def crm_words(scope: TenantScope, asked: Handed) -> list[tuple[UUID, str, Word]]:
    """(customer, channel, word) of the opt-outs that the CRM holds of the customers in `asked`,
    and of those that became one of them."""
    said = {"tenant": scope.tenant, **asked.values}
    return [
        (row.root, row.channel, _word(row))
        for row in scope.connection.execute(_of_living(asked.source), said)
        if row.state == ConsentState.unsubscribed
    ]


def living(scope: TenantScope, customer_ids: Collection[UUID]) -> set[UUID]:
    """Who these customers are by now: themselves, or whom they became."""
    asked = stage(scope.connection, customers, ("customer_id",), [(one,) for one in customer_ids])
    first = (
        select(customers.c.customer_id, customers.c.merged_into)
        .join_from(asked, customers, customers.c.customer_id == asked.c.customer_id)
        .where(customers.c.tenant_id == scope.tenant)
        .cte("became", recursive=True)
    )
    further = select(customers.c.customer_id, customers.c.merged_into).where(
        customers.c.tenant_id == scope.tenant, customers.c.customer_id == first.c.merged_into
    )
    became = first.union(further)
    found = scope.connection.execute(
        select(became.c.customer_id).where(became.c.merged_into.is_(None))
    )
    return set(found.scalars())


def said_before(
    scope: TenantScope, connection_id: str, customer_ids: Collection[UUID]
) -> Mapping[tuple[UUID, str], Said]:
    """What was kept of these customers' records last, by customer and channel."""
    ids = [(one,) for one in customer_ids]
    asked = hand(scope.connection, "asked", customers, ("customer_id",), ids)
    said = {"tenant": scope.tenant, **asked.values}
    return {
        (row.root, row.channel): Said(ConsentState(row.state), row.basis, row.source_time)
        for row in scope.connection.execute(_of_themselves(asked.source), said)
        if row.connection_id == connection_id
    }


@lru_cache(maxsize=16)
def _of_themselves(asked: FromClause) -> Executable:
    return _newest(select(asked.c.customer_id, asked.c.customer_id.label("root")).cte("asked_for"))


@lru_cache(maxsize=16)
def _of_living(asked: FromClause) -> Executable:
    return _newest(_with_merged(asked))


def _with_merged(asked: FromClause) -> CTE:
    """(customer, who of the asked it is by now)."""
    themselves = select(asked.c.customer_id, asked.c.customer_id.label("root"))
    first = themselves.cte("counts_for", recursive=True)
    merged = select(customers.c.customer_id, first.c.root).where(
        customers.c.tenant_id == bindparam("tenant"),
        customers.c.merged_into == first.c.customer_id,
    )
    return first.union(merged)


def _newest(who: CTE) -> Executable:
    """The newest word of each customer and channel."""
    events = consent_events.c
    crm = and_(connections.c.tenant_id == bindparam("tenant"), connections.c.side == "crm")
    return (
        select(
            *(who.c.root, events.connection_id, events.customer_source_id, events.channel),
            *(events.state, events.level, events.event_at, events.timed_by, events.basis),
            events.source_time,
        )
        .ext(distinct_on(*_one_speaker(who)))
        .select_from(who)
        .join(connections, crm)
        .join(
            consent_events,
            and_(
                events.tenant_id == bindparam("tenant"),
                events.connection_id == connections.c.connection_id,
                events.customer_kind == SPEAKER,
                events.customer_source_id == cast(who.c.customer_id, Text),
            ),
        )
        .order_by(
            *_one_speaker(who),
            *(events.source_time.desc(), events.observation.desc(), events.raw_id.desc()),
        )
    )


def _one_speaker(who: CTE) -> tuple[Any, ...]:
    events = consent_events.c
    return who.c.root, events.connection_id, events.customer_source_id, events.channel


def _word(row: Any) -> Word:
    return Word(
        speaker=f"{row.connection_id}/{SPEAKER}/{row.customer_source_id}",
        state=ConsentState.unsubscribed,
        level=OptInLevel(row.level),
        explicit=True,
        at=row.event_at,
        timed_by=row.timed_by,
        trusted=False,
        linked_at=row.event_at,
        basis=f"{row.connection_id}: {row.basis}",
        held=True,
    )
