"""Wishes: what each CRM object should hold, written into the ledger.

Prevents a newer version from being lost while an older one is in flight, and a write for a
desire that did not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Text, and_, bindparam, case, func, or_, select
from sqlalchemy.dialects.postgresql import Insert, insert

from crm_integration.storage.bulk import hand
from crm_integration.storage.tables.sync import ledger
from crm_integration.storage.tables.tenancy import mapping_versions
from crm_integration.sync.ledger import TABLE, Desired, is_one_of, row_name
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import TenantScope


@dataclass(frozen=True)
class Wish:
    """One object's desired state with its trace."""

    object_id: UUID
    desired: Desired
    source_time: datetime
    raw_id: int
    rules_version: str


@dataclass(frozen=True)
class Origin:
    """What a batch of wishes has in common."""

    connection_id: str
    object_type: str
    mapping_id: str
    mapping_digest: str
    run_id: str


def wish(scope: TenantScope, origin: Origin, wishes: Sequence[Wish]) -> None:
    """Write what is desired. Equal to what stands: only the trace is brought up to date, and what
    was written by other rules (a new mapping version, an override) is looked at by these.

    A person's edit stands as long as what it was made of is desired (`dead_letters.edit`).
    """
    rows = (_wish_row(scope, origin, one) for one in wishes)
    wished = hand(scope.connection, "wished", ledger, _NAMES, rows)
    version = {"of_mapping": origin.mapping_id, "of_digest": origin.mapping_digest}
    said = {"tenant": scope.tenant, **version, **wished.values}
    scope.connection.execute(_write(wished.source), said)


_NAMES = (
    *("tenant_id", "connection_id", "object_type", "object_id", "state", "desired"),
    *("desired_digest", "source_time", "raw_id", "mapping_id", "mapping_digest"),
    *("rules_version", "run_id", "needs"),
)


@lru_cache(maxsize=16)
def _write(wished: FromClause) -> Insert:
    statement = insert(ledger).from_select(_NAMES, select(*(wished.c[name] for name in _NAMES)))
    new = statement.excluded
    mapped = func.coalesce(ledger.c.edited_from_digest, ledger.c.desired_digest)
    differs = mapped != new.desired_digest
    state = ledger.c.state
    returns = state == State.skipped.value  # such as a merged customer that came apart again
    other_rules = and_(state == State.synced.value, ledger.c.mapping_digest != new.mapping_digest)
    traced = ("source_time", "raw_id", "mapping_id", "mapping_digest", "rules_version", "run_id")
    pending = or_(returns, other_rules, and_(differs, _moves_on()))
    return statement.on_conflict_do_update(
        index_elements=list(ledger.primary_key.columns),
        set_={
            **{name: new[name] for name in traced},
            "desired": case((differs, new.desired), else_=ledger.c.desired),
            "desired_digest": case((differs, new.desired_digest), else_=ledger.c.desired_digest),
            "edited_from": case((~differs, ledger.c.edited_from)),
            "edited_from_digest": case((~differs, ledger.c.edited_from_digest)),
            "needs": new.needs,
            "desired_at": case((differs, func.now()), else_=ledger.c.desired_at),
            "state": case((pending, State.pending.value), else_=state),
            "tries": case((differs, 0), else_=ledger.c.tries),
            "next_try_at": case((differs, func.now()), else_=ledger.c.next_try_at),
        },
    ).add_cte(_VERSION.cte("version"))


_VERSION = (
    insert(mapping_versions)
    .from_select(
        ("tenant_id", "mapping_id", "digest"),
        select(*(bindparam(name, type_=Text) for name in ("tenant", "of_mapping", "of_digest"))),
    )
    .on_conflict_do_nothing()
)
"""Which mapping content was used first when."""


def _moves_on() -> ColumnElement[bool]:
    """A newer desire makes a row pending, unless it is being sent or must be looked at first."""
    return ~is_one_of(State.in_flight, State.unknown, State.held)


def _wish_row(scope: TenantScope, origin: Origin, one: Wish) -> tuple[Any, ...]:
    encoded = one.desired.encoded()
    row = row_name(origin.connection_id, origin.object_type, one.object_id)
    return (
        scope.tenant,
        origin.connection_id,
        origin.object_type,
        one.object_id,
        State.pending.value,
        scope.keys.seal(TABLE, row, encoded),
        scope.keys.digest("desired", encoded),
        one.source_time,
        one.raw_id,
        origin.mapping_id,
        origin.mapping_digest,
        one.rules_version,
        origin.run_id,
        [identifier for _, identifier in one.desired.links],
    )
