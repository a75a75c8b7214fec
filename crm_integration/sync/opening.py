"""Opens the house: databases, roles, keys, checked before the first row is read.

Prevents a start on the wrong ground: a role that could look over walls, a schema from a newer
release or a missing key stop the process with the fix, before any work.
"""

from __future__ import annotations

from sqlalchemy import Engine

from crm_integration.credentials.master_key import master_key
from crm_integration.settings import Settings
from crm_integration.storage.engine import engine_for
from crm_integration.storage.roles import APP, OPS, assert_audit_heads, assert_safe_role
from crm_integration.storage.schema import assert_current, migrate
from crm_integration.storage.urls import DatabaseUrls, resolve
from crm_integration.sync.engines import Engines
from crm_integration.sync.live_run import ASIDE, AT_ONCE
from crm_integration.sync.path import House
from crm_integration.tenancy.scope import Tenancy

CONNECTIONS = AT_ONCE + ASIDE + 4
"""Connections of a role that a process keeps at most, made as they are needed: each pass of a live
run holds one for as long as it lasts."""


def open_house(settings: Settings, *, database: str = "crm_integration") -> House:
    """Start what is embedded, bring its schema up to date, check the roles, open the keys.

    Raises BadSetting, NewerSchema, UnsafeRole or StorageError, each with the fix.
    """
    return house_at(settings, resolve(settings, database))


def house_at(settings: Settings, urls: DatabaseUrls) -> House:
    """The house on these databases. Migrations run only where we own the server."""
    if settings.owner_url is None:
        migrate(urls.owner)
    app, ops = (engine_for(one, pool_size=CONNECTIONS) for one in (urls.app, urls.ops))
    _check(app, APP)
    _check(ops, OPS)
    return House(Engines(Tenancy(app, master_key(settings)), ops), settings.mappings)


def _check(engine: Engine, role: str) -> None:
    with engine.connect() as connection:
        assert_safe_role(connection, role)
        if role == APP:
            assert_current(connection)
            assert_audit_heads(connection)
