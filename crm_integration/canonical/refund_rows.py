"""Writes refunds; one that has no order still belongs to its customer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from crm_integration.canonical.customer_rows import customers_of
from crm_integration.canonical.identity import object_id
from crm_integration.canonical.refunds import REFUND_SCHEMA, Refund
from crm_integration.canonical.sourced import (
    Sourced,
    Stamp,
    content_digest,
    seal_fields,
    version_values,
)
from crm_integration.canonical.upsert import Upserted, upsert_versions
from crm_integration.storage.tables.canonical import refunds
from crm_integration.tenancy.scope import TenantScope

_STATED = ("source_id", "number", "order_source_id", "refunded_at", "currency", "amount_minor")
_COLUMNS = (
    "connection_id",
    "order_id",
    "customer_id",
    "customer_kind",
    "customer_source_id",
    *_STATED,
    "sealed",
)


def write_refunds(scope: TenantScope, batch: Sequence[Sourced[Refund]], stamp: Stamp) -> Upserted:
    """Upsert a batch of refunds, one version per refund."""
    people = customers_of(scope, batch, stamp)
    rows = [_row(scope, one, who, stamp) for one, who in zip(batch, people, strict=True)]
    return upsert_versions(scope, refunds, "refund_id", _COLUMNS, rows)


def _row(
    scope: TenantScope, sourced: Sourced[Refund], customer_id: UUID | None, stamp: Stamp
) -> tuple[Any, ...]:
    refund = sourced.item
    refund_id = object_id(scope, "refund", sourced.connection_id, refund.source_id)
    order_id = None
    if refund.order_source_id is not None:
        order_id = object_id(scope, "order", sourced.connection_id, refund.order_source_id)
    stated = [getattr(refund, name) for name in _STATED]
    identity = [refund.customer_kind, refund.customer_source_id]
    content = content_digest(
        scope,
        "refund",
        [sourced.connection_id, *identity, *stated, refund.reason, refund.flags],
    )
    return (
        refund_id,
        sourced.connection_id,
        order_id,
        customer_id,
        *identity,
        *stated,
        seal_fields(scope, "refunds", str(refund_id), {"reason": refund.reason}),
        *version_values(sourced, stamp, rank=0, content=content, schema_version=REFUND_SCHEMA),
    )
