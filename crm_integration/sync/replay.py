"""What a replay would write, field by field, against what the CRM holds now.

Prevents the replay that is feared: nobody knows what it would overwrite, so nobody runs it. The
plan takes the run's own way (`replay_rehearsal.py`, `looking.py`) and writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import func, select

from crm_integration.errors import BadInput
from crm_integration.mapping.force import refuse_unforceable
from crm_integration.mapping.masking import masked, shown
from crm_integration.mapping.model import CompiledMapping
from crm_integration.mapping.names import as_pinned
from crm_integration.mapping.tenant_file import compiled_mappings
from crm_integration.quality.rules import rules_version
from crm_integration.storage.sealing import TenantKeys
from crm_integration.storage.tables.intake import raw_records
from crm_integration.stores._contract import Window
from crm_integration.sync.bindings import bindings_of
from crm_integration.sync.blast_radius import Rewrites, rewrites
from crm_integration.sync.crm_session import CrmSession
from crm_integration.sync.dispatch import BATCH
from crm_integration.sync.looking import Batch, Sender, Sent, decide, look
from crm_integration.sync.path import House
from crm_integration.sync.rehearsal import rehearsal
from crm_integration.sync.replay_plan import Plan, Request
from crm_integration.sync.replay_rehearsal import RUN, Rehearsed, Rehearser, Waiting
from crm_integration.sync.restraint import Place, restrain
from crm_integration.sync.tenant_settings import engine_settings

REHEARSED_RECORDS = 5_000
"""Raw records a rehearsal at most, unless one day has more. It is one transaction, for whose time
the tenant's live run waits, and its staging tables hold about 90 locks for 500 records (measured)
of the 6,400 that a database has by default."""

Told = Callable[[str, int], None]
"""`(what, how many so far)`."""


def plan(
    house: House,
    request: Request,
    *,
    limit: int = 50,
    show: bool = False,
    progress: Told | None = None,
) -> Plan:
    """What a run of this request would write; the CRM is only read, and no row changes.

    The first `limit` records are told field by field, their text by its length unless `show`.
    Raises BadInput and BadMapping for a request that cannot be run, and what the CRM's account
    answers when it refuses to be read (RemoteError).
    """
    config = house.config(request.tenant)
    mappings = chosen_mappings(house, request)
    version = rules_version(config.rules)
    with house.engines.tenancy.scope(request.tenant) as scope:
        keys = scope.keys
    masks = {name: (shown if show else masked)(mapping) for name, mapping in mappings.items()}
    made = Plan.empty(request, mappings, masks, keys, limit)
    rehearser = Rehearser(house, request.tenant, mappings, version, request.forced)
    looker = _Looker(house, made, keys, version, progress or _untold)
    for part in _parts(house, request):
        looker.look(rehearser.rehearse(part))
    return made


def chosen_mappings(house: House, request: Request) -> dict[str, CompiledMapping]:
    """The mappings a request is about: those of its object types, at the versions it names.

    Raises BadInput for fields that cannot be forced, or an object type without a mapping.
    """
    config = house.config(request.tenant)
    if request.mapping is None:
        mappings = compiled_mappings(house.mappings, config)
    else:
        mappings = as_pinned(house.mappings, config, request.mapping)
    wanted = request.object_types or tuple(mappings)
    missing = [name for name in wanted if name not in mappings]
    if missing:
        raise BadInput(f"{config.crm} has no mapping of {missing[0]}: leave --object out")
    chosen = {name: mapping for name, mapping in mappings.items() if name in wanted}
    refuse_unforceable(chosen.values(), request.forced)
    return chosen


def _untold(what: str, count: int) -> None:
    """Nobody watches."""


def _parts(house: House, request: Request) -> Iterator[Sequence[Window] | None]:
    """Neighbouring days, as many as one rehearsal takes."""
    if request.days is None:
        yield None
        return
    records = _records_by_day(house, request)
    part: list[Window] = []
    held = 0
    for window in request.windows():
        count = records.get(window.start, 0)
        if part and held + count > REHEARSED_RECORDS:
            yield part
            part, held = [], 0
        part.append(window)
        held += count
    if part:
        yield part


def _records_by_day(house: House, request: Request) -> dict[date, int]:
    assert request.days is not None  # asked only for a window
    with house.engines.tenancy.scope(request.tenant) as scope:
        rows = scope.connection.execute(
            select(raw_records.c.day, func.count())
            .where(
                raw_records.c.tenant_id == scope.tenant,
                raw_records.c.day >= request.days.start,
                raw_records.c.day < request.days.end,
            )
            .group_by(raw_records.c.day)
        )
        return {day: number for day, number in rows}


class _Looker:
    """Looks at what was rehearsed in the CRM, batch after batch, and adds it to the plan."""

    def __init__(
        self, house: House, made: Plan, keys: TenantKeys, version: str, told: Told
    ) -> None:
        self._house, self._plan, self._keys = house, made, keys
        self._version, self._told = version, told
        settings = house.config(made.request.tenant).settings
        self._limit = engine_settings(settings).limit

    def look(self, found: Rehearsed) -> None:
        """Count what needs no look, then look at the rest."""
        self._plan.problems += found.problems
        for object_type, kinds in found.others.items():
            self._plan.counts[object_type].update(kinds)
        session = CrmSession(
            self._house.engines,
            self._plan.request.tenant,
            found.connection,
            self._plan.mappings,
            self._version,
            RUN,
            forced=self._plan.request.forced,
        )
        try:
            for object_type, rows in found.due.items():
                self._look_at(session, object_type, rows)
        finally:
            self._plan.calls += session.close()

    def _look_at(self, session: CrmSession, object_type: str, rows: Sequence[Waiting]) -> None:
        batches: list[list[Rewrites]] = []
        for start in range(0, len(rows), BATCH):
            account = session.opened()
            account.gate.deadline = math.inf
            # Nothing is prepared: a field of ours that the CRM does not have yet reads as empty.
            sender = session.sender(account.adapter, account.gate, self._plan.mappings[object_type])
            batches.append(self._take(sender, rows[start : start + BATCH]))
            self._told(f"looked at {object_type}", min(start + BATCH, len(rows)))
        if any(batches) and not self._plan.request.forced:
            self._restrain(session, object_type, batches)

    def _restrain(
        self, session: CrmSession, object_type: str, batches: Sequence[Sequence[Rewrites]]
    ) -> None:
        """Which of these would wait for a person, batch after batch as a run comes to them."""
        mapping_id = self._plan.mappings[object_type].mapping_id
        place = Place(session.connection.connection_id, object_type, mapping_id)
        tenant, waiting = self._plan.request.tenant, set[UUID]()
        with rehearsal(self._house.engines.tenancy, tenant) as stage, stage.scope(tenant) as scope:
            for found in filter(None, batches):
                waiting |= restrain(scope, place, found, self._limit)
        self._plan.hold(object_type, waiting)

    def _take(self, sender: Sender, rows: Sequence[Waiting]) -> list[Rewrites]:
        """Add a batch to the plan; returns what of it would rewrite values of the CRM."""
        place = (sender.connection_id, sender.object_type)
        with sender.tenancy.scope(sender.tenant) as scope:
            claimed = {one.object_id: one.claimed(scope, *place) for one in rows}
            bound = bindings_of(scope, *place, list(claimed))
        batch, sent = Batch(claimed, bound), Sent()
        look(sender, batch, list(sender.mapping.reads), sent)
        for one in batch.open():
            decide(sender, batch, one, sent)
        for key in claimed:
            self._add(sender.object_type, batch, key)
        updates = [key for key, write in batch.writes.items() if write.record_id is not None]
        found = [rewrites(sender.mapping, key, batch.decided[key]) for key in updates]
        return [one for one in found if one.fields]

    def _add(self, object_type: str, batch: Batch, key: UUID) -> None:
        write = batch.writes.get(key)
        if write is None:
            kind = "parked" if key in batch.results else "unchanged"
            self._plan.counts[object_type][kind] += 1
            return
        kind = "create" if write.record_id is None else "update"
        self._plan.add(self._keys, object_type, key, kind, batch.decided[key])
