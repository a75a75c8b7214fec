"""Claims of a run whose process is gone: free again soon, not when they would have run out.

Prevents the two minutes in which nobody may write what a killed run was about to write. A claim's
id tells which run made it, so that its successor finds them; whether that run can still be sending
is not for this room to say (`intake.process_life`).
"""

from __future__ import annotations

import os
from datetime import timedelta
from hashlib import blake2b
from uuid import UUID

from sqlalchemy import Interval, Uuid, bindparam, func, update

from crm_integration.storage.tables.sync import ledger
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import TenantScope

GRACE = 5.0
"""Seconds in which a CRM is done with what it had received when its caller died."""


def claim_id_of(run_id: str) -> UUID:
    """A new claim's id: half of it is the run's, half is chance."""
    return UUID(bytes=_half(run_id) + os.urandom(8))


def _half(run_id: str) -> bytes:
    return blake2b(run_id.encode(), digest_size=8).digest()


def release(scope: TenantScope, run_id: str) -> int:
    """Let this run's claims run out in `GRACE` seconds, if they would last longer; returns how
    many rows they hold. The next run looks for those records before it writes them."""
    half = _half(run_id)
    asked = {
        "tenant": scope.tenant,
        "first": UUID(bytes=half + bytes(8)),
        "last": UUID(bytes=half + b"\xff" * 8),
        "grace": timedelta(seconds=GRACE),
    }
    return scope.connection.execute(_RELEASE, asked).rowcount


_RELEASE = (
    update(ledger)
    .where(
        ledger.c.tenant_id == bindparam("tenant"),
        ledger.c.state == State.in_flight.value,
        ledger.c.claim_id.between(bindparam("first", type_=Uuid), bindparam("last", type_=Uuid)),
    )
    .values(
        claim_expires_at=func.least(
            ledger.c.claim_expires_at,
            func.clock_timestamp() + bindparam("grace", type_=Interval),
        )
    )
)
