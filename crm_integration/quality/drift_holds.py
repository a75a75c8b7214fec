"""Holds and verdicts of drift: what is open on the stored fingerprint, told to people.

Prevents a hold that only says "drift": it names the path, what it was and is, since which raw
record, in how many, and both ways out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crm_integration.quality import holds
from crm_integration.quality.payload_paths import (
    GONE,
    NEW,
    PathProblem,
    accept_paths,
    news_of,
    payloads_known,
    problems_of,
)
from crm_integration.quality.payload_shape import kind_names
from crm_integration.quality.verdicts import Verdict, Window
from crm_integration.tenancy.scope import TenantScope

DRIFT = "drift"
_NAMED = 3
_LISTED = 20


def hold_for_problems(scope: TenantScope, entities: Sequence[str]) -> None:
    """Open or bring up to date the holds of what these entities are written to."""
    for object_type in sorted({holds.HELD_OBJECT[entity] for entity in entities}):
        problems = problems_of(scope, _entities_of(object_type))
        if not problems:
            continue
        named = "; ".join(_sentence(one) for one in problems[:_NAMED])
        more = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        holds.open_hold(
            scope,
            object_type,
            DRIFT,
            f"the store's payloads changed: {named}{more}",
            "Look at the raw record. If the store's API changed, update the connector and replay "
            "these days; if the payloads are right as they are, accept them: "
            f"crm-integration holds {scope.tenant} --release {object_type}",
            max(one.records for one in problems),
            by=f"check {DRIFT}",
        )


def accept_drift(scope: TenantScope, object_type: str) -> int:
    """A person says that what the store sends now is right; returns how many paths changed."""
    return accept_paths(scope, _entities_of(object_type))


def drift_verdict(
    scope: TenantScope,
    entity: str,
    window: Window,
    *,
    highest_raw_id: int,
    rules_version: str,
    run_id: str,
) -> Verdict:
    """What is open now on the topics of an entity; `rows` are the payloads this rests on."""
    problems = problems_of(scope, (entity,))
    failed = max((one.records for one in problems), default=0)
    details: dict[str, Any] = {
        "problems": [_sentence(one) for one in problems[:_LISTED]],
        "new_paths": list(news_of(scope, entity, run_id, _LISTED)),
    }
    return Verdict(
        entity=entity,
        check_name=DRIFT,
        window_start=window.start,
        window_end=window.end,
        passed=not problems,
        rows=max(payloads_known(scope, entity), failed),
        failed=failed,
        highest_raw_id=highest_raw_id,
        rules_version=rules_version,
        details=details,
    )


def _entities_of(object_type: str) -> list[str]:
    return [entity for entity, held in holds.HELD_OBJECT.items() if held == object_type]


def _sentence(one: PathProblem) -> str:
    """`order line_items[].price of connection main was string and is now number, since …`."""
    was, now = kind_names(one.types), kind_names(one.problem_types)
    if one.problem == GONE:
        happened = f"was {was} and is missing"
    elif one.problem == NEW:
        happened = f"is new ({now}), and the contract is frozen"
    else:
        happened = f"was {was} and is now {now}"
    received = f" ({one.since:%Y-%m-%d %H:%M} UTC)" if one.since else ""
    return (
        f"{one.object_type} {one.path} of connection {one.connection_id} {happened}, "
        f"since raw record {one.raw_id}{received}, in {one.records} record(s)"
    )
