"""Two versions of a mapping beside each other on a tenant's recorded rows.

Prevents the new version that is right for the row somebody tried and wrong for a tenth of the
others: every row is mapped by both, nothing is written, and what differs is counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from crm_integration.errors import BadInput, DataRejected
from crm_integration.mapping.model import CompiledMapping
from crm_integration.mapping.normalised import normalised
from crm_integration.mapping.preview import Mask, ShadowDifference, shadow
from crm_integration.sync.views import VIEWS, Choice, Projectable
from crm_integration.tenancy.scope import Tenancy

CHUNK = 1_000
"""Rows a transaction."""

EXAMPLES = 3
"""Of each field."""

_OF_VALUES = ("value", "added", "removed")
"""A changed owner or rule is no matter of single records; `rule_changes` tells it."""


@dataclass
class Shadowed:
    """What differs on recorded rows: `counts` by (field, change), `refused` by version."""

    rows: int = 0
    differing: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=lambda: Counter[tuple[str, str]]())
    refused: Counter[str] = field(default_factory=lambda: Counter[str]())
    examples: dict[str, list[tuple[UUID, ShadowDifference]]] = field(
        default_factory=lambda: defaultdict[str, list[tuple[UUID, ShadowDifference]]](list),
        repr=False,
    )


def shadowed(
    tenancy: Tenancy,
    tenant: str,
    old: CompiledMapping,
    new: CompiledMapping,
    *,
    mask: Mask,
    progress: Callable[[str, int], None] | None = None,
) -> Shadowed:
    """Map all rows of the entity by both versions; examples are masked.

    Raises BadInput where the two read different entities.
    """
    if old.entity != new.entity:
        raise BadInput(f"{old.mapping_id} reads {old.entity}, {new.mapping_id} reads {new.entity}: "
                       "there is no record to compare them on")  # fmt: skip
    found = Shadowed()
    for row in _rows(tenancy, tenant, old.entity):
        _compare(found, old, new, row, mask)
        if progress is not None and found.rows % CHUNK == 0:
            progress(f"{old.entity} compared", found.rows)
    return found


def _compare(
    found: Shadowed, old: CompiledMapping, new: CompiledMapping, row: Projectable, mask: Mask
) -> None:
    found.rows += 1
    refused = [one.mapping_id for one in (old, new) if not _fits(one, row)]
    found.refused.update(refused)
    if refused:
        return
    differences = [one for one in shadow(old, new, row.view, mask=mask) if _counts(one)]
    found.differing += bool(differences)
    for one in differences:
        found.counts[one.name, one.change] += 1
        if len(found.examples[one.name]) < EXAMPLES:
            found.examples[one.name].append((row.object_id, one))


def _fits(mapping: CompiledMapping, row: Projectable) -> bool:
    try:
        return not mapping.missing(mapping.project(row.view))
    except DataRejected:
        return False


def _counts(one: ShadowDifference) -> bool:
    """A field that is new and has nothing to say makes no difference to a record."""
    said = normalised(one.old, "text") != "" or normalised(one.new, "text") != ""
    return one.change in _OF_VALUES and said


def _rows(tenancy: Tenancy, tenant: str, entity: str) -> Iterator[Projectable]:
    after: UUID | None = None
    while True:
        with tenancy.scope(tenant) as scope:
            choice = Choice(None, CHUNK, waiting=False, after=after)
            rows = VIEWS[entity].read(scope, choice)
        yield from rows
        if len(rows) < CHUNK:
            return
        after = rows[-1].object_id
