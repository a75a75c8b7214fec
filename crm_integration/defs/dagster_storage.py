"""Dagster's own tables over connections that stay open, and plans of a run written at once.

Prevents the connection per event: dagster-postgres opens one for each statement or two, and each is
a process that the server has to start. Beside a backfill that were 150 a second and four fifths of
a processor, which live runs then waited for. And the wait for the disk at each of them: what a
crashed server loses of Dagster's log are moments that run monitoring sees to. And the four
statements for each partition that a run is going to make: a backfill over a hundred tenants plans
two hundred thousand, and rewrites an asset's one row at each of them (docs/adr/0020).
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

from dagster import DagsterEventType, EventLogEntry
from dagster._config import UserConfigSchema
from dagster._core.storage.config import pg_config
from dagster._core.storage.event_log import SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import pg_url_from_config

from crm_integration.storage.engine import engine_for

# Events of a run over many windows are stored in batches. Said here, because every process of
# Dagster reads dagster.yaml and so imports this, the daemon too, which never imports our assets.
os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")

KEPT = 4
"""Connections that a process keeps at most, opened as they are needed; as many more for a moment.
A run needs two, the daemon's threads more."""


class EventLog(PostgresEventLogStorage):
    """dagster-postgres' own, but for what a run is going to make."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run. Planned materializations take one insert, and one look at each
        asset's row; the others go dagster-postgres' way."""
        planned = [one for one in events if _is_planned(one)]
        if planned:
            self._store_planned(planned)
        others = [one for one in events if not _is_planned(one)]
        if others:
            super().store_event_batch(others)

    def _store_planned(self, planned: Sequence[EventLogEntry]) -> None:
        last = {one.get_dagster_event().asset_key: one for one in planned}
        with self.index_transaction() as connection:
            # Sets of values of one short statement: one long statement with a place for each value
            # of a thousand events takes as long to be put together as to be carried out.
            rows = [self._event_to_row(one) for one in planned]
            connection.execute(SqlEventLogStorageTable.insert(), rows)
            for one in last.values():
                # Of a plan the row keeps run and time, not the event: its id is not asked for.
                self._store_asset_event(connection, one, event_id=0)


def _is_planned(event: EventLogEntry) -> bool:
    return event.dagster_event_type is DagsterEventType.ASSET_MATERIALIZATION_PLANNED


class KeptOpenStorage(DagsterPostgresStorage):
    """Runs, event log and schedules over one engine a process; dagster.yaml names it."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        self._event_log_storage = EventLog(postgres_url, should_autocreate_tables=False)
        # Asked each time whether it lives: a server that was restarted must cost no event.
        engine = engine_for(postgres_url, pool_size=KEPT, fresh=0.0, durable=False)
        shared = engine.execution_options(isolation_level="AUTOCOMMIT")
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = shared  # noqa: SLF001 - they take a URL, never an engine

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """As dagster-postgres describes it."""
        return pg_config()

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """What dagster.yaml says, read by Dagster."""
        return cls(pg_url_from_config(config_value), inst_data)
