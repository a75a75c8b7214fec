"""Differences that wait for a person, and the approval that names exactly them.

Prevents the approval of something else than was looked at: it names the digest of all
differences that were shown, and each record lapses from it once its own differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import func, select, update

from crm_integration.audit import trail
from crm_integration.errors import BadInput, NotFound
from crm_integration.quality.holds import BLAST_RADIUS, release
from crm_integration.storage.tables.sync import held_changes
from crm_integration.sync.blast_radius import Rewrites
from crm_integration.sync.restraint import Place, held_row
from crm_integration.tenancy.scope import TenantScope

APPROVED_FOR = timedelta(hours=24)
"""An approval that nobody used by then lapses: shop and CRM have moved on."""

_DIGEST_LETTERS = 16


@dataclass(frozen=True)
class Differences:
    """What waits of one object type. `digest` names all of it; `by_field` counts records."""

    object_type: str
    digest: str
    records: int
    by_field: Mapping[str, int]
    examples: tuple[Rewrites, ...] = field(repr=False)


def differences(scope: TenantScope, object_type: str, *, examples: int = 10) -> Differences:
    """What waits, with the first differences in full. Raises NotFound when nothing does."""
    rows = scope.connection.execute(
        select(
            held_changes.c.connection_id,
            held_changes.c.object_id,
            held_changes.c.mapping_id,
            held_changes.c.digest,
            held_changes.c.changes,
        )
        .where(held_changes.c.tenant_id == scope.tenant, held_changes.c.object_type == object_type)
        .order_by(held_changes.c.held_at, held_changes.c.object_id)
    ).all()
    if not rows:
        raise NotFound(f"no {object_type} of {scope.tenant} waits for an approval")
    counted: Counter[str] = Counter()
    first: list[Rewrites] = []
    for row in rows:
        place = Place(row.connection_id, object_type, row.mapping_id)
        plain = scope.keys.open("held_changes", held_row(place, row.object_id), row.changes)
        found = Rewrites.decoded(plain)
        counted.update(one.name for one in found.fields)
        if len(first) < examples:
            first.append(found)
    together = _together(scope, [row.digest for row in rows])
    return Differences(object_type, together, len(rows), dict(counted), tuple(first))


def approve(scope: TenantScope, object_type: str, digest: str, by: str) -> int:
    """Let the records go whose differences `digest` names; returns how many. Audited.

    Raises BadInput when other differences wait by now, NotFound when none do.
    """
    waiting = differences(scope, object_type, examples=0)
    if waiting.digest != digest.strip().lower():
        raise BadInput(
            f"other differences wait by now than those you looked at: look again with "
            f"crm-integration holds {scope.tenant} --differences {object_type}"
        )
    scope.connection.execute(
        update(held_changes)
        .where(held_changes.c.tenant_id == scope.tenant, held_changes.c.object_type == object_type)
        .values(approved_by=by, approved_until=func.clock_timestamp() + APPROVED_FOR)
    )
    details = {"digest": waiting.digest, "records": waiting.records}
    trail.record(scope, actor=by, action="hold.approve", subject=object_type, **details)
    release(scope, object_type, BLAST_RADIUS, by)
    return waiting.records


def _together(scope: TenantScope, digests: list[bytes]) -> str:
    return scope.keys.digest("differences", b"".join(sorted(digests))).hex()[:_DIGEST_LETTERS]
