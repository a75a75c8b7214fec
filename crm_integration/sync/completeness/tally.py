"""Verdicts of single objects, counted by entity, day and stage.

Prevents the sample that is taken for the count: counts are exact, and only ids of what is wrong
are kept, the first ones in their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from crm_integration.canonical.entities import ENTITIES
from crm_integration.sync.completeness.frames import pandas
from crm_integration.sync.completeness.model import SAMPLE, WRONG, DayProof, Frame, Stage
from crm_integration.sync.completeness.scan import Scan
from crm_integration.sync.report import Problem

_Place = tuple[str, date | None]
_Counts = dict[str, dict[str, int]]
_Samples = dict[str, dict[str, tuple[str, ...]]]


def tally(
    scan: Scan, found: Frame, entities: Sequence[str], problems: Sequence[Problem]
) -> list[DayProof]:
    """A proof for each of these entities and days, those without any object among them."""
    counts = _counts(found)
    samples = _samples(found[found["verdict"].isin(WRONG)])
    why = {one.what: f"{one.stage}: {one.reason}" for one in problems}
    places = {*counts, *_asked(scan, entities)}
    places |= {(one, None) for one in why if one in ENTITIES and not scan.request.days}
    return [
        DayProof(
            entity,
            day,
            dict(counts.get((entity, day), {})),
            dict(samples.get((entity, day), {})),
            scan.highest_raw_id,
            why.get(entity),
        )
        for entity, day in sorted(places, key=_order)
    ]


def _counts(found: Frame) -> Mapping[_Place, _Counts]:
    counts: dict[_Place, _Counts] = defaultdict(dict)
    sizes = found.groupby(["entity", "day", "stage", "verdict"], dropna=False, sort=True).size()
    for (entity, day, stage, verdict), number in sizes.items():
        counts[entity, _day(day)].setdefault(stage, {})[verdict] = int(number)
    return counts


def _samples(wrong: Frame) -> Mapping[_Place, _Samples]:
    samples: dict[_Place, _Samples] = defaultdict(dict)
    ordered = wrong.sort_values("id")
    by = ordered.groupby(["entity", "day", "stage", "verdict"], dropna=False, sort=True)
    for (entity, day, stage, verdict), group in by:
        first = tuple(group["id"].head(SAMPLE).tolist())
        samples[entity, _day(day)].setdefault(stage, {})[verdict] = first
    return samples


def _day(value: Any) -> date | None:
    return None if pandas().isna(value) else value


def _asked(scan: Scan, entities: Sequence[str]) -> Iterator[_Place]:
    days = scan.request.days
    if days is not None:
        for number in range((days.end - days.start).days):
            yield from ((entity, days.start + timedelta(number)) for entity in entities)


def _order(place: _Place) -> tuple[int, bool, date]:
    entity, day = place
    return list(ENTITIES).index(entity), day is not None, day or date.min


def stages_of(proof: DayProof) -> Iterator[tuple[Stage, Mapping[str, int]]]:
    """Its counts in the order of the way."""
    for stage in Stage:
        if stage.value in proof.counts:
            yield stage, proof.counts[stage.value]
