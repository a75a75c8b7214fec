"""Connecting an account: ask it who it is, then keep that with its sealed secrets.

Prevents the wrong portal: the account's own id is asked from the account itself, and every later
run compares it before its first call.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from crm_integration.crms._contract import CrmAccess
from crm_integration.crms._registry import crm_connector
from crm_integration.errors import BadInput
from crm_integration.mapping.tenant_file import tenant_config
from crm_integration.stores._contract import StoreAccess
from crm_integration.stores._registry import connector
from crm_integration.sync.path import House
from crm_integration.tenancy.connections import StoredConnection, save_connection


class Side(StrEnum):
    """Which kind of account."""

    store = "store"
    crm = "crm"


def connect_store(
    house: House,
    tenant: str,
    connection_id: str,
    platform: str,
    base_url: str,
    secrets: Mapping[str, str],
    *,
    actor: str,
    budgets: Mapping[str, Mapping[str, float]] | None = None,
    login: str = "",
    lives: float | None = None,
) -> StoredConnection:
    """Check the shop's credentials and keep the connection.

    `login`: by which of the manifest's logins its tokens came, and `lives` so many seconds.
    Its settings are those of the tenant file that the connector's manifest names, and the
    `budgets` of the account's plan: {class: {calls, seconds}}. Raises
    BadInput for missing secrets or a shop that is connected already, NeedsReconnect, Transient.
    """
    store = connector(platform)
    _refuse_missing(platform, store.manifest.secrets, secrets)
    known = tenant_config(house.mappings, tenant, crm=None).settings
    settings = {name: known[name] for name in store.manifest.settings if name in known}
    client = store.open(StoreAccess(base_url, secrets, settings))
    try:
        account = store.extract.check(client)
    finally:
        client.close()
    connection = StoredConnection(
        connection_id,
        "store",
        platform,
        base_url,
        account.account_id,
        account.currency,
        account.timezone,
        {**settings, **_by(login), **({"budgets": dict(budgets)} if budgets else {})},
    )
    with house.engines.tenancy.scope(tenant) as scope:
        save_connection(scope, connection, secrets, actor=actor, lives=lives)
    return connection


def connect_crm(
    house: House,
    tenant: str,
    connection_id: str,
    crm: str,
    base_url: str,
    secrets: Mapping[str, str],
    *,
    actor: str,
    settings: Mapping[str, Any] | None = None,
    login: str = "",
    lives: float | None = None,
) -> StoredConnection:
    """Check the CRM's credentials and keep the connection.

    `login`: by which of the manifest's logins its tokens came, and `lives` so many seconds.
    `settings` may hold `budgets` of the account's plan: {class: {calls, seconds}}. Raises
    BadInput for missing secrets or an account that belongs to another tenant.
    """
    found = crm_connector(crm)
    _refuse_missing(crm, found.manifest.secrets, secrets)
    adapter = found.open(CrmAccess(base_url, secrets), _uncounted)
    try:
        account_id = adapter.account_id()
    finally:
        adapter.close()
    connection = StoredConnection(
        connection_id, "crm", crm, base_url, account_id, settings={**(settings or {}), **_by(login)}
    )
    with house.engines.tenancy.scope(tenant) as scope:
        save_connection(scope, connection, secrets, actor=actor, lives=lives)
    return connection


def _by(login: str) -> dict[str, str]:
    return {"login": login} if login else {}


def _uncounted(endpoint_class: str) -> None:
    """One call when connecting: the account is not known yet, so it has no budget."""


def _refuse_missing(name: str, wanted: tuple[str, ...], secrets: Mapping[str, str]) -> None:
    missing = [one for one in wanted if not secrets.get(one)]
    if missing:
        raise BadInput(f"{name} needs {', '.join(missing)}: give them when connecting")
