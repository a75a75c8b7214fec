"""Writes shipments; which orders they move is counted anew in `facts.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crm_integration.canonical.identity import object_id
from crm_integration.canonical.shipments import SHIPMENT_SCHEMA, Shipment
from crm_integration.canonical.sourced import (
    Sourced,
    Stamp,
    content_digest,
    seal_fields,
    version_values,
)
from crm_integration.canonical.upsert import Upserted, upsert_versions
from crm_integration.storage.tables.commerce import shipments
from crm_integration.tenancy.scope import TenantScope

_STATED = ("source_id", "order_source_id", "number", "state", "shipped_at", "delivered_at")
_COLUMNS = ("connection_id", "order_id", *_STATED, "carrier", "item_count", "sealed")


def write_shipments(
    scope: TenantScope, batch: Sequence[Sourced[Shipment]], stamp: Stamp
) -> Upserted:
    """Upsert a batch of shipments, one version per shipment."""
    rows = [_row(scope, sourced, stamp) for sourced in batch]
    return upsert_versions(scope, shipments, "shipment_id", _COLUMNS, rows)


def _row(scope: TenantScope, sourced: Sourced[Shipment], stamp: Stamp) -> tuple[Any, ...]:
    parcel = sourced.item
    shipment_id = object_id(scope, "shipment", sourced.connection_id, parcel.source_id)
    stated = [getattr(parcel, name) for name in _STATED]
    # A tracking number leads to a street and a name at the carrier's site.
    personal = {"tracking_number": parcel.tracking_number, "tracking_url": parcel.tracking_url}
    lines = [line.model_dump() for line in parcel.lines]
    content = content_digest(
        scope,
        "shipment",
        [sourced.connection_id, *stated, parcel.carrier, *personal.values(), lines, parcel.flags],
    )
    return (
        shipment_id,
        sourced.connection_id,
        object_id(scope, "order", sourced.connection_id, parcel.order_source_id),
        *stated,
        parcel.carrier,
        sum(line.quantity for line in parcel.lines),
        seal_fields(scope, "shipments", str(shipment_id), {**personal, "lines": lines}),
        *version_values(sourced, stamp, rank=0, content=content, schema_version=SHIPMENT_SCHEMA),
    )
