"""Canonical rows to the ledger: what every CRM object should hold, by the tenant's mappings.

Prevents the silent fork between what we know and what we want: each row that changed (in
itself, by a fact, or because its mapping did) is mapped once, and the ledger keeps the wish with
mapping version, raw record and run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from uuid import UUID

from sqlalchemy import Text, Update, Uuid, any_, bindparam, cast, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from crm_integration.canonical.identity import lock_identities
from crm_integration.errors import DataRejected
from crm_integration.mapping.model import CompiledMapping
from crm_integration.quality.quarantine import QuarantineEntry, keep_back, release_passed
from crm_integration.quality.row_checks import THE_ROW
from crm_integration.storage.tables.canonical import customers
from crm_integration.storage.tables.quality import quarantine
from crm_integration.storage.tables.sync import ledger
from crm_integration.storage.tables.tenancy import mapping_versions
from crm_integration.sync.inherited import OBJECT_TYPE as CONTACT
from crm_integration.sync.inherited import hand_on_records
from crm_integration.sync.ledger import Desired, move
from crm_integration.sync.steps import Step, reached
from crm_integration.sync.to_project import MAPPING_RULE, refused_rows, rows_of, to_project
from crm_integration.sync.transitions import State
from crm_integration.sync.views import VIEWS, Choice, Projectable
from crm_integration.sync.wishes import Origin, Wish, wish
from crm_integration.tenancy.scope import Tenancy, TenantScope

CHUNK = 500
"""Rows a transaction."""

Among = Mapping[str, tuple[UUID, ...]]
"""Object type -> the canonical ids that a run is about."""


@dataclass
class Projected:
    """How many rows became wishes, and how many a mapping refused, by object type."""

    wishes: dict[str, int] = field(default_factory=lambda: dict[str, int]())
    refused: dict[str, int] = field(default_factory=lambda: dict[str, int]())


def project(
    tenancy: Tenancy,
    tenant: str,
    connection_id: str,
    mappings: Mapping[str, CompiledMapping],
    rules_version: str,
    *,
    run_id: str,
    among: Among | None = None,
) -> Projected:
    """Bring the ledger of one CRM connection up to date with the canonical rows.

    With `among` only with those objects: a replay writes what its window is about.
    """
    done = Projected(dict.fromkeys(mappings, 0), dict.fromkeys(mappings, 0))
    with tenancy.scope(tenant) as scope:
        due = to_project(scope, connection_id, mappings, rules_version)
        if all(one.object_type != CONTACT for one in due):
            _leave_merged(scope, connection_id)
    for one in due:
        mapping = mappings[one.object_type]
        digest = mapping.rules_digest
        origin = Origin(connection_id, one.object_type, mapping.mapping_id, digest, run_id)
        ids = None if among is None else among.get(one.object_type, ())
        if one.remapped:
            with tenancy.scope(tenant) as scope:
                _mark_remapped(scope, origin, mapping.entity)
        while _project_chunk(tenancy, tenant, origin, mapping, rules_version, done, ids) == CHUNK:
            continue
    return done


def _project_chunk(
    tenancy: Tenancy,
    tenant: str,
    origin: Origin,
    mapping: CompiledMapping,
    rules_version: str,
    done: Projected,
    among: tuple[UUID, ...] | None,
) -> int:
    with tenancy.scope(tenant) as scope:
        lock_identities(scope)
        rows = VIEWS[mapping.entity].read(scope, Choice(rules_version, CHUNK, among=among))
        wishes: list[Wish] = []
        refused: list[QuarantineEntry] = []
        for row in rows:
            outcome = mapped(mapping, row)
            if isinstance(outcome, Wish):
                wishes.append(outcome)
            else:
                refused.append(outcome)
        if wishes:
            _note_version(scope, origin)
            wish(scope, origin, wishes)
        _settle_refused(scope, origin, mapping, rows, refused, rules_version)
        _mark_projected(scope, mapping.entity, [row.object_id for row in rows])
        if origin.object_type == CONTACT:
            _leave_merged(scope, origin.connection_id)
        reached(Step.projecting)
    reached(Step.projected)
    done.wishes[origin.object_type] += len(wishes)
    done.refused[origin.object_type] += len(refused)
    return len(rows)


def mapped(mapping: CompiledMapping, row: Projectable) -> Wish | QuarantineEntry:
    """The wish of a row, or why the mapping refuses it."""
    try:
        fields = mapping.project(row.view)
    except DataRejected as problem:
        return _refusal(mapping, row, problem.field, "value_does_not_fit")
    missing = mapping.missing(fields)
    if missing:
        return _refusal(mapping, row, missing[0], "required_field_empty")
    match = None
    if mapping.match is not None and row.email_is_key:
        match = mapping.match.read(row.view)
    elif mapping.match is not None:
        # A CRM keeps such a field unique: of many people on one mailbox none could have it.
        fields[mapping.match.field] = None
    links = mapping.associations(row.view)
    desired = Desired(fields, match, links)
    return Wish(row.object_id, desired, row.source_time, row.raw_id, row.rules_version)


def _refusal(
    mapping: CompiledMapping, row: Projectable, field_name: str, reason: str
) -> QuarantineEntry:
    return QuarantineEntry(
        entity=mapping.entity,
        source_id=str(row.object_id),
        position=THE_ROW,
        rule=f"{MAPPING_RULE}.{mapping.object_type}.{field_name}",
        raw_id=row.raw_id,
        reason=reason,
        fix=f"correct {field_name} in {mapping.mapping_id} or the value in the store",
    )


def _settle_refused(
    scope: TenantScope,
    origin: Origin,
    mapping: CompiledMapping,
    rows: list[Projectable],
    refused: list[QuarantineEntry],
    rules_version: str,
) -> None:
    still = {(entry.source_id, entry.position, entry.rule) for entry in refused}
    ids = [str(row.object_id) for row in rows]
    release_passed(scope, origin.connection_id, mapping.entity, ids, still)
    keep_back(
        scope, origin.connection_id, refused, rules_version=rules_version, run_id=origin.run_id
    )


def _mark_projected(scope: TenantScope, entity: str, ids: list[UUID]) -> None:
    if ids:
        scope.connection.execute(_projected(entity), {"tenant": scope.tenant, "ids": ids})


@lru_cache(maxsize=16)
def _projected(entity: str) -> Update:
    view = VIEWS[entity]
    mine = view.table.c.tenant_id == bindparam("tenant")
    theirs = view.key == any_(bindparam("ids", type_=ARRAY(Uuid)))
    return update(view.table).where(mine, theirs).values(needs_projection=False)


def _note_version(scope: TenantScope, origin: Origin) -> None:
    """Remember which mapping content was used first when."""
    version = {"mapping_id": origin.mapping_id, "digest": origin.mapping_digest}
    scope.connection.execute(_VERSION, {"tenant_id": scope.tenant, **version})


_VERSION = insert(mapping_versions).on_conflict_do_nothing()


def _mark_remapped(scope: TenantScope, origin: Origin, entity: str) -> None:
    """Rows whose wish was made by another mapping are mapped anew, and those it refused."""
    view = VIEWS[entity]
    place = (scope.tenant, origin.connection_id, origin.object_type)
    refused = select(cast(quarantine.c.source_id, Uuid)).where(*refused_rows(*place, entity))
    stale = select(ledger.c.object_id).where(
        *rows_of(*place), ledger.c.mapping_digest != origin.mapping_digest
    )
    scope.connection.execute(
        update(view.table)
        .where(
            view.table.c.tenant_id == scope.tenant, or_(view.key.in_(stale), view.key.in_(refused))
        )
        .values(needs_projection=True)
    )


_MAY_BE_SKIPPED = (
    *(State.synced, State.parked, State.retry, State.held, State.dead, State.unknown),
)
"""What is in flight is skipped by the next run."""


def _leave_merged(scope: TenantScope, connection_id: str) -> None:
    """Who became another customer is not written any more, and leaves its record to that one."""
    _skip_merged(scope, connection_id)
    hand_on_records(scope, connection_id)


_MERGED_ROWS = (
    select(ledger.c.state)
    .where(
        *rows_of(bindparam("tenant", type_=Text), bindparam("connection", type_=Text), CONTACT),
        ledger.c.object_id.in_(
            select(customers.c.customer_id).where(
                customers.c.tenant_id == bindparam("tenant"), customers.c.merged_into.is_not(None)
            )
        ),
        ledger.c.state != State.skipped,
    )
    .distinct()
)
"""States of rows of customers that became another one."""


def _skip_merged(scope: TenantScope, connection_id: str) -> None:
    """A customer that became another one is not written any more."""
    merged = select(customers.c.customer_id).where(
        customers.c.tenant_id == scope.tenant,
        customers.c.merged_into.is_not(None),
    )
    reason = "merged"
    asked = {"tenant": scope.tenant, "connection": connection_id}
    there = set(scope.connection.execute(_MERGED_ROWS, asked).scalars())
    if not there:
        return
    for before in (one for one in _MAY_BE_SKIPPED if one in there):
        move(
            scope,
            connection_id,
            "contact",
            before,
            State.pending,
            ledger.c.object_id.in_(merged),
            reason=reason,
        )
    move(
        scope,
        connection_id,
        "contact",
        State.pending,
        State.skipped,
        ledger.c.object_id.in_(merged),
        reason=reason,
    )
    scope.connection.execute(
        update(customers)
        .where(
            customers.c.tenant_id == scope.tenant,
            customers.c.merged_into.is_not(None),
            customers.c.needs_projection,
        )
        .values(needs_projection=False)
    )
