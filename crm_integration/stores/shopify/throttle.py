"""Keeps within a shop's bucket of query points.

Prevents the storm in which every second query is refused: what the last answer said about the
bucket tells when the next query fits, and it waits until then. A wait that is too long for one
process is given back as Transient, so that other shops go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crm_integration.errors import Transient
from crm_integration.stores._contract import JsonObject
from crm_integration.stores._payload import block_if_any
from crm_integration.transport.retry import LEAST_WAIT, LONGEST_WAIT
from crm_integration.transport.slots import given_back

_UNTOLD_WAIT = 2.0
"""After a refusal that says nothing about the bucket."""


@dataclass(frozen=True)
class Bucket:
    """`throttleStatus` as the shop stated it, and when (seconds of the throttle's clock)."""

    maximum: float
    available: float
    restore_rate: float
    seen: float

    def wait_for(self, cost: float, now: float) -> float:
        """Seconds until `cost` fits; a query dearer than the bucket waits for a full one."""
        missing = min(cost, self.maximum) - self.available
        return max(0.0, missing / self.restore_rate - (now - self.seen))


@dataclass
class Throttle:
    """What is known of one shop's bucket and of what each document was charged for."""

    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    bucket: Bucket | None = None
    charged: dict[str, float] = field(default_factory=dict[str, float])

    def wait(self, name: str, cost: float) -> None:
        """Until a query fits that is charged as last time, else `cost`. Raises Transient."""
        seconds = self.seconds(name, cost)
        if seconds > LONGEST_WAIT:
            raise Transient(
                f"the shop's query points are used up for {seconds:.0f} s",
                retry_after=seconds,
                code="THROTTLED",
            )
        if seconds > 0:
            with given_back():
                self.sleep(seconds)

    def seconds(self, name: str, cost: float) -> float:
        """How long a query has to wait, as far as the shop has said."""
        if self.bucket is None:
            return 0.0
        return self.bucket.wait_for(self.charged.get(name, cost), self.clock())

    def after_refusal(self, name: str, cost: float) -> float:
        """Seconds to wait before a throttled query is sent again."""
        if self.bucket is None:
            return _UNTOLD_WAIT
        return max(LEAST_WAIT, self.seconds(name, cost))

    def learn(self, name: str, answer: JsonObject) -> None:
        """Read `extensions.cost` of an answer, also of a refusal; nonsense is passed over."""
        cost = block_if_any(block_if_any(answer, "extensions"), "cost")
        requested = _number(cost, "requestedQueryCost")
        if requested is not None:
            self.charged[name] = requested
        status = block_if_any(cost, "throttleStatus")
        names = ("maximumAvailable", "currentlyAvailable", "restoreRate")
        maximum, available, rate = (_number(status, key) for key in names)
        if maximum is not None and available is not None and rate:
            self.bucket = Bucket(maximum, available, rate, self.clock())


def _number(holder: JsonObject, name: str) -> float | None:
    value: Any = holder.get(name)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and value >= 0 else None
