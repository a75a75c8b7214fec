"""Products with their variants.

Prevents a price without a currency and a variant that outlives its product: variants are part
of the product's one version.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from crm_integration.canonical.model import CanonicalModel, Currency, Minor, StoreObject

PRODUCT_SCHEMA = 1


class Variant(CanonicalModel):
    """One buyable form of a product; `options` are (name, value) pairs in the store's order."""

    source_id: str
    sku: str = ""
    title: str = ""
    price_minor: Minor | None = None
    options: tuple[tuple[str, str], ...] = ()


class Product(StoreObject):
    """A product; `price_minor` is None where only the variants carry prices."""

    title: str
    sku: str = ""
    status: Annotated[str, Field(pattern="^(active|draft|archived)$")] = "active"
    description: str = ""
    currency: Currency
    price_minor: Minor | None = None
    variants: tuple[Variant, ...] = ()


class ProductView(CanonicalModel):
    """What a mapping of entity `product` may read."""

    id: UUID
    source_id: str
    title: str
    sku: str
    status: str
    description: str
    currency: Currency
    price_minor: Minor | None
    variant_count: int
    store: str
