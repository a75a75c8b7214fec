"""Holds: one open hold per check, released by name or all at once, each with its audit entry."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from crm_integration.audit import trail
from crm_integration.errors import BadInput
from crm_integration.quality.holds import open_hold, open_holds, release
from crm_integration.storage.tables.quality import holds
from crm_integration.storage.tables.tenancy import audit_trail
from crm_integration.tenancy.scope import Tenancy, TenantScope


@pytest.fixture(autouse=True)
def _empty(tenancy: Tenancy) -> None:
    with tenancy.scope("aurora") as scope:
        scope.connection.execute(holds.delete())


def _audited(scope: TenantScope, action: str) -> list[dict[str, object]]:
    rows = scope.connection.execute(select(audit_trail).where(audit_trail.c.action == action))
    return [dict(row) for row in rows.mappings()]


def test_a_second_failure_updates_the_open_hold_instead_of_opening_another(
    tenancy: Tenancy,
) -> None:
    """Ten failing days opened ten holds, and releasing one changed nothing."""
    with tenancy.scope("aurora") as scope:
        before = len(_audited(scope, "hold.open"))
        first = open_hold(scope, "order", "set_rules", "3 rows fail", "Replay.", 3)
        again = open_hold(scope, "order", "set_rules", "7 rows fail", "Replay.", 7)
        (hold,) = open_holds(scope)["order"]
        assert first == again == hold.hold_id
        assert (hold.records, hold.reason) == (7, "7 rows fail")
        assert len(_audited(scope, "hold.open")) == before + 1


def test_a_release_names_who_did_it_in_the_row_and_in_the_audit_trail(tenancy: Tenancy) -> None:
    """Nobody could say who had let a bad day through."""
    with tenancy.scope("aurora") as scope:
        hold_id = open_hold(scope, "order", "set_rules", "3 rows fail", "Replay.", 3)
        assert release(scope, "order", "set_rules", "ana") == 1
        assert open_holds(scope) == {}
        entry = _audited(scope, "hold.release")[-1]
        assert entry["actor"] == "ana"
        assert entry["details"] == {"check": "set_rules", "hold": hold_id}
        row = scope.connection.execute(select(holds).where(holds.c.hold_id == hold_id)).one()
        assert (row.released_by, row.released_at is not None) == ("ana", True)
        assert trail.verify(scope).problem is None


def test_releasing_one_check_leaves_the_hold_of_another(tenancy: Tenancy) -> None:
    with tenancy.scope("aurora") as scope:
        open_hold(scope, "order", "set_rules", "r", "f", 1)
        open_hold(scope, "order", "row_rules", "r", "f", 1)
        open_hold(scope, "contact", "row_rules", "r", "f", 1)
        assert release(scope, "order", "set_rules", "ana") == 1
        assert [hold.check_name for hold in open_holds(scope)["order"]] == ["row_rules"]
        assert release(scope, "order", None, "ana") == 1
        assert list(open_holds(scope)) == ["contact"]
        assert release(scope, "order", None, "ana") == 0


def test_a_hold_after_a_release_is_a_new_one(tenancy: Tenancy) -> None:
    with tenancy.scope("aurora") as scope:
        first = open_hold(scope, "order", "set_rules", "r", "f", 1)
        release(scope, "order", "set_rules", "ana")
        assert open_hold(scope, "order", "set_rules", "r", "f", 1) != first


def test_a_hold_on_a_misspelt_object_type_is_refused(tenancy: Tenancy) -> None:
    """A hold on `orders` stopped nothing, for the writer asks for `order`."""
    with tenancy.scope("aurora") as scope, pytest.raises(BadInput, match="contact, order, product"):
        open_hold(scope, "orders", "set_rules", "r", "f", 1)


def test_another_tenants_hold_is_invisible_and_cannot_be_released(tenancy: Tenancy) -> None:
    with tenancy.scope("aurora") as scope:
        open_hold(scope, "refund", "set_rules", "r", "f", 1)
    with tenancy.scope("borealis") as scope:
        assert open_holds(scope) == {}
        assert release(scope, "refund", None, "mallory") == 0
    with tenancy.scope("aurora") as scope:
        assert list(open_holds(scope)) == ["refund"]
