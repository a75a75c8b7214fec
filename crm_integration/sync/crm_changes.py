"""What people changed in the CRM, of records that are ours: opt-outs, values wanted back, merges.

Prevents the one-way mirror: without this, an opt-out in the CRM is seen only when a store happens
to change the same contact. Nothing is written to a store, and a record that only our own write
changed is no news.

It is read by a job of its own, and before a run that has something to send; a run over an
unchanged window makes no call (`docs/adr/0011`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

from sqlalchemy import and_, func, or_, select

from crm_integration.canonical.identity import lock_identities
from crm_integration.canonical.sourced import Stamp
from crm_integration.crms._contract import Adapter, CrmRecord
from crm_integration.crms._registry import crm_connector
from crm_integration.errors import RemoteError
from crm_integration.mapping.model import CompiledMapping
from crm_integration.storage.tables.sync import ledger
from crm_integration.sync.bindings import Binding, any_bound, bindings_of, owners_of
from crm_integration.sync.crm_consents import Shown, note_consents
from crm_integration.sync.crm_cursor import (
    Cursor,
    bound_behind,
    cursor_of,
    keep_cursor,
    last_read,
)
from crm_integration.sync.crm_session import CrmSession
from crm_integration.sync.crm_values import Seen, keep_values
from crm_integration.sync.engines import Engines
from crm_integration.sync.ledger import due, move
from crm_integration.sync.transitions import State
from crm_integration.sync.views import VIEWS
from crm_integration.tenancy.connections import crm_connection
from crm_integration.tenancy.scope import Tenancy, TenantScope

CHUNK = 200
"""Records a transaction."""

CLOCKS_APART = timedelta(minutes=10)
"""The CRM's clock may be this much behind ours."""

_BEING_WRITTEN = (State.in_flight.value, State.unknown.value)

# A try whose answer was lost: the record may show its value, until the next try has looked.
_TO_BE_WRITTEN = (State.pending.value, State.retry.value)
_UNCLEAR = or_(ledger.c.sending.is_not(None), func.cardinality(ledger.c.unclear) > 0)

Pair = tuple[UUID, CrmRecord]


@dataclass
class CrmRead:
    """What one look at a CRM's changes found, of records that are ours."""

    seen: int = 0
    opted_out: int = 0
    lifted: int = 0
    values: int = 0
    merged: int = 0
    calls: int = 0
    problem: str | None = None
    """Why not all of it was read; what was, stays read."""


def read_changes(
    engines: Engines,
    tenant: str,
    mappings: Mapping[str, CompiledMapping],
    rules_version: str,
    *,
    run_id: str,
) -> CrmRead:
    """Read the changes of all object types of which a mapping wants something.

    No call is made where no mapping does, where no record is ours so far, or where the CRM's
    adapter tells no changes.
    """
    with engines.tenancy.scope(tenant) as scope:
        connection = crm_connection(scope)
        manifest = crm_connector(connection.platform).manifest
        wanted = [
            one
            for name, one in mappings.items()
            if name in manifest.objects and wants(one)
            if any_bound(scope, connection.connection_id, name)
        ]
    done = CrmRead()
    if "changes" not in manifest.offers or not wanted:
        return done
    lag = timedelta(seconds=manifest.changes_lag_seconds)
    session = CrmSession(engines, tenant, connection, mappings, rules_version, run_id)
    try:
        for mapping in wanted:
            adapter = session.prepared(mapping)
            stamp = Stamp(run_id, rules_version)
            place = (engines.tenancy, tenant, connection.connection_id)
            _Reader(*place, adapter, mapping, stamp, lag, done).read()
    except RemoteError as error:
        done.problem = f"{type(error).__name__} {error.code}".strip()
    finally:
        done.calls = session.close()
    return done


def wants(mapping: CompiledMapping) -> tuple[str, ...]:
    """The fields that are read of a record that changed."""
    consents = [name for name, rule in mapping.fields.items() if rule.rule == "consent"]
    return tuple(dict.fromkeys((*mapping.opt_outs, *consents, *mapping.backs)))


def worth_reading(
    tenancy: Tenancy,
    tenant: str,
    mappings: Mapping[str, CompiledMapping],
    rules_version: str,
    *,
    not_within: timedelta,
) -> bool:
    """Whether a run is to look before it sends: it has something to send, and nobody has looked
    within that time."""
    with tenancy.scope(tenant) as scope:
        connection_id = crm_connection(scope).connection_id
        at = last_read(scope, connection_id)
        now: datetime = scope.connection.execute(select(func.clock_timestamp())).scalar_one()
        if at is not None and now - at < not_within:
            return False
        tables = [VIEWS[mapping.entity].table for mapping in mappings.values()]
        changed = [
            select(table.c.tenant_id).where(
                table.c.tenant_id == scope.tenant,
                table.c.needs_projection,
                table.c.rules_version == rules_version,
            )
            for table in tables
        ]
        waiting = select(ledger.c.tenant_id).where(
            ledger.c.tenant_id == scope.tenant,
            ledger.c.connection_id == connection_id,
            ledger.c.object_type.in_(list(mappings)),
            due(rules_version),
        )
        asked = (waiting, *changed)
        return any(scope.connection.scalar(select(one.exists())) for one in asked)


@dataclass(frozen=True)
class _Reader:
    """One object type of one CRM connection, being read."""

    tenancy: Tenancy
    tenant: str
    connection_id: str
    adapter: Adapter
    mapping: CompiledMapping
    stamp: Stamp
    lag: timedelta
    done: CrmRead

    @property
    def object_type(self) -> str:
        return self.mapping.object_type

    def read(self) -> None:
        """First every bound record once, then what changed since. Raises the adapter's errors."""
        names = wants(self.mapping)
        with self.tenancy.scope(self.tenant) as scope:
            cursor = cursor_of(scope, self.connection_id, self.object_type, names)
        while cursor.behind is not None:
            cursor = self._next_bound(cursor, names)
        started, asked = datetime.now(UTC), self._now()
        found = self.adapter.changed_since(self.object_type, cursor.since - self.lag, names)
        unclear: datetime | None = None
        for records in _chunks(found):
            newest = max((one.updated_at for one in records if one.updated_at), default=None)
            with self.tenancy.scope(self.tenant) as scope:
                held_up = self._take(scope, self._ours(scope, records), asked)
                unclear = min(filter(None, (unclear, held_up)), default=None)
                cursor = _further(cursor, newest, unclear)
                keep_cursor(scope, cursor)
        with self.tenancy.scope(self.tenant) as scope:
            keep_cursor(scope, _further(cursor, started - CLOCKS_APART, unclear))

    def _next_bound(self, cursor: Cursor, names: Sequence[str]) -> Cursor:
        """Look at the next bound records; those that are written meanwhile change, and come."""
        with self.tenancy.scope(self.tenant) as scope:
            bound = bound_behind(scope, cursor, CHUNK)
        asked = self._now()
        live = self.adapter.read(self.object_type, list(bound), names) if bound else {}
        with self.tenancy.scope(self.tenant) as scope:
            self._take(scope, [(bound[name], record) for name, record in live.items()], asked)
            cursor = replace(cursor, behind=max(bound.values()) if bound else None)
            keep_cursor(scope, cursor)
        return cursor

    def _ours(self, scope: TenantScope, records: Sequence[CrmRecord]) -> list[Pair]:
        """Our objects among these records; one that was merged may be several of ours."""
        ids = {name: one for one in records for name in (one.record_id, *one.merged)}
        owners = owners_of(scope, self.connection_id, self.object_type, list(ids))
        return [(object_id, ids[name]) for name, object_id in owners.items()]

    def _now(self) -> datetime:
        """The database's clock, which also says when something was written."""
        with self.tenancy.scope(self.tenant) as scope:
            return scope.connection.execute(select(func.clock_timestamp())).scalar_one()

    def _take(
        self, scope: TenantScope, pairs: Sequence[Pair], asked: datetime
    ) -> datetime | None:
        """Keep what is news of records that the CRM was asked for at `asked`; returns the last
        change of the earliest record that is being written, or was since then: nobody can tell
        whether what it shows is ours."""
        if not pairs:
            return None
        lock_identities(scope)
        ids = [object_id for object_id, _ in pairs]
        bound = bindings_of(scope, self.connection_id, self.object_type, ids)
        busy = self._written_meanwhile(scope, ids, asked)
        clear = [(key, record) for key, record in pairs if key not in busy and key in bound]
        self._note(scope, clear, bound)
        times = [record.updated_at for key, record in pairs if key in busy and record.updated_at]
        return min(times, default=None)

    def _note(
        self, scope: TenantScope, pairs: Sequence[Pair], bound: Mapping[UUID, Binding]
    ) -> None:
        place = (scope, self.connection_id)
        shown = [Shown(key, record, bound[key].given_back) for key, record in pairs]
        out, lifted = note_consents(*place, self.mapping, shown, self.stamp)
        backs = self.mapping.backs
        seen = [
            Seen(key, one.record_id, one.updated_at, {name: one.fields[name] for name in backs})
            for key, one in pairs
        ]
        trace = {"mapping_id": self.mapping.mapping_id, "run_id": self.stamp.run_id}
        self.done.values += keep_values(*place, self.object_type, seen, **trace)
        merged = [key for key, record in pairs if record.record_id != bound[key].record_id]
        self.done.merged += move(
            *place, self.object_type, State.synced, State.pending, ledger.c.object_id.in_(merged)
        )
        self.done.seen += len(pairs)
        self.done.opted_out += out
        self.done.lifted += lifted

    def _written_meanwhile(
        self, scope: TenantScope, ids: Sequence[UUID], asked: datetime
    ) -> set[UUID]:
        rows = scope.connection.execute(
            select(ledger.c.object_id).where(
                ledger.c.tenant_id == scope.tenant,
                ledger.c.connection_id == self.connection_id,
                ledger.c.object_type == self.object_type,
                ledger.c.object_id.in_(ids),
                or_(
                    ledger.c.state.in_(_BEING_WRITTEN),
                    and_(ledger.c.state.in_(_TO_BE_WRITTEN), _UNCLEAR),
                    ledger.c.written_at >= asked,
                ),
            )
        )
        return set(rows.scalars())


def _further(cursor: Cursor, to: datetime | None, unclear: datetime | None) -> Cursor:
    """The cursor at `to`, but never behind a record that is to be looked at again, or back."""
    times = [one for one in (to, unclear) if one is not None]
    if not times or min(times) <= cursor.since:
        return cursor
    return replace(cursor, since=min(times))


def _chunks(records: Iterable[CrmRecord]) -> Iterator[list[CrmRecord]]:
    iterator = iter(records)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
