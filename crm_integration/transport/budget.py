"""API budgets: the last calls of each metered account and endpoint class, in Postgres.

Prevents the 429 storm: processes share no memory, so what was called when is a row. A vendor
counts calls in a rolling window; a bucket of tokens would let twice as many through in its first
window. A call that finds the window full waits, and books its moment shortly before it comes, so
that a more urgent one or a neighbour who had less is let in first (docs/adr/0018).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal, cast
from zlib import crc32

import orjson
from sqlalchemy import Connection, Engine, text

from crm_integration.errors import Transient
from crm_integration.transport.quota import RANKS, CallBudget, Purpose
from crm_integration.transport.retry import BUDGET, CLAIM_NEARLY_OVER
from crm_integration.transport.slots import given_back

LONGEST_WAIT = 20.0
"""Seconds a call may wait for its turn; a claim lives six times as long."""

LONGEST_TOLD = 3600.0
"""Seconds after which who found a day's quota used up asks again: it may have grown meanwhile."""

MARGIN, MOST_MARGIN = 0.02, 0.1
"""The vendor counts when calls arrive, we when they leave: our window is longer by this share of
it, at most by so many seconds. How long a call is under way varies by the same, however long the
window is; when it really left is told with the next call."""

REACH = 0.25
"""Seconds ahead that a turn is booked: who wakes a little late must not miss it."""

LONGEST_NAP = 1.0
"""Seconds until a waiting call looks again: a pause may have ended, a neighbour gone."""

LATE = 0.005
"""Seconds by which a call must have left late to be worth telling."""

RECOVERY = 0.05
"""Share of the full rate that comes back in each window without a refusal: from half to whole in
ten windows."""

LEAST_RATE = 0.1

SETTLE = 5.0
"""Seconds behind a pause in which a second refusal is part of the same overrun."""

PAUSE = 1.0
"""Seconds all processes pause after a refusal that does not say how long."""

_BOOK = text(
    # Nothing waits for the disk here: who would lose a booking with the database loses a second.
    "select booked, turn, moment from set_config('synchronous_commit', 'off', true),"
    " book_call(:side, :platform, :account, cast(:asks as jsonb),"
    " :tenant, :rank, :reach, :patience)"
)
_REFUSE = text(
    "select refuse_calls(:side, :platform, :account, :name, :pause, :seconds, :recovery,"
    " :least, :settle, :slower)"
)


@dataclass
class BudgetGate:
    """Called before each HTTP call to an account; counts the calls it let through."""

    engine: Engine = field(repr=False)
    platform: str
    account: bytes = field(repr=False)
    budgets: Mapping[str, CallBudget]
    side: Literal["crm", "store"] = "crm"
    purpose: Purpose = "reconcile"
    tenant: str = ""
    """Who shares the account with others; each has the same claim."""
    calls: int = 0
    sleep: Callable[[float], None] = time.sleep
    deadline: float = math.inf
    """No call leaves after this moment (`time.monotonic`): its claim would run out under way."""
    _left: tuple[float, float] | None = field(default=None, init=False, repr=False)
    """When the last call was to leave (the database's clock), and how much later it did."""
    _told: dict[str, dict[str, float]] = field(
        default_factory=lambda: dict[str, dict[str, float]](), init=False, repr=False
    )

    def __call__(self, endpoint_class: str) -> None:
        """Wait for a turn in all budgets of this class. Raises Transient when it takes long.

        `all` and `day` hold for every call, `search` and `search_day` for the class `search`.
        """
        wanted = ("all", "day", endpoint_class, f"{endpoint_class}_day")
        names = [name for name in dict.fromkeys(wanted) if name in self.budgets]
        if names:
            self._wait_for_turn(names)
        self.refuse_late()
        self.calls += 1

    def refuse_late(self) -> None:
        """Raises Transient where a call that left now would outlast its claim."""
        if time.monotonic() > self.deadline:
            raise Transient("not sent: the claim is nearly over", code=CLAIM_NEARLY_OVER)

    def told(self, name: str, *, limit: int | None = None, remaining: int | None = None) -> None:
        """What an answer said of a budget; the next booking writes it, at no call of its own."""
        budget = self.budgets.get(name)
        if budget is None:
            return
        if budget.agreed and limit is not None and limit > budget.calls:
            # The rest of the account is for others, and so is that much of what is left.
            remaining = None if remaining is None else max(0, remaining - (limit - budget.calls))
            limit = budget.calls
        said = {"limit": limit, "remaining": remaining}
        word: dict[str, float] = {key: one for key, one in said.items() if one is not None}
        if word and self._left is not None:
            self._told[name] = {**word, "heard": sum(self._left)}

    def refused(self, name: str, retry_after: float | None) -> None:
        """A 429: all processes pause as long as it asks, and go on at half the rate."""
        name = name if name in self.budgets else "all"
        budget = self.budgets.get(name)
        if budget is None:
            return
        refusal = {
            "side": self.side,
            "platform": self.platform,
            "account": self.account,
            "name": name,
            "pause": PAUSE if retry_after is None else retry_after,
            "seconds": budget.seconds,
            "recovery": RECOVERY,
            "least": LEAST_RATE,
            "settle": SETTLE,
            "slower": not budget.counted,
        }
        with self._connect() as connection:
            connection.execute(_REFUSE, refusal)

    def _wait_for_turn(self, names: list[str]) -> None:
        waited = 0.0
        while True:
            asked = time.monotonic()
            booked, turn, moment = self._book(names, LONGEST_WAIT - waited)
            wait = turn - moment
            if booked:
                break
            if wait > LONGEST_WAIT - waited:
                raise Transient(
                    f"the call budget of this {self.platform} account is used up",
                    retry_after=min(wait, LONGEST_TOLD),
                    code=BUDGET,
                )
            nap = min(max(wait - REACH / 2, REACH / 2), LONGEST_NAP)
            self._wait(nap)
            waited += nap
        if wait > 0:
            self._wait(wait)
        # The database read its clock after we had asked: it left at this moment at the latest.
        self._left = (turn, max(0.0, moment + time.monotonic() - asked - turn))

    def _wait(self, seconds: float) -> None:
        with given_back():
            self.sleep(seconds)

    def _book(self, names: list[str], patience: float) -> tuple[bool, float, float]:
        booking = {
            "side": self.side,
            "platform": self.platform,
            "account": self.account,
            "asks": orjson.dumps([self._ask(name) for name in names]).decode(),
            # As the database's integers are: signed.
            "tenant": crc32(self.tenant.encode()) - 2**31,
            "rank": RANKS[self.purpose],
            "reach": REACH,
            "patience": patience,
        }
        with self._connect() as connection:
            booked, turn, moment = connection.execute(_BOOK, booking).one()
        self._told.clear()
        self._left = None
        return bool(booked), float(turn), float(moment)

    def _ask(self, name: str) -> dict[str, Any]:
        budget = self.budgets[name]
        ask: dict[str, Any] = {
            "name": name,
            "calls": budget.calls,
            "seconds": budget.seconds,
            "window": budget.seconds,
            "share": budget.share(self.purpose),
            "recovery": RECOVERY,
            "counted": budget.counted,
            **self._told.get(name, {}),
        }
        period = budget.period(datetime.now(UTC))
        if period is not None:
            ask["since"], ask["until"] = (one.timestamp() for one in period)
        if not budget.counted:
            ask["window"] += min(budget.seconds * MARGIN, MOST_MARGIN)
            if self._left is not None and self._left[1] > LATE:
                ask["was"], ask["late"] = self._left
        return ask

    def _connect(self) -> Connection:
        return self._each_for_itself.connect()

    @cached_property
    def _each_for_itself(self) -> Engine:
        # Each booking is one statement: a transaction around it would be two more round trips.
        return self.engine.execution_options(isolation_level="AUTOCOMMIT")


def refused(gate: object, name: str, error: Transient) -> None:
    """Tell a gate of a vendor's refusal; one that meters nobody does not listen."""
    if isinstance(gate, BudgetGate):
        gate.refused(name, error.retry_after)


def agreed_budgets(settings: Mapping[str, object]) -> dict[str, CallBudget]:
    """Budgets of the account's own plan, where a connection's settings name them."""
    agreed = cast(dict[str, dict[str, float]], settings.get("budgets", {}))
    return {
        name: CallBudget.model_validate({**plan, "agreed": True}) for name, plan in agreed.items()
    }
