"""What a vendor allows, whom of ours it is for, and when a day's quota begins anew.

Prevents a night's backfill from leaving nothing to the order that comes in now: lower purposes
leave a reserve free, in every window and in every day.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

Purpose = Literal["live", "reconcile", "backfill"]

RANKS: dict[Purpose, int] = {"backfill": 0, "reconcile": 1, "live": 2}

RECONCILE_SHARE = 0.9
"""A tenth stays free: a live event takes some ten calls, and comes alone."""

BACKFILL_SHARE = 0.7
"""A fifth more for reconciliation, which a backfill of days must not keep from its hour."""

LONGEST_LOGGED = 3600.0
"""Seconds. Of a longer window the calls are counted, not noted one by one."""


class CallBudget(BaseModel):
    """Calls a window, as the vendor meters an account.

    `resets`: when a day's quota begins anew, `HH:MM Zone` (`00:00 Europe/Berlin`); without it a
    long window begins with its first call. `reconcile` and `backfill`: the share of the window
    that these purposes may fill, all calls counted. `agreed`: a person set it for one account;
    it stays where the vendor tells a higher limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int = Field(ge=1)
    seconds: float = Field(gt=0)
    resets: str | None = Field(default=None, pattern=r"^([01]\d|2[0-3]):[0-5]\d [A-Za-z_/+\-0-9]+$")
    reconcile: float = Field(default=RECONCILE_SHARE, gt=0, le=1)
    backfill: float = Field(default=BACKFILL_SHARE, gt=0, le=1)
    agreed: bool = False

    @property
    def counted(self) -> bool:
        """Whether it is a count from a moment on, not a rolling window."""
        return self.resets is not None or self.seconds > LONGEST_LOGGED

    def share(self, purpose: Purpose) -> float:
        """The part of the window that a purpose may fill."""
        return {"live": 1.0, "reconcile": self.reconcile, "backfill": self.backfill}[purpose]

    def period(self, now: datetime) -> tuple[datetime, datetime] | None:
        """Begin and end of the day that `now` lies in; None where the vendor's is not known."""
        if self.resets is None:
            return None
        clock, _, zone = self.resets.partition(" ")
        hour, minute = (int(one) for one in clock.split(":"))
        local = now.astimezone(ZoneInfo(zone))
        begin = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if begin > local:
            begin -= timedelta(days=1)
        # A day of the wall clock: 23 or 25 hours when the clocks change.
        return begin.astimezone(UTC), (begin + timedelta(days=1)).astimezone(UTC)
