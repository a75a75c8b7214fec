"""A tenant whose CRM was connected by OAuth, at a desk that a test drives."""

from __future__ import annotations

from dataclasses import replace

from crm_integration.credentials import vault
from crm_integration.credentials.overview import LoginStands, logins_of
from crm_integration.credentials.renewal import Login
from crm_integration.crms._registry import crm_connector
from crm_integration.tenancy.connections import StoredConnection, save_connection
from crm_integration_tests.house import Tenant


def connect_by_oauth(tenant: Tenant, *, seconds: float, rotates: bool = True) -> StoredConnection:
    """The tenant's portal, with tokens of its desk that live so many seconds."""
    desk = tenant.portal.desk
    desk.seconds, desk.rotates = seconds, rotates
    secrets = {"client_id": desk.client_id, "client_secret": desk.client_secret, **desk.first()}
    connection = replace(tenant.crm, settings={"login": "oauth"})
    with tenant.scope() as scope:
        save_connection(scope, connection, secrets, actor="test", lives=seconds)
    return connection


def login_of(tenant: Tenant) -> Login:
    """That of the tenant's CRM."""
    way = crm_connector("hubspot").manifest.logins["oauth"]
    return Login(tenant.house.tenancy, tenant.name, "crm", tenant.portal.url, way)


def token_of(tenant: Tenant) -> str:
    """The access token that is kept."""
    with tenant.scope() as scope:
        return vault.open_secrets(scope, "crm")["access_token"]


def stands(tenant: Tenant, connection_id: str = "crm") -> LoginStands:
    """How the login stands."""
    with tenant.scope() as scope:
        return next(one for one in logins_of(scope) if one.connection_id == connection_id)


def changes(tenant: Tenant) -> list[tuple[str, str, str | None]]:
    """(before, state, reason) of each change of the CRM's login."""
    rows = tenant.rows(
        "select before, state, reason from credential_changes where connection_id = 'crm' "
        "order by change_id"
    )
    return [tuple(row) for row in rows]


def ran_out(tenant: Tenant) -> None:
    """The access token has run out, and everybody may know."""
    tenant.rows(
        "update credentials set renew_at = now() - interval '1 s', "
        "expires_at = now() - interval '1 s' where connection_id = 'crm' returning 1"
    )
