"""Raw records to canonical rows: a window's objects, re-derived whole, in small transactions.

Prevents two ways of doing one thing: a first run, a replay and a retry all take the newest raw
record of every object that the window touches and end at its newest state. A payload that
cannot be read, or a row that breaks a rule, is quarantined alone and the rest goes on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial

from crm_integration.canonical.entities import ENTITIES
from crm_integration.canonical.identity import lock_identities
from crm_integration.canonical.sourced import Stamp
from crm_integration.intake.raw_reading import RawRecord, is_last, newest_in_window, overtaken
from crm_integration.intake.raw_records import note_outcomes
from crm_integration.quality.drift import DriftReport, Watch, settle, watch_topic
from crm_integration.quality.options import Scalar
from crm_integration.quality.quarantine import keep_back, release_passed
from crm_integration.quality.row_checks import compile_row_checks
from crm_integration.quality.rules import rules_version
from crm_integration.quality.watches import Watches
from crm_integration.stores._contract import StoreContext
from crm_integration.stores._registry import connector
from crm_integration.sync import abandonment, presence
from crm_integration.sync.reading import Chunk, Deriver, read_all
from crm_integration.sync.steps import Step, reached
from crm_integration.sync.writing import Written, write
from crm_integration.tenancy.connections import StoredConnection
from crm_integration.tenancy.lately import Lately
from crm_integration.tenancy.scope import Tenancy, TenantScope

CHUNK = 250
"""Objects a transaction: large enough for set-based SQL, small enough for flat memory."""


@dataclass
class Derived(Written):
    """What deriving came to, by entity or object type; `drift` by object type, one a store."""

    read: int = 0
    quarantined: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    drift: dict[str, list[DriftReport]] = field(
        default_factory=lambda: defaultdict[str, list[DriftReport]](list)
    )

    def add(self, other: Derived) -> None:
        """Count another connection's work in."""
        self.read += other.read
        for mine, theirs in (
            (self.changed, other.changed),
            (self.unchanged, other.unchanged),
            (self.quarantined, other.quarantined),
        ):
            for name, number in theirs.items():
                mine[name] += number
        for name, reports in other.drift.items():
            self.drift[name] += reports


def deriver(
    connection: StoredConnection,
    options: Mapping[str, Scalar],
    *,
    run_id: str,
    stores: Sequence[str] = (),
    not_keys: Sequence[str] = (),
    lately: Lately | None = None,
) -> Deriver:
    """Compile a tenant's rules for one connection. Raises BadInput for unknown options."""
    return Deriver(
        connection,
        connector(connection.platform),
        StoreContext(connection.currency or "", connection.known()),
        {entity: compile_row_checks(entity, options) for entity in ENTITIES},
        Stamp(run_id, rules_version(options)),
        options,
        tuple(stores),
        tuple(not_keys),
        lately,
    )


def derive_window(
    tenancy: Tenancy,
    tenant: str,
    derive: Deriver,
    days: tuple[date, date],
    object_types: Sequence[str],
    *,
    on_chunk: Callable[[str, int], None] | None = None,
    watches: Watches | None = None,
) -> Derived:
    """Derive every object of these types that has a raw record in `[start, end)`.

    With `watches` what is learned of payloads lives on there, from one call to the next.
    """
    done = Derived()
    for object_type in derive.connector.manifest.object_types:
        if object_type in object_types:
            _derive_type(tenancy, tenant, derive, days, object_type, done, on_chunk, watches)
    if "cart" in object_types:
        connection_id = derive.connection.connection_id
        abandonment.apply_window(tenancy, tenant, connection_id, days, limit=CHUNK)
    return done


def _derive_type(
    tenancy: Tenancy,
    tenant: str,
    derive: Deriver,
    days: tuple[date, date],
    object_type: str,
    done: Derived,
    on_chunk: Callable[[str, int], None] | None,
    watches: Watches | None,
) -> None:
    after: str | None = None
    watches = watches or Watches(seconds=0.0)
    topic = (tenant, derive.connection.connection_id, object_type, derive.stamp.rules_version)
    while True:
        with tenancy.scope(tenant, durable=False) as scope:
            lock_identities(scope)
            watch = watches.of(topic, partial(_watch, scope, derive, object_type))
            records = newest_in_window(
                scope,
                derive.connection.connection_id,
                object_type,
                days,
                parent_type=derive.connector.manifest.parents.get(object_type),
                after=after,
                limit=CHUNK,
            )
            derive_records(scope, derive, object_type, records, done, watch)
            over = is_last(records, CHUNK) and watches.is_over(topic)
            done.drift[object_type] = [settle(scope, watch, done=over)]
        reached(Step.derived)
        if on_chunk is not None:
            on_chunk(object_type, done.read)
        if is_last(records, CHUNK):
            return
        after = records[-1].source_id


def _watch(scope: TenantScope, derive: Deriver, object_type: str) -> Watch:
    manifest = derive.connector.manifest
    return watch_topic(
        scope,
        derive.connection.connection_id,
        object_type,
        entities=manifest.entities_of(object_type),
        required=manifest.required_paths.get(object_type, ()),
        shape=manifest.shape,
        options=derive.options,
        run_id=derive.stamp.run_id,
    )


def derive_records(
    scope: TenantScope,
    derive: Deriver,
    object_type: str,
    records: Sequence[RawRecord],
    done: Derived,
    watch: Watch | None = None,
) -> None:
    """Derive these records in this transaction. The caller holds the tenant's identity lock."""
    if not records:
        return
    connection_id = derive.connection.connection_id
    earlier: Iterable[RawRecord] = ()
    if "consent" in derive.connector.manifest.entities_of(object_type):
        earlier = overtaken(scope, connection_id, object_type, records)
    told = presence.sort_out(scope, derive, object_type, records)
    chunk = read_all(derive, object_type, told.words, earlier, watch)
    presence.forget_refusals(chunk, object_type, told)
    write(scope, derive, chunk, done)
    presence.settle(scope, derive, object_type, told, chunk)
    _settle_quarantine(scope, derive, chunk, done)
    note_outcomes(
        scope,
        connection_id,
        object_type,
        {one.source_id: (one.raw_id, chunk.outcomes.get(one.raw_id)) for one in told.newest},
    )
    done.read += len(records)
    reached(Step.deriving)


def _settle_quarantine(scope: TenantScope, derive: Deriver, chunk: Chunk, done: Derived) -> None:
    connection_id = derive.connection.connection_id
    for entity, source_ids in chunk.judged.items():
        release_passed(scope, connection_id, entity, source_ids, chunk.still[entity])
    keep_back(
        scope,
        connection_id,
        chunk.entries,
        rules_version=derive.stamp.rules_version,
        run_id=derive.stamp.run_id,
    )
    for entry in chunk.entries:
        done.quarantined[entry.entity] += 1
