"""Ties a written record to the records it belongs to.

Prevents the order without its contact: what could not be tied yet stays noted on the ledger row
and is tied as soon as the other record is bound (`waiting.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from crm_integration.crms._contract import Adapter, Association
from crm_integration.errors import RemoteError
from crm_integration.sync import outcomes
from crm_integration.sync.bindings import record_ids
from crm_integration.sync.ledger import Claimed, Settled
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import Tenancy


def associate(
    tenancy: Tenancy,
    tenant: str,
    connection_id: str,
    adapter: Adapter,
    object_type: str,
    candidates: Sequence[Claimed],
    written: Mapping[UUID, str],
) -> dict[UUID, Settled]:
    """Associate what is not associated so far; the results of all rows that have links."""
    links = {link for one in candidates for link in one.desired.links}
    if not links:
        return {}
    with tenancy.scope(tenant) as scope:
        targets = record_ids(scope, connection_id, links)
    asked = [
        (one, link_id, Association(object_type, written[one.object_id], to_type, targets[link_id]))
        for one in candidates
        for to_type, link_id in one.desired.links
        if link_id in targets and link_id not in one.associated
    ]
    answers = adapter.associate([association for *_, association in asked]) if asked else []
    made: dict[UUID, list[UUID]] = defaultdict(list)
    failures: dict[UUID, RemoteError] = {}
    for (one, link_id, _), error in zip(asked, answers, strict=True):
        if error is None:
            made[one.object_id].append(link_id)
        else:
            failures[one.object_id] = error
    return {one.object_id: _result(one, made[one.object_id], failures) for one in candidates}


def _result(one: Claimed, made: Sequence[UUID], failures: Mapping[UUID, RemoteError]) -> Settled:
    error = failures.get(one.object_id)
    done = (*one.associated, *made)
    if error is None:
        return Settled(one.object_id, one.claim_id, State.synced, associated=done)
    failed = outcomes.failed(one, error)
    return Settled(one.object_id, one.claim_id, failed.state, failed.reason, failed.delay, done)
