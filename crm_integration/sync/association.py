"""Ties a written record to the records it belongs to, and unties it from those it left.

Prevents the order without its contact: what could not be tied yet stays noted on the ledger row
and is tied as soon as the other record is bound (`waiting.py`). And the order that hangs on two
people after a merge: what we tied ourselves is untied when it belongs to somebody else; what a
person tied is not ours to untie. And the tie that is only noted: a send that was never answered may
have untied what the ledger row still names, and tied what it does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from crm_integration.crms._contract import Adapter, Association
from crm_integration.crms._registry import Offer
from crm_integration.errors import RemoteError
from crm_integration.storage.tables.sync import ledger
from crm_integration.sync import outcomes
from crm_integration.sync.bindings import places_of, record_ids
from crm_integration.sync.ledger import Claimed, Settled
from crm_integration.sync.steps import Step, reached
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import Tenancy, TenantScope


@dataclass(frozen=True)
class Ties:
    """One object type of one CRM connection, and what its adapter can do."""

    tenancy: Tenancy
    tenant: str
    connection_id: str
    adapter: Adapter
    object_type: str
    offers: Collection[Offer] = ()

    def associate(
        self, candidates: Sequence[Claimed], written: Mapping[UUID, str]
    ) -> dict[UUID, Settled]:
        """Associate what is not associated so far, after what stands no more was untied; the
        results of all rows that have ties, or had some."""
        tied = [one for one in candidates if one.desired.links or _left(one)]
        if not tied:
            return {}
        links = {link for one in tied for link in one.desired.links}
        with self.tenancy.scope(self.tenant) as scope:
            targets = record_ids(scope, self.connection_id, links)
            left = places_of(scope, self.connection_id, {key for one in tied for key in _left(one)})
        asked = [
            (one, link_id, self._tie(one, written, to_type, targets[link_id]))
            for one in tied
            for to_type, link_id in one.desired.links
            if link_id in targets and link_id not in _tied(one)
        ]
        kept, failures = self._untie(tied, written, set(targets.values()), left)
        made: dict[UUID, list[UUID]] = defaultdict(list)
        answers = self.adapter.associate([tie for *_, tie in asked]) if asked else []
        for (one, link_id, _), error in zip(asked, answers, strict=True):
            if error is None:
                made[one.object_id].append(link_id)
            else:
                failures[one.object_id] = error
        if asked:
            reached(Step.associated)
        return {
            one.object_id: _result(one, (*kept[one.object_id], *made[one.object_id]), failures)
            for one in tied
        }

    def _tie(
        self, one: Claimed, written: Mapping[UUID, str], to_type: str, to_id: str
    ) -> Association:
        return Association(self.object_type, written[one.object_id], to_type, to_id)

    def _untie(
        self,
        tied: Sequence[Claimed],
        written: Mapping[UUID, str],
        wanted: Collection[str],
        left: Mapping[UUID, tuple[str, str]],
    ) -> tuple[dict[UUID, list[UUID]], dict[UUID, RemoteError]]:
        """What of each row's ties stays noted, and what went wrong.

        A record that people merged answers under two ids: it is untied before it is tied again.
        """
        kept = {one.object_id: [key for key in _tied(one) if key not in _left(one)] for one in tied}
        failures: dict[UUID, RemoteError] = {}
        if "dissociate" not in self.offers:
            return kept, failures
        asked = [
            (one, key, self._tie(one, written, *left[key]))
            for one in tied
            for key in _left(one)
            if key in left and left[key][1] not in wanted
        ]
        answers = self.adapter.dissociate([tie for *_, tie in asked]) if asked else []
        for (one, key, _), error in zip(asked, answers, strict=True):
            if error is not None:
                failures[one.object_id] = error
                kept[one.object_id].append(key)
        return kept, failures


def forget_ties(scope: TenantScope, connection_id: str, object_ids: Collection[UUID]) -> None:
    """The records of these objects are new: nothing of ours is tied to them so far."""
    if not object_ids:
        return
    gone = literal(list(object_ids), ARRAY(Uuid))
    one = func.unnest(ledger.c.associated).column_valued("one")
    others = select(func.coalesce(func.array_agg(one), _none())).where(one != func.all(gone))
    scope.connection.execute(
        update(ledger)
        .where(
            ledger.c.tenant_id == scope.tenant,
            ledger.c.connection_id == connection_id,
            ledger.c.associated.overlap(gone),
        )
        .values(associated=others.correlate(ledger).scalar_subquery())
    )


def _none() -> ColumnElement[Any]:
    return literal([], ARRAY(Uuid))


def _tied(one: Claimed) -> list[UUID]:
    """Objects that a row is surely tied to: no unanswered send may have untied them."""
    sends = [{key for _, key in sent.links} for sent in one.unclear]
    return [key for key in one.associated if all(key in links for links in sends)]


def _left(one: Claimed) -> list[UUID]:
    """Objects that a row was tied to, or may have been, and does not belong to any more."""
    wanted = {key for _, key in one.desired.links}
    perhaps = (key for sent in one.unclear for _, key in sent.links)
    return [key for key in dict.fromkeys((*one.associated, *perhaps)) if key not in wanted]


def _result(one: Claimed, done: Sequence[UUID], failures: Mapping[UUID, RemoteError]) -> Settled:
    error = failures.get(one.object_id)
    if error is None:
        return Settled(one.object_id, one.claim_id, State.synced, associated=tuple(done))
    failed = outcomes.failed(one, error)
    return Settled(
        one.object_id, one.claim_id, failed.state, failed.reason, failed.delay, tuple(done), error
    )
