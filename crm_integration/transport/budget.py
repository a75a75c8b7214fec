"""API budgets: the last calls of each metered account and endpoint class, in Postgres.

Prevents the 429 storm: processes share no memory, so what was called when is a row. A vendor
counts calls in a rolling window; a bucket of tokens would let twice as many through in its first
window. A call that finds the window full books the next free moment and waits for it; who would
have to wait too long books nothing and is told to come back later.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine, text

from crm_integration.errors import Transient
from crm_integration.transport.retry import BUDGET, CLAIM_NEARLY_OVER

LONGEST_WAIT = 20.0
"""Seconds a call may wait for its turn; a claim lives six times as long."""

MARGIN = 1.02
"""The vendor counts when calls arrive, we when they leave: our window is that much longer."""

# `starts` holds when (epoch seconds, the database's clock) the last calls left or will leave,
# the newest last; the one `calls` places before a new one must lie a window back.
_BOOK = text("""
insert into budgets as b (side, platform, account, endpoint_class, starts, calls)
values (:side, :platform, :account, :endpoint_class,
        array[extract(epoch from clock_timestamp())::float8], 1)
on conflict (side, platform, account, endpoint_class) do update set
    starts = (b.starts || greatest(
        extract(epoch from clock_timestamp())::float8,
        b.starts[cardinality(b.starts)],
        b.starts[cardinality(b.starts) + 1 - :calls] + :seconds
    ))[greatest(1, cardinality(b.starts) + 2 - :calls):],
    calls = b.calls + 1
where coalesce(b.starts[cardinality(b.starts) + 1 - :calls] + :seconds, 0)
    <= extract(epoch from clock_timestamp()) + :longest
returning b.starts[cardinality(b.starts)] - extract(epoch from clock_timestamp())::float8
""")


class CallBudget(BaseModel):
    """Calls a window, as the vendor meters an account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int
    seconds: float


@dataclass
class BudgetGate:
    """Called before each HTTP call to an account; counts the calls it let through."""

    engine: Engine = field(repr=False)
    platform: str
    account: bytes = field(repr=False)
    budgets: Mapping[str, CallBudget]
    side: Literal["crm", "store"] = "crm"
    calls: int = 0
    sleep: Callable[[float], None] = time.sleep
    deadline: float = math.inf
    """No call leaves after this moment (`time.monotonic`): its claim would run out under way."""

    def __call__(self, endpoint_class: str) -> None:
        """Wait for a turn of this class and of all calls. Raises Transient when it takes long."""
        for name in dict.fromkeys(("all", endpoint_class)):
            if name in self.budgets:
                self._book(name, self.budgets[name])
        if time.monotonic() > self.deadline:
            raise Transient("not sent: the claim is nearly over", code=CLAIM_NEARLY_OVER)
        self.calls += 1

    def _book(self, name: str, budget: CallBudget) -> None:
        booking = {
            "side": self.side,
            "platform": self.platform,
            "account": self.account,
            "endpoint_class": name,
            "calls": int(budget.calls),
            "seconds": budget.seconds * MARGIN,
            "longest": LONGEST_WAIT,
        }
        with self.engine.begin() as connection:
            wait = connection.scalar(_BOOK, booking)
        if wait is None:
            raise Transient(
                f"the call budget of this {self.platform} account is used up",
                retry_after=LONGEST_WAIT,
                code=BUDGET,
            )
        if wait > 0:
            self.sleep(float(wait))


def agreed_budgets(settings: Mapping[str, object]) -> dict[str, CallBudget]:
    """Budgets of the account's own plan, where a connection's settings name them."""
    agreed = cast(dict[str, dict[str, float]], settings.get("budgets", {}))
    return {name: CallBudget.model_validate(plan) for name, plan in agreed.items()}
