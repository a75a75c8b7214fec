"""Companies: the firms that customers buy for, found by their names.

Prevents ten spellings of one firm from becoming ten companies: a company is the normalised name
within a country (`Miller & Sons Ltd` and `MILLER AND SONS LIMITED` are one).
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from crm_integration.canonical.model import CanonicalModel, StoreObject

COMPANY_SCHEMA = 1


class Company(StoreObject):
    """A firm as the newest of its customers names it; `source_id` is the key of its name."""

    name: Annotated[str, Field(min_length=1)]
    city: str = ""
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None


class CompanyView(CanonicalModel):
    """What a mapping of entity `company` may read; `customers_count` counts its people."""

    id: UUID
    name: str
    city: str
    country: str | None
    customers_count: int
    store: str
