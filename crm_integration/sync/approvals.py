"""Approvals: a second person's word for exactly one thing, once, and not for ever.

Prevents the approval that outlives what it was given for: it names the digest of what was shown,
lapses when that is no longer what would happen, ends with its time, and is used up by its use.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from crm_integration.audit import trail
from crm_integration.errors import BadInput, NotFound
from crm_integration.storage.tables.sync import approvals
from crm_integration.tenancy.scope import TenantScope

VALID_FOR = timedelta(hours=1)
LONGEST = timedelta(days=1)
"""What a person looked at yesterday is not what the CRM holds today."""


@dataclass(frozen=True)
class Approval:
    """What was approved (`kind`, `digest`), by whom, and until when."""

    approval_id: str
    kind: str
    digest: bytes
    by: str
    at: datetime
    expires_at: datetime


def approve(
    scope: TenantScope, kind: str, digest: bytes, *, by: str, valid_for: timedelta = VALID_FOR
) -> Approval:
    """Note that `by` allows what has this digest; leaves an audit entry.

    Raises BadInput for a time that is no time, or longer than a day.
    """
    if not timedelta(0) < valid_for <= LONGEST:
        raise BadInput("an approval is valid for at most a day: give 1 to 1440 minutes")
    row = scope.connection.execute(
        insert(approvals)
        .values(
            tenant_id=scope.tenant,
            approval_id=token_hex(6),
            kind=kind,
            digest=digest,
            by=by,
            expires_at=func.now() + valid_for,
        )
        .returning(approvals)
    ).one()
    made = _approval(row)
    trail.record(
        scope,
        actor=by,
        action="approval.give",
        subject=made.approval_id,
        kind=kind,
        digest=digest.hex(),
        expires_at=made.expires_at.isoformat(),
    )
    return made


def use(scope: TenantScope, kind: str, approval_id: str, digest: bytes, *, by: str) -> Approval:
    """Use an approval up; leaves an audit entry in the same transaction.

    Raises NotFound where there is none, and BadInput, with the fix, for one that was used, has
    expired, was given by `by`, or is of something else than what has this digest.
    """
    row = scope.connection.execute(
        select(approvals, (approvals.c.expires_at <= func.clock_timestamp()).label("expired"))
        .where(
            approvals.c.tenant_id == scope.tenant,
            approvals.c.approval_id == approval_id,
            approvals.c.kind == kind,
        )
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no approval {approval_id[:40]!r} of this kind: ask for a new one")
    _refuse_unless_fit(
        used=row.used_at is not None,
        expired=row.expired,
        own=row.by == by,
        same=row.digest == digest,
    )
    scope.connection.execute(
        update(approvals)
        .where(approvals.c.tenant_id == scope.tenant, approvals.c.approval_id == approval_id)
        .values(used_at=func.clock_timestamp(), used_by=by)
    )
    trail.record(
        scope, actor=by, action="approval.use", subject=approval_id, kind=kind, given_by=row.by
    )
    return _approval(row)


def _approval(row: Row[Any]) -> Approval:
    return Approval(**{name: getattr(row, name) for name in Approval.__dataclass_fields__})


def _refuse_unless_fit(*, used: bool, expired: bool, own: bool, same: bool) -> None:
    if used:
        raise BadInput("this approval was used already: each is for one run; ask for a new one")
    if expired:
        raise BadInput("this approval has expired: show the plan again and ask for a new one")
    if own:
        raise BadInput("you gave this approval yourself: another person must look at the plan")
    if not same:
        raise BadInput(
            "this approval is of another plan: what would be written is not what was approved; "
            "show the plan again and ask for a new approval"
        )
