"""Holds released by a person, who thereby says that what was held is right.

Prevents the hold that comes back with the next run: what a person let go is accepted, and only
something worse holds again.
"""

from __future__ import annotations

from crm_integration.quality import holds
from crm_integration.quality.drift_holds import DRIFT, accept_drift
from crm_integration.tenancy.scope import TenantScope


def release_by_person(scope: TenantScope, object_type: str, check: str | None, by: str) -> int:
    """Release the hold of one check, or with None all of the object type; returns how many.

    The payloads that a `drift` hold was about are accepted. Windows that had failed another
    check hold again only when more rows of them fail (`verdicts.failing_windows`). Audited.
    Raises BadInput for an unknown object type.
    """
    released = holds.release(scope, object_type, check, by)
    if check in (None, DRIFT):
        accept_drift(scope, object_type)
    return released
