"""Writes carts, and what our sweep found about them.

Prevents the cart that stays abandoned for ever: a shopper who comes back and changes it takes
the verdict away, and the sweep starts anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update

from crm_integration.canonical.carts import CART_SCHEMA, Cart
from crm_integration.canonical.customer_rows import customers_of
from crm_integration.canonical.identity import object_id
from crm_integration.canonical.sourced import (
    Sourced,
    Stamp,
    content_digest,
    seal_fields,
    version_values,
)
from crm_integration.canonical.upsert import Upserted, upsert_versions
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.commerce import carts
from crm_integration.tenancy.scope import TenantScope

_STATED = (
    *("source_id", "customer_kind", "customer_source_id", "order_source_id", "started_at"),
    *("completed_at", "currency", "total_minor"),
)
_COLUMNS = (
    *("connection_id", "customer_id", "order_id", *_STATED, "cart_changed_at"),
    *("store_abandoned_at", "line_count", "item_count", "sealed"),
)


@dataclass(frozen=True)
class Verdict:
    """A cart that was left, as it was last touched at `cart_changed_at`, and since when it counts
    as abandoned."""

    source_id: str
    cart_changed_at: datetime
    abandoned_at: datetime


def write_carts(scope: TenantScope, batch: Sequence[Sourced[Cart]], stamp: Stamp) -> Upserted:
    """Upsert a batch of carts, one version per cart."""
    people = customers_of(scope, batch, stamp)
    rows = [_row(scope, one, who, stamp) for one, who in zip(batch, people, strict=True)]
    touched = {row[0]: one.item.changed_at for row, one in zip(rows, batch, strict=True)}
    before = _last_touched(scope, touched)
    upserted = upsert_versions(scope, carts, "cart_id", _COLUMNS, rows)
    came_back = {one for one in upserted.changed if before.get(one) != touched[one]}
    _open_again(scope, came_back)
    return upserted


def _last_touched(scope: TenantScope, cart_ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """When the shopper last touched these carts, as far as it is known."""
    rows = scope.connection.execute(
        select(carts.c.cart_id, carts.c.cart_changed_at).where(
            carts.c.tenant_id == scope.tenant, carts.c.cart_id.in_(list(cart_ids))
        )
    )
    return {cart_id: changed for cart_id, changed in rows}


def _row(
    scope: TenantScope, sourced: Sourced[Cart], customer_id: UUID | None, stamp: Stamp
) -> tuple[Any, ...]:
    cart = sourced.item
    cart_id = object_id(scope, "cart", sourced.connection_id, cart.source_id)
    order_id = None
    if cart.order_source_id is not None:
        order_id = object_id(scope, "order", sourced.connection_id, cart.order_source_id)
    stated = [getattr(cart, name) for name in _STATED]
    # A recovery address logs whoever holds it into the shopper's cart.
    sealed = {
        "recovery_url": cart.recovery_url,
        "lines": [line.model_dump(mode="json") for line in cart.lines],
    }
    content = content_digest(
        scope,
        "cart",
        [sourced.connection_id, *stated, cart.changed_at, cart.abandoned_at, sealed, cart.flags],
    )
    return (
        cart_id,
        sourced.connection_id,
        customer_id,
        order_id,
        *stated,
        cart.changed_at,
        cart.abandoned_at,
        len(cart.lines),
        sum(line.quantity for line in cart.lines),
        seal_fields(scope, "carts", str(cart_id), sealed),
        *version_values(sourced, stamp, rank=0, content=content, schema_version=CART_SCHEMA),
    )


def _open_again(scope: TenantScope, came_back: set[UUID]) -> None:
    """What the sweep said of an earlier version does not hold for a cart that was touched."""
    if came_back:
        scope.connection.execute(
            update(carts)
            .where(carts.c.tenant_id == scope.tenant, carts.c.cart_id.in_(came_back))
            .values(swept_at=None, settled=False)
        )


def note_abandoned(scope: TenantScope, connection_id: str, found: Sequence[Verdict]) -> set[str]:
    """Set when carts were abandoned. A verdict holds for the touch it speaks of and for no other.

    Returns the source ids whose cart says something new.
    """
    told = [(one.source_id, one.cart_changed_at, one.abandoned_at) for one in found]
    staged = stage(scope.connection, carts, ("source_id", "cart_changed_at", "swept_at"), told)
    rows = scope.connection.execute(
        update(carts)
        .where(
            carts.c.tenant_id == scope.tenant,
            carts.c.connection_id == connection_id,
            carts.c.source_id == staged.c.source_id,
            carts.c.cart_changed_at == staged.c.cart_changed_at,
            or_(carts.c.swept_at.is_(None), carts.c.swept_at != staged.c.swept_at),
        )
        .values(swept_at=staged.c.swept_at, settled=True, needs_projection=True)
        .returning(carts.c.source_id)
    )
    return {row.source_id for row in rows}
