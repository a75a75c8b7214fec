"""The materialization that a check's evaluation of one partition belongs to.

Prevents the evaluation that no partition shows: without its target Dagster records it and shows it
nowhere (platform-facts, trap 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dagster import AssetKey, AssetRecordsFilter, DagsterInstance
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

__all__ = ["Target", "targets_of"]


def targets_of(
    instance: DagsterInstance, wanted: Mapping[AssetKey, Sequence[str]]
) -> dict[tuple[AssetKey, str], Target]:
    """The newest materialization of each of these partitions; one query an asset."""
    found: dict[tuple[AssetKey, str], Target] = {}
    for key, partitions in wanted.items():
        records = instance.fetch_materializations(
            AssetRecordsFilter(key, asset_partitions=list(partitions)), limit=2 * len(partitions)
        ).records
        for record in records:
            found.setdefault(
                (key, str(record.partition_key)),
                Target(
                    storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
                ),
            )
    return found
