"""CRM records that carry our key and are nobody's, or are there twice.

Prevents the second record that no proof by our own ids can find: all records of the CRM that carry
a key of ours are listed, and compared with what the ledger knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from sqlalchemy import select

from crm_integration.mapping.model import OBJECT_TYPES
from crm_integration.storage.tables.sync import bindings, ledger
from crm_integration.sync.completeness.crm_side import CrmSide
from crm_integration.sync.completeness.frames import frame, pandas, truth
from crm_integration.sync.completeness.model import DOUBLE, FOUND, SURPLUS, Frame, Stage
from crm_integration.sync.completeness.scan import Scan

Listing = Callable[[], Frame]


def surplus_records(scan: Scan, sides: Sequence[CrmSide]) -> Iterator[tuple[str, Listing]]:
    """(entity, what lists and judges) for each of the CRM's own types; none where the CRM offers
    no such listing. Types that share one (refunds and activities are notes) are judged once,
    under the first."""
    if not sides or "keyed" not in sides[0].manifest.offers:
        return
    ordered = sorted(sides, key=_own_type)
    for _, group in groupby(ordered, key=_own_type):
        same = sorted(group, key=lambda one: OBJECT_TYPES.index(one.object_type))
        first = same[0]
        yield first.mapping.entity, lambda first=first: _judged(scan, first)


def _own_type(side: CrmSide) -> str:
    return side.manifest.objects[side.object_type].type


def _judged(scan: Scan, side: CrmSide) -> Frame:
    """Verdicts (`FOUND`) of what is too many. Raises the errors of the adapter's `keyed`."""
    account = side.session.opened()
    adapter, gate = account.adapter, account.gate
    gate.deadline = float("inf")
    listed = frame(
        ((one.record_id, one.key) for one in adapter.keyed(side.object_type)),
        ("record_id", "key"),
    ).drop_duplicates()
    together = [name for name, one in side.manifest.objects.items() if one.type == _own_type(side)]
    known = _known(scan, side, together)  # after the listing: what is new since is known by then
    both = listed.merge(known, on="key", how="left").reset_index(drop=True)
    mine = truth(both["in_ledger"])
    # Of two with one key that which is not bound is the one too many.
    both["apart"] = both["record_id"] != both["bound_to"]
    both = both.assign(mine=mine).sort_values(["key", "apart", "record_id"])
    again = both.duplicated("key") & both["mine"]
    wrong = pandas().concat(
        [
            both[~both["mine"]].assign(verdict=SURPLUS),
            both[again].assign(verdict=DOUBLE),
        ]
    )
    made = wrong.assign(
        entity=side.mapping.entity,
        day=None,
        stage=Stage.crm.value,
        connection_id=side.session.connection.connection_id,
        object_type=side.object_type,
        id=wrong["record_id"],
        raw_day=None,
    )
    return made[list(FOUND)]


def _known(scan: Scan, side: CrmSide, object_types: Sequence[str]) -> Frame:
    """Keys of all objects of these types that are to be in the CRM, with the record they have."""
    same = (
        (bindings.c.tenant_id == ledger.c.tenant_id)
        & (bindings.c.connection_id == ledger.c.connection_id)
        & (bindings.c.object_type == ledger.c.object_type)
        & (bindings.c.object_id == ledger.c.object_id)
    )
    with scan.tenancy.scope(scan.tenant) as scope:
        rows = scope.connection.execute(
            select(ledger.c.object_id, bindings.c.crm_record_id)
            .join_from(ledger, bindings, same, isouter=True)
            .where(
                ledger.c.tenant_id == scope.tenant,
                ledger.c.connection_id == side.session.connection.connection_id,
                ledger.c.object_type.in_(object_types),
            )
        ).all()
    return frame(((str(row[0]), row[1], True) for row in rows), ("key", "bound_to", "in_ledger"))
