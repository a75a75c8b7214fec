"""Finding the CRM record of an object that has none so far.

Prevents the second record for one person: what sales entered before us is adopted by its match
key, what is there twice is left for a person, and what belongs to another object is not taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from crm_integration.crms._contract import Adapter, CrmRecord
from crm_integration.sync.ledger import Claimed


@dataclass(frozen=True)
class Sought:
    """Records found for objects: `ours` carry our key already, `adopted` do not yet."""

    ours: Mapping[UUID, CrmRecord] = field(repr=False)
    adopted: Mapping[UUID, CrmRecord] = field(repr=False)
    ambiguous: frozenset[UUID] = frozenset()


def seek(
    adapter: Adapter,
    object_type: str,
    match_field: str | None,
    unbound: Sequence[Claimed],
    fields: Sequence[str],
) -> Sought:
    """Look for records of objects without a binding.

    One that was sent before may have been created by a lost answer: it is looked for by our
    key, which is exact at once. Others are looked for by the match key; a record that carries
    another object's key is no candidate.
    """
    # A newer version starts to count its tries anew.
    resent = {str(one.object_id): one.object_id for one in unbound if one.tries > 1 or one.unclear}
    found = adapter.find_by_key(object_type, list(resent), fields) if resent else {}
    ours = {resent[key]: record for key, record in found.items()}
    matches = {
        one.object_id: one.desired.match.strip().casefold()
        for one in unbound
        if one.object_id not in ours and one.desired.match
    }
    if match_field is None or not matches:
        return Sought(ours, {})
    # As the store writes them: no search finds `Straße` by its folded form.
    asked = {one.desired.match.strip() for one in unbound if one.desired.match}
    values = sorted(value for value in asked if value.casefold() in set(matches.values()))
    candidates = adapter.find_by_match(object_type, match_field, values, fields)
    return _judged(ours, matches, candidates)


def _judged(
    ours: dict[UUID, CrmRecord],
    matches: Mapping[UUID, str],
    candidates: Mapping[str, list[CrmRecord]],
) -> Sought:
    adopted: dict[UUID, CrmRecord] = {}
    ambiguous: set[UUID] = set()
    wanted = Counter(matches.values())
    for object_id, value in matches.items():
        records = candidates.get(value, [])
        own = [record for record in records if record.key == str(object_id)]
        free = [record for record in records if record.key is None]
        if own:
            ours[object_id] = own[0]
        elif len(free) == 1 and wanted[value] == 1:
            adopted[object_id] = free[0]
        elif free:
            ambiguous.add(object_id)
    return Sought(ours, adopted, frozenset(ambiguous))
