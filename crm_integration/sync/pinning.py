"""Moving a tenant to another version of a mapping.

Prevents the pin that nobody remembers having moved: it is written into the tenant's file, and
who did it, from which version and what it would write is kept.
"""

from __future__ import annotations

from crm_integration.audit import trail
from crm_integration.errors import BadInput
from crm_integration.mapping.names import MappingName, as_pinned
from crm_integration.mapping.pin_file import write_pin
from crm_integration.mapping.tenant_file import TenantConfig, compiled_mappings
from crm_integration.sync.path import House
from crm_integration.sync.replay_plan import Plan, Request


def pin_request(tenant: str, name: MappingName) -> Request:
    """All that is known of the object type, through this version: the next run maps it anew."""
    return Request(tenant, None, (name.object_type,), name)


def in_use(house: House, tenant: str, name: MappingName) -> str | None:
    """The version that the tenant uses now: pinned, or the latest; None without one."""
    used = compiled_mappings(house.mappings, house.config(tenant)).get(name.object_type)
    return None if used is None else used.mapping_id


def pin(house: House, name: MappingName, made: Plan, *, by: str) -> TenantConfig:
    """Write the pin into the tenant's file; audited, or not written.

    Raises BadInput for another CRM's mapping, BadMapping for a file that cannot be changed or
    overrides that do not fit the version.
    """
    tenant = made.request.tenant
    config = house.config(tenant)
    as_pinned(house.mappings, config, name)
    if made.problems:
        raise BadInput("the plan is not whole: mend what it names before the pin is moved")
    with house.engines.tenancy.scope(tenant) as scope:
        # Two pins at once take turns: the trail is locked until this transaction ends.
        trail.record(
            scope,
            actor=by,
            action="mapping.pin",
            subject=f"{name.crm}/{name.object_type}",
            before=in_use(house, tenant, name),
            after=name.mapping_id,
            plan=made.digest.hex(),
            writes=made.total,
        )
        return write_pin(house.mappings, tenant, config.crm, name.object_type, name.version)
