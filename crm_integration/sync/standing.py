"""Which rows of a ledger there is anything to do about, in one look.

Prevents the run over nothing that asks seventy times: what waits, is due or can be tied is asked
once for all object types, and what is not there costs no further statement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text

from crm_integration.quality.holds import BLAST_RADIUS
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import TenantScope

LOOSE = "loose"
"""Written rows that lack a tie or a field (`tables.sync.IS_LOOSE`)."""

NEEDS = "needs"
"""Rows that belong to other records."""

EVERYTHING = (*State, LOOSE, NEEDS)

# The states are written out, for the planner to see which partial index serves.
_STANDING = text("""
select object_type, state, bool_or(cardinality(needs) > 0) from ledger
where tenant_id = :tenant and connection_id = :connection
    and state in ('pending', 'retry', 'unknown', 'in_flight', 'parked')
group by 1, 2
union all
select object_type, 'held', bool_or(cardinality(needs) > 0) from ledger
where tenant_id = :tenant and connection_id = :connection and state = 'held'
group by 1
union all
select object_type, 'loose', true from ledger
where tenant_id = :tenant and connection_id = :connection
    and state = 'synced' and (reason is not null or not needs <@ associated)
group by 1
union all
select object_type, 'stopped', false from holds
where tenant_id = :tenant and released_at is null and check_name <> :of_records
union all
select object_type, 'kept_back', false from held_changes
where tenant_id = :tenant and connection_id = :connection
group by 1
""")


@dataclass(frozen=True)
class Standing:
    """What there is to be done about a ledger, by object type."""

    rows: Mapping[str, frozenset[str]]
    """States of its rows that are not at rest, `LOOSE` and `NEEDS`."""
    stopped: frozenset[str]
    """A hold stops all of its writes."""
    kept_back: frozenset[str]
    """Rewrites wait for a person, or waited for one."""


def standing(scope: TenantScope, connection_id: str) -> Standing:
    """All of it in one look."""
    found: dict[str, set[str]] = defaultdict(set)
    marks: dict[str, set[str]] = {"stopped": set(), "kept_back": set()}
    asked = {"tenant": scope.tenant, "connection": connection_id, "of_records": BLAST_RADIUS}
    for object_type, state, belongs in scope.connection.execute(_STANDING, asked):
        if state in marks:
            marks[state].add(object_type)
        else:
            found[object_type] |= {state, NEEDS} if belongs else {state}
    rows = {object_type: frozenset(states) for object_type, states in found.items()}
    return Standing(rows, *(frozenset(one) for one in marks.values()))
