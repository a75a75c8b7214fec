"""Where a listing stands, as a JSON text that another process can go on from.

Prevents a listing that starts over silently, or goes on from a place that is none: a checkpoint
of another making is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar, cast

from crm_integration.errors import BadInput

Place = TypeVar("Place")


def place_in(checkpoint: str, make: Callable[..., Place]) -> Place:
    """The place that a checkpoint holds, made of its values by name. Raises BadInput."""
    values = values_in(checkpoint)
    try:
        return make(**values)
    except (ValueError, TypeError) as error:
        raise foreign_checkpoint() from error


def values_in(checkpoint: str) -> dict[str, Any]:
    """The values of a checkpoint by name. Raises BadInput for what is none at all."""
    try:
        found: Any = json.loads(checkpoint)
    except ValueError as error:
        raise foreign_checkpoint() from error
    if not isinstance(found, dict):
        raise foreign_checkpoint()
    return cast(dict[str, Any], found)


def foreign_checkpoint() -> BadInput:
    """The refusal of a checkpoint that another listing or release made."""
    return BadInput("this checkpoint was not made by this listing: start it anew")
