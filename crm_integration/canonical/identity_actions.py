"""What a person decides about who is one customer: take a merge back, accept, dismiss.

Prevents the wrong merge that cannot be undone, and the one that comes back with the next run: a
decision is kept between identities, and every later resolution respects it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert

from crm_integration.audit.trail import record
from crm_integration.canonical.consent_rows import refresh_consent
from crm_integration.canonical.customer_rows import settle
from crm_integration.canonical.facts import refresh_customers
from crm_integration.canonical.identity import lock_identities
from crm_integration.canonical.identity_rows import regroup
from crm_integration.canonical.sourced import Stamp
from crm_integration.errors import BadInput, NotFound
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.canonical import (
    customer_identities,
    customers,
    identity_decisions,
    identity_merges,
    identity_suggestions,
)
from crm_integration.tenancy.scope import TenantScope

_LIST = "see: crm-integration identity list --tenant {tenant}"


def split(
    scope: TenantScope, merge_id: int, *, actor: str, reason: str, stores: Sequence[str] = ()
) -> frozenset[UUID]:
    """Undo one merge: who came by it gets a customer of their own, for good.

    Returns the customers whose orders and content changed. Raises NotFound for a merge that this
    tenant does not have, BadInput for one that was undone or whose people went elsewhere.
    """
    lock_identities(scope)
    merge = _open_merge(scope, merge_id)
    came = _identities(scope, customer_identities.c.identity_id.in_(merge.identities))
    homes = {row.customer_id for row in came}
    if len(homes) != 1:
        raise BadInput(f"the identities of merge {merge_id} are at no common customer any more")
    home = homes.pop()
    own = {row.persona_key for row in came}
    stay = [row for row in _personas_at(scope, home) if row.persona_key not in own]
    if not stay:
        raise BadInput(f"merge {merge_id} has come apart already; nobody is left to split from")
    _put_apart(scope, [row.identity_id for row in came], [row.identity_id for row in stay],
               actor=actor, reason=reason)  # fmt: skip
    scope.connection.execute(
        update(identity_merges)
        .where(identity_merges.c.tenant_id == scope.tenant, identity_merges.c.merge_id == merge_id)
        .values(undone_at=func.now(), undone_by=actor, undone_reason=reason)
    )
    moved = _resolve_again(scope, {home}, f"split-{merge_id}", stores)
    _remember_pair(scope, came[0].identity_id, stay[0].identity_id, merge, actor, reason)
    record(scope, actor=actor, action="identity.split", subject=str(merge_id), reason=reason,
           customers=sorted(map(str, moved)))  # fmt: skip
    return moved


def accept(
    scope: TenantScope, suggestion_id: int, *, actor: str, stores: Sequence[str] = ()
) -> frozenset[UUID]:
    """Two customers are one, a person says; also if they had been put apart before.

    Raises NotFound for a suggestion that this tenant does not have, BadInput for one whose
    customers are one already.
    """
    lock_identities(scope)
    found = _suggestion(scope, suggestion_id)
    left, right = (_living(scope, one) for one in (found.left_customer, found.right_customer))
    if left == right:
        raise BadInput(f"suggestion {suggestion_id}: the two are one customer already")
    one, other = _personas_at(scope, left), _personas_at(scope, right)
    if not one or not other:
        raise BadInput(f"suggestion {suggestion_id}: one of the two has no identity any more")
    ids = [[row.identity_id for row in rows] for rows in (one, other)]
    _forget(scope, ids[0], ids[1])
    _decide(scope, [tuple(sorted((ids[0][0], ids[1][0])))], together=True, actor=actor, reason="")
    moved = _resolve_again(scope, {left, right}, f"accept-{suggestion_id}", stores)
    _close(scope, suggestion_id, "accepted", actor=actor, reason="")
    record(scope, actor=actor, action="identity.accept", subject=str(suggestion_id),
           customers=sorted(map(str, moved)))  # fmt: skip
    return moved


def dismiss(scope: TenantScope, suggestion_id: int, *, actor: str, reason: str) -> None:
    """Two customers are two, a person says; nobody is asked about them again."""
    _suggestion(scope, suggestion_id)
    _close(scope, suggestion_id, "dismissed", actor=actor, reason=reason)
    record(scope, actor=actor, action="identity.dismiss", subject=str(suggestion_id), reason=reason)


def _open_merge(scope: TenantScope, merge_id: int) -> Row[Any]:
    table = identity_merges
    found = scope.connection.execute(
        select(table).where(table.c.tenant_id == scope.tenant, table.c.merge_id == merge_id)
    ).one_or_none()
    if found is None:
        raise NotFound(f"there is no merge {merge_id}; {_LIST.format(tenant=scope.tenant)}")
    if found.undone_at is not None:
        raise BadInput(f"merge {merge_id} was undone already by {found.undone_by}")
    if not found.identities:
        raise BadInput(
            f"merge {merge_id} was made before merges named their identities: replay the tenant's "
            "whole time first, then split the new merge"
        )
    return found


def _suggestion(scope: TenantScope, suggestion_id: int) -> Row[Any]:
    table = identity_suggestions
    found = scope.connection.execute(
        select(table).where(
            table.c.tenant_id == scope.tenant, table.c.suggestion_id == suggestion_id
        )
    ).one_or_none()
    if found is None:
        raise NotFound(
            f"there is no suggestion {suggestion_id}; {_LIST.format(tenant=scope.tenant)}"
        )
    return found


def _identities(scope: TenantScope, condition: Any) -> Sequence[Row[Any, Any, Any]]:
    """One identity of each persona; columns identity_id, persona_key, customer_id."""
    table = customer_identities
    return scope.connection.execute(
        select(table.c.identity_id, table.c.persona_key, table.c.customer_id)
        .ext(distinct_on(table.c.persona_key))
        .where(table.c.tenant_id == scope.tenant, table.c.persona_key.is_not(None), condition)
        .order_by(table.c.persona_key, table.c.identity_id)
    ).all()


def _personas_at(scope: TenantScope, customer_id: UUID) -> Sequence[Row[Any, Any, Any]]:
    return _identities(scope, customer_identities.c.customer_id == customer_id)


def _living(scope: TenantScope, customer_id: UUID) -> UUID:
    """The customer that this one became, through however many merges."""
    seen: set[UUID] = set()
    while customer_id not in seen:
        seen.add(customer_id)
        into = scope.connection.scalar(
            select(customers.c.merged_into).where(
                customers.c.tenant_id == scope.tenant, customers.c.customer_id == customer_id
            )
        )
        if into is None:
            break
        customer_id = into
    return customer_id


def _put_apart(
    scope: TenantScope, came: Sequence[UUID], stay: Sequence[UUID], *, actor: str, reason: str
) -> None:
    """Each who came from each who stays; `left_id` is the one put apart."""
    _forget(scope, came, stay)
    pairs = [(one, other) for one in came for other in stay]
    _decide(scope, pairs, together=False, actor=actor, reason=reason)


def _decide(
    scope: TenantScope, pairs: Sequence[Sequence[UUID]], *, together: bool, actor: str, reason: str
) -> None:
    names = ("tenant_id", "left_id", "right_id", "together", "decided_by", "reason")
    rows = [(scope.tenant, one, other, together, actor, reason) for one, other in pairs]
    staged = stage(scope.connection, identity_decisions, names, rows)
    scope.connection.execute(
        insert(identity_decisions).from_select(names, select(*(staged.c[name] for name in names)))
    )


def _forget(scope: TenantScope, ones: Sequence[UUID], others: Sequence[UUID]) -> None:
    """Whatever was decided between these before no longer counts."""
    table = identity_decisions
    first = stage(scope.connection, customer_identities, ("identity_id",), [(o,) for o in ones])
    second = stage(scope.connection, customer_identities, ("identity_id",), [(o,) for o in others])
    one, other = (_of_personas(scope, staged) for staged in (first, second))
    straight = and_(table.c.left_id.in_(one), table.c.right_id.in_(other))
    turned = and_(table.c.left_id.in_(other), table.c.right_id.in_(one))
    scope.connection.execute(
        delete(table).where(table.c.tenant_id == scope.tenant, or_(straight, turned))
    )


def _of_personas(scope: TenantScope, staged: Any) -> Any:
    """Every identity of the personas of which these are one each."""
    one, every = customer_identities.alias(), customer_identities.alias()
    return (
        select(every.c.identity_id)
        .join_from(staged, one, one.c.identity_id == staged.c.identity_id)
        .join(every, every.c.persona_key == one.c.persona_key)
        .where(one.c.tenant_id == scope.tenant, every.c.tenant_id == scope.tenant)
    )


def _remember_pair(
    scope: TenantScope, one: UUID, other: UUID, merge: Row[Any], actor: str, reason: str
) -> None:
    """A pair that was put apart stays on the list, so that it can be accepted again."""
    table = customer_identities
    rows = scope.connection.execute(
        select(table.c.customer_id).where(
            table.c.tenant_id == scope.tenant, table.c.identity_id.in_((one, other))
        )
    )
    left, right = sorted(row.customer_id for row in rows)
    values = {"state": "dismissed", "decided_at": func.now(), "decided_by": actor,
              "decided_reason": reason}  # fmt: skip
    statement = insert(identity_suggestions).values(
        tenant_id=scope.tenant, left_customer=left, right_customer=right, rule=merge.rule,
        score=0, reasons=["put apart"], evidence=merge.evidence, **values,
    )  # fmt: skip
    scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "left_customer", "right_customer"], set_=values
        )
    )


def _close(scope: TenantScope, suggestion_id: int, state: str, *, actor: str, reason: str) -> None:
    table = identity_suggestions
    scope.connection.execute(
        update(table)
        .where(table.c.tenant_id == scope.tenant, table.c.suggestion_id == suggestion_id)
        .values(state=state, decided_at=func.now(), decided_by=actor, decided_reason=reason)
    )


def _resolve_again(
    scope: TenantScope, customer_ids: Collection[UUID], run_id: str, stores: Sequence[str]
) -> frozenset[UUID]:
    """Bring the identities of these customers to where they belong now, and all that follows."""
    rules_version = scope.connection.scalar(
        select(customers.c.rules_version).where(
            customers.c.tenant_id == scope.tenant, customers.c.customer_id.in_(list(customer_ids))
        )
    )
    resolution = regroup(scope, customer_ids)
    settle(scope, resolution, Stamp(run_id, rules_version or ""), stores)
    moved = resolution.regrouped()
    refresh_customers(scope, moved)
    refresh_consent(scope, moved)
    return frozenset(moved)
