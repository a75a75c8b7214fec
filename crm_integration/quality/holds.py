"""Holds: writes of one tenant x object type stopped until released.

Prevents a bad day from being written to the CRM record by record while somebody is still
looking at the failed check: the writer asks for open holds, whoever started it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Boolean, ColumnElement, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from crm_integration.audit import trail
from crm_integration.errors import BadInput
from crm_integration.storage.tables.quality import holds
from crm_integration.tenancy.scope import TenantScope

HELD_OBJECT = {
    "company": "company",
    "customer": "contact",
    "consent": "contact",
    "product": "product",
    "order": "order",
    "refund": "refund",
    "shipment": "order",
    "cart": "cart",
    "activity": "activity",
}
"""Canonical entity -> the CRM object type whose writes a hold stops."""

BLAST_RADIUS = "blast_radius"
"""The check whose hold stops the single records it names, and not their whole object type."""


@dataclass(frozen=True)
class Hold:
    """An open hold; `records` is how many records the check found wrong."""

    hold_id: int
    object_type: str
    check_name: str
    reason: str
    fix: str
    records: int
    opened_at: datetime

    @property
    def stops_all(self) -> bool:
        """Whether nothing of the object type is written while it is open."""
        return self.check_name != BLAST_RADIUS


def open_hold(
    scope: TenantScope,
    object_type: str,
    check_name: str,
    reason: str,
    fix: str,
    records: int,
    *,
    by: str = "check",
) -> int:
    """Open a hold, or bring the open one of this check up to date; returns its id.

    A new one leaves an audit entry. Raises BadInput for an object type nothing is written to.
    """
    _refuse_unknown(object_type)
    told = {"reason": reason, "fix": fix, "records": records}
    statement = insert(holds).values(
        tenant_id=scope.tenant, object_type=object_type, check_name=check_name, **told
    )
    hold_id, is_new = scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=[holds.c.tenant_id, holds.c.object_type, holds.c.check_name],
            index_where=holds.c.released_at.is_(None),
            set_=told,
            # A row this statement inserted was never locked or replaced: its xmax is 0.
        ).returning(holds.c.hold_id, literal_column("xmax = 0", Boolean))
    ).one()
    if is_new:
        trail.record(
            scope,
            actor=by,
            action="hold.open",
            subject=object_type,
            check=check_name,
            hold=hold_id,
            records=records,
        )
    return hold_id


def release(scope: TenantScope, object_type: str, check_name: str | None, by: str) -> int:
    """Release the open hold of one check, or with None all that stop the whole object type;
    returns how many.

    Each leaves an audit entry naming `by`. Raises BadInput for an unknown object type.
    """
    _refuse_unknown(object_type)
    statement = (
        update(holds)
        .values(released_at=func.now(), released_by=by)
        .where(holds.c.object_type == object_type, holds.c.released_at.is_(None))
        .returning(holds.c.hold_id, holds.c.check_name)
    )
    one_check = holds.c.check_name == check_name
    stops_all = holds.c.check_name != BLAST_RADIUS
    statement = statement.where(stops_all if check_name is None else one_check)
    released = scope.connection.execute(statement).all()
    for hold_id, check in released:
        trail.record(
            scope, actor=by, action="hold.release", subject=object_type, check=check, hold=hold_id
        )
    return len(released)


_OPEN = (
    select(*(holds.c[name] for name in Hold.__dataclass_fields__))
    .where(holds.c.released_at.is_(None))
    .order_by(holds.c.hold_id)
)


def open_holds(scope: TenantScope) -> dict[str, tuple[Hold, ...]]:
    """Open holds by object type, oldest first; a type without one is left out."""
    rows = scope.connection.execute(_OPEN)
    found: dict[str, tuple[Hold, ...]] = {}
    for row in rows.mappings():
        hold = Hold(**row)
        found[hold.object_type] = (*found.get(hold.object_type, ()), hold)
    return found


def none_open(
    tenant_id: ColumnElement[str], object_type: ColumnElement[str]
) -> ColumnElement[bool]:
    """True for rows of a tenant's object type that no hold stops as a whole; for use in a larger
    query."""
    return ~(
        select(holds.c.hold_id)
        .where(
            holds.c.tenant_id == tenant_id,
            holds.c.object_type == object_type,
            holds.c.released_at.is_(None),
            holds.c.check_name != BLAST_RADIUS,
        )
        .exists()
    )


def _refuse_unknown(object_type: str) -> None:
    known = sorted(set(HELD_OBJECT.values()))
    if object_type not in known:
        raise BadInput(f"there is no object type {object_type[:40]!r}: use {', '.join(known)}")
