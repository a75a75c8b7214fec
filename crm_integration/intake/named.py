"""Reads what deliveries only named: thin payloads, deletions, and two contents of one time.

Prevents a delivery from leaving the queue before the object it told about was read: while a store
is down its deliveries wait, whoever drains them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import Engine

from crm_integration.errors import CrmIntegrationError
from crm_integration.intake.drop_table import Named, Thin, acknowledge
from crm_integration.intake.extract import fetch
from crm_integration.intake.open_store import OpenStore
from crm_integration.tenancy.scope import Tenancy


@dataclass(frozen=True)
class NotRead:
    """Objects of a type that could not be read now, and why."""

    object_type: str
    reason: str


def read_named(
    tenancy: Tenancy,
    ops: Engine,
    store: OpenStore,
    thin: Thin,
    doubtful: Collection[Named] = (),
    *,
    run_id: str,
) -> list[NotRead]:
    """Read these objects from their store. Raises nothing of the store: its deliveries wait."""
    wanted: dict[str, dict[str, None]] = defaultdict(dict)
    for object_type, source_id in (*thin, *doubtful):
        wanted[object_type][source_id] = None
    problems: list[NotRead] = []
    for object_type, named in wanted.items():
        source_ids = list(named)
        try:
            kept = fetch(tenancy, store, object_type, source_ids, run_id=run_id)
        except CrmIntegrationError as error:
            problems.append(NotRead(object_type, str(error)))
            continue
        told = [thin.get((object_type, source_id), ()) for source_id in source_ids]
        acknowledge(ops, store.tenant, chain.from_iterable(told), kept)
    return problems
