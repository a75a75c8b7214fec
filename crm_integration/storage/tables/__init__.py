"""All tables, one module per subject; importing this package loads them into one metadata."""

from crm_integration.storage.tables import (
    canonical,
    commerce,
    crm_reading,
    intake,
    proofs,
    quality,
    sync,
    tenancy,
)
from crm_integration.storage.tables.metadata import metadata, tenant_tables

__all__ = [
    "canonical",
    "commerce",
    "crm_reading",
    "intake",
    "metadata",
    "proofs",
    "quality",
    "sync",
    "tenancy",
    "tenant_tables",
]
