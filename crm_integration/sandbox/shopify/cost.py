"""What a query costs before and after it ran, and the bucket it is paid from.

Prevents the failure of a connector that was never throttled. An object costs 1, a scalar and
money 0, a mutation 10; a connection costs 2 and its node's cost times 2 ln(size), rounded down.
That last rule is fitted to measured costs that others publish beside their queries (sizes 10, 25,
50, 100 and 200; six of six agree); Shopify documents the scaling only in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

Json = dict[str, Any]
MAX_QUERY_COST = 1_000
MUTATION_COST, _CONNECTION_COST = 10, 2
#: Objects that measured queries got for nothing.
_FREE = {
    "MoneyBag", "MoneyV2", "PageInfo", "Count", "CustomerEmailAddress", "CustomerPhoneNumber",
    "CustomerEmailMarketingConsentState", "CustomerSmsMarketingConsentState",
}  # fmt: skip


class Priced(Protocol):
    """What is asked of a planned field to price it."""

    @property
    def base(self) -> str: ...
    @property
    def is_object(self) -> bool: ...
    @property
    def page_size(self) -> int | None: ...
    @property
    def ids(self) -> int | None: ...
    @property
    def largest(self) -> int: ...
    @property
    def children(self) -> Iterable[Priced]: ...


def steps(size: int) -> int:
    """How many nodes of a page are paid for."""
    return 0 if size <= 0 else max(1, math.floor(2 * math.log(size)))


def requested(fields: Iterable[Priced]) -> int:
    """The cost of a selection at full pages."""
    return sum(_cost(one, lambda field: field.page_size or 0) for one in fields)


def actual(fields: Iterable[Priced]) -> int:
    """The cost at the largest page that each connection really gave."""
    return sum(_cost(one, lambda field: field.largest) for one in fields)


def _cost(one: Priced, size: Callable[[Priced], int]) -> int:
    if not one.is_object:
        return 0
    inner = sum(_cost(child, size) for child in one.children)
    if one.page_size is not None:
        return _CONNECTION_COST + steps(size(one)) * inner
    if one.ids is not None:
        return one.ids * (1 + inner)
    if one.base in _FREE or one.base.endswith("Edge"):
        return inner
    return 1 + inner


@dataclass(slots=True)
class Bucket:
    """A leaky bucket of points; 20,000 and 1,000 a second are a Plus shop's, 2,000 and 100 basic.

    `clock` gives seconds; a test turns it itself.
    """

    clock: Callable[[], float]
    maximum: float = 20_000.0
    restore_rate: float = 1_000.0
    _held: float | None = None
    _at: float = 0.0

    def available(self) -> float:
        now = self.clock()
        held = self.maximum if self._held is None else self._held
        self._held = min(self.maximum, held + max(0.0, now - self._at) * self.restore_rate)
        self._at = now
        return self._held

    def take(self, cost: float) -> bool:
        """Take points, or False and none taken where there are not enough."""
        if self.available() < cost:
            return False
        self._held = self.available() - cost
        return True

    def give_back(self, cost: float) -> None:
        self._held = min(self.maximum, self.available() + cost)

    def told(self, asked: int, paid: int | None) -> Json:
        """`extensions.cost` of an answer."""
        return {
            "requestedQueryCost": asked,
            "actualQueryCost": paid,
            "throttleStatus": {
                "maximumAvailable": self.maximum,
                "currentlyAvailable": math.floor(self.available()),
                "restoreRate": self.restore_rate,
            },
        }
