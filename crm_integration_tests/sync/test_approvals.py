"""An approval is for one thing, once, by somebody else, and not for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from crm_integration.errors import BadInput, NotFound
from crm_integration.sync.approvals import Approval, approve, use
from crm_integration_tests.house import Tenant

PLAN, OTHER = b"p" * 32, b"o" * 32


def _given(tenant: Tenant, valid_for: timedelta = timedelta(hours=1)) -> Approval:
    with tenant.scope() as scope:
        return approve(scope, "rewrite", PLAN, by="cli:ada", valid_for=valid_for)


def _used(tenant: Tenant, code: str, digest: bytes = PLAN, by: str = "cli:bob") -> Approval:
    with tenant.scope() as scope:
        return use(scope, "rewrite", code, digest, by=by)


def test_an_approval_is_used_once(tenant: Tenant) -> None:
    """Approved on Monday, the same rewrite ran every night of the week."""
    given = _given(tenant)
    assert given.expires_at - given.at == timedelta(hours=1)
    assert _used(tenant, given.approval_id) == given
    with pytest.raises(BadInput, match="used already"):
        _used(tenant, given.approval_id)
    done = tenant.rows("select actor, action from audit_trail where action like 'approval.%'"
                       " order by entry_id")  # fmt: skip
    assert [tuple(one) for one in done] == [
        ("cli:ada", "approval.give"),
        ("cli:bob", "approval.use"),
    ]


def test_nobody_approves_their_own_run(tenant: Tenant) -> None:
    """Four eyes, not two eyes twice."""
    given = _given(tenant)
    with pytest.raises(BadInput, match="another person"):
        _used(tenant, given.approval_id, by="cli:ada")
    assert _used(tenant, given.approval_id, by="cli:bob")


def test_an_approval_of_another_plan_allows_nothing(tenant: Tenant) -> None:
    """What was looked at is what may be written, and nothing that came to be in the meantime."""
    given = _given(tenant)
    with pytest.raises(BadInput, match="another plan"):
        _used(tenant, given.approval_id, OTHER)


def test_an_approval_ends_with_its_time(tenant: Tenant) -> None:
    """By the database's clock, whatever the runner's says."""
    given = _given(tenant)
    with pytest.raises(BadInput, match="expired"):
        _used(tenant, _given(tenant, timedelta(microseconds=1)).approval_id)
    assert _used(tenant, given.approval_id)


@pytest.mark.parametrize("valid_for", [timedelta(0), timedelta(days=2), timedelta(seconds=-5)])
def test_an_approval_for_no_time_or_for_ever_is_refused(
    tenant: Tenant, valid_for: timedelta
) -> None:
    """A day is the longest."""
    with pytest.raises(BadInput, match="at most a day"):
        _given(tenant, valid_for)


def test_another_tenants_approval_is_not_found(tenant: Tenant, neighbour: Tenant) -> None:
    """Nor one of another kind."""
    given = _given(tenant)
    with pytest.raises(NotFound):
        _used(neighbour, given.approval_id)
    with tenant.scope() as scope, pytest.raises(NotFound):
        use(scope, "hold", given.approval_id, PLAN, by="cli:bob")


def test_no_code_of_ours_can_prolong_an_approval(tenant: Tenant) -> None:
    """Not even inside the tenant's own walls: the grant is for its use alone."""
    given = _given(tenant)
    with pytest.raises(ProgrammingError, match="permission denied"), tenant.scope() as scope:
        scope.connection.execute(
            text("update approvals set expires_at = now() + interval '1 year'"
                 " where approval_id = :id"), {"id": given.approval_id},
        )  # fmt: skip
