"""Dagster's own tables over connections that stay open.

Prevents the connection per event: dagster-postgres opens one for each statement or two, and each is
a process that the server has to start. Beside a backfill that were 150 a second and four fifths of
a processor, which live runs then waited for. And the wait for the disk at each of them: what a
crashed server loses of Dagster's log are moments that run monitoring sees to (docs/adr/0020).
"""

from collections.abc import Mapping
from typing import Any, Self

from dagster._config import UserConfigSchema
from dagster._core.storage.config import pg_config
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config

from crm_integration.storage.engine import engine_for

KEPT = 4
"""Connections that a process keeps at most, opened as they are needed; as many more for a moment.
A run needs two, the daemon's threads more."""


class KeptOpenStorage(DagsterPostgresStorage):
    """Runs, event log and schedules over one engine a process; dagster.yaml names it."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
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
