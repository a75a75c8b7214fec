"""Writes products; variants travel inside their product's one version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from crm_integration.canonical.identity import object_id
from crm_integration.canonical.products import PRODUCT_SCHEMA, Product
from crm_integration.canonical.sourced import Sourced, Stamp, content_digest, version_values
from crm_integration.canonical.upsert import Upserted, upsert_versions
from crm_integration.storage.tables.canonical import products
from crm_integration.tenancy.scope import TenantScope

_COLUMNS = (
    "connection_id",
    "source_id",
    "title",
    "sku",
    "status",
    "description",
    "currency",
    "price_minor",
    "variants",
)


def write_products(scope: TenantScope, batch: Sequence[Sourced[Product]], stamp: Stamp) -> Upserted:
    """Upsert a batch of products, one version per product."""
    rows = [_row(scope, sourced, stamp) for sourced in batch]
    return upsert_versions(scope, products, "product_id", _COLUMNS, rows)


def _row(scope: TenantScope, sourced: Sourced[Product], stamp: Stamp) -> tuple[Any, ...]:
    product = sourced.item
    variants = [variant.model_dump(mode="json") for variant in product.variants]
    values = (
        sourced.connection_id,
        product.source_id,
        product.title,
        product.sku,
        product.status,
        product.description,
        product.currency,
        product.price_minor,
    )
    content = content_digest(scope, "product", [*values, variants, product.flags])
    return (
        object_id(scope, "product", sourced.connection_id, product.source_id),
        *values,
        Jsonb(variants),
        *version_values(sourced, stamp, rank=0, content=content, schema_version=PRODUCT_SCHEMA),
    )
