"""Writes activities; one about an order belongs to whoever the order belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from crm_integration.canonical.activities import ACTIVITY_SCHEMA, Activity
from crm_integration.canonical.customer_rows import customers_of
from crm_integration.canonical.identity import object_id
from crm_integration.canonical.sourced import (
    Sourced,
    Stamp,
    content_digest,
    seal_fields,
    version_values,
)
from crm_integration.canonical.upsert import Upserted, upsert_versions
from crm_integration.storage.tables.commerce import activities
from crm_integration.tenancy.scope import TenantScope

_STATED = (
    *("source_id", "kind", "occurred_at", "order_source_id", "customer_kind"),
    *("customer_source_id", "number", "currency", "amount_minor"),
)
_COLUMNS = ("connection_id", "order_id", "customer_id", *_STATED, "sealed")


def write_activities(
    scope: TenantScope, batch: Sequence[Sourced[Activity]], stamp: Stamp
) -> Upserted:
    """Upsert a batch of activities, one version per activity."""
    people = customers_of(scope, batch, stamp)
    rows = [_row(scope, one, who, stamp) for one, who in zip(batch, people, strict=True)]
    return upsert_versions(scope, activities, "activity_id", _COLUMNS, rows)


def _row(
    scope: TenantScope, sourced: Sourced[Activity], customer_id: UUID | None, stamp: Stamp
) -> tuple[Any, ...]:
    activity = sourced.item
    activity_id = object_id(scope, "activity", sourced.connection_id, activity.source_id)
    order_id = None
    if activity.order_source_id is not None:
        order_id = object_id(scope, "order", sourced.connection_id, activity.order_source_id)
    stated = [getattr(activity, name) for name in _STATED]
    personal = {"subject": activity.subject, "body": activity.body}
    said = any(personal.values())
    content = content_digest(
        scope,
        "activity",
        [sourced.connection_id, *stated, *personal.values(), activity.flags],
    )
    return (
        activity_id,
        sourced.connection_id,
        order_id,
        customer_id,
        *stated,
        seal_fields(scope, "activities", str(activity_id), personal) if said else None,
        *version_values(sourced, stamp, rank=0, content=content, schema_version=ACTIVITY_SCHEMA),
    )
