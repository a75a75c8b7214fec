"""What a tenant may set under `rules:` in its file `mappings/tenants/<tenant>.yaml`.

Prevents a mistyped option from being silently ignored, so that the merchant believes a rule is
on that never ran.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from crm_integration.errors import BadInput

Scalar = str | int | float | bool | None
_PLACE = "mappings/tenants/<tenant>.yaml, rules:"


@dataclass(frozen=True)
class Options:
    """A tenant's options, read and checked.

    `order_number_pattern`: an order's number must match it whole; None: any number.
    `order_lines_required`: an order without an accepted line is kept back.
    `quarantine_max_share` (0..1) and `quarantine_min_rows`: a window fails `row_rules` when at
    least so many of its rows fail and they are more than this share of it.
    """

    order_number_pattern: str | None = None
    order_lines_required: bool = True
    quarantine_max_share: float = 0.3
    quarantine_min_rows: int = 50


def _is_pattern(value: Scalar) -> bool:
    if value is None:
        return True
    if not isinstance(value, str):
        return False
    try:
        re.compile(value)
    except re.error:
        return False
    return True


def _is_bool(value: Scalar) -> bool:
    return isinstance(value, bool)


def _is_share(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_count(value: Scalar) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_KNOWN: dict[str, tuple[Callable[[Scalar], bool], str]] = {
    "order.number.pattern": (_is_pattern, "give a regular expression such as '[0-9]+'"),
    "order.lines.required": (_is_bool, "give true or false"),
    "quarantine.max_share": (_is_share, "give a share from 0 to 1 such as 0.3"),
    "quarantine.min_rows": (_is_count, "give a whole number of 0 or more"),
}


def read_options(options: Mapping[str, Scalar]) -> Options:
    """The options of one tenant. Raises BadInput naming the option, the nearest name, the fix."""
    read: dict[str, Scalar] = {}
    for name, value in options.items():
        known = _KNOWN.get(name)
        if known is None:
            raise BadInput(f"{_PLACE} there is no option {name!r}. {_nearest(name)}")
        accepts, fix = known
        if not accepts(value):
            raise BadInput(f"{_PLACE} the value of {name} does not fit: {fix}")
        read[name.replace(".", "_")] = value
    return Options(**read)  # type: ignore[arg-type]  # each value was checked above


def _nearest(name: str) -> str:
    close = get_close_matches(name, _KNOWN, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known are: {', '.join(_KNOWN)}."
