"""Brings a payload that was kept in an older shape to the one today's code reads.

Prevents the replay that only works for last month's records: raw records are kept for years,
while stores change their API and connectors their form of listing. Each step knows two
neighbouring shapes and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

JsonObject = dict[str, Any]
Steps = Mapping[tuple[str, str], tuple[str, Callable[[JsonObject], JsonObject]]]
"""(object type, shape) -> (the next newer shape, how to get there)."""


class NoWayUp(ValueError):
    """No upcaster leads from a stored shape to the shape that is read today."""


def upcast(steps: Steps, object_type: str, shape: str, wanted: str, payload: JsonObject) -> Any:
    """The payload in the shape `wanted`.

    Raises NoWayUp when the steps end elsewhere or go in a circle.
    """
    seen = {shape}
    while shape != wanted:
        step = steps.get((object_type, shape))
        if step is None or step[0] in seen:
            raise NoWayUp(f"no upcaster leads from shape {shape!r} of {object_type} to {wanted!r}")
        shape, raise_to = step[0], step[1]
        seen.add(shape)
        payload = raise_to(payload)
    return payload
