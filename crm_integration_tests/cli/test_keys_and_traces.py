"""`audit` and `credentials rotate`: what an operator sees, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import psycopg
import pytest
import typer

from crm_integration.audit import trail
from crm_integration.cli import audit, credentials
from crm_integration.errors import BadInput
from crm_integration.storage.sealing import MasterKey
from crm_integration.sync.engines import Engines
from crm_integration.sync.path import House as OpenHouse
from crm_integration.tenancy.scope import Tenancy
from crm_integration_tests.house import MAPPINGS, House, Tenant


@pytest.fixture(autouse=True)
def opened(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (audit, credentials):
        monkeypatch.setattr(module, "house", lambda: OpenHouse(house.engines, MAPPINGS))
    yield


def _cut(house: House, tenant: Tenant) -> None:
    url = house.urls.owner.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("alter table audit_trail no force row level security")
        owner.execute(
            "delete from audit_trail where entry_id = (select max(entry_id) from audit_trail"
            " where tenant_id = %s)",
            (tenant.name,),
        )
        owner.execute("alter table audit_trail force row level security")


def test_a_trail_that_holds_ends_in_success_and_a_cut_one_does_not(
    house: House, tenant: Tenant, neighbour: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run from cron, its exit code is all that anybody looks at."""
    audit.verify(tenant=tenant.name, as_json=False)
    assert "holds" in capsys.readouterr().out

    _cut(house, tenant)
    with pytest.raises(typer.Exit) as left:
        audit.verify(tenant=None, as_json=True)
    told = capsys.readouterr()
    found = orjson.loads(told.out)
    assert left.value.exit_code == 1
    assert found[tenant.name]["problem"] == "the last 1 entries are gone"
    assert found[neighbour.name]["problem"] is None
    assert "restore this table from a backup" in told.err


def test_the_newest_entries_are_listed_in_their_order(
    tenant: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    with tenant.scope() as scope:
        for number in range(3):
            trail.record(scope, actor="ada", action="test", subject=str(number), count=number)
    audit.show(tenant.name, last=2)
    rows = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["subject"], one["details"]["count"]) for one in rows] == [("1", 1), ("2", 2)]


def test_a_rotation_without_the_old_key_says_what_to_set(tenant: Tenant) -> None:
    with pytest.raises(BadInput, match="CRM_INTEGRATION_MASTER_KEY_PREVIOUS"):
        credentials.rotate()


def test_a_rotation_says_how_many_were_wrapped(
    house: House,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tenancy = Tenancy(house.tenancy.engine, MasterKey(b"n" * 32, (b"k" * 32,)))
    engines = Engines(tenancy, house.engines.ops)
    monkeypatch.setattr(credentials, "house", lambda: OpenHouse(engines, MAPPINGS))
    credentials.rotate()
    credentials.rotate()
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{first.split()[0]} wrapped anew, 0 ")
    assert second == f"0 wrapped anew, {first.split()[0]} were so already"
