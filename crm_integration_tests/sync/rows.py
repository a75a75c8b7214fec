"""Ledger rows made by hand, for tests of the ledger alone."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import text

from crm_integration.sync.ledger import Claimed, Desired, Settled, claim, settle
from crm_integration.sync.transitions import State
from crm_integration.sync.wishes import Origin, Wish, wish
from crm_integration_tests.house import VERSION, Tenant, at

PLACE = ("crm", "contact")
ORIGIN = Origin(*PLACE, "hubspot/contact/v1", "digest", "test")


def wished(tenant: Tenant, *ids: UUID, name: str = "Ada", version: str = VERSION) -> list[UUID]:
    """Wish for these contacts (one new one by default) to be called `name`."""
    chosen = list(ids) or [uuid4()]
    desired = Desired({"firstname": name}, None, ())
    with tenant.scope() as scope:
        wish(scope, ORIGIN, [Wish(one, desired, at(0), 1, version) for one in chosen])
    return chosen


def claimed(tenant: Tenant, limit: int = 100, version: str = VERSION) -> list[Claimed]:
    """What a sender gets."""
    with tenant.scope() as scope:
        return claim(scope, *PLACE, version, limit)


def answered(tenant: Tenant, one: Claimed, state: State, **more: object) -> set[UUID]:
    """The answer of one claimed row; the ids for which it counted."""
    done = Settled(one.object_id, one.claim_id, state, **more)  # type: ignore[arg-type]
    with tenant.scope() as scope:
        return set(settle(scope, *PLACE, [done], run_id="test"))


def states(tenant: Tenant) -> list[str]:
    """States of all contacts in the ledger."""
    return [state for state, _ in tenant.state("contact")]


def expire(tenant: Tenant, ids: Sequence[UUID]) -> None:
    """Let the claims of these rows be over by the database's clock."""
    with tenant.scope() as scope:
        scope.connection.execute(
            text("update ledger set claim_expires_at = now() - interval '1 s'"
                 " where object_id = any(:ids)"), {"ids": list(ids)},
        )  # fmt: skip
