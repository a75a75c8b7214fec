"""API budgets: one bucket of calls per metered account and endpoint class, in Postgres.

Prevents the 429 storm: processes share no memory, so the bucket is a row. A call that finds the
bucket empty takes its token in advance and waits for it; who would have to wait too long is told
to come back later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine, bindparam, text

from crm_integration.crms._registry import CallBudget
from crm_integration.errors import Transient

LONGEST_WAIT = 20.0
"""Seconds a call may wait for its token; a claim lives six times as long."""

_TAKE = text("""
insert into budgets as b (side, platform, account, endpoint_class, tokens, refilled_at, calls)
values ('crm', :platform, :account, :endpoint_class, cast(:cap as float8) - 1,
        clock_timestamp(), 1)
on conflict (side, platform, account, endpoint_class) do update set
    tokens = least(:cap, b.tokens
        + extract(epoch from clock_timestamp() - b.refilled_at) * cast(:rate as float8)) - 1,
    refilled_at = clock_timestamp(),
    calls = b.calls + 1
returning tokens
""").bindparams(bindparam("cap"), bindparam("rate"))


@dataclass
class BudgetGate:
    """Called before each HTTP call to an account; counts the calls it let through."""

    engine: Engine = field(repr=False)
    platform: str
    account: bytes = field(repr=False)
    budgets: Mapping[str, CallBudget]
    calls: int = 0
    sleep: Callable[[float], None] = time.sleep

    def __call__(self, endpoint_class: str) -> None:
        """Wait for a token of this class and of all calls. Raises Transient when it takes long."""
        for name in dict.fromkeys(("all", endpoint_class)):
            if name in self.budgets:
                self._take(name, self.budgets[name])
        self.calls += 1

    def _take(self, name: str, budget: CallBudget) -> None:
        rate = budget.calls / budget.seconds
        with self.engine.begin() as connection:
            tokens = connection.scalar(
                _TAKE,
                {
                    "platform": self.platform,
                    "account": self.account,
                    "endpoint_class": name,
                    "cap": budget.calls,
                    "rate": rate,
                },
            )
        wait = max(0.0, -float(tokens or 0.0) / rate)
        if wait > LONGEST_WAIT:
            raise Transient(
                f"the call budget of this {self.platform} account is used up",
                retry_after=wait,
                code="budget",
            )
        if wait > 0:
            self.sleep(wait)
