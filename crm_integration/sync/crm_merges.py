"""Records that people merged in the CRM: whose the one is that came out.

Prevents two objects of ours on one record, where each run would overwrite the other's values, and
the run that breaks on it. The object whose key the record carries keeps it; the other one waits,
and a person is asked whether the two are one customer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.dialects.postgresql import insert

from crm_integration.crms._contract import CrmRecord
from crm_integration.storage.tables.canonical import identity_suggestions
from crm_integration.storage.tables.sync import bindings, ledger
from crm_integration.sync.bindings import Binding, owners_of
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import Tenancy, TenantScope

MERGED = (
    "merged in the CRM with another customer's record: accept or dismiss the suggestion "
    "(crm-integration identity)"
)
MERGED_THINGS = (
    "merged in the CRM with the record of another one of ours: make them one in the store, or "
    "restore the record in the CRM"
)
REASONS = (MERGED, MERGED_THINGS)
"""Reasons of rows that wait for somebody to decide about a merge."""

RULE = "crm_merge"
EVIDENCE = "merged in the CRM"


@dataclass(frozen=True)
class Merges:
    """What became of bound objects whose records were merged.

    `moved` are bindings to the record that came out, `foreign` those of them whose record carries
    no key of theirs; `waiting` names for an object the one that holds its record; `apart` are
    objects that need a record of their own, since a person said that they are somebody else.
    """

    moved: Mapping[UUID, Binding] = field(default_factory=lambda: dict[UUID, Binding](), repr=False)
    foreign: frozenset[UUID] = frozenset()
    waiting: Mapping[UUID, UUID] = field(default_factory=lambda: dict[UUID, UUID]())
    apart: frozenset[UUID] = frozenset()


def reason_for(object_type: str) -> str:
    """Why a row waits whose record was merged into another one's."""
    return MERGED if object_type == "contact" else MERGED_THINGS


def merges_among(
    tenancy: Tenancy,
    tenant: str,
    connection_id: str,
    object_type: str,
    bound: Mapping[UUID, Binding],
    live: Mapping[UUID, CrmRecord],
) -> Merges:
    """Look for merges among what bound objects' records answered; mostly there is none."""
    came_out: dict[str, CrmRecord] = {}
    sharing: dict[str, set[UUID]] = defaultdict(set)
    for key, record in live.items():
        if key in bound and _is_odd(key, bound[key], record):
            came_out[record.record_id] = record
            sharing[record.record_id].add(key)
    if not came_out:
        return Merges()
    with tenancy.scope(tenant) as scope:
        look = _Look(scope, connection_id, object_type)
        heirs = look.heirs(came_out, sharing)
        apart = look.put_apart({one for some in sharing.values() for one in some}, heirs)
    return _sorted(bound, came_out, sharing, heirs, apart)


def is_anothers(
    tenancy: Tenancy,
    tenant: str,
    connection_id: str,
    object_type: str,
    record: CrmRecord,
    key: UUID,
) -> bool:
    """Whether the key on a record is that of another object of ours that goes on being written."""
    named = _object(record.key)
    if named is None or named == key:
        return False
    with tenancy.scope(tenant) as scope:
        return bool(_Look(scope, connection_id, object_type).living({named}))


def _is_odd(key: UUID, binding: Binding, record: CrmRecord) -> bool:
    """Another record answered than was asked for, or one that carries another object's key."""
    return binding.record_id != record.record_id or record.key not in (None, str(key))


def _sorted(
    bound: Mapping[UUID, Binding],
    came_out: Mapping[str, CrmRecord],
    sharing: Mapping[str, set[UUID]],
    heirs: Mapping[str, UUID],
    apart: frozenset[frozenset[UUID]],
) -> Merges:
    moved: dict[UUID, Binding] = {}
    waiting: dict[UUID, UUID] = {}
    alone: set[UUID] = set()
    foreign: set[UUID] = set()
    for record_id, record in came_out.items():
        heir = heirs[record_id]
        for one in sharing[record_id]:
            if one == heir:
                # What people merged holds their values, too: it is no record of our making.
                moved[one] = replace(bound[one], record_id=record_id, adopted=True)
                foreign |= {one} if record.key != str(one) else set()
            elif frozenset((one, heir)) in apart:
                alone.add(one)
            else:
                waiting[one] = heir
    return Merges(moved, frozenset(foreign), waiting, frozenset(alone))


@dataclass(frozen=True)
class _Look:
    scope: TenantScope
    connection_id: str
    object_type: str

    def heirs(
        self, came_out: Mapping[str, CrmRecord], sharing: Mapping[str, set[UUID]]
    ) -> dict[str, UUID]:
        """Whose each record is: of the object whose key it carries, else of one that is bound to
        it already, else of the first; one that became another customer has none."""
        place = (self.scope, self.connection_id, self.object_type)
        owners = owners_of(*place, list(came_out))
        named = {one: _object(record.key) for one, record in came_out.items()}
        living = self.living({*owners.values(), *(one for one in named.values() if one)})
        found: dict[str, UUID] = {}
        for record_id, sharers in sharing.items():
            wanted = (named[record_id], owners.get(record_id))
            heirs = [one for one in wanted if one and (one in living or one in sharers)]
            found[record_id] = heirs[0] if heirs else min(sharers, key=str)
        return found

    def living(self, objects: Collection[UUID]) -> set[UUID]:
        """Those that are bound and go on being written."""
        rows = self.scope.connection.execute(
            select(bindings.c.object_id).where(
                bindings.c.tenant_id == self.scope.tenant,
                bindings.c.connection_id == self.connection_id,
                bindings.c.object_type == self.object_type,
                bindings.c.object_id.in_(objects),
                select(ledger.c.object_id)
                .where(
                    ledger.c.tenant_id == bindings.c.tenant_id,
                    ledger.c.connection_id == bindings.c.connection_id,
                    ledger.c.object_type == bindings.c.object_type,
                    ledger.c.object_id == bindings.c.object_id,
                    ledger.c.state != State.skipped.value,
                )
                .exists(),
            )
        )
        return set(rows.scalars())

    def put_apart(
        self, sharers: Collection[UUID], heirs: Mapping[str, UUID]
    ) -> frozenset[frozenset[UUID]]:
        """Pairs of whom a person said that they are two."""
        table = identity_suggestions.c
        left, right = table.left_customer, table.right_customer
        others = list(heirs.values())
        rows = self.scope.connection.execute(
            select(left, right).where(
                table.tenant_id == self.scope.tenant,
                table.state == "dismissed",
                or_(
                    and_(left.in_(sharers), right.in_(others)),
                    and_(right.in_(sharers), left.in_(others)),
                ),
            )
        )
        return frozenset(frozenset((one, other)) for one, other in rows)


def suggest_merged(scope: TenantScope, object_type: str, waiting: Mapping[UUID, UUID]) -> None:
    """Ask a person whether the two customers are one; what was decided before stands."""
    if object_type != "contact" or not waiting:
        return
    statement = insert(identity_suggestions)
    new = statement.excluded
    pairs = {(min(one, other), max(one, other)) for one, other in waiting.items()}
    scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "left_customer", "right_customer"],
            set_={name: new[name] for name in ("rule", "score", "reasons", "evidence")},
            where=identity_suggestions.c.state == "open",
        ),
        [
            {
                "tenant_id": scope.tenant,
                "left_customer": left,
                "right_customer": right,
                "rule": RULE,
                "score": 1,
                "reasons": [EVIDENCE],
                "evidence": EVIDENCE.encode(),
            }
            for left, right in sorted(pairs)
        ],
    )


def _object(key: str | None) -> UUID | None:
    """The object that our key on a record names; None for a key that somebody else typed."""
    try:
        return UUID(key) if key else None
    except ValueError:
        return None
