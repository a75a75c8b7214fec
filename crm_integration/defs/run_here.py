"""Runs a job in this process, as a real run that the Dagster UI shows.

Prevents a second way of doing things: demo and command line take the same job, the same step
and the same instance as the UI.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from dagster import DagsterInstance, JobDefinition

from crm_integration.defs.partitions import TENANTS, key_of
from crm_integration.defs.reconcile import RANGE_END, RANGE_START
from crm_integration.errors import BadSetting

Instance = DagsterInstance
"""For callers outside this room, which know no Dagster."""

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class RunHere:
    """A finished run: its id, whether it passed, and what failed in words."""

    run_id: str
    passed: bool
    problem: str | None


@contextmanager
def instance_at(home: Path) -> Iterator[DagsterInstance]:
    """The instance whose files lie in `home`; its tables lie where dagster.yaml says."""
    place_dagster_yaml(home)
    with DagsterInstance.from_config(str(home)) as instance:
        yield instance


def place_dagster_yaml(home: Path) -> None:
    """Dagster reads dagster.yaml from its home only. Raises BadSetting without a checkout."""
    source = Path(__file__).resolve().parents[2] / "dagster.yaml"
    if not source.is_file():
        raise BadSetting(f"there is no {source.name} beside the package: install with pip -e")
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, home / "dagster.yaml")


def add_tenants(instance: DagsterInstance, tenants: Sequence[str]) -> None:
    """Make partitions for tenants; those that have one keep it."""
    known = set(instance.get_dynamic_partitions(TENANTS))
    fresh = [one for one in tenants if one not in known]
    if fresh:
        instance.add_dynamic_partitions(TENANTS, fresh)


def run_range(
    instance: DagsterInstance,
    job: JobDefinition,
    tenants: Sequence[str],
    first: date,
    last: date,
) -> RunHere:
    """One run over all these tenants and all windows from `first` to `last`."""
    start, end = key_of(tenants[0], first), key_of(tenants[-1], last)
    return _run(instance, job, tags={RANGE_START: str(start), RANGE_END: str(end)})


def run_partition(instance: DagsterInstance, job: JobDefinition, tenant: str, day: date) -> RunHere:
    """One run over the tenant's window that holds `day`."""
    return _run(instance, job, partition_key=str(key_of(tenant, day)))


def _run(
    instance: DagsterInstance,
    job: JobDefinition,
    *,
    tags: dict[str, str] | None = None,
    partition_key: str | None = None,
) -> RunHere:
    result = job.execute_in_process(
        instance=instance,
        raise_on_error=False,
        tags=tags,
        partition_key=partition_key,
        run_config=QUIET,
    )
    problem = None
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            problem = error.message.strip() if error else "failed"
    return RunHere(result.run_id, result.success, problem)
