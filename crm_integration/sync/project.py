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

from sqlalchemy import Update, Uuid, any_, bindparam, cast, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from crm_integration.canonical.identity import lock_identities
from crm_integration.errors import DataRejected
from crm_integration.mapping.model import CompiledMapping
from crm_integration.quality.quarantine import QuarantineEntry, keep_back, release_passed
from crm_integration.quality.row_checks import THE_ROW
from crm_integration.storage.tables.quality import quarantine
from crm_integration.storage.tables.sync import ledger
from crm_integration.sync.ledger import Desired
from crm_integration.sync.merged_away import leave_merged
from crm_integration.sync.steps import Step, reached
from crm_integration.sync.to_project import MAPPING_RULE, refused_rows, rows_of, to_project
from crm_integration.sync.views import VIEWS, Choice, Projectable
from crm_integration.sync.wishes import Origin, Wish, wish
from crm_integration.tenancy.lately import Lately
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
    lately: Lately | None = None,
) -> Projected:
    """Bring the ledger of one CRM connection up to date with the canonical rows.

    With `among` only with those objects: a replay writes what its window is about. With `lately`
    rows that another mapping made are looked for only now and then.
    """
    done = Projected(dict.fromkeys(mappings, 0), dict.fromkeys(mappings, 0))
    asked = (tenant, "mapped", connection_id, *(one.rules_digest for one in mappings.values()))
    known = lately is not None and lately.knows(*asked)
    with tenancy.scope(tenant, durable=False) as scope:
        due = to_project(scope, connection_id, mappings, rules_version, only_changed=known)
        leave_merged(scope, connection_id)
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
    if lately is not None and not known:
        lately.note(*asked)
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
    with tenancy.scope(tenant, durable=False) as scope:
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
            wish(scope, origin, wishes)
        _settle_refused(scope, origin, mapping, rows, refused, rules_version)
        _mark_projected(scope, mapping.entity, [row.object_id for row in rows])
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
