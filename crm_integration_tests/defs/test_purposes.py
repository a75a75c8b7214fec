"""What a run's calls are for is read from the tags that Dagster and our jobs give it."""

from __future__ import annotations

import pytest

from crm_integration.defs.jobs import reconcile_all, replay_a_window, sync_one_tenant_now
from crm_integration.defs.path import purpose_of


@pytest.mark.parametrize(
    ("tags", "purpose"),
    [
        ({}, "reconcile"),
        (reconcile_all.tags, "reconcile"),
        (replay_a_window.tags, "reconcile"),
        (sync_one_tenant_now.tags, "live"),
        ({**(reconcile_all.tags or {}), "dagster/backfill": "abcdefgh"}, "backfill"),
        ({**(sync_one_tenant_now.tags or {}), "dagster/backfill": "abcdefgh"}, "backfill"),
    ],
)
def test_tags_say_the_purpose(tags: dict[str, str], purpose: str) -> None:
    """A year launched from the partitions' page ran as urgently as one tenant's sync."""
    assert purpose_of(tags) == purpose
