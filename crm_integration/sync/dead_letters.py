"""Dead letters: writes that need a person; which there are, and how they are sent again.

Prevents the write that was given up and that nobody hears of, and the opposite, ten thousand of
them sent again by one wrong filter: what would be sent is shown first, and exactly that is sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Uuid,
    func,
    lateral,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from crm_integration.audit import trail
from crm_integration.errors import BadInput, NotFound
from crm_integration.mapping.model import OBJECT_TYPES
from crm_integration.quality.holds import open_holds
from crm_integration.storage.tables.sync import attempts, ledger
from crm_integration.sync.ledger import move
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import TenantScope

FIRST_IDS = 10
"""Ids that a preview names."""


@dataclass(frozen=True)
class DeadLetter:
    """One write that was given up. `since` is when; `status` and `code` are the CRM's last ones,
    None where the last try brought none. Nothing in it is personal."""

    object_type: str
    object_id: UUID
    reason: str
    since: datetime
    tries: int
    status: int | None
    code: str | None
    mapping_id: str
    raw_id: int
    edited: bool


@dataclass(frozen=True)
class Filter:
    """Which dead letters; all that is given must hold.

    `reason` is a part of the reason, whatever its case; `before`: given up before this time.
    """

    object_type: str | None = None
    object_id: UUID | None = None
    reason: str | None = None
    code: str | None = None
    before: datetime | None = None


@dataclass(frozen=True)
class Preview:
    """What a redrive would send: how many by (object type, reason), the first ids, and the object
    types of which nothing is written while their hold is open."""

    letters: tuple[DeadLetter, ...]
    held: tuple[str, ...]

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        """By (object type, reason)."""
        return dict(Counter((one.object_type, one.reason) for one in self.letters))

    @property
    def first(self) -> tuple[UUID, ...]:
        """Of the longest dead."""
        return tuple(one.object_id for one in self.letters[:FIRST_IDS])


def dead_letters(
    scope: TenantScope, connection_id: str, wanted: Filter, *, limit: int | None = None
) -> list[DeadLetter]:
    """Dead letters of one CRM connection, the longest dead first. Raises BadInput for an object
    type that does not exist."""
    _refuse_unknown(wanted.object_type)
    statement = _letters(scope, connection_id, wanted).limit(limit)
    return [_letter(row) for row in scope.connection.execute(statement)]


def dead_letter(scope: TenantScope, connection_id: str, wanted: Filter) -> DeadLetter:
    """The only one. Raises NotFound where there is none."""
    found = dead_letters(scope, connection_id, wanted)
    if not found:
        raise NotFound(
            f"{wanted.object_id} is no dead letter of {scope.tenant}; see: "
            f"crm-integration dead-letters list {scope.tenant}"
        )
    if len(found) > 1:
        types = ", ".join(one.object_type for one in found)
        raise BadInput(f"{wanted.object_id} is dead as {types}: name one with --object")
    return found[0]


def preview(scope: TenantScope, connection_id: str, wanted: Filter) -> Preview:
    """What a redrive of these would send."""
    letters = dead_letters(scope, connection_id, wanted)
    types = {one.object_type for one in letters}
    return Preview(tuple(letters), tuple(sorted(types & set(open_holds(scope)))))


def redrive(
    scope: TenantScope, connection_id: str, letters: Sequence[DeadLetter], *, by: str
) -> int:
    """Let exactly these be sent again by the next run; leaves an audit entry; returns how many.

    One that has come alive since it was shown (its data changed) is left out.
    """
    moved: Counter[str] = Counter()
    for object_type in dict.fromkeys(one.object_type for one in letters):
        ids = [one.object_id for one in letters if one.object_type == object_type]
        chosen = ledger.c.object_id == func.any(literal(ids, ARRAY(Uuid)))
        _forgive_tries(scope, connection_id, object_type, chosen)
        place = (scope, connection_id, object_type)
        moved[object_type] = move(*place, State.dead, State.pending, chosen)
    trail.record(
        scope,
        actor=by,
        action="dead_letter.redrive",
        subject=connection_id,
        records=dict(moved),
        first=[str(one.object_id) for one in letters[:FIRST_IDS]],
    )
    return moved.total()


def _forgive_tries(
    scope: TenantScope, connection_id: str, object_type: str, chosen: ColumnElement[bool]
) -> None:
    """A row that was given up after its last try may be tried as often again. One try stays: what
    was sent before is looked for by our key before it is made anew (`adoption.py`)."""
    scope.connection.execute(
        update(ledger)
        .where(
            ledger.c.tenant_id == scope.tenant,
            ledger.c.connection_id == connection_id,
            ledger.c.object_type == object_type,
            ledger.c.state == State.dead.value,
            chosen,
        )
        .values(tries=func.least(ledger.c.tries, 1))
    )


def _letters(scope: TenantScope, connection_id: str, wanted: Filter) -> Select[Any]:
    last = _last_attempt(scope)
    where: list[ColumnElement[bool]] = []
    if wanted.object_type is not None:
        where.append(ledger.c.object_type == wanted.object_type)
    if wanted.object_id is not None:
        where.append(ledger.c.object_id == wanted.object_id)
    if wanted.reason is not None:
        where.append(ledger.c.reason.icontains(wanted.reason, autoescape=True))
    if wanted.code is not None:
        where.append(last.c.code == wanted.code)
    if wanted.before is not None:
        where.append(ledger.c.next_try_at < wanted.before)
    return (
        select(ledger, last.c.status, last.c.code)
        .select_from(ledger.outerjoin(last, true()))
        .where(
            ledger.c.tenant_id == scope.tenant,
            ledger.c.connection_id == connection_id,
            ledger.c.state == State.dead.value,
            *where,
        )
        .order_by(ledger.c.next_try_at, ledger.c.object_type, ledger.c.object_id)
    )


def _last_attempt(scope: TenantScope) -> Any:
    return lateral(
        select(attempts.c.status, attempts.c.code)
        .where(
            attempts.c.tenant_id == scope.tenant,
            attempts.c.connection_id == ledger.c.connection_id,
            attempts.c.object_type == ledger.c.object_type,
            attempts.c.object_id == ledger.c.object_id,
        )
        .order_by(attempts.c.attempt_id.desc())
        .limit(1)
    )


def _letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        object_type=row.object_type,
        object_id=row.object_id,
        reason=row.reason or "",
        # A row that is given up is due at once: its time is that of its death.
        since=row.next_try_at,
        tries=row.tries,
        status=row.status,
        code=row.code,
        mapping_id=row.mapping_id,
        raw_id=row.raw_id,
        edited=row.edited_from is not None,
    )


def _refuse_unknown(object_type: str | None) -> None:
    if object_type is not None and object_type not in OBJECT_TYPES:
        raise BadInput(
            f"there is no object type {object_type[:40]!r}: use {', '.join(OBJECT_TYPES)}"
        )
