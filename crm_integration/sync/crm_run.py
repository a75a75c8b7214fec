"""One tenant's CRM brought up to date: project, look who waits, dispatch, count.

Prevents a run over an unchanged window from making a single call: a client is opened only when
the ledger has something due, and no row is due while a hold is open for its object type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crm_integration.crms._registry import crm_connector
from crm_integration.errors import RemoteError
from crm_integration.mapping.model import CompiledMapping
from crm_integration.sync.crm_door import CrmAccount
from crm_integration.sync.crm_session import CrmRun, CrmSession
from crm_integration.sync.dispatch import Sent
from crm_integration.sync.engines import Engines
from crm_integration.sync.ledger import move, within
from crm_integration.sync.open_accounts import OpenAccounts
from crm_integration.sync.project import Among, project
from crm_integration.sync.restraint import Limit, waiting_for_approval
from crm_integration.sync.tenant_settings import USUAL, EngineSettings
from crm_integration.sync.transitions import State
from crm_integration.tenancy.connections import StoredConnection, crm_connection
from crm_integration.tenancy.lately import Lately
from crm_integration.tenancy.scope import TenantScope
from crm_integration.transport.quota import Purpose


def sync_crm(
    engines: Engines,
    tenant: str,
    mappings: Mapping[str, CompiledMapping],
    rules_version: str,
    object_types: tuple[str, ...],
    *,
    run_id: str,
    connection: StoredConnection | None = None,
    limit: Limit = USUAL.limit,
    settings: EngineSettings = USUAL,
    on_batch: Callable[[str, int], None] | None = None,
    among: Among | None = None,
    forced: frozenset[str] = frozenset(),
    accounts: OpenAccounts[CrmAccount] | None = None,
    purpose: Purpose = "reconcile",
    lately: Lately | None = None,
) -> CrmRun:
    """Project all canonical changes of the tenant and send those object types that are due.

    `connection` is the tenant's CRM account, where the caller has read it. `limit`: how many
    records may be rewritten in a day before a person looks. With `among` only these objects; their
    `forced` fields are written whoever owns them. With `accounts` the client stays open there.
    `purpose` says how much of the account's budget the calls may use. With `lately` what rarely
    changes is asked only now and then.
    """
    tenancy = engines.tenancy
    if connection is None:
        with tenancy.scope(tenant) as scope:
            connection = crm_connection(scope)
    chosen = {name: mappings[name] for name in mappings if name in object_types}
    projected = project(
        tenancy,
        tenant,
        connection.connection_id,
        chosen,
        rules_version,
        run_id=run_id,
        among=among,
        lately=lately,
    )
    if forced:
        with tenancy.scope(tenant) as scope:
            wake(scope, connection.connection_id, chosen, among or {}, forced)
    order = crm_connector(connection.platform).manifest.objects
    run = CrmRun(projected, {name: Sent() for name in order if name in chosen})
    session = CrmSession(
        engines, tenant, connection, chosen, rules_version, run_id, on_batch, among, forced,
        limit=limit, settings=settings, accounts=accounts, purpose=purpose,
    )  # fmt: skip
    with tenancy.scope(tenant, durable=False) as scope:
        run.holds = tuple(sorted(session.begin(scope) & chosen.keys()))
    try:
        session.send(run)
        session.archive_merged(run)
    except RemoteError as error:
        run.problem, run.refusal = f"{type(error).__name__} {error.code}".strip(), error
        session.doubt()
    finally:
        run.calls = session.close()
    session.learn(run.refusal)
    if session.may_hold():
        with tenancy.scope(tenant, durable=False) as scope:
            run.withheld = waiting_for_approval(scope, connection.connection_id)
    return run


def wake(
    scope: TenantScope,
    connection_id: str,
    mappings: Mapping[str, CompiledMapping],
    among: Among,
    forced: frozenset[str],
) -> None:
    """Written rows of these objects are to be looked at again, where they have a forced field."""
    for object_type, mapping in mappings.items():
        if not forced.isdisjoint(mapping.fields):
            place = (scope, connection_id, object_type)
            only = within(among.get(object_type, ()))
            move(*place, State.synced, State.pending, only)
