"""Making tenants: fresh keys, wrapped by the master key, and a first audit entry."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Engine, insert, select

from crm_integration.audit import trail
from crm_integration.errors import BadInput
from crm_integration.storage.sealing import new_tenant_keys
from crm_integration.storage.tables.tenancy import tenants
from crm_integration.tenancy.scope import Tenancy, TenantScope, enter_walls
from crm_integration.tenancy.slugs import is_slug


def create_tenant(tenancy: Tenancy, tenant: str, *, started_on: date, actor: str) -> None:
    """Make a tenant; nothing happens when it exists. Raises BadInput for a bad slug.

    `started_on` is the earliest day a raw record may have: older source times are not believed.
    """
    if not is_slug(tenant):
        raise BadInput(f"{tenant[:63]!r} is no tenant name: use 1-63 of a-z, 0-9, _ and -")
    with tenancy.engine.begin() as connection:
        enter_walls(connection, tenant)
        exists = connection.scalar(select(tenants.c.tenant_id).where(tenants.c.tenant_id == tenant))
        if exists is not None:
            return
        keys = new_tenant_keys(tenant)
        connection.execute(
            insert(tenants).values(
                tenant_id=tenant,
                started_on=started_on,
                wrapped_keys=tenancy.master.wrap(keys),
                key_version=keys.version,
            )
        )
        trail.record(
            TenantScope(tenant, connection, keys),
            actor=actor,
            action="tenant.create",
            subject=tenant,
        )


def started_on(scope: TenantScope) -> date:
    """The tenant's first day."""
    return scope.connection.execute(select(tenants.c.started_on)).scalar_one()


def all_tenants(ops: Engine) -> list[str]:
    """Names of all tenants (role `crm_ops`), in the order in which they came."""
    with ops.connect() as connection:
        rows = connection.execute(
            select(tenants.c.tenant_id).order_by(tenants.c.created_at, tenants.c.tenant_id)
        )
        return [row.tenant_id for row in rows]
