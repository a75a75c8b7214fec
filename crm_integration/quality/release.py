"""Holds released by a person, who thereby says that what was held is right.

Prevents the hold that comes back with the next run: what a person let go is accepted, and only
something worse holds again.
"""

from __future__ import annotations

from crm_integration.errors import BadInput
from crm_integration.quality import holds
from crm_integration.quality.drift_holds import DRIFT, accept_drift
from crm_integration.tenancy.scope import TenantScope


def release_by_person(scope: TenantScope, object_type: str, check: str | None, by: str) -> int:
    """Release the hold of one check, or with None all of the object type; returns how many.

    The payloads that a `drift` hold was about are accepted. Windows that had failed another
    check hold again only when more rows of them fail (`verdicts.failing_windows`). Audited.
    Raises BadInput for an unknown object type, and for records that wait for an approval of
    their differences: those are not let go unseen.
    """
    released = 0
    if check != holds.BLAST_RADIUS:
        released = holds.release(scope, object_type, check, by)
    waiting = [one for one in holds.open_holds(scope).get(object_type, ()) if not one.stops_all]
    if waiting and not released:
        raise BadInput(
            f"{waiting[0].records} records wait for somebody who has looked: crm-integration holds "
            f"{scope.tenant} --differences {object_type}, then --approve with the digest shown"
        )
    if check in (None, DRIFT):
        accept_drift(scope, object_type)
    return released
