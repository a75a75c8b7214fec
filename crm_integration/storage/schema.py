"""Brings a database to this release's schema, and refuses one that is ahead of it.

Prevents two starts from migrating at once (an advisory lock) and an old release from working
on tables it does not understand.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, func, select
from sqlalchemy.pool import NullPool

from crm_integration.errors import NewerSchema

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_204_113_001
"""Any fixed number; only migrations use it."""


def migrate(owner_url: str) -> str:
    """Upgrade to the newest revision and return it. Raises NewerSchema and touches nothing."""
    engine = create_engine(owner_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        config = _config(connection)
        _refuse_newer(connection, config)
        command.upgrade(config, "head")
        return _revision(connection) or ""


def assert_current(connection: Connection) -> None:
    """Raises NewerSchema when the database was migrated by a newer release."""
    _refuse_newer(connection, _config(connection))


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(connection: Connection, config: Config) -> None:
    revision = _revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise NewerSchema(
            f"the database is at revision {revision}, which this release does not know: "
            "update crm-integration; nothing was changed"
        )
