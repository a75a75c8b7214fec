"""A rehearsal: the engine does what it would do, in one transaction that is taken back.

Prevents the plan that promises what the run does not do: what is shown before a replay is found
by the very code that replays, not by a second copy of its rules.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import text

from crm_integration.errors import NotFound
from crm_integration.tenancy.scope import Tenancy, TenantScope


@dataclass(frozen=True)
class _Rehearsed(Tenancy):
    """Every scope is a part of one open transaction; what fails in it is taken back alone."""

    stage: TenantScope = field(kw_only=True)

    @contextmanager
    def scope(self, tenant: str, *, durable: bool = True) -> Generator[TenantScope]:
        """The tenant of the rehearsal only: a second one would be a second transaction."""
        if tenant != self.stage.tenant:
            raise NotFound(f"the rehearsal is of {self.stage.tenant}, not of {tenant!r}")
        with self.stage.connection.begin_nested():
            _ = durable  # nothing of it is kept
            # What a scope sets for its transaction would outlive it here (`bulk.join_by_hash`).
            self.stage.connection.execute(text("set local enable_nestloop = on"))
            yield self.stage


@contextmanager
def rehearsal(tenancy: Tenancy, tenant: str) -> Generator[Tenancy]:
    """A tenancy whose every change is gone at the end, and seen by nobody else until then.

    Writers of the same rows wait for its end, so nothing slow, such as a call to a CRM, belongs
    into it. Raises NotFound for a tenant that does not exist.
    """
    with tenancy.scope(tenant) as scope:
        whole = scope.connection.get_transaction()
        assert whole is not None  # a scope is a transaction
        try:
            yield _Rehearsed(tenancy.engine, tenancy.master, stage=scope)
        finally:
            whole.rollback()
