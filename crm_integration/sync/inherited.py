"""The CRM record of a customer who became one that has none goes to that one.

Prevents the contact that waits for ever: the guest's record holds the address that the registered
account now brings, the CRM refuses a second one, and the record seemed to be another customer's.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from sqlalchemy import text

from crm_integration.sync.bindings import bind, bindings_of, unbind
from crm_integration.tenancy.scope import TenantScope

OBJECT_TYPE = "contact"

# Whoever was merged into somebody who was merged is followed to the one who lives. Of several
# records the one that was bound first is handed on; the others stay, and are archived by rule.
# Nobody is writing to it any more: two senders would each take the other's values for a person's.
_HEIRS = text("""
with recursive went (customer_id, heir) as (
    select customer_id, merged_into from customers
    where tenant_id = :tenant and merged_into is not null
    union
    select went.customer_id, c.merged_into from went
    join customers c on c.tenant_id = :tenant and c.customer_id = went.heir
    where c.merged_into is not null
)
select distinct on (went.heir) went.customer_id, went.heir
from went
join customers c on c.tenant_id = :tenant and c.customer_id = went.heir
    and c.merged_into is null
join bindings b on b.tenant_id = :tenant and b.connection_id = :connection
    and b.object_type = 'contact' and b.object_id = went.customer_id
join ledger l on l.tenant_id = :tenant and l.connection_id = :connection
    and l.object_type = 'contact' and l.object_id = went.customer_id and l.state = 'skipped'
where not exists (
    select from bindings own
    where own.tenant_id = :tenant and own.connection_id = :connection
        and own.object_type = 'contact' and own.object_id = went.heir
)
order by went.heir, b.bound_at, went.customer_id
""")


def hand_on_records(scope: TenantScope, connection_id: str) -> int:
    """Bind records of merged customers to those they became; returns how many.

    The next write takes the record over: its key, and what our fields hold.
    """
    asked = {"tenant": scope.tenant, "connection": connection_id}
    heirs: dict[UUID, UUID] = {
        row.customer_id: row.heir for row in scope.connection.execute(_HEIRS, asked)
    }
    if not heirs:
        return 0
    place = (scope, connection_id, OBJECT_TYPE)
    before = bindings_of(*place, heirs)
    unbind(*place, heirs)
    bind(*place, [replace(one, object_id=heirs[key]) for key, one in before.items()])
    return len(before)
