"""Dagster's own database, after real runs, shows nobody.

Run, event, log and metadata tables are not sealed, so nothing personal may ever reach them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from crm_integration.definitions import defs
from crm_integration.defs import resources
from crm_integration.defs.partitions import key_of
from crm_integration.defs.reconcile import RANGE_END, RANGE_START
from crm_integration.defs.run_here import add_tenants
from crm_integration.sandbox.faults import FaultRule
from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.sync.path import House as OpenHouse
from crm_integration_tests.defs.conftest import DAY
from crm_integration_tests.house import MAPPINGS, House, Tenant
from crm_integration_tests.leaks.dumps import haystacks
from crm_integration_tests.leaks.needles import needles_of_crm, needles_of_shop
from crm_integration_tests.leaks.search import search_for
from crm_integration_tests.sandbox.clients import KEY, SECRET

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def instance(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """The instance that dagster.yaml describes, on this module's second database."""
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("CRM_INTEGRATION_DAGSTER_URL", house.urls.dagster)

    def opened(database: str) -> Any:
        return OpenHouse(house.engines, MAPPINGS)

    monkeypatch.setattr(resources, "_opened", opened)
    with dg.DagsterInstance.from_config(str(tmp_path)) as loaded:
        yield loaded


def _people(tenant: Tenant) -> None:
    """A buyer, a bad order, an order the CRM refuses with an error that quotes the person."""
    billing = {"phone": "01632 960 123", "address_1": "12 Lanternlight Crescent"}
    for number in range(5):
        tenant.shop.order(
            0,
            email=f"Quillfeather.{number}@Example.com",
            first_name="Marigold",
            last_name="Quillfeather-Ashdown",
            **billing,
        )
    tenant.shop.order(0, total="-5.00", email="bad.row@example.com", last_name="Badrowington")
    tenant.portal.follow(
        FaultRule(
            "status",
            method="POST",
            path="/crm/v3/objects/orders/batch/upsert",
            status=400,
            message="Quillfeather.0@Example.com is not allowed",
        )
    )


def test_runs_events_logs_and_metadata_name_nobody(
    instance: dg.DagsterInstance,
    house: House,
    tenant: Tenant,
    server: EmbeddedServer,
    database_prefix: str,
    tmp_path: Path,
) -> None:
    """A run's metadata once showed a sample of ten customers with their e-mails."""
    _people(tenant)
    add_tenants(instance, [tenant.name])
    key = str(key_of(tenant.name, DAY))
    result = defs.resolve_job_def("reconcile_all").execute_in_process(
        instance=instance, raise_on_error=False, tags={RANGE_START: key, RANGE_END: key}
    )
    needles = needles_of_shop(tenant.shop.url, KEY, SECRET)
    tenant.portal.follow()
    needles |= needles_of_crm(tenant.portal.url, tenant.portal.token)

    folder = tmp_path / "dumps"
    folder.mkdir()
    searched = haystacks(server, database_prefix, folder)

    assert tenant.value("select count(*) from attempts") > 0
    assert any(needle.text.casefold() == "quillfeather.0@example.com" for needle in needles)
    assert result.run_id.encode() in searched[1].read_bytes()
    assert search_for(needles, searched) == []
