"""Heals what a proof found, by the way that everything takes, and proves it again.

Prevents the repair that is a second code path: what the store has and we lack is read by id, what
is older downstream waits again, and an ordinary run derives, judges and writes it. What was proven
is not touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update

from crm_integration.audit import trail
from crm_integration.canonical.entities import ENTITIES
from crm_integration.errors import RemoteError
from crm_integration.intake.extract import fetch
from crm_integration.intake.open_store import open_store
from crm_integration.mapping.tenant_file import compiled_mappings
from crm_integration.stores._contract import Window
from crm_integration.sync.completeness.model import (
    DIFFERS,
    MISSING,
    NAMELESS,
    SURPLUS,
    Completeness,
    Frame,
    Request,
    Stage,
)
from crm_integration.sync.completeness.prove import Told, prove
from crm_integration.sync.ledger import move, within
from crm_integration.sync.path import House, run_path
from crm_integration.sync.report import Problem, Selection
from crm_integration.sync.transitions import State
from crm_integration.sync.views import VIEWS
from crm_integration.tenancy.scope import Tenancy


def prove_healed(
    house: House, request: Request, *, run_id: str, by: str, progress: Told | None = None
) -> tuple[Completeness, Completeness]:
    """Prove, heal what is wrong (audited), prove again: both proofs, of which the second counts.

    Both are the same where nothing can be healed. A record too many in the CRM is left to a
    person. Raises what `prove` raises.
    """
    first = prove(house, request, run_id=run_id, progress=progress)
    found = first.found
    wrong = found[found["verdict"].isin([MISSING, DIFFERS, SURPLUS])]
    curable = wrong[(wrong["stage"] != Stage.crm) | (wrong["verdict"] != SURPLUS)]
    curable = curable[(curable["stage"] != Stage.ledger) | (curable["verdict"] != SURPLUS)]
    curable = curable[curable["id"] != NAMELESS]
    if not len(curable):
        return first, first
    _audit(house, request, len(curable), run_id=run_id, by=by)
    problems = heal(house, request, curable, run_id=run_id)
    second = prove(house, request, run_id=run_id, progress=progress)
    second.problems += problems
    second.healed = max(0, sum(one.wrong for one in first.days) - sum(
        one.wrong for one in second.days
    ))  # fmt: skip
    return first, second


def _audit(house: House, request: Request, objects: int, *, run_id: str, by: str) -> None:
    days = request.days
    with house.engines.tenancy.scope(request.tenant) as scope:
        trail.record(
            scope,
            actor=by,
            action="completeness.heal",
            subject="all" if days is None else f"{days.start}/{days.end}",
            run=run_id,
            entities=list(request.entities),
            objects=objects,
        )


def heal(house: House, request: Request, wrong: Frame, *, run_id: str) -> list[Problem]:
    """Read again, requeue, and run; returns what did not go through."""
    tenancy, tenant = house.engines.tenancy, request.tenant
    problems = list(_refetched(house, tenant, wrong[wrong["stage"] == Stage.raw], run_id))
    mappings = compiled_mappings(house.mappings, house.config(tenant))
    for object_type, mapping in mappings.items():
        of_type = wrong[wrong["object_type"] == object_type]
        _want_again(tenancy, tenant, mapping.entity, of_type[of_type["stage"] == Stage.ledger])
        _send_again(tenancy, tenant, object_type, of_type[of_type["stage"] == Stage.crm])
    upstream = wrong[wrong["stage"].isin([Stage.raw, Stage.canonical])]
    derived = frozenset(ENTITIES) if len(upstream) else frozenset[str]()
    report = run_path(
        house,
        tenant,
        _windows(upstream),
        Selection(canonical=derived, crm=frozenset(mappings)),
        run_id=run_id,
    )
    return problems + report.problems


def _refetched(house: House, tenant: str, wrong: Frame, run_id: str) -> Iterator[Problem]:
    """Read by id what is missing, differs, or is not in the store any more."""
    engines = house.engines
    stores = {one.connection_id: one for one in house.connected(tenant).stores}
    for connection_id, of_store in wrong.groupby("connection_id", sort=True):
        try:
            store = open_store(engines.tenancy, engines.ops, tenant, stores[connection_id])
        except RemoteError as error:
            yield from _told(of_store["object_type"].unique().tolist(), error)
            continue
        try:
            for object_type, rows in of_store.groupby("object_type", sort=True):
                try:
                    fetch(engines.tenancy, store, object_type, rows["id"].tolist(), run_id=run_id)
                except RemoteError as error:
                    yield from _told([object_type], error)
        finally:
            store.client.close()


def _told(object_types: Sequence[str], error: RemoteError) -> Iterator[Problem]:
    why = f"{type(error).__name__} {error.code or ''}".strip()
    return (Problem("heal", one, why) for one in object_types)


def _want_again(tenancy: Tenancy, tenant: str, entity: str, wrong: Frame) -> None:
    """Their canonical rows are mapped anew by the run."""
    ids = _ids(wrong)
    if ids:
        view = VIEWS[entity]
        with tenancy.scope(tenant) as scope:
            scope.connection.execute(
                update(view.table)
                .where(view.table.c.tenant_id == scope.tenant, view.key.in_(ids))
                .values(needs_projection=True)
            )


def _send_again(tenancy: Tenancy, tenant: str, object_type: str, wrong: Frame) -> None:
    """Written rows are due again: the sender looks before it writes, and writes what differs."""
    ids = _ids(wrong)
    if ids:
        connection_id = str(wrong["connection_id"].iloc[0])
        with tenancy.scope(tenant) as scope:
            place = (scope, connection_id, object_type)
            move(*place, State.synced, State.pending, within(ids))


def _ids(wrong: Frame) -> list[UUID]:
    return [UUID(one) for one in wrong["id"]]


def _windows(wrong: Frame) -> list[Window]:
    """The days whose raw records are derived again; what is new is derived whatever its day."""
    days: set[Any] = {one for one in wrong["raw_day"] if isinstance(one, date)}
    chosen = sorted(days) or [datetime.now(UTC).date()]
    return [Window(day, day + timedelta(days=1)) for day in chosen]
