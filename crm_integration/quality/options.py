"""What a tenant may set under `rules:` in its file `mappings/tenants/<tenant>.yaml`.

Prevents a mistyped option from being silently ignored, so that the merchant believes a rule is
on that never ran.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from crm_integration.canonical.entities import ENTITIES
from crm_integration.errors import BadInput

Scalar = str | int | float | bool | None
_CONTRACT = "contract"
_PLACE = "mappings/tenants/<tenant>.yaml, rules:"


@dataclass(frozen=True)
class Options:
    """A tenant's options, read and checked.

    `order_number_pattern`: an order's number must match it whole; None: any number.
    `order_lines_required`: an order without an accepted line is kept back.
    `quarantine_max_share` (0..1) and `quarantine_min_rows`: a window fails `row_rules` when at
    least so many of its rows fail and they are more than this share of it.
    `volume_off`: the number of a day's new rows is not judged. `volume_min_share` (0..1): a day
    may fail when it has less than this share of what is usual, `volume_min_history_days`: and
    only so many days after the first.
    `drift_missing_share` (above 0, to 1): a required path counts as gone when at least this share
    of the objects that usually have it are without. `contracts`: `evolve` or `freeze` by entity,
    "" for all others.
    """

    order_number_pattern: str | None = None
    order_lines_required: bool = True
    quarantine_max_share: float = 0.3
    quarantine_min_rows: int = 50
    volume_off: bool = False
    volume_min_share: float = 0.1
    volume_min_history_days: int = 28
    drift_missing_share: float = 0.5
    contracts: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())

    def contract_of(self, object_type: str) -> str:
        """`freeze`: nothing new is let through; `evolve`: new paths are noted."""
        return self.contracts.get(object_type, self.contracts.get("", "evolve"))


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


def _is_part(value: Scalar) -> bool:
    return _is_share(value) and value != 0


def _is_contract(value: Scalar) -> bool:
    return value in ("evolve", "freeze")


def _is_count(value: Scalar) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_KNOWN: dict[str, tuple[Callable[[Scalar], bool], str]] = {
    "order.number.pattern": (_is_pattern, "give a regular expression such as '[0-9]+'"),
    "order.lines.required": (_is_bool, "give true or false"),
    "quarantine.max_share": (_is_share, "give a share from 0 to 1 such as 0.3"),
    "quarantine.min_rows": (_is_count, "give a whole number of 0 or more"),
    "volume.off": (_is_bool, "give true or false"),
    "volume.min_share": (_is_share, "give a share from 0 to 1 such as 0.1"),
    "volume.min_history_days": (_is_count, "give a whole number of days such as 28"),
    "drift.missing_share": (_is_part, "give a share above 0, up to 1, such as 0.5"),
    _CONTRACT: (_is_contract, "give evolve or freeze"),
    **{f"{_CONTRACT}.{name}": (_is_contract, "give evolve or freeze") for name in ENTITIES},
}


def read_options(options: Mapping[str, Scalar]) -> Options:
    """The options of one tenant. Raises BadInput naming the option, the nearest name, the fix."""
    read: dict[str, Scalar] = {}
    contracts: dict[str, str] = {}
    for name, value in options.items():
        known = _KNOWN.get(name)
        if known is None:
            raise BadInput(f"{_PLACE} there is no option {name!r}. {_nearest(name)}")
        accepts, fix = known
        if not accepts(value):
            raise BadInput(f"{_PLACE} the value of {name} does not fit: {fix}")
        group, _, rest = name.partition(".")
        if group == _CONTRACT:
            contracts[rest] = str(value)
        else:
            read[name.replace(".", "_")] = value
    return Options(**read, contracts=contracts)  # type: ignore[arg-type]  # each value was checked above


def _nearest(name: str) -> str:
    close = get_close_matches(name, _KNOWN, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known are: {', '.join(_KNOWN)}."
