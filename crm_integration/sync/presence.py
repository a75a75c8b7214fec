"""What a chunk's raw records say about being there: deleted, back, or held back from either.

Prevents the replay that ends before the deletion: an object whose newest raw record is a
tombstone is derived from its last words, as if it lived, and then marked as gone; so whatever its
last words yield (its guest, its milestones) is what it was, under today's rules. What was gone
before anybody derived it never comes to be: no CRM hears first of its deletion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crm_integration.canonical.deletion_rows import Presence, known_objects, note_presence
from crm_integration.intake.deletions import is_held
from crm_integration.intake.raw_reading import RawRecord, last_words_of
from crm_integration.sync.reading import Chunk, Deriver
from crm_integration.tenancy.scope import TenantScope


@dataclass(frozen=True)
class Told:
    """A chunk's newest raw records, sorted.

    `words` are those to derive from; `gone` the tombstones that are to have an effect; `held` the
    source ids of those that wait for a person; `back` of those that were gone once.
    """

    words: tuple[RawRecord, ...]
    gone: tuple[RawRecord, ...]
    held: frozenset[str]
    back: frozenset[str]

    @property
    def newest(self) -> tuple[RawRecord, ...]:
        """The newest record of each object that is settled by this chunk."""
        departed = {one.source_id for one in self.gone} | self.held
        return (*(one for one in self.words if one.source_id not in departed), *self.gone)


def sort_out(
    scope: TenantScope, derive: Deriver, object_type: str, records: Sequence[RawRecord]
) -> Told:
    """Sort a chunk: where deletions of the type are held, the objects stay as they were."""
    connection_id = derive.connection.connection_id
    gone = [one for one in records if one.is_gone]
    living = [one for one in records if not one.is_gone]
    back = frozenset(one.source_id for one in living if one.was_gone)
    if not gone:
        return Told(tuple(living), (), frozenset(), back)
    names = sorted(
        known_objects(scope, connection_id, object_type, [one.source_id for one in gone])
    )
    parent_type = derive.connector.manifest.parents.get(object_type)
    last = last_words_of(scope, connection_id, object_type, names, parent_type=parent_type)
    if is_held(scope, object_type):
        held = frozenset(one.source_id for one in gone)
        return Told((*living, *last), (), held, back)
    return Told((*living, *last), tuple(gone), frozenset(), back)


def settle(scope: TenantScope, derive: Deriver, object_type: str, told: Told, chunk: Chunk) -> None:
    """Mark who is gone and who is back; the tombstones' outcome is whether that was news."""
    many = [
        *(Presence(one.source_id, one.source_time, one.raw_id) for one in told.gone),
        *(Presence(one) for one in sorted(told.back)),
    ]
    if not many:
        return
    news = note_presence(
        scope,
        derive.connection.connection_id,
        object_type,
        many,
        derive.stamp,
        derive.stores,
    )
    for one in told.gone:
        chunk.outcomes[one.raw_id] = "applied" if one.source_id in news else "same"


def forget_refusals(chunk: Chunk, object_type: str, told: Told) -> None:
    """Nobody can correct what is gone: what its last words were refused for waits for nobody."""
    departed = {one.source_id for one in told.gone}
    chunk.judged[object_type] |= departed
    last = {one.raw_id for one in told.words if one.source_id in departed}
    for entry in chunk.entries:
        if entry.raw_id in last:
            chunk.still[entry.entity].discard((entry.source_id, entry.position, entry.rule))
    chunk.entries = [entry for entry in chunk.entries if entry.raw_id not in last]
