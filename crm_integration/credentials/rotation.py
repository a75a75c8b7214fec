"""A new master key, while everything goes on.

Prevents the rotation that is put off because it needs a night: every process opens what either key
wrapped, tenants' keys are wrapped anew one by one, and what they seal is not touched.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update

from crm_integration.audit import trail
from crm_integration.storage.tables.tenancy import tenants
from crm_integration.tenancy.scope import Tenancy


@dataclass(frozen=True)
class Rotated:
    """Tenants whose keys were wrapped anew now, and those whose keys were so already."""

    anew: int
    already: int


def rotate(tenancy: Tenancy, names: list[str], *, actor: str) -> Rotated:
    """Wrap these tenants' keys with the current master key. May be repeated, and run twice at once.

    Raises SealBroken for a tenant whose keys neither the current key nor one before it opens; what
    was done before stays done.
    """
    anew = sum(_wrapped_anew(tenancy, one, actor) for one in names)
    return Rotated(anew, len(names) - anew)


def _wrapped_anew(tenancy: Tenancy, tenant: str, actor: str) -> bool:
    with tenancy.scope(tenant) as scope:
        row = scope.connection.execute(
            select(tenants.c.key_version, tenants.c.wrapped_keys)
            .where(tenants.c.tenant_id == tenant)
            .with_for_update()
        ).one()
        current = tenancy.master.each()[0]
        if current.unwrapped(tenant, row.key_version, row.wrapped_keys) is not None:
            return False
        keys = tenancy.master.unwrap(tenant, row.key_version, row.wrapped_keys)
        scope.connection.execute(
            update(tenants)
            .where(tenants.c.tenant_id == tenant)
            .values(wrapped_keys=tenancy.master.wrap(keys))
        )
        trail.record(scope, actor=actor, action="keys.rotate", subject=tenant)
    return True
