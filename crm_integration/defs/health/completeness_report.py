"""Proofs as Dagster's check evaluations: counts and ids by stage, and what to do.

Prevents a person's data in Dagster's database: samples are ids, and the rest are numbers.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    AssetKey,
    MetadataValue,
    OpExecutionContext,
)

from crm_integration.defs.partitions import key_of
from crm_integration.defs.targets import targets_of
from crm_integration.sync.completeness.advice import advice_on
from crm_integration.sync.completeness.model import LATER, Completeness, DayProof
from crm_integration.sync.completeness.tally import stages_of

_Place = tuple[AssetKey, str]


def report_proofs(
    context: OpExecutionContext, assets: Mapping[str, AssetKey], check: str, done: Completeness
) -> None:
    """One evaluation for each asset and partition that has objects or could not be looked at.

    What has no day of its own is told on the last partition of the run.
    """
    places = _by_partition(assets, done)
    wanted: dict[AssetKey, list[str]] = defaultdict(list)
    for key, partition in places:
        wanted[key].append(partition)
    targets = targets_of(context.instance, wanted)
    for place, proofs in places.items():
        key, partition = place
        context.log_event(
            AssetCheckEvaluation(
                asset_key=key,
                check_name=check,
                passed=all(one.passed for one in proofs),
                severity=AssetCheckSeverity.ERROR,
                partition=partition,
                target_materialization_data=targets.get(place),
                metadata={
                    "proven": sum(one.proven for one in proofs),
                    "wrong": sum(one.wrong for one in proofs),
                    "judged next time": sum(
                        of.get(LATER, 0) for one in proofs for of in one.counts.values()
                    ),
                    "highest raw id": done.highest_raw_id,
                    "stages": MetadataValue.md(_table(proofs)),
                    "next step": _next(done, proofs),
                },
            )
        )


def _by_partition(
    assets: Mapping[str, AssetKey], done: Completeness
) -> dict[_Place, list[DayProof]]:
    days = done.request.days
    found: dict[_Place, list[DayProof]] = defaultdict(list)
    last = max((one.day for one in done.days if one.day), default=done.began.date())
    for one in done.days:
        if one.entity in assets and (one.counts or not one.passed):
            day: date = one.day or (last if days is None else max(days.start, last))
            found[assets[one.entity], str(key_of(done.request.tenant, day))].append(one)
    return found


def _next(done: Completeness, proofs: Sequence[DayProof]) -> str:
    told = advice_on(done.request.tenant, list(proofs), healed=bool(done.healed))
    told += [f"could not be looked at: {one.problem}" for one in proofs if one.problem]
    return " ".join(dict.fromkeys(told)) or "nothing"


def _table(proofs: Sequence[DayProof]) -> str:
    lines = ["| day | stage | verdict | objects | first ids |", "|---|---|---|---:|---|"]
    return "\n".join([*lines, *(line for one in proofs for line in _lines(one))])


def _lines(proof: DayProof) -> Iterator[str]:
    day = "whole" if proof.day is None else proof.day.isoformat()
    for stage, counts in stages_of(proof):
        for verdict, number in sorted(counts.items()):
            ids = ", ".join(proof.samples.get(stage, {}).get(verdict, ()))
            yield f"| {day} | {stage} | {verdict} | {number:,} | {ids.replace('|', ' ')} |"
