"""Dagster on the tests' own house, with an instance that lives in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
import pytest

from crm_integration.definitions import defs
from crm_integration.defs import resources
from crm_integration.defs.partitions import TENANTS, key_of
from crm_integration.defs.path import RESUMES, ROOT_RUN
from crm_integration.defs.reconcile import RANGE_END, RANGE_START
from crm_integration.defs.run_here import QUIET, add_tenants
from crm_integration.sync.path import House as OpenHouse
from crm_integration_tests.house import MAPPINGS, House, Tenant

DAY = date(2024, 3, 1)
"""The day on which the tests' shops live."""


@dataclass
class Dagster:
    """Runs jobs over tenants and the shops' day."""

    instance: dg.DagsterInstance

    def run(
        self,
        job: str,
        *tenants: Tenant,
        days: tuple[date, date] = (DAY, DAY),
        again: str | None = None,
    ) -> dg.ExecuteInProcessResult:
        """One run over these tenants, which gives each a partition; `again` is the id of the run
        that this one re-executes."""
        names = [one.name for one in tenants]
        for old in self.instance.get_dynamic_partitions(TENANTS):
            self.instance.delete_dynamic_partition(TENANTS, old)
        add_tenants(self.instance, names)
        first, last = key_of(names[0], days[0]), key_of(names[-1], days[1])
        tags = {RANGE_START: str(first), RANGE_END: str(last)}
        tags |= {} if again is None else {ROOT_RUN: again, RESUMES: "true"}
        result = defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, raise_on_error=False, tags=tags, run_config=QUIET
        )
        for event in result.all_events:
            if event.is_step_failure:
                # pytest shows it with a test that fails
                print(event.step_failure_data.error_display_string)
        return result

    def partitions(self, *asset: str) -> set[str]:
        """Partitions of an asset that were materialized."""
        return set(self.instance.get_materialized_partitions(dg.AssetKey(list(asset))))

    def checks(self, run_id: str) -> list[dg.AssetCheckEvaluation]:
        """The check evaluations of a run."""
        events = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        return [one.get_dagster_event().asset_check_evaluation_data for one in events]

    def materializations(self, run_id: str) -> list[dg.AssetMaterialization]:
        """The materializations of a run."""
        events = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        found = [one.asset_materialization for one in events]
        return [one for one in found if one is not None]


@pytest.fixture
def open_house(house: House) -> OpenHouse:
    """The house as the resource would open it."""
    return OpenHouse(house.engines, MAPPINGS)


@pytest.fixture
def dagster(open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dagster]:
    def opened(database: str) -> Any:
        return open_house

    monkeypatch.setattr(resources, "_opened", opened)
    with dg.instance_for_test() as instance:
        yield Dagster(instance)
