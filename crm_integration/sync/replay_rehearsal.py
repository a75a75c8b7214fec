"""The part of a plan that needs no CRM: what a replay would find due, found by replaying.

Prevents two answers to one question: the window is derived, judged, mapped and brought up to
date by the run's own code, and all of it is taken back.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, case, select

from crm_integration.mapping.model import CompiledMapping
from crm_integration.quality.holds import HELD_OBJECT, open_holds
from crm_integration.storage.tables.sync import ledger
from crm_integration.stores._contract import Window
from crm_integration.sync.bindings import Binding, bind, bindings_of
from crm_integration.sync.crm_run import wake
from crm_integration.sync.engines import Engines
from crm_integration.sync.ledger import TABLE, Claimed, Desired, due, row_name, within
from crm_integration.sync.path import House, run_path
from crm_integration.sync.project import Among, Projected, project
from crm_integration.sync.rehearsal import rehearsal
from crm_integration.sync.report import Problem, Selection
from crm_integration.sync.transitions import State
from crm_integration.sync.waiting import settle_waiting
from crm_integration.sync.window_objects import objects_of
from crm_integration.tenancy.connections import StoredConnection, crm_connection
from crm_integration.tenancy.scope import Tenancy, TenantScope

RUN = "plan"
"""Run id of rows that nobody will ever see."""

_KIND = {
    State.synced: "unchanged",
    State.skipped: "unchanged",
    State.held: "held",
    State.parked: "parked",
    State.dead: "dead",
}


@dataclass(frozen=True)
class Waiting:
    """A ledger row that would be claimed, still sealed: a plan may hold very many of them."""

    object_id: UUID
    source_time: datetime
    tries: int
    associated: tuple[UUID, ...]
    mapping_id: str
    raw_id: int
    written_before: bool
    desired: bytes = field(repr=False)
    unclear: tuple[bytes, ...] = field(repr=False)

    def claimed(self, scope: TenantScope, connection_id: str, object_type: str) -> Claimed:
        """As a sender gets it; its claim is nobody's."""
        name = row_name(connection_id, object_type, self.object_id)

        def opened(sealed: bytes) -> Desired:
            return Desired.decoded(scope.keys.open(TABLE, name, sealed))

        return Claimed(
            self.object_id,
            uuid4(),
            opened(self.desired),
            self.source_time,
            self.tries + 1,
            self.associated,
            self.mapping_id,
            self.raw_id,
            self.written_before,
            tuple(opened(one) for one in self.unclear),
        )


@dataclass
class Rehearsed:
    """What a replay would look at in the CRM, by object type, and what it would not."""

    connection: StoredConnection
    due: dict[str, list[Waiting]] = field(default_factory=lambda: dict[str, list[Waiting]]())
    others: dict[str, Counter[str]] = field(
        default_factory=lambda: defaultdict[str, Counter[str]](Counter)
    )
    problems: list[Problem] = field(default_factory=lambda: list[Problem]())


@dataclass
class Rehearser:
    """What stays the same while a tenant's windows are rehearsed one after the other."""

    house: House
    tenant: str
    mappings: Mapping[str, CompiledMapping]
    rules_version: str
    forced: frozenset[str]
    seen: dict[str, set[UUID]] = field(default_factory=lambda: defaultdict[str, set[UUID]](set))
    """An object of two windows is planned once: both end at its newest state."""

    def rehearse(self, windows: Sequence[Window] | None) -> Rehearsed:
        """These windows, or with None all rows as they are derived already."""
        tenant = self.tenant
        with rehearsal(self.house.engines.tenancy, tenant) as tenancy:
            with tenancy.scope(tenant) as scope:
                found = Rehearsed(crm_connection(scope))
            among: Among | None = None
            if windows is not None:
                found.problems += self._derived(tenancy, windows)
                with tenancy.scope(tenant) as scope:
                    among = objects_of(scope, windows)
            projected = project(
                tenancy,
                tenant,
                found.connection.connection_id,
                self.mappings,
                self.rules_version,
                run_id=RUN,
                among=among,
            )
            with tenancy.scope(tenant) as scope:
                self._sort(scope, found, among, projected)
        return found

    def _derived(self, tenancy: Tenancy, windows: Sequence[Window]) -> list[Problem]:
        stage = House(Engines(tenancy, self.house.engines.ops), self.house.mappings)
        selection = Selection(canonical=entities_of(self.mappings))
        return run_path(stage, self.tenant, windows, selection, run_id=RUN).problems

    def _sort(
        self, scope: TenantScope, found: Rehearsed, among: Among | None, projected: Projected
    ) -> None:
        """Types in the order of sending: what one would bring into the CRM, the next may need."""
        connection_id = found.connection.connection_id
        if self.forced:
            wake(scope, connection_id, self.mappings, among or {}, self.forced)
        held = open_holds(scope)
        for object_type in self.mappings:
            settle_waiting(scope, connection_id, object_type, held=object_type in held)
            rows = self._rows(scope, connection_id, object_type, among)
            due = found.due[object_type] = [_waiting(row) for row in rows if row.due]
            kinds = Counter(_kind(row) for row in rows if not row.due)
            found.others[object_type] = kinds
            if among is None:
                kinds["refused"] += projected.refused[object_type]
            else:
                kinds["refused"] += self._without_row(object_type, among, rows)
            _as_if_written(scope, connection_id, object_type, due)

    def _rows(
        self, scope: TenantScope, connection_id: str, object_type: str, among: Among | None
    ) -> list[Row[Any]]:
        is_due = due(self.rules_version)
        named = ("object_id", "state", "source_time", "tries", "associated", "mapping_id", "raw_id")
        rows = scope.connection.execute(
            select(
                *(ledger.c[name] for name in named),
                is_due.label("due"),
                ledger.c.written_digest.is_not(None).label("written_before"),
                case((is_due, ledger.c.desired)).label("desired"),
                case((is_due, ledger.c.sending)).label("before"),
                case((is_due, ledger.c.unclear)).label("unclear"),
            )
            .where(
                ledger.c.tenant_id == scope.tenant,
                ledger.c.connection_id == connection_id,
                ledger.c.object_type == object_type,
                within(None if among is None else among.get(object_type, ())),
            )
            .order_by(ledger.c.object_id)
        ).all()
        fresh = [row for row in rows if row.object_id not in self.seen[object_type]]
        self.seen[object_type].update(row.object_id for row in fresh)
        return fresh

    def _without_row(self, object_type: str, among: Among, rows: Collection[Row[Any]]) -> int:
        """Objects that have never come as far as the ledger."""
        left = set(among.get(object_type, ())) - self.seen[object_type]
        self.seen[object_type].update(left)
        return len(left)


def entities_of(mappings: Collection[str]) -> frozenset[str]:
    """The canonical entities that show on these object types."""
    return frozenset(entity for entity, shown in HELD_OBJECT.items() if shown in mappings)


def _kind(row: Row[Any]) -> str:
    return _KIND.get(State(row.state), "later")


def _waiting(row: Row[Any]) -> Waiting:
    return Waiting(
        row.object_id,
        row.source_time,
        row.tries,
        tuple(row.associated),
        row.mapping_id,
        row.raw_id,
        row.written_before,
        row.desired,
        (*row.unclear, *([] if row.before is None else [row.before])),
    )


def _as_if_written(
    scope: TenantScope, connection_id: str, object_type: str, rows: Sequence[Waiting]
) -> None:
    """Bind what has no record so far, as its write would: what waits for it need not wait."""
    ids = [one.object_id for one in rows]
    bound = bindings_of(scope, connection_id, object_type, ids)
    fresh = [Binding(one, f"{RUN}/{one}", False) for one in ids if one not in bound]
    bind(scope, connection_id, object_type, fresh)
