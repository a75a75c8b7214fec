"""The instance that dagster.yaml describes: it loads, and its events reach Postgres."""

from __future__ import annotations

import shutil
import time
import tomllib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from sqlalchemy import Engine, create_engine, event, text

from crm_integration.defs.reconcile import RANGE_END, RANGE_START
from crm_integration.storage.urls import DatabaseUrls

if TYPE_CHECKING:
    from dagster import DagsterInstance, JobDefinition

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def instance(
    urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DagsterInstance]:
    from dagster import DagsterInstance

    home = tmp_path_factory.mktemp("dagster")
    shutil.copy(ROOT / "dagster.yaml", home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_INTEGRATION_DAGSTER_URL", urls.dagster)
        with DagsterInstance.from_config(str(home)) as loaded:
            yield loaded


def test_a_run_leaves_its_events_in_the_event_log(
    instance: DagsterInstance, urls: DatabaseUrls
) -> None:
    """A URL without a driver once let runs end green while not one event was kept."""
    result = _tiny().execute_in_process(instance=instance)

    assert result.success
    engine = create_engine(urls.dagster)
    with engine.connect() as connection:
        kinds = connection.execute(
            text("select dagster_event_type from event_logs where run_id = :run"),
            {"run": result.run_id},
        ).scalars()
        assert {"PIPELINE_START", "STEP_SUCCESS", "PIPELINE_SUCCESS"} <= set(kinds)
    engine.dispose()


def test_the_events_of_a_run_share_a_few_connections(
    instance: DagsterInstance, urls: DatabaseUrls
) -> None:
    """One for each event were 150 a second beside a backfill: four fifths of a processor."""
    from dagster import get_dagster_logger, job, op

    @op
    def talk() -> None:
        for number in range(50):
            get_dagster_logger().info(f"line {number}")

    @job
    def talkative() -> None:
        talk()

    before = _sessions(urls)
    result = talkative.execute_in_process(instance=instance)

    assert result.success
    assert _sessions(urls) - before < 12


def test_what_a_run_plans_takes_few_statements_and_the_ui_knows_all_of_it(
    instance: DagsterInstance, urls: DatabaseUrls
) -> None:
    """A backfill over a hundred tenants plans two hundred thousand times: at four statements each
    its queueing took a sixth of the machine from live runs, for minutes."""
    from dagster import AssetKey

    engine = create_engine(urls.dagster)
    with _statements() as asked:
        result = _monthly().execute_in_process(
            instance=instance, tags={RANGE_START: "2026-01-01", RANGE_END: "2026-01-31"}
        )
    inserts = [one for one in asked if "INTO event_logs" in one]

    assert result.success
    with engine.connect() as connection:
        planned = connection.execute(
            text(
                "select asset_key, count(distinct partition) from event_logs where run_id = :run "
                "and dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED' group by 1"
            ),
            {"run": result.run_id},
        ).all()
        runs = connection.execute(text("select asset_key, last_run_id from asset_keys")).all()
    engine.dispose()
    assert dict(map(tuple, planned)) == {'["bread"]': 31, '["butter"]': 31}
    assert {('["bread"]', result.run_id), ('["butter"]', result.run_id)} <= set(map(tuple, runs))
    assert len(inserts) < 31, "one insert for each partition"
    known = instance.get_materialized_partitions(AssetKey("bread"))
    assert known == set(), "planned is not made"


def test_its_events_do_not_wait_for_the_disk(instance: DagsterInstance) -> None:
    """Each of sixty thousand waited, and every claim of a live run behind them."""
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        assert connection.execute(text("show synchronous_commit")).scalar_one() == "off"


def test_a_connection_that_the_server_ended_costs_no_event(
    instance: DagsterInstance, urls: DatabaseUrls
) -> None:
    """What is kept open outlives a restart of the server only if it is asked first."""
    engine = create_engine(urls.dagster)
    with engine.connect() as connection:
        ended = connection.execute(
            text(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid <> "
                "pg_backend_pid() and datname = current_database() and usename = current_user"
            )
        ).scalars()
        assert any(ended)
    engine.dispose()

    assert _tiny().execute_in_process(instance=instance).success


def _tiny() -> JobDefinition:
    """A job of one op."""
    from dagster import job, op

    @op
    def look() -> int:
        return 1

    @job
    def tiny() -> None:
        look()

    return tiny


def _monthly() -> JobDefinition:
    """Two assets of a month's days, which make nothing of what they plan."""
    from dagster import (
        AssetOut,
        BackfillPolicy,
        DailyPartitionsDefinition,
        Definitions,
        define_asset_job,
        multi_asset,
    )

    @multi_asset(
        outs={one: AssetOut(is_required=False) for one in ("bread", "butter")},
        partitions_def=DailyPartitionsDefinition("2026-01-01", end_date="2026-03-01"),
        backfill_policy=BackfillPolicy.single_run(),
    )
    def breakfast() -> Iterator[None]:
        yield from ()

    job = define_asset_job("monthly", [breakfast])
    return Definitions([breakfast], jobs=[job]).resolve_job_def("monthly")


@contextmanager
def _statements() -> Generator[list[str]]:
    """All that this process asks of any database meanwhile."""
    asked: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def _sessions(urls: DatabaseUrls) -> int:
    """Connections that this database has seen, a moment after the last of them."""
    time.sleep(1.5)
    engine = create_engine(urls.dagster)
    with engine.connect() as connection:
        asked = text("select sessions from pg_stat_database where datname = current_database()")
        seen = connection.execute(asked).scalar_one()
    engine.dispose()
    return int(seen)


def test_a_crashed_worker_is_run_again_and_a_failed_record_is_not(
    instance: DagsterInstance,
) -> None:
    """Retrying whole runs for failed records would repeat what the ledger retries already."""
    assert instance.run_retries_enabled
    assert instance.run_retries_max_retries == 1
    assert instance.run_retries_retry_on_asset_or_op_failure is False


def test_cancelled_runs_give_their_places_back(instance: DagsterInstance) -> None:
    """Places of cancelled runs stayed taken until everything waited for ever."""
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] == 60
    assert instance.run_monitoring_max_resume_run_attempts == 0


def test_a_backfill_cannot_take_every_place(instance: DagsterInstance) -> None:
    """A backfill of a year once kept live runs waiting for hours. Dagster makes a run for each
    tenant of it, with a tag of its own: a limit of our jobs' tag alone let eight run at once."""
    config = instance.get_concurrency_config().run_queue_config
    assert config is not None
    assert config.max_concurrent_runs == 10
    assert config.tag_concurrency_limits == [
        {"key": "dagster/backfill", "limit": 2},
        {"key": "crm_integration/purpose", "value": "backfill", "limit": 2},
    ]
    assert instance.run_coordinator.dequeue_interval_seconds == 1  # type: ignore[attr-defined]


def test_nothing_is_sent_home(instance: DagsterInstance) -> None:
    """Telemetry would tell an outside party about a merchant's data platform."""
    assert instance.telemetry_enabled is False


def test_the_workspace_names_the_location_as_the_project_does() -> None:
    """Two names for one code location make Dagster show it twice, once broken."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    (entry,) = workspace["load_from"]
    assert entry["python_module"]["location_name"] == project["code_location_name"]
    assert entry["python_module"]["module_name"] == f"{project['root_module']}.definitions"
