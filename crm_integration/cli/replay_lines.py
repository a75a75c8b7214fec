"""Plans and their outcomes as people and programs read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crm_integration.mapping.model import FieldValue
from crm_integration.sync.replay_plan import KINDS, Plan, PlannedWrite
from crm_integration.sync.replay_run import Replayed


def plan_lines(made: Plan) -> Iterator[str]:
    """Differences first, then the figures."""
    for one in made.writes:
        yield from _write_lines(one, waits=one.object_id in made.waiting)
    hidden = made.total + len(made.waiting) - len(made.writes)
    if hidden > 0:
        yield f"… and {hidden} more records (--limit)"
    for object_type, kinds in made.rows():
        told = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
        yield f"{object_type:<9} {told or 'nothing'}"
        for name, number in made.by_field[object_type].most_common():
            yield f"    {name}: {number}"
    if made.waiting:
        yield (
            f"{len(made.waiting)} would wait: more records would be rewritten within a day than "
            f"may be; see: crm-integration holds {made.request.tenant}"
        )
    yield f"{made.total} records would be written; nothing was. plan {made.digest.hex()[:12]}"
    for problem in made.problems:
        yield f"not planned: {problem.stage} {problem.what}: {problem.reason}"


def plan_document(made: Plan) -> dict[str, Any]:
    """The plan as one JSON document."""
    days = made.request.days
    return {
        "tenant": made.request.tenant,
        "from": None if days is None else days.start,
        "before": None if days is None else days.end,
        "mappings": {name: one.mapping_id for name, one in made.mappings.items()},
        "forced": sorted(made.request.forced),
        "digest": made.digest.hex(),
        "writes": made.total,
        "counts": {
            name: {kind: kinds[kind] for kind in KINDS if kinds[kind]}
            for name, kinds in made.rows()
        },
        "fields": {name: dict(found) for name, found in made.by_field.items() if found},
        "differences": [
            _difference(one, waits=one.object_id in made.waiting) for one in made.writes
        ],
        "calls": made.calls,
        "problems": made.problems,
    }


def replayed_lines(done: Replayed) -> Iterator[str]:
    """What a run did."""
    yield (
        f"{done.request.tenant}: {done.read} records derived again, {done.changed} rows changed; "
        f"{done.created} created, {done.updated} updated, {done.unchanged} looked at and equal, "
        f"{done.failed} failed; {done.calls} calls"
    )
    if done.planned is not None:
        yield f"{done.planned} were planned and approved"
    for problem in done.problems:
        yield f"not done: {problem.stage} {problem.what}: {problem.reason}"


def replayed_document(done: Replayed) -> dict[str, Any]:
    """What a run did, as one JSON document."""
    names = ("read", "changed", "created", "updated", "unchanged", "failed", "calls", "planned")
    return {
        "tenant": done.request.tenant,
        **{name: getattr(done, name) for name in names},
        "problems": done.problems,
        "done": done.whole,
    }


def _write_lines(one: PlannedWrite, *, waits: bool) -> Iterator[str]:
    note = ", once a person has approved it" if waits else ""
    yield f"{one.object_type} {one.object_id}: {one.kind}{note}"
    for field in one.fields:
        yield (
            f"    {field.name}: {_told(field.old)} → {_told(field.new)}   "
            f"({field.owner}, {field.rule}: {field.reason})"
        )


def _difference(one: PlannedWrite, *, waits: bool) -> dict[str, Any]:
    names = ("name", "old", "new", "owner", "rule", "reason")
    return {
        "object_type": one.object_type,
        "object_id": one.object_id,
        "kind": one.kind,
        "held": waits,
        "fields": [{name: getattr(field, name) for name in names} for field in one.fields],
    }


def _told(value: FieldValue) -> str:
    return "(empty)" if value in (None, "") else str(value)
